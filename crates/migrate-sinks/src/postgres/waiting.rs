//! Work that waits for a lock of somebody else says for whom, and leaves nothing behind when it is
//! given up.
//!
//! A load never gives up a lock by itself: an hour in a queue is better than a failed run. But nobody
//! should have to guess why nothing moves.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use migrate_core::{Event, Result, RunContext, SqlStatement, TableRef};
use migrate_postgres::{Blocker, Database, bound, classify, sqlx};
use sqlx::postgres::PgRow;

use super::session::Session;

/// How often a session that is at work is looked at. Somebody who blocks it at two looks in a row is
/// named: workers wait for each other, too, but never for long.
const LOOK: Duration = Duration::from_secs(3);

/// How long a server may take to end a session that is given up.
const END: Duration = Duration::from_secs(2);

/// A session at work.
pub(super) struct AtWork<'a> {
    pub(super) database: &'a Database,
    /// The session's process on the server.
    pub(super) pid: i32,
    pub(super) table: &'a TableRef,
    /// Who is told; the log where nobody listens yet.
    pub(super) cx: Option<&'a RunContext>,
}

/// The one row of a statement that may have to wait for a lock on the table.
///
/// # Errors
///
/// What the database answers, as `failed`.
pub(super) async fn look_at(
    database: &Database,
    table: &TableRef,
    statement: &SqlStatement,
    failed: &'static str,
) -> Result<PgRow> {
    let mut session = Session::open(database).await?;
    let at_work = AtWork { database, pid: session.pid(), table, cx: None };
    let looking = async {
        let row = bound(statement).fetch_one(&mut *session).await;
        row.map_err(|cause| classify(failed, cause).with("table", table))
    };
    let row = at_work.naming_blockers(looking).await?;
    session.give_back();
    Ok(row)
}

impl AtWork<'_> {
    /// Does the work, and ends the session when the run is cancelled meanwhile: one that waits in a
    /// queue for a lock does not notice that its client has gone.
    pub(super) async fn unless_cancelled<T: Send>(
        &self,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let Some(cx) = self.cx else { return self.naming_blockers(work).await };
        let done = cx.unless_cancelled(self.naming_blockers(work)).await;
        if done.is_err() && cx.cancel.is_cancelled() {
            let ended = tokio::time::timeout(END, self.database.end_session(self.pid)).await;
            tracing::debug!(?ended, self.pid, "a session was given up");
        }
        done
    }

    /// Does the work, and says meanwhile for whom it waits.
    pub(super) async fn naming_blockers<T: Send>(
        &self,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let mut work = pin!(work);
        let mut watching = pin!(self.name_blockers());
        tokio::select! {
            done = &mut work => done,
            () = &mut watching => work.await,
        }
    }

    /// Tells once of everybody for whom the session waits long. Ends when it cannot look.
    async fn name_blockers(&self) {
        let mut named: BTreeSet<Blocker> = BTreeSet::new();
        let mut before: Vec<Blocker> = Vec::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = match self.database.blockers(self.pid).await {
                Ok(now) => now,
                Err(error) => {
                    let error = error.report();
                    tracing::debug!(%error, "cannot see for whom a session waits");
                    return;
                }
            };
            if let (Some(cx), false) = (self.cx, now.is_empty()) {
                cx.emit(&Event::LockAwaited { table: self.table.clone(), waited: LOOK });
            }
            for blocker in now.iter().filter(|blocker| before.contains(blocker)) {
                if named.insert(blocker.clone()) {
                    self.tell(note(blocker));
                }
            }
            before = now;
        }
    }

    fn tell(&self, note: String) {
        match self.cx {
            Some(cx) => cx.emit(&Event::Noted { table: self.table.clone(), note }),
            None => tracing::warn!(table = %self.table, "{note}"),
        }
    }
}

fn note(blocker: &Blocker) -> String {
    let end = match blocker.pid {
        0 => String::new(),
        pid => format!("; to end it: select pg_terminate_backend({pid})"),
    };
    format!("waits for a lock that {blocker} holds{end}")
}
