//! Putting a migration together.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use migrate_core::{Error, ErrorKind, Result, Resume, Sink, Source, StatusStore};

use crate::job::TableJob;
use crate::migration::{Migration, Parts};

/// Collects what a migration needs; [`build`](Self::build) checks that it is complete.
#[derive(Debug)]
#[must_use]
pub struct MigrationBuilder {
    jobs: Vec<TableJob>,
    source: Option<Arc<dyn Source>>,
    sink: Option<Arc<dyn Sink>>,
    status: Option<Arc<dyn StatusStore>>,
    workers: NonZeroU32,
    memory_budget: NonZeroU64,
    lease: Duration,
    resume: Resume,
    invoked_by: String,
}

impl MigrationBuilder {
    pub(crate) fn new() -> Self {
        const WORKERS: NonZeroU32 = NonZeroU32::new(4).expect("not zero");
        const MEMORY: NonZeroU64 = NonZeroU64::new(256 << 20).expect("not zero");
        Self {
            jobs: Vec::new(),
            source: None,
            sink: None,
            status: None,
            workers: WORKERS,
            memory_budget: MEMORY,
            lease: Duration::from_secs(30),
            resume: Resume::default(),
            invoked_by: format!("process {}", std::process::id()),
        }
    }

    /// Sets the source of tables that bring none of their own.
    pub fn source(mut self, source: Arc<dyn Source>) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets the sink of tables that bring none of their own.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Sets the ledger of tables that bring none of their own.
    pub fn status(mut self, status: Arc<dyn StatusStore>) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a table.
    pub fn table(mut self, job: TableJob) -> Self {
        self.jobs.push(job);
        self
    }

    /// Sets how many chunks are copied at once, over all tables.
    pub fn workers(mut self, workers: NonZeroU32) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the bytes that all workers may hold together.
    pub fn memory_budget(mut self, bytes: NonZeroU64) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Sets how long a chunk of a dead process stays blocked.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets which earlier work may be continued.
    pub fn resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// Sets who runs this, for the ledger: host and process.
    pub fn invoked_by(mut self, who: impl Into<String>) -> Self {
        self.invoked_by = who.into();
        self
    }

    /// Checks that every table has its components.
    ///
    /// # Errors
    ///
    /// `Config` when there is no table, or a component is missing.
    pub fn build(self) -> Result<Migration> {
        let missing = |what: &str, job: &TableJob| {
            Error::new(ErrorKind::Config, format!("The table has no {what}"))
                .with("table", &job.to)
                .with_hint(format!("give the migration or the table a {what}"))
        };
        if self.jobs.is_empty() {
            return Err(Error::new(ErrorKind::Config, "There is no table to copy")
                .with_hint("enable a source and one of its tables"));
        }
        let jobs = self
            .jobs
            .into_iter()
            .map(|job| {
                let own_or = |own: &Option<Arc<dyn Source>>| own.clone().or(self.source.clone());
                let source = own_or(&job.source).ok_or_else(|| missing("source", &job))?;
                let sink = job.sink.clone().or(self.sink.clone());
                let sink = sink.ok_or_else(|| missing("sink", &job))?;
                let status = job.status.clone().or(self.status.clone());
                let status = status.ok_or_else(|| missing("status store", &job))?;
                Ok((job, Parts { source, sink, status }))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Migration {
            jobs,
            workers: self.workers,
            memory_budget: self.memory_budget,
            lease: self.lease.max(Duration::from_secs(1)),
            resume: self.resume,
            invoked_by: self.invoked_by,
        })
    }
}
