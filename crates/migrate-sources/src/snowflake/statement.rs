//! Small statements, whose answer is taken as a whole.

use std::sync::Arc;

use migrate_core::arrow::array::{AsArray, RecordBatch};
use migrate_core::arrow::compute::concat_batches;
use migrate_core::arrow::datatypes::{Decimal128Type, Field, Schema};
use migrate_core::{Error, ErrorKind, Result, RunContext, SqlStatement, code};
use snowflake_connector_rs::ResultTable;
use tokio::time::timeout;

use super::column::columns;
use super::decode::{BatchLimits, Layout, decode};
use super::error::classify;
use super::execution::Execution;
use super::reattach::Extract;
use super::session::{SessionPool, is_transient};
use super::submission::Ready;

/// Tries of an answer that arrives broken or lacks rows.
const TRIES: u32 = 3;

pub(super) fn layout_of(columns: &[migrate_core::Column]) -> Layout {
    let fields: Vec<_> = columns
        .iter()
        .map(|column| Field::new(column.name.as_str(), column.column_type.arrow(), column.nullable))
        .collect();
    Layout {
        schema: Arc::new(Schema::new(fields)),
        types: columns.iter().map(|column| column.column_type.clone()).collect(),
    }
}

/// The id of a statement as a literal: table functions take no bind there.
pub(super) fn id_literal(query_id: &str) -> String {
    let plain: String =
        query_id.chars().filter(|letter| letter.is_ascii_hexdigit() || *letter == '-').collect();
    format!("'{plain}'")
}

/// The whole result of a small statement that is cheap to repeat.
///
/// # Errors
///
/// What the server answers, after brief retries of what may pass.
pub(super) async fn fetch(
    sessions: &Arc<SessionPool>,
    statement: &SqlStatement,
    cx: &RunContext,
) -> Result<RecordBatch> {
    fetch_as(sessions, &Extract::cheap(statement.clone()), cx, Ok).await
}

/// The same of a statement that may run long.
///
/// # Errors
///
/// As [`fetch`].
pub(super) async fn fetch_long(
    sessions: &Arc<SessionPool>,
    extract: &Extract,
    cx: &RunContext,
) -> Result<RecordBatch> {
    fetch_as(sessions, extract, cx, Ok).await
}

/// The one count of a statement that selects one.
///
/// # Errors
///
/// As [`fetch`]; [`code::ROW_COUNT_MISMATCH`] when the answer has not exactly one row.
pub(super) async fn fetch_count(
    sessions: &Arc<SessionPool>,
    extract: Extract,
    cx: &RunContext,
) -> Result<u64> {
    let one = |answer: RecordBatch| match counts(&answer, 0)?.as_slice() {
        [count] => Ok(*count),
        _ => Err(Error::new(code::ROW_COUNT_MISMATCH, "Snowflake answered a count without one")
            .with_hint("run again")),
    };
    fetch_as(sessions, &extract, cx, one).await
}

async fn fetch_as<T>(
    sessions: &Arc<SessionPool>,
    extract: &Extract,
    cx: &RunContext,
    read: impl Fn(RecordBatch) -> Result<T> + Send + Sync,
) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        // Running it has a patience of its own.
        let mut execution = Execution::run(sessions, extract.clone(), cx).await?;
        match everything(&mut execution).await.and_then(&read) {
            Err(error) if is_transient(&error) && tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

async fn everything(execution: &mut Execution) -> Result<RecordBatch> {
    let layout = layout_of(&execution.columns());
    let mut batches = Vec::new();
    while let Some(part) = execution.next_part().await? {
        gather(&part, &layout, &mut batches)?;
    }
    joined(&layout, &batches)
}

/// All rows of a result that is known to be small, without any repair.
///
/// # Errors
///
/// `Timeout`, `Connection`.
pub(super) async fn whole(ready: &mut Ready) -> Result<RecordBatch> {
    let limit = ready.pool.settings().partition_timeout;
    let layout = layout_of(&columns(ready.cursor.schema()));
    let mut batches = Vec::new();
    loop {
        let part = timeout(limit, ready.cursor.next_table())
            .await
            .map_err(|_elapsed| {
                Error::new(ErrorKind::Timeout, "A part of a Snowflake result does not arrive")
            })?
            .map_err(|cause| classify("A small Snowflake result cannot be fetched", &cause))?;
        let Some(part) = part else { return joined(&layout, &batches) };
        gather(&part, &layout, &mut batches)?;
    }
}

fn gather(part: &ResultTable, layout: &Layout, batches: &mut Vec<RecordBatch>) -> Result<()> {
    let all = BatchLimits { rows: usize::MAX, bytes: usize::MAX };
    decode(part, layout, all, |batch, _bytes| {
        batches.push(batch);
        true
    })
}

fn joined(layout: &Layout, batches: &[RecordBatch]) -> Result<RecordBatch> {
    concat_batches(&layout.schema, batches).map_err(|cause| {
        Error::new(ErrorKind::Internal, "Parts of a result differ").with_source(cause)
    })
}

/// A column of counts.
///
/// # Errors
///
/// `Internal` when it is none.
pub(super) fn counts(batch: &RecordBatch, position: usize) -> Result<Vec<u64>> {
    let unplanned = || Error::new(ErrorKind::Internal, "A count has an unplanned form");
    let column = batch.columns().get(position).ok_or_else(unplanned)?;
    let numbers = column.as_primitive_opt::<Decimal128Type>().ok_or_else(unplanned)?;
    numbers
        .iter()
        .map(|number| number.and_then(|n| u64::try_from(n).ok()).ok_or_else(unplanned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_literal() {
        assert_eq!(id_literal("01b7-00ff') -- x"), "'01b7-00ff--'");
    }
}
