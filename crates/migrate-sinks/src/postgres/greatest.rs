//! The greatest value of a column, in a form that no setting of a session changes.

use migrate_core::value::EpochTime;
use migrate_core::{
    ColumnPair, ColumnType, Dialect, Error, ErrorKind, Result, Scalar, SqlBuilder, TableRef,
    TargetGreatest,
};
use migrate_postgres::{Database, classify};
use sqlx::Row;

use super::pg_type::PgType;
use super::version::{Version, kept_digits};
use super::waiting::look_at;

/// As a lower bound for the source column of `pair`; `None` for a table without one.
///
/// # Errors
///
/// `type_mismatch` where the target orders otherwise than the source does, `Unsupported` where the
/// greatest value cannot be read as one of the source's, `DataInvalid` for one beyond the calendar.
pub(super) async fn greatest(
    database: &Database,
    table: &TableRef,
    pair: &ColumnPair,
    target: &PgType,
) -> Result<Option<TargetGreatest>> {
    let of = &pair.column_type;
    let column = &pair.target;
    // A bound is worth something only where the target orders as the source does.
    Version::new(pair, target, table)?;
    let (before, after) = match of {
        ColumnType::Date => ("to_char(max(", "), 'YYYY-MM-DD')"),
        ColumnType::Timestamp { .. } => ("to_char(max(", "), 'YYYY-MM-DD HH24:MI:SS.US')"),
        ColumnType::Instant { .. } | ColumnType::OffsetTimestamp { .. } => {
            ("to_char(max(", ") at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
        }
        // What a text was read as need not be spelled as the source spells it.
        // The cast takes `citext` by its letters.
        ColumnType::Text { .. } if matches!(target, PgType::Text | PgType::Varchar { .. }) => {
            ("max(", "::text collate \"C\")")
        }
        number if number.is_exact_number() && *target != PgType::Bool => ("max(", ")::text"),
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("The greatest {target} is no bound for values of type {of}"),
            )
            .with("column", column)
            .with_hint("set \"watermark_low\": \"last_window\", or choose another watermark"));
        }
    };
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("select ").text(before).name(column.as_str()).text(after);
    sql.text(" as greatest from ").table(table);
    let failed = "Cannot read the greatest watermark of the target";
    let row = look_at(database, table, &sql.finish(), failed).await;
    let text: Option<String> = row
        .and_then(|row| row.try_get("greatest").map_err(|cause| classify(failed, cause)))
        .map_err(|error| error.with("table", table).with("column", column))?;
    let Some(text) = text else { return Ok(None) };
    // Rows may have been rounded up to it, whatever is done with digits today.
    let kept_digits = kept_digits(of, target);
    let time = |text: &str| -> Option<EpochTime> {
        let time = text.parse().ok()?;
        kept_digits.map_or(Some(time), |digits| one_unit_below(time, digits))
    };
    let read = match of {
        ColumnType::Date => text.parse().ok().map(Scalar::Date),
        ColumnType::Timestamp { .. } => time(&text).map(Scalar::Timestamp),
        ColumnType::Instant { .. } | ColumnType::OffsetTimestamp { .. } => {
            time(&text).map(Scalar::Instant)
        }
        ColumnType::Text { .. } => Some(Scalar::Text(text)),
        _ => text.parse().ok().map(Scalar::Number),
    };
    let bound = |value| TargetGreatest { value, is_exact: kept_digits.is_none() };
    read.map(|value| Some(bound(value))).ok_or_else(|| {
        Error::new(ErrorKind::DataInvalid, "The greatest watermark of the target is no bound")
            .with("table", table)
            .with("column", column)
            .with_hint("correct the row with an infinite or ancient watermark, or set \"watermark_low\": \"last_window\"")
    })
}

/// A time less one unit of its last digit.
fn one_unit_below(time: EpochTime, digits: u8) -> Option<EpochTime> {
    const NANO_DIGITS: u32 = 9;
    let unit = 10_i64.checked_pow(NANO_DIGITS.checked_sub(digits.into())?)?;
    let nanos = i64::from(time.nanos()) - unit;
    let one = 1_000_000_000;
    let seconds = time.seconds().checked_add(nanos.div_euclid(one))?;
    EpochTime::new(seconds, u32::try_from(nanos.rem_euclid(one)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_one_of_the_last_digit_that_is_kept() {
        for (digits, time, below) in [
            (6, "2024-01-01 00:00:00", "2023-12-31 23:59:59.999999"),
            (3, "1970-01-01 00:00:00.5", "1970-01-01 00:00:00.499"),
            (0, "1970-01-01 00:00:00", "1969-12-31 23:59:59"),
        ] {
            let at = |text: &str| -> EpochTime { text.parse().expect("a time") };
            assert_eq!(one_unit_below(at(time), digits), Some(at(below)), "{time}");
        }
    }
}
