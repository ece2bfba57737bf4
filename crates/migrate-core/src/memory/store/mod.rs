//! The ledger in memory.

mod plans;
mod queue;
mod runs;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::sink::WriteSummary;
use crate::source::Snapshot;
use crate::status::{
    Holder, Lease, LeaseToken, Outcome, RunId, Settled, TableId, TablePlan, TableProgress,
    TableRequest, WorkItem, WorkKind, WorkerId,
};

/// A status store in memory, shared by the workers of one process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: Vec<Table>,
    ended_runs: Vec<(RunId, Outcome)>,
    signs_of_life: Vec<(RunId, Instant)>,
    pins: Vec<(RunId, String, Snapshot)>,
    /// How much more time has passed than the process's clock says.
    passed: Duration,
}

#[derive(Debug)]
struct Table {
    id: TableId,
    run: RunId,
    request: TableRequest,
    plan: Option<TablePlan>,
    items: Vec<Item>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Item {
    work: WorkItem,
    status: Status,
    /// Failed tries in the present invocation.
    failures: u32,
    crashes: u32,
    overruns: u32,
    counts: WriteSummary,
    failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Pending {
        not_before: Instant,
    },
    InProgress {
        token: LeaseToken,
        worker: WorkerId,
        until: Instant,
    },
    /// By whose lease; none where it was done from the start.
    Completed(Option<LeaseToken>),
    Failed,
    /// A newer run has taken over the target.
    Superseded,
    /// A later run brings back what this step should have.
    HandedOver,
}

impl MemoryStore {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets this much more time pass for the ledger than for the process, so that tests need not
    /// wait: leases run out, rests end, signs of life get older.
    pub fn pass(&self, time: Duration) {
        lock(&self.state).passed += time;
    }

    fn settle(&self, lease: &Lease, settle: impl FnOnce(&mut Item, Instant)) -> Settled {
        let mut state = lock(&self.state);
        let now = state.now();
        let Some(item) = state.item_of(lease) else { return Settled::LeaseLost };
        match item.status {
            Status::InProgress { token, .. } if token == lease.token() => {
                settle(item, now);
                Settled::Applied
            }
            Status::Completed(Some(token)) if token == lease.token() => Settled::AlreadyCompleted,
            _ => Settled::LeaseLost,
        }
    }
}

impl State {
    fn now(&self) -> Instant {
        Instant::now() + self.passed
    }

    fn table(&self, id: TableId) -> Result<&Table> {
        self.tables.iter().find(|table| table.id == id).ok_or_else(|| unknown_table(id))
    }

    fn table_mut(&mut self, id: TableId) -> Result<&mut Table> {
        self.tables.iter_mut().find(|table| table.id == id).ok_or_else(|| unknown_table(id))
    }

    fn item_of(&mut self, lease: &Lease) -> Option<&mut Item> {
        let table = self.table_mut(lease.table()).ok()?;
        table.items.iter_mut().find(|item| item.work == *lease.item())
    }

    fn run_outcome(&self, run: RunId) -> Option<Outcome> {
        self.ended_runs.iter().rev().find(|(ended, _)| *ended == run).map(|(_, outcome)| *outcome)
    }

    fn show_life(&mut self, run: RunId) {
        let now = self.now();
        self.signs_of_life.retain(|(known, _)| *known != run);
        self.signs_of_life.push((run, now));
    }

    /// Whether the step that empties or prepares the table, wherever it is, is done.
    fn is_prepared(&self, table: &Table) -> bool {
        let leader = table.plan.as_ref().and_then(|plan| plan.prepared_by).unwrap_or(table.id);
        self.table(leader).is_ok_and(|leader| leader.has_done(&WorkItem::Prepare))
    }

    fn of_target(&self, target: &TableRef) -> impl DoubleEndedIterator<Item = &Table> {
        self.tables.iter().filter(move |table| table.request.target == *target)
    }
}

impl Table {
    fn is_complete(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Completed | Outcome::CompletedWithRejects))
    }

    fn has_done(&self, step: &WorkItem) -> bool {
        self.items.iter().any(|item| item.work == *step && item.is_done())
    }

    fn of_kind(&self, kind: WorkKind) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.work.kind() == kind)
    }

    fn live_holder(&self, now: Instant) -> Option<Holder> {
        self.items.iter().find_map(|item| item.live_holder(now))
    }

    fn progress(&self) -> TableProgress {
        let chunks = || self.of_kind(WorkKind::Chunk);
        TableProgress {
            outcome: self.outcome,
            chunk_count: chunks().count() as u64,
            completed_chunk_count: chunks().filter(|item| item.is_done()).count() as u64,
            failed_chunk_count: chunks().filter(|item| item.status == Status::Failed).count()
                as u64,
            counts: chunks().fold(WriteSummary::default(), |mut sum, item| {
                sum += item.counts;
                sum
            }),
            first_failure: self
                .items
                .iter()
                .filter(|item| item.status == Status::Failed)
                .find_map(|item| item.failure.clone()),
            ..TableProgress::empty(self.id)
        }
    }
}

impl Item {
    fn pending(work: WorkItem, now: Instant) -> Self {
        Self {
            work,
            status: Status::Pending { not_before: now },
            failures: 0,
            crashes: 0,
            overruns: 0,
            counts: WriteSummary::default(),
            failure: None,
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.status, Status::Completed(_))
    }

    fn live_holder(&self, now: Instant) -> Option<Holder> {
        match &self.status {
            Status::InProgress { worker, until, .. } => {
                let expires_in = until.checked_duration_since(now)?;
                Some(Holder { worker: worker.clone(), expires_in })
            }
            _ => None,
        }
    }
}

fn unknown_table(table: TableId) -> Error {
    Error::new(ErrorKind::Internal, "No such table in this store")
        .with("table", table)
        .with_hint("use the store that began the run")
}

fn taken_over() -> Error {
    Error::new(ErrorKind::LeaseLost, "A newer run has taken over the table")
        .with_hint("nothing to do: the newer run loads it")
}
