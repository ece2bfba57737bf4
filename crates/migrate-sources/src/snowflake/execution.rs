//! A statement whose result is read part by part, and what is done when that goes wrong.

use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use migrate_core::{
    Column, ColumnType, Error, ErrorKind, Result, RunContext, SqlStatement, TableSchema, code,
};
use snowflake_connector_rs::{Error as ClientError, ErrorKind as ClientKind, ResultTable};
use tokio::time::{Instant, sleep, timeout};

use super::codes::Remedy;
use super::column::columns;
use super::decode::Layout;
use super::double;
use super::error::{classify, remedy};
use super::reattach::{Extract, find, reopen};
use super::session::{Checkout, SessionPool, brief_retries};
use super::statement::{fetch_count, id_literal, layout_of};
use super::submission::{Broken, Ready, submit};

/// Tries of one part beside the client's own; each may take the whole limit.
const PART_TRIES: u32 = 3;

/// Whatever a statement took, it is asked a second time; further times only within this. Later a
/// failure is the engine's, which lets other chunks go first.
const PATIENCE: Duration = Duration::from_mins(2);

/// A statement whose result is ready to be fetched.
#[derive(Debug)]
pub(super) struct Execution {
    ready: Ready,
    extract: Arc<Extract>,
    /// The id under which the server keeps the result of the statement itself.
    result_id: String,
    /// Whether rows of the result have been seen outside; then it cannot begin anew.
    has_handed_out: bool,
    may_reopen: bool,
}

impl Execution {
    /// Runs a statement until its result is ready, and again while what fails may pass soon. It is
    /// aborted on the server when `cx` is cancelled and when the call is dropped.
    ///
    /// # Errors
    ///
    /// What the server answers; `Cancelled`.
    pub(super) async fn run(
        pool: &Arc<SessionPool>,
        extract: Extract,
        cx: &RunContext,
    ) -> Result<Self> {
        let extract = Arc::new(extract);
        let began = Instant::now();
        let mut rests = brief_retries().build();
        let (mut tries, mut may_ask_unknown) = (0, true);
        loop {
            // Logging in has a patience of its own.
            let session = cx.unless_cancelled(pool.checkout()).await?;
            let error = match Self::once(session, &extract, cx).await {
                Ok(execution) => return Ok(execution),
                Err(error) => error,
            };
            match remedy(&error) {
                Remedy::GiveUp | Remedy::LeaveToEngine => return Err(error),
                Remedy::AskOnce if !std::mem::take(&mut may_ask_unknown) => return Err(error),
                Remedy::AskOnce | Remedy::AskAgain | Remedy::NewSession => {}
            }
            tries += 1;
            let Some(rest) = rests.next().filter(|_| tries == 1 || began.elapsed() < PATIENCE)
            else {
                return Err(error);
            };
            tracing::debug!(error = %error.report(), "a statement is asked again");
            cx.unless_cancelled(async {
                sleep(rest).await;
                Ok(())
            })
            .await?;
        }
    }

    async fn once(session: Checkout, extract: &Arc<Extract>, cx: &RunContext) -> Result<Self> {
        let pool = &Arc::clone(session.pool());
        let since = Instant::now();
        match submit(session, &extract.statement, cx).await {
            Ok(ready) => {
                let result_id = ready.cursor.query_id().to_owned();
                Ok(Self::new(ready, Arc::clone(extract), result_id))
            }
            Err(Broken::Unheard { error, query_id, mut abort }) => {
                tracing::warn!(query_id = &*query_id, "a statement was lost from sight");
                let found = match find(pool, extract, &query_id, since, cx).await {
                    Err(stop) if stop.kind() == ErrorKind::Cancelled => {
                        abort.now().await;
                        return Err(stop);
                    }
                    found => found?,
                };
                // Without a result, the statement ends when `abort` is dropped.
                let Some(ready) = found else { return Err(error) };
                abort.disarm();
                Ok(Self::new(ready, Arc::clone(extract), query_id.to_string()))
            }
            Err(broken) => Err(broken.into_error()),
        }
    }

    /// Reads the result that a statement left earlier; `None` if it is not to be had any more.
    ///
    /// # Errors
    ///
    /// `Cancelled`.
    pub(super) async fn reread(
        pool: &Arc<SessionPool>,
        extract: Extract,
        result_id: &str,
        cx: &RunContext,
    ) -> Result<Option<Self>> {
        let ready = reopen(pool, &extract, result_id, cx).await?;
        Ok(ready.map(|ready| Self::new(ready, Arc::new(extract), result_id.to_owned())))
    }

    fn new(ready: Ready, extract: Arc<Extract>, result_id: String) -> Self {
        Self { ready, extract, result_id, has_handed_out: false, may_reopen: true }
    }

    /// The id under which the server keeps the result.
    pub(super) fn result_id(&self) -> &str {
        &self.result_id
    }

    /// The next part of the result; `None` at its end. Dropping the call loses no row.
    ///
    /// Before the first part has been handed out, a result whose parts cannot be had is read anew
    /// from where the server keeps it.
    ///
    /// # Errors
    ///
    /// `Timeout` for a part that stalls again and again, `Connection` for one that cannot be had.
    pub(super) async fn next_part(&mut self) -> Result<Option<ResultTable>> {
        loop {
            let error = match self.next_of_cursor().await {
                Ok(part) => {
                    self.has_handed_out |= part.is_some();
                    return Ok(part);
                }
                Err(error) => error,
            };
            if self.has_handed_out || !std::mem::take(&mut self.may_reopen) {
                return Err(error);
            }
            let pool = Arc::clone(&self.ready.pool);
            // Whoever cancels drops this call, and with it the statement.
            let cx = RunContext::new();
            // Rare and big: on the heap, so that every other wait for a part stays small.
            match Box::pin(reopen(&pool, &self.extract, &self.result_id, &cx)).await? {
                Some(ready) if same_columns(&ready, &self.ready) => self.ready = ready,
                _ => return Err(error),
            }
        }
    }

    async fn next_of_cursor(&mut self) -> Result<Option<ResultTable>> {
        let limit = self.ready.pool.settings().partition_timeout;
        let mut failure = None;
        for _try in 0..PART_TRIES {
            // The client keeps its place when the wait is given up or fails.
            match timeout(limit, self.ready.cursor.next_table()).await {
                Ok(Ok(part)) => return Ok(part),
                Ok(Err(cause)) => {
                    let error = classify("A part of a Snowflake result cannot be fetched", &cause);
                    let is_damaged = is_damaged(&cause);
                    failure = Some(error.with("query_id", &self.result_id));
                    if !is_damaged {
                        break;
                    }
                    tracing::warn!(query_id = self.result_id, "a part of a result was damaged");
                }
                Err(_elapsed) => {
                    failure = None;
                    tracing::warn!(query_id = self.result_id, "a part of a result stalled");
                }
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::new(ErrorKind::Timeout, "A part of a Snowflake result does not arrive")
                .with("query_id", &self.result_id)
                .with_hint(
                    "allow the result storage's address through proxy and firewall, or raise \
                     `snowflake.partition_timeout_seconds`",
                )
        }))
    }

    /// The columns of the result.
    pub(super) fn columns(&self) -> Vec<Column> {
        columns(self.ready.cursor.schema())
    }

    /// Compares the rows that arrived with the rows that the server keeps for this result: the
    /// client accepts parts that lack rows.
    ///
    /// # Errors
    ///
    /// [`code::ROW_COUNT_MISMATCH`].
    pub(super) async fn verify_count(&self, arrived: u64, cx: &RunContext) -> Result<()> {
        let statement = SqlStatement {
            sql: format!(
                "SELECT COUNT(*)::NUMBER(38,0) AS \"N\" FROM TABLE(RESULT_SCAN({}))",
                id_literal(&self.result_id)
            ),
            params: Vec::new(),
        };
        let kept = fetch_count(&self.ready.pool, Extract::cheap(statement), cx).await?;
        if kept == arrived {
            return Ok(());
        }
        Err(Error::new(
            code::ROW_COUNT_MISMATCH,
            format!("Snowflake delivered {arrived} of {kept} rows"),
        )
        .with("query_id", &self.result_id)
        .with_hint("nothing was written; run again"))
    }

    /// How batches of these columns are read, after a look whether they are the planned ones.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` when the result has other columns than `planned`.
    pub(super) fn layout(&self, planned: &TableSchema) -> Result<Layout> {
        let found = self.columns();
        let is_planned = |(position, (found, planned)): (usize, (&Column, &Column))| {
            if double::is_double(&planned.column_type) {
                return found.name.as_str() == double::alias(position)
                    && matches!(found.column_type, ColumnType::Text { .. });
            }
            is_alike(found, planned)
        };
        let mut pairs = found.iter().zip(&planned.columns).enumerate();
        if found.len() != planned.columns.len() || !pairs.all(is_planned) {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("The columns of {} have changed since the load was planned", planned.table),
            )
            .with_hint("start anew with --no-resume"));
        }
        Ok(layout_of(&planned.columns))
    }
}

/// A body that is no result; the next copy of it may be one.
fn is_damaged(cause: &ClientError) -> bool {
    matches!(cause.kind(), ClientKind::Protocol | ClientKind::Internal)
}

fn same_columns(left: &Ready, right: &Ready) -> bool {
    are_alike(&columns(left.cursor.schema()), &columns(right.cursor.schema()))
}

fn are_alike(left: &[Column], right: &[Column]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_alike(left, right))
}

fn is_alike(left: &Column, right: &Column) -> bool {
    left.name == right.name && left.column_type.arrow() == right.column_type.arrow()
}
