//! Aborts.

use std::sync::Arc;

use serde_json::Value;

use crate::log::Entry;

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
    if !statement.abort() {
        return not_running();
    }
    Reply::success(&Value::Null)
}
