//! PostgreSQL's errors as kinds: what the caller does next.
//!
//! Only this table knows SQLSTATEs. Classes and codes: PostgreSQL manual, appendix A.

use migrate_core::{Error, ErrorCode, ErrorKind, code};
use sqlx::postgres::PgDatabaseError;

/// Turns a driver error into one of ours.
///
/// What the server says of the data (classes 21, 22, 23, 44 and P0) is not passed on, because it
/// quotes cells; the names of the column and the constraint are. Of its other messages the primary
/// line is.
pub fn classify(message: &'static str, cause: sqlx::Error) -> Error {
    if let Some(state) = sqlstate(&cause) {
        let (code, hint) = meaning(&state);
        let data = about_data(&state);
        let error = with_names(Error::new(code, message).with("sqlstate", state), &cause);
        let error = match data {
            Some(sentence) => error.with_source(sentence),
            None => error.with_source(cause),
        };
        return match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
    }
    let (kind, hint) = match &cause {
        sqlx::Error::Io(io) => (ErrorKind::Connection, io_hint(io.kind())),
        sqlx::Error::Tls(_) => (
            ErrorKind::Connection,
            "check `postgres.sslmode` and `postgres.sslrootcert` against the server's certificate",
        ),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            (ErrorKind::Config, "check the `postgres` block of the configuration")
        }
        sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => (
            ErrorKind::Connection,
            "check that the address is a PostgreSQL server of version 13 or newer",
        ),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::ResourceExhausted,
            "lower `parallel_threads`, or raise `max_connections` of the server",
        ),
        _ => (ErrorKind::Internal, "report this with the log of the run"),
    };
    Error::new(kind, message).with_hint(hint).with_source(cause)
}

/// The column and the constraint that an error is about, where the server names them.
fn with_names(error: Error, cause: &sqlx::Error) -> Error {
    let database = cause.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
    let names = database.map(|e| [("column", e.column()), ("constraint", e.constraint())]);
    names.into_iter().flatten().fold(error, |error, (key, name)| match name {
        Some(name) => error.with(key, name),
        None => error,
    })
}

/// Whether the server refused a row for what is in it: without that row, the rest may pass.
pub fn is_about_row(state: &str) -> bool {
    // A malformed COPY is our own mistake, whatever row it ends at.
    state != "22P04" && about_data(state).is_some()
}

/// A sentence of ours for states that are about values.
fn about_data(state: &str) -> Option<&'static str> {
    Some(match state {
        "22001" => "a text is too long for its column",
        "22003" => "a number is out of the range of its column",
        "22007" | "22008" => "a date or time is not one that the column takes",
        "22021" => "a text has characters that the database's encoding lacks",
        "22P02" => "a value is none of the column's type",
        "22P05" => "a text has U+0000, which PostgreSQL cannot store",
        "23502" => "a value is NULL where the column is NOT NULL",
        "23503" => "a foreign key has no counterpart",
        "23505" => "a key exists already",
        "23514" => "a check constraint does not hold",
        "23P01" => "an exclusion constraint does not hold",
        "54000" => "a value is too large for an index of the table",
        _ => match state.get(..2)? {
            "21" | "22" | "44" => "a value does not fit the table",
            "23" => "a constraint of the table does not hold",
            "45" | "P0" => "a trigger or function of the table raised an error",
            _ => return None,
        },
    })
}

fn io_hint(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind as Io;
    match kind {
        Io::ConnectionRefused => "start the server, or correct `postgres.host` and `postgres.port`",
        Io::NotFound => "correct `postgres.host`: the name cannot be resolved",
        _ => "check `postgres.host`, the network and that the server is up",
    }
}

/// The SQLSTATE of a driver error, if the server sent one.
pub fn sqlstate(cause: &sqlx::Error) -> Option<String> {
    let database = cause.as_database_error()?;
    Some(database.try_downcast_ref::<PgDatabaseError>()?.code().to_owned())
}

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

/// What a SQLSTATE means for the caller, and the next step where it is known.
fn meaning(state: &str) -> (ErrorCode, Option<&'static str>) {
    let (code, hint): (ErrorCode, &'static str) = match state {
        "3D000" => (code::DATABASE_MISSING, "create it, or correct `target_pg_database`"),
        "3F000" => (ErrorKind::NotFound.into(), "create the schema, or correct `target_pg_schema`"),
        "42P01" => (code::TARGET_TABLE_MISSING, "create the table, or correct `target`"),
        "42703" => (code::COLUMN_MISSING, "compare the column names of source and target"),
        "28P01" | "28000" => {
            (ErrorKind::Auth.into(), "correct `postgres.user` and `postgres.password`")
        }
        "42501" => {
            (ErrorKind::Auth.into(), "grant the role the missing right; see docs/security.md")
        }
        "53100" => (ErrorKind::ResourceExhausted.into(), "free disk space on the server"),
        "53300" => (
            ErrorKind::ResourceExhausted.into(),
            "lower `parallel_threads`, or raise `max_connections` of the server",
        ),
        "25006" => (
            ErrorKind::Connection.into(),
            "the server only reads: connect to the primary, or wait for the failover to end",
        ),
        "57014" => (
            ErrorKind::Timeout.into(),
            "somebody cancelled the statement, or a time limit of the server did",
        ),
        "57P04" => (code::DATABASE_MISSING, "the database was dropped; create it"),
        "55P03" => (ErrorKind::Timeout.into(), "end the session that holds the lock"),
        "23505" => (
            ErrorKind::Conflict.into(),
            "the key exists in the target; empty it, or set `uniqueness_columns`",
        ),
        "23502" | "23503" | "23514" | "23P01" => (
            code::VALUE_REFUSED,
            "correct or filter the rows that break the constraint, or the constraint",
        ),
        _ => return class_meaning(state),
    };
    (code, Some(hint))
}

fn class_meaning(state: &str) -> (ErrorCode, Option<&'static str>) {
    let kind = match state.get(..2).unwrap_or_default() {
        // Connection exception; operator intervention (shutdown, starting up).
        "08" | "57" => ErrorKind::Connection,
        // Insufficient resources; system error outside of PostgreSQL.
        "53" | "58" => ErrorKind::ResourceExhausted,
        // Transaction rollback (serialization, deadlock); object in use.
        "40" | "55" => ErrorKind::Throttled,
        // Data exception, integrity constraint, check option, cardinality; raised by a trigger.
        "22" | "23" | "44" | "45" | "21" | "P0" => return (code::VALUE_REFUSED, Some(VALUE_HINT)),
        // Invalid authorization.
        "28" => ErrorKind::Auth,
        // Feature not supported; program limit exceeded.
        "0A" | "54" => ErrorKind::Unsupported,
        // Syntax or access rule, invalid transaction state, internal error, and the rest.
        _ => ErrorKind::Internal,
    };
    (kind.into(), None)
}

const VALUE_HINT: &str = "correct or filter the rows in the source, or widen the target column";

#[cfg(test)]
mod tests {
    use migrate_core::Retry;

    use super::*;

    #[test]
    fn only_states_that_pass_by_themselves_are_retried() {
        for state in [
            "08006", "57P01", "57P03", "53100", "53300", "40P01", "40001", "55P03", "25006",
            "57014",
        ] {
            assert_eq!(meaning(state).0.kind().retry(), Retry::AfterDelay, "{state}");
        }
        for state in [
            "28P01", "3D000", "42P01", "42501", "23505", "22001", "22003", "0A000", "XX000",
            "42601",
        ] {
            assert_eq!(meaning(state).0.kind().retry(), Retry::Never, "{state}");
        }
    }

    #[test]
    fn only_what_a_row_holds_can_put_it_aside() {
        for state in ["22001", "22P05", "23502", "23503", "23505", "23514", "23P01", "44000"] {
            assert!(is_about_row(state), "{state}");
        }
        for state in ["P0001", "45000", "54000"] {
            assert!(is_about_row(state), "{state}");
        }
        for state in ["08006", "53100", "57014", "57P01", "40P01", "55P03", "25006", "42501"] {
            assert!(!is_about_row(state), "{state}");
        }
        assert!(!is_about_row("22P04"), "a malformed COPY is no bad row");
    }

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

    #[test]
    fn what_the_operator_can_mend_has_a_next_step() {
        for state in ["3D000", "3F000", "42P01", "28P01", "42501", "53100", "23505", "22003"] {
            assert!(meaning(state).1.is_some(), "{state}");
        }
    }
}
