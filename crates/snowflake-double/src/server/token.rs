//! Renewal, heartbeat, logout.

use serde_json::{Value, json};

use crate::log::Entry;

use super::State;
use super::reply::Reply;
use super::route::Call;

/// New tokens for the master token.
pub(super) fn renew(state: &State, call: &Call, entry: &Entry) -> Reply {
    let body = call.json();
    let kind = body.get("requestType").and_then(Value::as_str).unwrap_or_default();
    if kind != "RENEW" {
        return Reply::refusal("390104", "The request type is not supported.");
    }
    let master = call.token().unwrap_or_default();
    let now = state.clock.now();
    let renewed = state.sessions.renew(master, &state.knobs.lock(), now);
    match renewed {
        Err(fault) => Reply::refusal(fault.code, fault.message),
        Ok((id, tokens)) => {
            entry.note(|request| request.session = Some(id));
            Reply::success(&json!({
                "sessionToken": tokens.session,
                "validityInSecondsST": tokens.session_life,
                "masterToken": tokens.master,
                "validityInSecondsMT": tokens.master_life,
                "sessionId": id,
            }))
        }
    }
}

/// A sign of life, which lengthens the life of the master token.
pub(super) fn heartbeat(state: &State, call: &Call, entry: &Entry) -> Reply {
    let now = state.clock.now();
    match state.sessions.find(call.token().unwrap_or_default(), now) {
        Err(fault) => Reply::refusal(fault.code, fault.message),
        Ok((id, _)) => {
            entry.note(|request| request.session = Some(id));
            state.sessions.touch(id, now);
            Reply::success(&Value::Null)
        }
    }
}

/// The end of a session.
pub(super) fn logout(state: &State, call: &Call, entry: &Entry) -> Reply {
    match state.sessions.find(call.token().unwrap_or_default(), state.clock.now()) {
        Err(fault) => Reply::refusal(fault.code, fault.message),
        Ok((id, _)) => {
            entry.note(|request| request.session = Some(id));
            state.sessions.close(id);
            Reply::success(&Value::Null)
        }
    }
}
