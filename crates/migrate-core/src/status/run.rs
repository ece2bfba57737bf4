//! Runs, and which tables an invocation starts, resumes or finds done.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::{Adoptions, Outcome, RunId, TableId};
use crate::commit::CommitDomain;
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::sink::WriteSummary;
use crate::source::Snapshot;

/// Starts, adopts and ends runs.
#[async_trait]
pub trait RunStore: fmt::Debug + Send + Sync {
    /// The database in which a sink can commit this store's records; `None` where no transaction
    /// can be shared.
    fn commit_domain(&self) -> Option<&CommitDomain>;

    /// Makes the store ready to write. Safe to call again.
    ///
    /// # Errors
    ///
    /// `Auth` when the right to create the status tables is missing, `Connection`, `Timeout`.
    async fn install(&self) -> Result<()>;

    /// Decides in one transaction, for every table of the request, whether it is new, resumed or
    /// done, and claims its target: an older unfinished run of the same target is superseded, so
    /// that a worker of it which wakes up late can write nothing.
    ///
    /// Each table adopts its newest unfinished entry with an equal fingerprint. A table that is
    /// completed counts as done only while its run is resumed for another table of the request.
    /// Failed chunks of adopted tables go back to the queue with a new count of attempts.
    ///
    /// # Errors
    ///
    /// [`TARGET_BUSY`](crate::code::TARGET_BUSY) when a run that would be superseded is alive;
    /// `NotFound` when a run asked for by id does not exist or has none of the tables.
    async fn begin_run(&self, request: &RunRequest) -> Result<RunHandle>;

    /// Finds the entries of these tables in a run that other processes are at work on, and changes
    /// nothing. A store fetches the run and its entries that are not superseded, and answers with
    /// [`join`](super::join).
    ///
    /// # Errors
    ///
    /// `NotFound` for a run that is unknown, `Conflict` for one that has ended,
    /// [`JOB_DIFFERS`](crate::code::JOB_DIFFERS) when its tables are not these, `Unsupported` where runs
    /// cannot be joined.
    async fn join_run(&self, run: RunId, _tables: &[TableRequest]) -> Result<RunHandle> {
        Err(Error::new(ErrorKind::Unsupported, "This status store lets no process join a run")
            .with("run", run)
            .with_hint("let one process do it, with more workers"))
    }

    /// What [`begin_run`](Self::begin_run) would decide, without changing anything; `None` where
    /// the store is not installed yet.
    ///
    /// # Errors
    ///
    /// As [`begin_run`](Self::begin_run), but for `TARGET_BUSY`.
    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>>;

    /// Keeps the first moment that anybody pinned for a source in this run, and returns it.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn pin_snapshot(&self, run: RunId, source: &str, moment: &Snapshot) -> Result<Snapshot>;

    /// Notes that a process is at work on a run, and counts as such for this long, whether it holds a
    /// lease or not. Called again and again while it lives.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn keep_alive(&self, _run: RunId, _ttl: Duration) -> Result<()> {
        Ok(())
    }

    /// How far the given tables are.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn progress(&self, tables: &[TableId]) -> Result<Vec<TableProgress>>;

    /// Ends one table. A store refuses `Completed` while a chunk is not. Any other outcome is what this
    /// process has seen: nothing changes while another one holds a lease of the table.
    ///
    /// # Errors
    ///
    /// `LeaseLost` when the table has been superseded, `Internal` when the outcome contradicts the
    /// chunks, `Connection`, `Timeout`.
    async fn finish_table(
        &self,
        table: TableId,
        outcome: Outcome,
        reason: Option<&str>,
    ) -> Result<()>;

    /// Ends the run if all of its tables have ended, with the outcome that they give; otherwise
    /// another process is still at work and nothing changes.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>>;
}

/// What an invocation wants to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunRequest {
    /// Id for a run that has to be started.
    pub new_run: RunId,
    /// Which earlier work may be continued.
    pub resume: Resume,
    /// A run that goes on in another store and that this request becomes part of, even where its
    /// part in this store was finished.
    pub joined: Option<RunId>,
    /// The tables of this store's database.
    pub tables: Vec<TableRequest>,
    /// Who asks, for people: host and process.
    pub invoked_by: String,
}

impl RunRequest {
    /// Resumes what can be resumed, with the default age.
    pub fn new(new_run: RunId, tables: Vec<TableRequest>, invoked_by: impl Into<String>) -> Self {
        Self {
            new_run,
            resume: Resume::default(),
            joined: None,
            tables,
            invoked_by: invoked_by.into(),
        }
    }

    /// Sets which earlier work may be continued.
    #[must_use]
    pub fn with_resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// Makes it part of a run that goes on in another store.
    #[must_use]
    pub fn with_joined(mut self, run: Option<RunId>) -> Self {
        self.joined = run;
        self
    }
}

/// One table of a [`RunRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRequest {
    /// The user's name for the source, for status tables.
    pub source_name: String,
    /// Where rows come from.
    pub source: TableRef,
    /// Where they go.
    pub target: TableRef,
    /// Identity of everything that decides the data. Another one means another job.
    pub fingerprint: String,
}

/// Which earlier work may be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The newest unfinished work with an equal fingerprint, unless its last sign of life is older.
    Auto {
        /// Counted from the last heartbeat, by the store's clock.
        max_age: Duration,
    },
    /// Nothing: everything starts anew.
    Never,
    /// Only this run.
    Run(RunId),
}

impl Default for Resume {
    /// A week: the retention that most jobs plan with.
    fn default() -> Self {
        Self::Auto { max_age: Duration::from_hours(168) }
    }
}

/// What [`RunStore::begin_run`] decided.
#[derive(Debug, Clone)]
pub struct RunHandle {
    /// The run of this invocation.
    pub run: RunId,
    /// Whether it existed before.
    pub resumed: bool,
    /// One entry per requested table, in the order of the request.
    pub tables: Vec<TableHandle>,
}

/// One table's part in the run.
#[derive(Debug, Clone)]
pub struct TableHandle {
    /// Its id.
    pub id: TableId,
    /// The run that it belongs to: usually this one, an earlier one when the selection has changed.
    pub run: RunId,
    /// Whether there is work to do.
    pub state: TableState,
    /// What the operator should know about this decision.
    pub notes: Vec<String>,
    /// Whether an entry that this run has set aside left rows in the same target.
    pub has_leftovers: bool,
}

/// Whether a table has work to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableState {
    /// It starts from the beginning.
    New,
    /// It goes on where an earlier process stopped.
    Resumed,
    /// It was completed by this run already.
    Completed,
}

/// How far one table is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableProgress {
    /// Which.
    pub table: TableId,
    /// Its outcome, once it has one.
    pub outcome: Option<Outcome>,
    /// Chunks in all.
    pub chunk_count: u64,
    /// Chunks committed.
    pub completed_chunk_count: u64,
    /// Chunks that failed for good.
    pub failed_chunk_count: u64,
    /// What the committed chunks came to.
    pub counts: WriteSummary,
    /// What the first step that has failed for good failed of.
    pub first_failure: Option<String>,
}

impl TableProgress {
    /// Nothing known yet.
    pub fn empty(table: TableId) -> Self {
        Self {
            table,
            outcome: None,
            chunk_count: 0,
            completed_chunk_count: 0,
            failed_chunk_count: 0,
            counts: WriteSummary::default(),
            first_failure: None,
        }
    }
}
