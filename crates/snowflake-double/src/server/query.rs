//! Statements: submission and polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::fault::Fault;
use crate::log::Entry;
use crate::sql::{Binds, Cancel, SessionState};
use crate::store::{Done, Statement};

use super::State;
use super::answer;
use super::reply::Reply;
use super::route::Call;
use super::run::{self, Job};

/// Notes the text and the request id of a submitted statement; returns the text.
pub(super) fn note(call: &Call, entry: &Entry) -> String {
    let sql = sql(call);
    entry.note(|request| {
        request.sql = Some(Arc::from(sql.as_str()));
        request.request_id = call.param("requestId").map(str::to_owned);
    });
    sql
}

fn sql(call: &Call) -> String {
    call.json().get("sqlText").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The statement that a poll asks about.
pub(super) fn of_poll(state: &State, call: &Call) -> Option<Arc<Statement>> {
    let id = call.path.strip_prefix("/queries/")?.strip_suffix("/result")?;
    state.store.by_query(id)
}

/// The statement that an abort means.
pub(super) fn of_abort(state: &State, call: &Call) -> Option<Arc<Statement>> {
    let body = call.json();
    state.store.by_request(body.get("requestId").and_then(Value::as_str)?)
}

/// The session of a request, or the refusal of its token.
pub(super) fn session(
    state: &State,
    call: &Call,
    entry: &Entry,
) -> Result<(u64, SessionState), Reply> {
    match state.sessions.find(call.token().unwrap_or_default(), state.clock.now()) {
        Ok((id, session)) => {
            entry.note(|request| request.session = Some(id));
            Ok((id, session))
        }
        Err(fault) => Err(Reply::of_session(fault.code, fault.message)),
    }
}

/// Runs a statement, or finds the one of the same request id.
pub(super) async fn submit(
    state: &Arc<State>,
    call: &Call,
    fault: Option<&Fault>,
    entry: &Entry,
) -> Reply {
    let body = call.json();
    let sql: Arc<str> = Arc::from(sql(call));
    let request_id = call.param("requestId").unwrap_or_default().to_owned();
    let (session_id, session) = match session(state, call, entry) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let binds: Binds = match body.get("bindings").filter(|bindings| !bindings.is_null()) {
        None => Binds::default(),
        Some(bindings) => match serde_json::from_value(bindings.clone()) {
            Ok(binds) => binds,
            Err(_) => return Reply::status(400, "unreadable bindings"),
        },
    };
    entry.note(|request| request.binds = binds.shown());
    let new = Statement {
        query_id: Arc::from(new_query_id()),
        // Without an id, a statement repeats no other one.
        request_id: if request_id.is_empty() { new_query_id() } else { request_id },
        sql: Arc::clone(&sql),
        session: session_id,
        user: session.user.clone(),
        started: state.clock.now(),
        cancel: Arc::new(Cancel::default()),
        stop: watch::Sender::new(false),
        is_aborted: AtomicBool::new(false),
        in_progress: AtomicU32::new(state.knobs.lock().in_progress_answers),
        done: watch::Sender::new(None),
    };
    let (statement, is_repeated) = state.store.submit(new);
    entry.note(|request| {
        request.query_id = Some(Arc::clone(&statement.query_id));
        request.is_repeated = is_repeated;
    });
    if !is_repeated {
        let job = Job { statement: Arc::clone(&statement), session, binds, fault: fault.cloned() };
        run::start(state, job);
    }
    finished_or_in_progress(state, &statement, fault).await
}

/// Answers a poll.
pub(super) async fn poll(
    state: &Arc<State>,
    call: &Call,
    fault: Option<&Fault>,
    entry: &Entry,
) -> Reply {
    if let Err(reply) = session(state, call, entry) {
        return reply;
    }
    let Some(statement) = of_poll(state, call) else {
        return Reply::refusal("000709", "Statement not found");
    };
    entry.note(|request| {
        request.sql = Some(Arc::clone(&statement.sql));
        request.query_id = Some(Arc::clone(&statement.query_id));
        request.request_id = Some(statement.request_id.clone());
    });
    finished_or_in_progress(state, &statement, fault).await
}

async fn finished_or_in_progress(
    state: &Arc<State>,
    statement: &Arc<Statement>,
    fault: Option<&Fault>,
) -> Reply {
    let (code, most) = {
        let settings = state.knobs.lock();
        (settings.in_progress_code, settings.in_progress_after)
    };
    let mut done = statement.done.subscribe();
    // A failure is told at once: the service does not wait with it either.
    let has_failed = matches!(*done.borrow(), Some(Done::Failed(_)));
    if !has_failed && statement.take_in_progress() {
        return in_progress(statement, code);
    }
    let wait = done.wait_for(Option::is_some);
    let outcome = match tokio::time::timeout(most, wait).await {
        Ok(Ok(outcome)) => outcome.clone(),
        // The sender lives in the statement, so the channel cannot close.
        Ok(Err(_)) | Err(_) => None,
    };
    match outcome {
        None => in_progress(statement, code),
        Some(Done::Failed(failure)) => {
            answer::failure(statement, &failure, fault == Some(&Fault::NoQueryId))
        }
        Some(Done::Rows) => answer::rows(state, statement, fault),
    }
}

fn in_progress(statement: &Statement, code: &str) -> Reply {
    let id = &statement.query_id;
    let message = if code == "333334" {
        "Query execution in progress. Asynchronous execution in progress. Use provided query id \
         to perform query monitoring and management."
    } else {
        "Query execution in progress...."
    };
    let body = json!({
        "data": {
            "queryId": **id,
            "getResultUrl": format!("/queries/{id}/result"),
            "queryAbortsAfterSecs": 300,
            "progressDesc": null,
        },
        "code": code,
        "message": message,
        "success": true,
    });
    Reply::json(Some(code.to_owned()), body.to_string())
}

/// Ids of statements look like UUIDs.
fn new_query_id() -> String {
    let id = uuid::Uuid::new_v4().to_string();
    format!("01{}", id.get(2..).unwrap_or_default())
}
