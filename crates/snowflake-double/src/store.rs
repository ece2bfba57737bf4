//! Statements and their results, by id.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::Bytes;
use tokio::sync::watch;

use crate::knobs::{ChunkHeaders, Compression, Letters};
use crate::sql::{Cancel, Failure, HistoryEntry, HistoryState, ResultSet, Results, StatementType};
use crate::wire::Layout;

/// A statement that was submitted.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) query_id: Arc<str>,
    pub(crate) request_id: String,
    pub(crate) sql: Arc<str>,
    pub(crate) session: u64,
    pub(crate) user: String,
    /// Milliseconds since the epoch.
    pub(crate) started: i64,
    pub(crate) cancel: Arc<Cancel>,
    /// Told when the statement is to end early.
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) is_aborted: AtomicBool,
    /// How many times it is still said to be in progress.
    pub(crate) in_progress: AtomicU32,
    /// How it ended.
    pub(crate) done: watch::Sender<Option<Done>>,
}

impl Statement {
    /// Ends the statement; false if it has ended already.
    pub(crate) fn abort(&self) -> bool {
        if self.done.borrow().is_some() && self.in_progress.load(Ordering::SeqCst) == 0 {
            return false;
        }
        self.is_aborted.store(true, Ordering::SeqCst);
        self.cancel.set(Failure::cancelled());
        self.stop.send_replace(true);
        // For the client it still ran, even where the double had its rows already.
        self.done.send_if_modified(|done| {
            let had_rows = matches!(done, Some(Done::Rows));
            if had_rows {
                *done = Some(Done::Failed(Failure::cancelled()));
            }
            had_rows
        });
        true
    }

    /// Takes one of the times that it is said to be in progress, if one is left.
    pub(crate) fn take_in_progress(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.in_progress.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }

    fn state(&self) -> HistoryState {
        match &*self.done.borrow() {
            None => HistoryState::Running,
            Some(Done::Rows) if self.in_progress.load(Ordering::SeqCst) > 0 => {
                HistoryState::Running
            }
            Some(Done::Rows) => HistoryState::Succeeded,
            Some(Done::Failed(failure)) => HistoryState::Failed(failure.clone()),
        }
    }
}

/// How a statement ended.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    /// Its result is in the store, unless it was evicted.
    Rows,
    Failed(Failure),
}

/// A result with the way it is handed out.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) query_id: Arc<str>,
    pub(crate) sql: Arc<str>,
    pub(crate) result: Arc<ResultSet>,
    pub(crate) statement: StatementType,
    pub(crate) layout: Layout,
    pub(crate) compression: Compression,
    pub(crate) headers: ChunkHeaders,
    pub(crate) letters: Letters,
    /// Blanks per level of semi-structured values.
    pub(crate) indent: usize,
    /// Bodies that were made ahead.
    pub(crate) bodies: Arc<[OnceLock<Bytes>]>,
}

impl Stored {
    pub(crate) fn chunk(&self, position: usize) -> Option<Range<usize>> {
        self.layout.chunks.get(position).cloned()
    }
}

/// All statements, and the newest results.
#[derive(Debug, Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_request: HashMap<String, Arc<Statement>>,
    by_query: HashMap<Arc<str>, Arc<Statement>>,
    results: VecDeque<Arc<Stored>>,
}

impl Store {
    /// Takes a new statement, or finds the one of the same request id.
    pub(crate) fn submit(&self, new: Statement) -> (Arc<Statement>, bool) {
        let mut inner = self.lock();
        if let Some(known) = inner.by_request.get(&new.request_id) {
            return (Arc::clone(known), true);
        }
        let statement = Arc::new(new);
        inner.by_request.insert(statement.request_id.clone(), Arc::clone(&statement));
        inner.by_query.insert(Arc::clone(&statement.query_id), Arc::clone(&statement));
        (statement, false)
    }

    pub(crate) fn by_request(&self, request_id: &str) -> Option<Arc<Statement>> {
        self.lock().by_request.get(request_id).cloned()
    }

    pub(crate) fn by_query(&self, query_id: &str) -> Option<Arc<Statement>> {
        self.lock().by_query.get(query_id).cloned()
    }

    /// The statements that have not ended.
    pub(crate) fn running(&self) -> Vec<Arc<Statement>> {
        let inner = self.lock();
        let running = inner.by_query.values().filter(|statement| statement.done.borrow().is_none());
        running.cloned().collect()
    }

    /// Ends whatever still runs.
    pub(crate) fn cancel_all(&self) {
        for statement in self.lock().by_query.values() {
            statement.cancel.set(Failure::cancelled());
        }
    }

    /// Keeps a result, and no more than `most` of the newest.
    pub(crate) fn keep(&self, stored: Stored, most: usize) -> Arc<Stored> {
        let stored = Arc::new(stored);
        let mut inner = self.lock();
        inner.results.push_back(Arc::clone(&stored));
        while inner.results.len() > most.max(1) {
            inner.results.pop_front();
        }
        stored
    }

    pub(crate) fn result(&self, query_id: &str) -> Option<Arc<Stored>> {
        self.lock().results.iter().find(|stored| *stored.query_id == *query_id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Results for Store {
    fn find(&self, query_id: &str) -> Option<Arc<ResultSet>> {
        let statement = self.by_query(query_id)?;
        // What is still said to be in progress has no result for anybody; each look counts as one.
        if statement.take_in_progress() || !matches!(statement.state(), HistoryState::Succeeded) {
            return None;
        }
        self.result(query_id).map(|stored| Arc::clone(&stored.result))
    }

    fn history(&self, user: &str) -> Vec<HistoryEntry> {
        let inner = self.lock();
        let mut entries: Vec<HistoryEntry> = inner
            .by_query
            .values()
            .filter(|statement| statement.user == user)
            .map(|statement| HistoryEntry {
                query_id: Arc::clone(&statement.query_id),
                sql: Arc::clone(&statement.sql),
                session: statement.session,
                started: statement.started,
                state: statement.state(),
            })
            .collect();
        entries.sort_by(|left, right| {
            right.started.cmp(&left.started).then_with(|| left.query_id.cmp(&right.query_id))
        });
        entries
    }

    fn cancel(&self, user: &str, query_id: &str) -> bool {
        self.by_query(query_id)
            .filter(|statement| statement.user == user)
            .is_some_and(|statement| statement.abort())
    }

    fn started(&self, query_id: &str) -> Option<i64> {
        self.by_query(query_id).map(|statement| statement.started)
    }
}
