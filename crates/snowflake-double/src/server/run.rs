//! Running a statement: evaluation on a thread of its own, delay, timeout, abort.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock;
use crate::fault::{Fault, SplitMix};
use crate::knobs::{ChunkHeaders, Compression, Letters, Rendering, RowOrder, Settings};
use crate::sql::{
    self, Binds, Change, Env, Failure, Outcome, ResultSet, SessionState, default_parameter,
};
use crate::store::{Done, Statement, Stored};
use crate::wire::Layout;

use super::State;
use super::chunk;

/// A statement with what it needs to run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) statement: Arc<Statement>,
    pub(super) session: SessionState,
    pub(super) binds: Binds,
    pub(super) fault: Option<Fault>,
}

/// Runs a statement in the background.
pub(super) fn start(state: &Arc<State>, job: Job) {
    let mut running = state.running();
    // Finished ones are let go here, so that the set does not grow without end.
    while running.try_join_next().is_some() {}
    running.spawn(run(Arc::clone(state), job));
}

async fn run(state: Arc<State>, job: Job) {
    let statement = Arc::clone(&job.statement);
    let seconds = timeout_seconds(&job.session);
    let limit = Duration::from_secs(seconds);
    let work = evaluate(Arc::clone(&state), job);
    tokio::pin!(work);
    let done = if let Ok(done) = tokio::time::timeout(limit, &mut work).await {
        done
    } else {
        statement.cancel.set(Failure::timed_out(seconds));
        statement.stop.send_replace(true);
        work.await
    };
    // Inside the channel's lock, so that an abort comes either before or after, never between.
    statement.done.send_modify(|slot| {
        *slot = Some(match statement.cancel.check() {
            Ok(()) => done,
            Err(reason) => Done::Failed(reason),
        });
    });
}

async fn evaluate(state: Arc<State>, job: Job) -> Done {
    let statement = Arc::clone(&job.statement);
    match &job.fault {
        Some(Fault::Hold) => {
            stopped(&statement).await;
            return Done::Failed(reason(&statement));
        }
        Some(Fault::Failure { code, sql_state, message }) => {
            let mut failure = Failure::unsupported("");
            failure.code = code.clone().into();
            failure.sql_state = sql_state.clone().into();
            failure.message.clone_from(message);
            return Done::Failed(failure);
        }
        _ => {}
    }
    let question = (Arc::clone(&statement.sql), job.binds.shown());
    if let Some(stored) = state.kept.find(&question, &statement) {
        let most = state.knobs.lock().kept_results;
        state.store.keep(stored, most);
        return Done::Rows;
    }
    let session = job.session.clone();
    let shared = Arc::clone(&state);
    let outcome = tokio::task::spawn_blocking(move || execute(&shared, &job)).await;
    let outcome = outcome.unwrap_or_else(|_| {
        let message = "SQL execution internal error: the evaluation broke off".to_owned();
        Err(Failure::new("000603", "XX000", message))
    });
    let delay = state.knobs.lock().answer_delay;
    tokio::select! {
        biased;
        () = stopped(&statement) => return Done::Failed(reason(&statement)),
        () = tokio::time::sleep(delay) => {}
    }
    match outcome {
        Err(failure) => Done::Failed(failure),
        Ok(outcome) => {
            let stored = finish(&state, &statement, &session, outcome).await;
            if state.kept.wants(&statement.sql) {
                state.kept.insert(question, stored);
            }
            Done::Rows
        }
    }
}

/// Waits until the statement is to end early.
async fn stopped(statement: &Statement) {
    let mut stop = statement.stop.subscribe();
    // The sender lives in the statement, so the channel cannot close.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn reason(statement: &Statement) -> Failure {
    statement.cancel.check().err().unwrap_or_else(Failure::cancelled)
}

fn timeout_seconds(session: &SessionState) -> u64 {
    let name = "STATEMENT_TIMEOUT_IN_SECONDS";
    let value =
        session.parameters.get(name).map(String::as_str).or_else(|| default_parameter(name));
    match value.and_then(|value| value.parse().ok()) {
        // 0 means the longest time that the service allows, seven days.
        None | Some(0) => 604_800,
        Some(seconds) => seconds,
    }
}

fn execute(state: &State, job: &Job) -> Result<Outcome, Failure> {
    let catalog = state.catalog().clone();
    let env = Env {
        catalog: &catalog,
        account: &state.account,
        session: &job.session,
        now: clock::stamp(state.clock.now()),
        binds: &job.binds,
        results: state.store.as_ref(),
        cancel: &job.statement.cancel,
    };
    sql::execute(&env, &job.statement.sql)
}

/// Applies changes to the session and keeps the result.
async fn finish(
    state: &Arc<State>,
    statement: &Arc<Statement>,
    session: &SessionState,
    outcome: Outcome,
) -> Arc<Stored> {
    let indent = indent(session, outcome.change.as_ref());
    state.sessions.apply(statement.session, outcome.change, &statement.query_id);
    let plan = Plan::of(&state.knobs.lock());
    let result = match plan.row_order {
        RowOrder::Shuffled(seed) if !outcome.result.ordered => shuffled(outcome.result, seed),
        _ => outcome.result,
    };
    let layout = Layout::new(result.relation.rows, plan.inline_rows, plan.chunk_rows);
    let stored = Stored {
        query_id: Arc::clone(&statement.query_id),
        sql: Arc::clone(&statement.sql),
        result: Arc::new(result),
        statement: outcome.statement,
        bodies: layout.chunks.iter().map(|_| OnceLock::new()).collect(),
        layout,
        compression: plan.compression,
        headers: plan.chunk_headers,
        letters: plan.letters,
        indent,
    };
    let stored = state.store.keep(stored, plan.kept_results);
    if plan.rendering == Rendering::Ahead || state.kept.wants(&statement.sql) {
        let shared = Arc::clone(&stored);
        let ahead = tokio::task::spawn_blocking(move || chunk::render_ahead(&shared)).await;
        debug_assert!(ahead.is_ok(), "invariant: rendering rows does not panic");
    }
    stored
}

/// The knobs that shape a result, as they stand when it is made.
struct Plan {
    row_order: RowOrder,
    inline_rows: usize,
    chunk_rows: usize,
    compression: Compression,
    chunk_headers: ChunkHeaders,
    letters: Letters,
    rendering: Rendering,
    kept_results: usize,
}

impl Plan {
    fn of(settings: &Settings) -> Self {
        Self {
            row_order: settings.row_order,
            inline_rows: settings.inline_rows,
            chunk_rows: settings.chunk_rows,
            compression: settings.compression,
            chunk_headers: settings.chunk_headers.clone(),
            letters: settings.letters,
            rendering: settings.rendering,
            kept_results: settings.kept_results,
        }
    }
}

/// Blanks per level of semi-structured values in the session.
fn indent(session: &SessionState, change: Option<&Change>) -> usize {
    let set = match change {
        Some(Change::Set(pairs)) => {
            pairs.iter().find(|(name, _)| name == "JSON_INDENT").map(|(_, value)| value)
        }
        _ => None,
    };
    set.or_else(|| session.parameters.get("JSON_INDENT"))
        .map(String::as_str)
        .or_else(|| default_parameter("JSON_INDENT"))
        .and_then(|value| value.parse().ok())
        .unwrap_or(2)
}

/// The rows in a repeatable random order.
fn shuffled(result: ResultSet, seed: u64) -> ResultSet {
    let mut random = SplitMix::new(seed);
    let rows = u32::try_from(result.relation.rows).unwrap_or(u32::MAX);
    let mut order: Vec<(u64, u32)> = (0..rows).map(|row| (random.next(), row)).collect();
    order.sort_unstable();
    let order: Arc<[u32]> = order.into_iter().map(|(_, row)| row).collect();
    ResultSet { relation: result.relation.select(&order), ..result }
}
