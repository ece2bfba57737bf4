//! Finding the result of a statement that was lost from sight.
//!
//! The client cannot go on with a wait that broke off. But a statement runs on without anybody
//! waiting, and its result is kept for a day under its id: `RESULT_SCAN` reads it, from any session
//! of the user. So a lost poll, a session that died while its statement ran, or links that expired
//! cost one small statement, not the big one again. The order of a stored result is not promised; a
//! reader that needs one asks for it anew.
//!
//! Whether a statement that has no result yet still runs is asked of its history. Where the role may
//! not see that, it is waited for as long again as it had run: so at most twice its time is spent.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use migrate_core::arrow::array::{Array, AsArray, RecordBatch};
use migrate_core::{Dialect, Error, ErrorKind, Result, RunContext, SqlBuilder, SqlStatement};
use tokio::time::{Instant, sleep};

use super::codes::Remedy;
use super::error::{named, remedy};
use super::session::SessionPool;
use super::statement::{id_literal, whole};
use super::submission::{Broken, Ready, submit};

/// The least time for which a statement of unknown state is waited for.
const LEAST_WAIT: Duration = Duration::from_mins(2);

/// Answers in a row that make no sense of the statement's whereabouts.
const MOST_MISSES: u32 = 3;

/// Failures of the network in a row.
const MOST_LOSSES: u32 = 5;

/// A statement with what its stored result is read by.
#[derive(Debug, Clone)]
pub(super) struct Extract {
    pub(super) statement: SqlStatement,
    pub(super) reread: Reread,
    /// A database whose `INFORMATION_SCHEMA` the role sees.
    pub(super) database: Option<String>,
}

/// How a stored result may stand for the statement's own answer.
#[derive(Debug, Clone)]
pub(super) enum Reread {
    /// It may not; the statement is cheap.
    No,
    /// Its rows may come in any order.
    AnyOrder,
    /// In this order, an `ORDER BY` over the columns of the result.
    Ordered(SqlStatement),
}

impl Extract {
    /// A statement that is cheap to run again.
    pub(super) fn cheap(statement: SqlStatement) -> Self {
        Self { statement, reread: Reread::No, database: None }
    }

    /// The statement that reads the stored result; `None` if that may not stand for the answer.
    pub(super) fn rereading(&self, query_id: &str) -> Option<SqlStatement> {
        let mut statement = SqlStatement {
            sql: format!("SELECT * FROM TABLE(RESULT_SCAN({}))", id_literal(query_id)),
            params: Vec::new(),
        };
        match &self.reread {
            Reread::No => return None,
            Reread::AnyOrder => {}
            Reread::Ordered(order) => {
                statement.sql.push_str(&order.sql);
                statement.params.clone_from(&order.params);
            }
        }
        Some(statement)
    }
}

/// Where a statement is.
enum Whereabouts {
    Running,
    /// Ended, with the number of its error if it failed.
    Ended(Option<String>),
    Unseen,
    /// The history cannot be asked.
    Untold,
}

/// Waits for the result of a statement that was submitted `since`; `None` if there is none to have
/// any more.
///
/// # Errors
///
/// The failure of the statement itself; `Timeout` when it outlives its limit; `Cancelled`.
pub(super) async fn find(
    pool: &Arc<SessionPool>,
    extract: &Extract,
    query_id: &str,
    since: Instant,
    cx: &RunContext,
) -> Result<Option<Ready>> {
    let lost_at = Instant::now();
    let patience = lost_at.duration_since(since).max(LEAST_WAIT);
    // The server ends it at the same limit and says so; this is for a server that does not.
    let deadline = since + pool.settings().statement_timeout + LEAST_WAIT;
    let mut rests = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(15))
        .without_max_times()
        .with_jitter()
        .build();
    let (mut misses, mut losses) = (0, 0);
    loop {
        match look(pool, extract, query_id, cx).await? {
            Look::Found(ready) => return Ok(Some(ready)),
            Look::Impossible => return Ok(None),
            Look::Lost => losses += 1,
            Look::Refused => {
                losses = 0;
                match whereabouts(pool, extract, query_id, cx).await? {
                    Whereabouts::Ended(Some(number)) => {
                        return Err(named("A Snowflake statement failed", &number)
                            .with("query_id", query_id));
                    }
                    Whereabouts::Running => misses = 0,
                    Whereabouts::Ended(None) | Whereabouts::Unseen => misses += 1,
                    Whereabouts::Untold if lost_at.elapsed() < patience => {}
                    Whereabouts::Untold => return Ok(None),
                }
            }
        }
        if misses >= MOST_MISSES || losses >= MOST_LOSSES {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(Error::new(ErrorKind::Timeout, "A Snowflake statement does not end")
                .with("query_id", query_id)
                .with_hint("raise `snowflake.statement_timeout_seconds`, or cut smaller chunks"));
        }
        let rest = rests.next().unwrap_or(LEAST_WAIT);
        cx.unless_cancelled(async {
            sleep(rest).await;
            Ok(())
        })
        .await?;
    }
}

/// The result of a statement that has ended; `None` if it is not to be had.
///
/// # Errors
///
/// `Cancelled`.
pub(super) async fn reopen(
    pool: &Arc<SessionPool>,
    extract: &Extract,
    query_id: &str,
    cx: &RunContext,
) -> Result<Option<Ready>> {
    for _try in 0..MOST_LOSSES {
        match look(pool, extract, query_id, cx).await? {
            Look::Found(ready) => return Ok(Some(ready)),
            Look::Impossible | Look::Refused => return Ok(None),
            Look::Lost => {}
        }
    }
    Ok(None)
}

/// One attempt to read a stored result.
enum Look {
    Found(Ready),
    /// The server has nothing under that id, or not yet.
    Refused,
    /// Nothing was heard.
    Lost,
    /// A stored result may not stand for the answer.
    Impossible,
}

async fn look(
    pool: &Arc<SessionPool>,
    extract: &Extract,
    query_id: &str,
    cx: &RunContext,
) -> Result<Look> {
    let Some(statement) = extract.rereading(query_id) else { return Ok(Look::Impossible) };
    match ask(pool, &statement, cx).await? {
        Ok(ready) => {
            tracing::info!(query_id, "a stored result is read instead of running its statement");
            Ok(Look::Found(ready))
        }
        Err(Broken::Over(error)) if remedy(&error) != Remedy::NewSession => Ok(Look::Refused),
        Err(_lost) => Ok(Look::Lost),
    }
}

async fn whereabouts(
    pool: &Arc<SessionPool>,
    extract: &Extract,
    query_id: &str,
    cx: &RunContext,
) -> Result<Whereabouts> {
    let Some(database) = &extract.database else { return Ok(Whereabouts::Untold) };
    let mut sql = SqlBuilder::new(Dialect::Snowflake);
    // Running statements come first, whatever the limit.
    sql.text("SELECT \"EXECUTION_STATUS\" AS \"STATUS\", \"ERROR_CODE\"::VARCHAR AS \"NUMBER\" FROM TABLE(");
    sql.name(database);
    sql.text(
        ".INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(RESULT_LIMIT => 10000)) WHERE \"QUERY_ID\" = ",
    );
    sql.value(&query_id.into());
    let answer = match ask(pool, &sql.finish(), cx).await? {
        Ok(mut ready) => whole(&mut ready).await,
        Err(broken) => Err(broken.into_error()),
    };
    let seen = match answer {
        Ok(answer) => answer,
        // Not heard now; the next round asks again.
        Err(error) if matches!(remedy(&error), Remedy::AskAgain | Remedy::NewSession) => {
            return Ok(Whereabouts::Running);
        }
        Err(_refused) => return Ok(Whereabouts::Untold),
    };
    let Some(status) = text(&seen, "STATUS") else { return Ok(Whereabouts::Unseen) };
    Ok(match status {
        "SUCCESS" => Whereabouts::Ended(None),
        failed if failed.starts_with("FAIL") || failed.contains("INCIDENT") => {
            let number = text(&seen, "NUMBER").unwrap_or_default();
            Whereabouts::Ended(Some(format!("{number:0>6}")))
        }
        _ => Whereabouts::Running,
    })
}

/// One small statement, in whatever session there is.
async fn ask(
    pool: &Arc<SessionPool>,
    statement: &SqlStatement,
    cx: &RunContext,
) -> Result<Result<Ready, Broken>> {
    let session = match cx.unless_cancelled(pool.checkout()).await {
        Ok(session) => session,
        Err(error) if remedy(&error) == Remedy::AskAgain => return Ok(Err(Broken::Unknown(error))),
        Err(error) => return Err(error),
    };
    match submit(session, statement, cx).await {
        Err(Broken::Over(error)) if error.kind() == ErrorKind::Cancelled => Err(error),
        outcome => Ok(outcome),
    }
}

fn text<'a>(answer: &'a RecordBatch, column: &str) -> Option<&'a str> {
    let texts = answer.column_by_name(column)?.as_string_opt::<i32>()?;
    (!texts.is_empty() && texts.is_valid(0)).then(|| texts.value(0))
}
