//! The workers of a run, over all its tables.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use migrate_core::{
    Error, ErrorKind, MemoryBudget, RunContext, RunId, TableProgress, WorkerId, WriteSummary,
};
use tokio::task::JoinSet;

use crate::effort::Tally;
use crate::migration::Ledger;
use crate::order::{self, Waits};
use crate::schedule::{Schedule, Standing};
use crate::table::Table;
use crate::work::Worker;

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) tables: Vec<Table>,
    pub(crate) ledgers: Vec<Arc<Ledger>>,
    pub(crate) schedule: Schedule,
    pub(crate) budget: MemoryBudget,
    pub(crate) lease: Duration,
    /// With this the names of all workers here begin.
    process: String,
    pub(crate) tally: Arc<Tally>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Drain {
    /// With each table comes how it stands.
    pub(crate) fn new(
        tables: Vec<Table>,
        standings: &[Standing],
        ledgers: Vec<Arc<Ledger>>,
        workers: NonZeroU32,
        memory_budget: NonZeroU64,
        lease: Duration,
        invoked_by: &str,
    ) -> Self {
        let entries = tables.iter().zip(standings).zip(waits_of(&tables, standings));
        let schedule = Schedule::new(entries.map(|((table, standing), waits)| {
            let most = table.job.max_workers.unwrap_or(workers);
            (*standing, most.get(), waits)
        }));
        Self {
            tables,
            ledgers,
            schedule,
            budget: MemoryBudget::new(memory_budget),
            lease,
            // A process of the same number on the same host may be one that has died, as always
            // in containers.
            process: format!("{invoked_by} ({:.8})", RunId::random().0.simple()),
            tally: Arc::new(Tally::begin()),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Works until every table has ended or the context is cancelled. Dropping the call ends the
    /// workers where they wait.
    pub(crate) async fn run(self: &Arc<Self>, workers: NonZeroU32, cx: &RunContext) {
        for table in self.tables.iter().filter(|table| table.has_ended()) {
            table.announce_end(cx);
        }
        let mut heartbeats = JoinSet::new();
        for ledger in &self.ledgers {
            let (ledger, lease) = (Arc::clone(ledger), self.lease);
            heartbeats.spawn(async move { ledger.leases.keep_alive(&ledger.store, lease).await });
        }
        let mut working = JoinSet::new();
        let cx = &self.tally.listen(cx);
        for number in 1..=workers.get() {
            let name = WorkerId(format!("{}, worker {number}", self.process));
            let worker = Worker { drain: Arc::clone(self), name };
            let cx = cx.clone();
            working.spawn(async move { worker.work(&cx).await });
        }
        while let Some(ended) = working.join_next().await {
            if let Err(cause) = ended {
                self.worker_broke_off(cause, cx);
            }
        }
    }

    /// A panic is a bug, and must not look like a pause.
    fn worker_broke_off(&self, cause: tokio::task::JoinError, cx: &RunContext) {
        let error = Error::new(ErrorKind::Internal, "A worker broke off")
            .with_source(cause)
            .with_hint("report this with the log of the run; running again is safe");
        tracing::error!(error = %error.report(), "a worker broke off");
        cx.cancel.cancel();
        for table in self.tables.iter().filter(|table| table.has_work() && !table.has_ended()) {
            if table.end_by(&error, TableProgress::empty(table.id())) {
                table.announce_end(cx);
            }
        }
    }

    /// Whether a worker belongs to this process.
    pub(crate) fn is_sibling(&self, worker: &WorkerId) -> bool {
        worker.0.starts_with(&self.process)
    }

    /// Adds what one chunk has committed.
    pub(crate) fn count(&self, summary: &WriteSummary) {
        let rows = summary.rows_settled();
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(summary.bytes, Ordering::Relaxed);
    }

    pub(crate) fn committed_rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn committed_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What each table waits for. Names of tables mean something within one database only.
fn waits_of(tables: &[Table], standings: &[Standing]) -> Vec<Waits> {
    let mut all = vec![Waits::default(); tables.len()];
    let ledgers: BTreeSet<usize> = tables.iter().map(Table::ledger).collect();
    for ledger in ledgers {
        let of_ledger = || tables.iter().enumerate().filter(|(_, table)| table.ledger() == ledger);
        let plans: Vec<_> = of_ledger()
            .filter_map(|(number, table)| table.plan().map(|plan| (number, plan)))
            .collect();
        let is_left = |number: usize| standings.get(number) == Some(&Standing::LeftToOthers);
        let left: Vec<_> = of_ledger()
            .filter(|(number, _)| is_left(*number))
            .map(|(number, table)| (number, &table.job.to))
            .collect();
        for (number, waits) in order::waits(&plans, &left) {
            if let Some(place) = all.get_mut(number) {
                *place = waits;
            }
        }
    }
    all
}
