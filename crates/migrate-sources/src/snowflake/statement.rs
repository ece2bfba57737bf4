//! Running statements: bounded in time, aborted when nobody waits, counted at the end.

use std::sync::Arc;

use backon::BackoffBuilder;
use migrate_core::arrow::array::{AsArray, RecordBatch};
use migrate_core::arrow::compute::concat_batches;
use migrate_core::arrow::datatypes::{Decimal128Type, Field, Schema};
use migrate_core::{
    ColumnType, Error, ErrorKind, Result, RunContext, SqlStatement, TableSchema, code,
};
use snowflake_connector_rs::{QueryCanceller, ResultCursor, ResultTable};
use tokio::time::timeout;

use super::bind::bound;
use super::column::columns;
use super::decode::{Layout, decode};
use super::double;
use super::error::classify;
use super::session::{Checkout, SessionPool, brief_retries, is_transient};

/// Tries of one part beside the client's own; each may take the whole limit.
const PART_TRIES: u32 = 3;

/// A statement whose result is ready to be fetched.
#[derive(Debug)]
pub(super) struct Execution {
    session: Checkout,
    cursor: ResultCursor,
}

impl Execution {
    /// Runs a statement until its result is ready. It is aborted on the server when `cx` is
    /// cancelled and when the call is dropped.
    ///
    /// # Errors
    ///
    /// What the server answers; `Cancelled`.
    pub(super) async fn start(
        mut session: Checkout,
        statement: &SqlStatement,
        cx: &RunContext,
    ) -> Result<Self> {
        cx.ensure_active()?;
        let handle = session
            .session()
            .query_handle(bound(statement))
            .map_err(|cause| classify("A statement cannot be sent to Snowflake", &cause))?;
        let mut abort = AbortOnDrop::new(Arc::clone(session.pool()), handle.canceller());
        let outcome = cx
            .unless_cancelled(async {
                handle
                    .execute()
                    .await
                    .map_err(|cause| classify("Snowflake refused a statement", &cause))
            })
            .await;
        match outcome {
            Ok(cursor) => {
                abort.disarm();
                Ok(Self { session, cursor })
            }
            Err(error) => {
                if error.kind() == ErrorKind::Cancelled {
                    abort.now().await;
                }
                // A statement that the server has refused runs no more; one whose answer was lost
                // may still run.
                if !is_transient(&error) {
                    abort.disarm();
                }
                session.discard();
                Err(error)
            }
        }
    }

    /// The next part of the result; `None` at its end.
    ///
    /// # Errors
    ///
    /// `Timeout` for a part that stalls again and again, `Connection` for one that cannot be had.
    pub(super) async fn next_part(&mut self) -> Result<Option<ResultTable>> {
        let limit = self.session.pool().settings().partition_timeout;
        for _try in 0..PART_TRIES {
            // The client keeps its place when the wait is given up.
            match timeout(limit, self.cursor.next_table()).await {
                Ok(Ok(part)) => return Ok(part),
                Ok(Err(cause)) => {
                    self.session.discard();
                    return Err(classify("A part of a Snowflake result cannot be fetched", &cause)
                        .with("query_id", self.cursor.query_id()));
                }
                Err(_elapsed) => {
                    tracing::warn!(query_id = self.cursor.query_id(), "a part of a result stalled");
                }
            }
        }
        self.session.discard();
        Err(Error::new(ErrorKind::Timeout, "A part of a Snowflake result does not arrive")
            .with("query_id", self.cursor.query_id())
            .with_hint(
                "allow the result storage's address through proxy and firewall, or raise \
                 `snowflake.partition_timeout_seconds`",
            ))
    }

    /// The columns of the result.
    pub(super) fn columns(&self) -> Vec<migrate_core::Column> {
        columns(self.cursor.schema())
    }

    /// Compares the rows that arrived with the rows that the server keeps for this result: the
    /// client accepts parts that lack rows.
    ///
    /// # Errors
    ///
    /// [`code::ROW_COUNT_MISMATCH`].
    pub(super) async fn verify_count(&self, arrived: u64, cx: &RunContext) -> Result<()> {
        let query_id = self.cursor.query_id();
        let statement = SqlStatement {
            sql: format!(
                "SELECT COUNT(*)::NUMBER(38,0) AS \"N\" FROM TABLE(RESULT_SCAN('{}'))",
                query_id.replace('\'', "")
            ),
            params: Vec::new(),
        };
        let kept = fetch_count(self.session.pool(), &statement, cx).await?;
        if kept == arrived {
            return Ok(());
        }
        Err(Error::new(
            code::ROW_COUNT_MISMATCH,
            format!("Snowflake delivered {arrived} of {kept} rows"),
        )
        .with("query_id", query_id)
        .with_hint("nothing was written; run again"))
    }

    /// How batches of these columns are read, after a look whether they are the planned ones.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` when the result has other columns than `planned`.
    pub(super) fn layout(&self, planned: &TableSchema) -> Result<Layout> {
        let found = self.columns();
        let same = found.len() == planned.columns.len()
            && found.iter().zip(&planned.columns).enumerate().all(
                |(position, (found, planned))| {
                    if double::is_double(&planned.column_type) {
                        return found.name.as_str() == double::alias(position)
                            && matches!(found.column_type, ColumnType::Text { .. });
                    }
                    found.name == planned.name
                        && found.column_type.arrow() == planned.column_type.arrow()
                },
            );
        if !same {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("The columns of {} have changed since the load was planned", planned.table),
            )
            .with_hint("start anew with --no-resume"));
        }
        Ok(layout_of(&planned.columns))
    }
}

fn layout_of(columns: &[migrate_core::Column]) -> Layout {
    let fields: Vec<_> = columns
        .iter()
        .map(|column| Field::new(column.name.as_str(), column.column_type.arrow(), column.nullable))
        .collect();
    Layout {
        schema: Arc::new(Schema::new(fields)),
        types: columns.iter().map(|column| column.column_type.clone()).collect(),
    }
}

/// The whole result of a small statement. The statement may be repeated.
///
/// # Errors
///
/// What the server answers, after brief retries of what may pass.
pub(super) async fn fetch(
    sessions: &Arc<SessionPool>,
    statement: &SqlStatement,
    cx: &RunContext,
) -> Result<RecordBatch> {
    fetch_as(sessions, statement, cx, Ok).await
}

/// The one count of a statement that selects one.
///
/// # Errors
///
/// As [`fetch`]; [`code::ROW_COUNT_MISMATCH`] when the answer has not exactly one row.
pub(super) async fn fetch_count(
    sessions: &Arc<SessionPool>,
    statement: &SqlStatement,
    cx: &RunContext,
) -> Result<u64> {
    let one = |answer: RecordBatch| match counts(&answer, 0)?.as_slice() {
        [count] => Ok(*count),
        _ => Err(Error::new(code::ROW_COUNT_MISMATCH, "Snowflake answered a count without one")
            .with_hint("run again")),
    };
    fetch_as(sessions, statement, cx, one).await
}

async fn fetch_as<T>(
    sessions: &Arc<SessionPool>,
    statement: &SqlStatement,
    cx: &RunContext,
    read: impl Fn(RecordBatch) -> Result<T> + Send + Sync,
) -> Result<T> {
    let mut rests = brief_retries().build();
    loop {
        // Logging in has a patience of its own.
        let session = sessions.checkout().await?;
        match fetch_once(session, statement, cx).await.and_then(&read) {
            Err(error) if is_transient(&error) => match rests.next() {
                Some(rest) => tokio::time::sleep(rest).await,
                None => return Err(error),
            },
            outcome => return outcome,
        }
    }
}

async fn fetch_once(
    session: Checkout,
    statement: &SqlStatement,
    cx: &RunContext,
) -> Result<RecordBatch> {
    let mut execution = Execution::start(session, statement, cx).await?;
    let layout = layout_of(&execution.columns());
    let mut batches = Vec::new();
    while let Some(part) = execution.next_part().await? {
        decode(&part, &layout, part.row_count().max(1), |batch| {
            batches.push(batch);
            true
        })?;
    }
    concat_batches(&layout.schema, &batches).map_err(|cause| {
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

/// Aborts a statement on the server when the wait for it ends early.
struct AbortOnDrop {
    pool: Arc<SessionPool>,
    canceller: Option<QueryCanceller>,
}

impl AbortOnDrop {
    fn new(pool: Arc<SessionPool>, canceller: QueryCanceller) -> Self {
        Self { pool, canceller: Some(canceller) }
    }

    fn disarm(&mut self) {
        self.canceller = None;
    }

    async fn now(&mut self) {
        if let Some(canceller) = self.canceller.take() {
            abort(canceller).await;
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(canceller) = self.canceller.take() {
            self.pool.later(abort(canceller));
        }
    }
}

async fn abort(canceller: QueryCanceller) {
    if let Err(cause) = canceller.cancel().await {
        tracing::warn!(kind = ?cause.kind(), "a statement could not be aborted on Snowflake");
    }
}
