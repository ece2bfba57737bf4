//! One statement on its way to a ready result, and the ways in which that way breaks off.
//!
//! What broke decides what may be done: a statement that the server refused is over; one whose
//! answer to the submission was lost may run unseen, so it is aborted before it is sent again,
//! because the client sends every submission under a new id; one that was being waited for has an
//! id, by which its result can still be had.

use std::sync::Arc;

use migrate_core::{Error, ErrorKind, RunContext, SqlStatement};
use snowflake_connector_rs::{Error as ClientError, ErrorKind as ClientKind, ResultCursor};

use super::abort::AbortOnDrop;
use super::bind::bound;
use super::codes::Remedy;
use super::error::{classify, remedy};
use super::session::{Checkout, SessionPool};

/// A result that is ready to be fetched. Its parts come without a session, so that is free again.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) pool: Arc<SessionPool>,
    pub(super) cursor: ResultCursor,
}

/// How a statement failed before its result was ready.
#[derive(Debug)]
pub(super) enum Broken {
    /// The server refused it, or it never came to run: nothing is left behind.
    Over(Error),
    /// Nobody knows whether it runs. Its abort is on the way.
    Unknown(Error),
    /// It ran when it was last heard of. Dropping `abort` ends it.
    Unheard { error: Error, query_id: Arc<str>, abort: AbortOnDrop },
}

impl Broken {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Over(error) | Self::Unknown(error) | Self::Unheard { error, .. } => error,
        }
    }
}

/// Runs a statement until its result is ready. It is aborted on the server when `cx` is cancelled
/// and when the call is dropped.
pub(super) async fn submit(
    mut session: Checkout,
    statement: &SqlStatement,
    cx: &RunContext,
) -> Result<Ready, Broken> {
    cx.ensure_active().map_err(Broken::Over)?;
    let handle = session.session().query_handle(bound(statement)).map_err(|cause| {
        Broken::Over(classify("A statement cannot be sent to Snowflake", &cause))
    })?;
    let mut abort = AbortOnDrop::new(Arc::clone(session.pool()), handle.canceller());
    let Some(outcome) = cx.cancel.run_until_cancelled(handle.execute()).await else {
        abort.now().await;
        return Err(Broken::Over(cancelled()));
    };
    let cause = match outcome {
        Ok(cursor) => {
            abort.disarm();
            return Ok(Ready { pool: Arc::clone(session.pool()), cursor });
        }
        Err(cause) => cause,
    };
    let error = classify("Snowflake did not run a statement", &cause);
    let needs_login = remedy(&error) == Remedy::NewSession;
    if needs_login {
        session.mark_lost();
    }
    match cause.query_id() {
        Some(query_id) if needs_login || is_silent(&cause) => {
            let query_id: Arc<str> = Arc::from(query_id);
            abort.knows(Arc::clone(&query_id));
            Err(Broken::Unheard { error, query_id, abort })
        }
        None if is_silent(&cause) => Err(Broken::Unknown(error)),
        _ => {
            abort.disarm();
            Err(Broken::Over(error))
        }
    }
}

/// Whether the failure is one of hearing, not of the statement.
fn is_silent(cause: &ClientError) -> bool {
    matches!(
        cause.kind(),
        ClientKind::Network | ClientKind::Timeout | ClientKind::Protocol | ClientKind::Internal
    )
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "The work was cancelled")
        .with_hint("run the same command again to go on where it stopped")
}
