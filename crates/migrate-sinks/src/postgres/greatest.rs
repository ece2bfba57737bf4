//! The greatest value of a column, in a form that no setting of a session changes.

use migrate_core::{
    ColumnName, ColumnType, Dialect, Error, ErrorKind, Result, Scalar, SqlBuilder, TableRef,
};
use migrate_postgres::{Database, classify};
use sqlx::Row;

use super::waiting::look_at;

/// As a value of the source's type `of`; `None` for a table without one.
///
/// # Errors
///
/// `Unsupported` where such values have no order, `DataInvalid` for one beyond the calendar.
pub(super) async fn greatest(
    database: &Database,
    table: &TableRef,
    column: &ColumnName,
    of: &ColumnType,
) -> Result<Option<Scalar>> {
    let (before, after) = match of {
        ColumnType::Date => ("to_char(max(", "), 'YYYY-MM-DD')"),
        ColumnType::Timestamp { .. } => ("to_char(max(", "), 'YYYY-MM-DD HH24:MI:SS.US')"),
        ColumnType::Instant { .. } | ColumnType::OffsetTimestamp { .. } => {
            ("to_char(max(", ") at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
        }
        ColumnType::Text { .. } => ("max(", " collate \"C\")"),
        number if number.is_exact_number() => ("max(", ")::text"),
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("Values of type {of} have no greatest one"),
            )
            .with("column", column)
            .with_hint("choose another watermark"));
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
    let read = match of {
        ColumnType::Date => text.parse().ok().map(Scalar::Date),
        ColumnType::Timestamp { .. } => text.parse().ok().map(Scalar::Timestamp),
        ColumnType::Instant { .. } | ColumnType::OffsetTimestamp { .. } => {
            text.parse().ok().map(Scalar::Instant)
        }
        ColumnType::Text { .. } => Some(Scalar::Text(text)),
        _ => text.parse().ok().map(Scalar::Number),
    };
    read.map(Some).ok_or_else(|| {
        Error::new(ErrorKind::DataInvalid, "The greatest watermark of the target is no bound")
            .with("table", table)
            .with("column", column)
            .with_hint("correct the row with an infinite or ancient watermark, or set \"watermark_low\": \"last_window\"")
    })
}
