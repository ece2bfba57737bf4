//! Ending statements on the server that nobody waits for any more.

use std::fmt;
use std::sync::Arc;

use snowflake_connector_rs::{Error as ClientError, QueryCanceller};
use tokio::time::timeout;

use super::codes::{Remedy, verdict};
use super::session::SessionPool;
use super::statement::id_literal;

/// Idle sessions may have ended too; each try takes another one.
const TRIES: u32 = 4;

/// Aborts a statement on the server when the wait for it ends early.
pub(super) struct AbortOnDrop {
    pool: Arc<SessionPool>,
    canceller: Option<QueryCanceller>,
    query_id: Option<Arc<str>>,
}

impl fmt::Debug for AbortOnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortOnDrop").field("query_id", &self.query_id).finish_non_exhaustive()
    }
}

impl AbortOnDrop {
    pub(super) fn new(pool: Arc<SessionPool>, canceller: QueryCanceller) -> Self {
        Self { pool, canceller: Some(canceller), query_id: None }
    }

    /// The server's name for the statement, by which other sessions can end it too.
    pub(super) fn knows(&mut self, query_id: Arc<str>) {
        self.query_id = Some(query_id);
    }

    pub(super) fn disarm(&mut self) {
        self.canceller = None;
    }

    pub(super) async fn now(&mut self) {
        if let Some(canceller) = self.canceller.take() {
            end(Arc::clone(&self.pool), canceller, self.query_id.clone()).await;
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(canceller) = self.canceller.take() {
            self.pool.later(end(Arc::clone(&self.pool), canceller, self.query_id.clone()));
        }
    }
}

async fn end(pool: Arc<SessionPool>, canceller: QueryCanceller, query_id: Option<Arc<str>>) {
    let Err(cause) = canceller.cancel().await else { return };
    let Some(number) = cause.snowflake_code() else { return not_ended(&cause) };
    match (verdict(number).remedy, query_id) {
        // The session that began the statement is gone; any other of the user may end it.
        (Remedy::NewSession, Some(query_id)) => {
            if end_by_id(&pool, &query_id).await.is_none() {
                not_ended(&cause);
            }
        }
        // It had ended before.
        _ if number == "000605" => {}
        _ => not_ended(&cause),
    }
}

fn not_ended(cause: &ClientError) {
    tracing::warn!(kind = ?cause.kind(), "a statement could not be aborted on Snowflake");
}

/// `None` if it could not be said to the server.
async fn end_by_id(pool: &Arc<SessionPool>, query_id: &str) -> Option<()> {
    let sql = format!("SELECT SYSTEM$CANCEL_QUERY({}) AS \"ENDED\"", id_literal(query_id));
    let limit = pool.settings().login_timeout;
    for _try in 0..TRIES {
        // Whatever fails here is told by the caller.
        let mut session = pool.checkout().await.ok()?;
        match timeout(limit, session.session().query(sql.clone())).await.ok()? {
            Ok(_answer) => return Some(()),
            Err(cause) => {
                let number = cause.snowflake_code().unwrap_or_default();
                if verdict(number).remedy == Remedy::NewSession {
                    session.mark_lost();
                }
            }
        }
    }
    None
}
