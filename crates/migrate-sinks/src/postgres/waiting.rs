//! Work that waits for a lock of somebody else says for whom, and leaves nothing behind when it is
//! given up.
//!
//! A load never gives up a lock by itself: an hour in a queue is better than a failed run. But nobody
//! should have to guess why nothing moves.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use migrate_core::{Event, Result, RunContext, TableRef};
use migrate_postgres::{Blocker, Database};

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
    pub(super) cx: &'a RunContext,
}

impl AtWork<'_> {
    /// Does the work, and ends the session when the run is cancelled meanwhile: one that waits in a
    /// queue for a lock does not notice that its client has gone.
    pub(super) async fn unless_cancelled<T: Send>(
        &self,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let done = self.cx.unless_cancelled(self.naming_blockers(work)).await;
        if done.is_err() && self.cx.cancel.is_cancelled() {
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
            for blocker in now.iter().filter(|blocker| before.contains(blocker)) {
                if named.insert(blocker.clone()) {
                    let note = note(blocker);
                    self.cx.emit(&Event::Noted { table: self.table.clone(), note });
                }
            }
            before = now;
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
