//! Aborts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::log::Entry;
use crate::sql::Failure;

use super::State;
use super::query;
use super::reply::Reply;
use super::route::Call;

/// Ends a running statement.
pub(super) fn abort(state: &State, call: &Call, entry: &Entry) -> Reply {
    if let Err(reply) = query::session(state, call, entry) {
        return reply;
    }
    let not_running =
        || Reply::refusal("000605", "Identified SQL statement is not currently executing.");
    let Some(statement) = query::of_abort(state, call) else {
        return not_running();
    };
    entry.note(|request| {
        request.sql = Some(Arc::clone(&statement.sql));
        request.query_id = Some(Arc::clone(&statement.query_id));
        request.request_id = Some(statement.request_id.clone());
    });
    if statement.done.borrow().is_some() && statement.in_progress.load(Ordering::SeqCst) == 0 {
        return not_running();
    }
    statement.is_aborted.store(true, Ordering::SeqCst);
    statement.cancel.set(Failure::cancelled());
    statement.stop.send_replace(true);
    // For the client it still ran, even where the double had its rows already.
    statement.done.send_if_modified(|done| {
        let had_rows = matches!(done, Some(crate::store::Done::Rows));
        if had_rows {
            *done = Some(crate::store::Done::Failed(Failure::cancelled()));
        }
        had_rows
    });
    Reply::success(&Value::Null)
}
