//! The row at which a COPY failed, as far as the server tells.

use sqlx::postgres::PgDatabaseError;

/// Where a COPY failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedRow {
    /// Number of the row, from 1.
    pub number: u64,
    /// The column, if the server was at one.
    pub column: Option<String>,
}

/// The row at which the server says that a binary COPY into `table` failed.
///
/// The server tells it in the context of the error (`CopyFromErrorCallback` in its sources), in its
/// own language: `COPY t, line 3, column v`. Nothing else of the context is passed on, because it
/// can quote values.
pub fn copied_row(cause: &sqlx::Error, table: &str) -> Option<CopiedRow> {
    let database = cause.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    row_of_context(database.r#where()?, table)
}

fn row_of_context(context: &str, table: &str) -> Option<CopiedRow> {
    let rest = context.lines().find_map(|line| {
        line.strip_prefix("COPY ").and_then(|rest| rest.strip_prefix(table)?.strip_prefix(", "))
    })?;
    let (_, digits) = rest.split_at_checked(rest.find(|c: char| c.is_ascii_digit())?)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    let column = rest.strip_prefix(", ").and_then(|rest| rest.split_once(' '));
    Some(CopiedRow {
        number: digits.parse().ok()?,
        column: column.map(|(_word, name)| name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_failed_copy_is_read_in_any_language() {
        let read = |context, table| {
            row_of_context(context, table).map(|row| (row.number, row.column.unwrap_or_default()))
        };
        assert_eq!(read("COPY t1, line 42, column a b", "t1"), Some((42, "a b".into())));
        assert_eq!(read("COPY a, b 7, Zeile 3", "a, b 7"), Some((3, String::new())));
        let nested = "PL/pgSQL function f() line 7 at RAISE\nCOPY t, line 5";
        assert_eq!(read(nested, "t"), Some((5, String::new())));
        assert_eq!(row_of_context("COPY other, line 5", "t"), None);
        assert_eq!(row_of_context("SQL statement", "t"), None);
    }
}
