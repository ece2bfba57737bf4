//! The request log: everything that reached the double, in order, for assertions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::fault::Fault;

/// What a request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// A new session.
    Login,
    /// A statement.
    Query,
    /// The answer of a statement that took longer.
    Poll,
    /// The end of a running statement.
    Abort,
    /// A part of a result.
    Chunk,
    /// A new session token.
    Token,
    /// A sign of life.
    Heartbeat,
    /// The end of a session.
    Logout,
    /// Anything else, answered with 404.
    Other,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has not ended yet.
    Pending,
    /// It was answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// Snowflake's code, if the answer had one.
        code: Option<String>,
    },
    /// The double cut the connection.
    Cut,
    /// The client went away before the answer.
    Abandoned,
}

/// One request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// Position in the log, from 0.
    pub number: usize,
    /// Milliseconds since the epoch by the double's clock.
    pub at: i64,
    /// What it asked for.
    pub kind: RequestKind,
    /// The session, if the request named a living one.
    pub session: Option<u64>,
    /// The user of a login.
    pub user: Option<String>,
    /// The statement of a query, poll, abort or chunk.
    pub sql: Option<Arc<str>>,
    /// The binds of a query, each as its wire type and its text.
    pub binds: Vec<(String, Option<String>)>,
    /// The session parameters of a login, by upper-case name.
    pub parameters: BTreeMap<String, String>,
    /// The client's id of the request that submitted the statement.
    pub request_id: Option<String>,
    /// The id of the statement.
    pub query_id: Option<Arc<str>>,
    /// The position of a chunk in its result, from 0.
    pub chunk: Option<usize>,
    /// Whether the double had already seen this request id and did not run the statement again.
    pub is_repeated: bool,
    /// The scripted fault that was played.
    pub fault: Option<Fault>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Request {
    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match &self.outcome {
            Outcome::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Snowflake's code in the answer, if there was one.
    pub fn code(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Answered { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}

/// The log itself.
#[derive(Debug)]
pub(crate) struct Log {
    requests: Mutex<Vec<Request>>,
    /// Counts changes, for waiting.
    changes: watch::Sender<u64>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { requests: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Notes a request; the entry ends as abandoned unless it is finished.
    pub(crate) fn open(self: &Arc<Self>, clock: &Clock, kind: RequestKind) -> Entry {
        let at = clock.now();
        let mut requests = self.lock();
        let number = requests.len();
        requests.push(Request {
            number,
            at,
            kind,
            session: None,
            user: None,
            sql: None,
            binds: Vec::new(),
            parameters: BTreeMap::new(),
            request_id: None,
            query_id: None,
            chunk: None,
            is_repeated: false,
            fault: None,
            outcome: Outcome::Pending,
        });
        drop(requests);
        self.changed();
        Entry { log: Arc::clone(self), number, is_finished: false }
    }

    pub(crate) fn snapshot(&self) -> Vec<Request> {
        self.lock().clone()
    }

    /// Looks at the requests without copying them.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&[Request]) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until the log fulfils a condition.
    pub(crate) async fn wait(
        &self,
        most: Duration,
        condition: impl Fn(&[Request]) -> bool + Sync,
    ) -> Result<(), String> {
        let mut changes = self.changes.subscribe();
        let seen = async {
            loop {
                changes.borrow_and_update();
                if self.with(&condition) {
                    return;
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(most, seen).await.map_err(|_| self.summary())
    }

    fn summary(&self) -> String {
        let requests = self.lock();
        let lines = requests.iter().map(|request| {
            let sql = request.sql.as_deref().unwrap_or_default();
            format!("{:?} {:?} {sql}", request.kind, request.outcome)
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Entry {
    log: Arc<Log>,
    number: usize,
    is_finished: bool,
}

impl Entry {
    /// Adds what became known.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Request)) {
        if let Some(request) = self.log.lock().get_mut(self.number) {
            change(request);
        }
        self.log.changed();
    }

    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.is_finished = true;
        self.note(|request| request.outcome = outcome);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_finished {
            self.note(|request| request.outcome = Outcome::Abandoned);
        }
    }
}
