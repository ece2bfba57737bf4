//! The ledger in memory.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use uuid::Uuid;

use super::lock;
use crate::code;
use crate::commit::{CommitDomain, CommitRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::reject::BadRows;
use crate::sink::WriteSummary;
use crate::source::Snapshot;
use crate::status::{
    Adoption, Adoptions, Claim, Failure, Holder, KnownTable, Lease, LeaseToken, NewPlan, Outcome,
    PlanStore, RunHandle, RunId, RunRequest, RunStore, Settled, SharedEmptying, TableHandle,
    TableId, TablePlan, TableProgress, TableRequest, TableState, WorkItem, WorkKind, WorkQueue,
    WorkerId, adopt,
};
use crate::watermark::LastWindow;

/// Crashes of one item after which it is not handed out again: it probably kills its workers.
const MAX_CRASHES: u32 = 10;

/// How soon an idle worker asks again when nothing tells it a better time.
const POLL: Duration = Duration::from_millis(50);

/// A status store in memory, shared by the workers of one process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: Vec<Table>,
    ended_runs: Vec<(RunId, Outcome)>,
    pins: Vec<(RunId, String, Snapshot)>,
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
    attempts: u32,
    crashes: u32,
    counts: WriteSummary,
    failure: Option<String>,
}

#[derive(Debug)]
enum Status {
    Pending { not_before: Instant },
    InProgress { token: LeaseToken, worker: WorkerId, until: Instant },
    Completed,
    Failed,
}

impl MemoryStore {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn settle(&self, lease: &Lease, settle: impl FnOnce(&mut Item)) -> Settled {
        let mut state = lock(&self.state);
        let Some(item) = state.item_of(lease) else { return Settled::LeaseLost };
        match item.status {
            Status::InProgress { token, .. } if token == lease.token() => {
                settle(item);
                Settled::Applied
            }
            _ => Settled::LeaseLost,
        }
    }
}

impl State {
    /// Whether the rows that were in its target before are gone.
    fn has_emptied(&self, table: &Table) -> bool {
        let Some(plan) = &table.plan else { return false };
        let is_done = |id: TableId, step: &WorkItem| {
            let of_table = self.tables.iter().filter(|other| other.id == id);
            let mut items = of_table.flat_map(|other| &other.items);
            items.any(|item| item.work == *step && matches!(item.status, Status::Completed))
        };
        let leader = plan.prepared_by.unwrap_or(table.id);
        (!plan.load.truncate.is_empty() && is_done(leader, &WorkItem::Prepare))
            || is_done(table.id, &WorkItem::Publish)
    }

    fn table(&mut self, id: TableId) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.id == id)
    }

    fn item_of(&mut self, lease: &Lease) -> Option<&mut Item> {
        self.table(lease.table())?.items.iter_mut().find(|item| item.work == *lease.item())
    }

    fn run_outcome(&self, run: RunId) -> Option<Outcome> {
        self.ended_runs.iter().rev().find(|(ended, _)| *ended == run).map(|(_, outcome)| *outcome)
    }

    fn known(&self) -> Vec<KnownTable> {
        self.tables
            .iter()
            .map(|table| KnownTable {
                id: table.id,
                run: table.run,
                target: table.request.target.clone(),
                fingerprint: table.request.fingerprint.clone(),
                outcome: table.outcome,
                run_outcome: self.run_outcome(table.run),
                silent_for: Duration::ZERO,
                emptied_with: self.shared_emptying(table),
            })
            .filter(|table| table.outcome != Some(Outcome::Superseded))
            .collect()
    }

    fn shared_emptying(&self, table: &Table) -> Option<SharedEmptying> {
        let plan = table.plan.as_ref().filter(|plan| plan.load.truncate.len() > 1)?;
        let leader = plan.prepared_by.unwrap_or(table.id);
        let step = self.tables.iter().find(|other| other.id == leader)?;
        let is_done = step
            .items
            .iter()
            .any(|item| item.work == WorkItem::Prepare && matches!(item.status, Status::Completed));
        let table_count = plan.load.truncate.len();
        (!is_done).then_some(SharedEmptying { leader, table_count })
    }

    /// Whether an entry that was set aside within the run left rows in the target.
    fn has_leftovers(&self, run: RunId, target: &TableRef) -> bool {
        self.tables.iter().any(|table| {
            let has_rows = table.items.iter().any(|item| {
                item.work.kind() == WorkKind::Chunk && matches!(item.status, Status::Completed)
            });
            table.run == run
                && table.request.target == *target
                && table.outcome == Some(Outcome::Superseded)
                && has_rows
        })
    }

    fn supersede(&mut self, id: TableId) -> Result<()> {
        let Some(table) = self.table(id) else { return Ok(()) };
        if let Some(holder) = table.items.iter().find_map(Item::live_holder) {
            return Err(Error::new(
                code::TARGET_BUSY,
                format!("Another run is at work on {}", table.request.target),
            )
            .with("run", table.run)
            .with("worker", &holder.worker)
            .with_hint("wait until it has ended, or stop it"));
        }
        table.outcome = Some(Outcome::Superseded);
        for item in &mut table.items {
            if !matches!(item.status, Status::Completed) {
                item.status = Status::Failed;
            }
        }
        Ok(())
    }
}

impl Item {
    fn new(work: WorkItem) -> Self {
        let status = Status::Pending { not_before: Instant::now() };
        Self {
            work,
            status,
            attempts: 0,
            crashes: 0,
            counts: WriteSummary::default(),
            failure: None,
        }
    }

    fn live_holder(&self) -> Option<Holder> {
        match &self.status {
            Status::InProgress { worker, until, .. } => {
                let expires_in = until.checked_duration_since(Instant::now())?;
                Some(Holder { worker: worker.clone(), expires_in })
            }
            _ => None,
        }
    }

    /// A lease that ran out was a crash, not an attempt.
    fn reclaim_if_expired(&mut self) {
        let now = Instant::now();
        if matches!(self.status, Status::InProgress { until, .. } if until <= now) {
            self.crashes += 1;
            self.attempts = self.attempts.saturating_sub(1);
            self.status = if self.crashes >= MAX_CRASHES {
                self.failure = Some(format!("its worker died {MAX_CRASHES} times"));
                Status::Failed
            } else {
                Status::Pending { not_before: now }
            };
        }
    }
}

#[async_trait]
impl RunStore for MemoryStore {
    fn commit_domain(&self) -> Option<&CommitDomain> {
        None
    }

    async fn install(&self) -> Result<()> {
        Ok(())
    }

    async fn begin_run(&self, request: &RunRequest) -> Result<RunHandle> {
        let mut state = lock(&self.state);
        let adoptions = adopt(request, &state.known())?;
        for id in &adoptions.superseded {
            state.supersede(*id)?;
        }
        let mut tables = Vec::with_capacity(request.tables.len());
        let decided = adoptions.tables.iter().zip(adoptions.notes);
        for (table, (adoption, notes)) in request.tables.iter().zip(decided) {
            let (id, run, table_state) = match *adoption {
                Adoption::Done(id, run) => (id, run, TableState::Completed),
                Adoption::Resume(id, run) => {
                    if let Some(entry) = state.table(id) {
                        entry.reopen();
                    }
                    (id, run, TableState::Resumed)
                }
                Adoption::Start => {
                    let id = TableId(i64::try_from(state.tables.len()).unwrap_or(i64::MAX));
                    state.tables.push(Table::new(id, adoptions.run, table.clone()));
                    (id, adoptions.run, TableState::New)
                }
            };
            let has_leftovers = state.has_leftovers(run, &table.target);
            tables.push(TableHandle { id, run, state: table_state, notes, has_leftovers });
        }
        state.ended_runs.retain(|(ended, _)| *ended != adoptions.run);
        Ok(RunHandle { run: adoptions.run, resumed: adoptions.resumed, tables })
    }

    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>> {
        adopt(request, &lock(&self.state).known()).map(Some)
    }

    async fn pin_snapshot(&self, run: RunId, source: &str, moment: &Snapshot) -> Result<Snapshot> {
        let mut state = lock(&self.state);
        let known = state.pins.iter().find(|(of, name, _)| *of == run && name == source);
        if let Some((_, _, pinned)) = known {
            return Ok(pinned.clone());
        }
        state.pins.push((run, source.to_owned(), moment.clone()));
        Ok(moment.clone())
    }

    async fn progress(&self, tables: &[TableId]) -> Result<Vec<TableProgress>> {
        let state = lock(&self.state);
        let wanted = state.tables.iter().filter(|table| tables.contains(&table.id));
        Ok(wanted.map(Table::progress).collect())
    }

    async fn finish_table(
        &self,
        table: TableId,
        outcome: Outcome,
        _reason: Option<&str>,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        let entry = state.table(table).ok_or_else(|| unknown_table(table))?;
        if entry.outcome == Some(Outcome::Superseded) {
            return Err(Error::new(ErrorKind::LeaseLost, "The table belongs to a newer run")
                .with_hint("nothing to do: the newer run loads it"));
        }
        let all_done = entry.items.iter().all(|item| matches!(item.status, Status::Completed));
        let is_completion = matches!(outcome, Outcome::Completed | Outcome::CompletedWithRejects);
        if is_completion && !all_done {
            return Err(Error::new(
                ErrorKind::Internal,
                "A table with open chunks is not completed",
            ));
        }
        entry.outcome = Some(outcome);
        Ok(())
    }

    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>> {
        let mut state = lock(&self.state);
        let outcomes: Option<Vec<Outcome>> = state
            .tables
            .iter()
            .filter(|table| table.run == run)
            .map(|table| table.outcome)
            .collect();
        let outcome = outcomes.map(Outcome::of_run);
        if let Some(outcome) = outcome {
            state.ended_runs.push((run, outcome));
        }
        Ok(outcome)
    }
}

impl Table {
    fn new(id: TableId, run: RunId, request: TableRequest) -> Self {
        Self { id, run, request, plan: None, items: Vec::new(), outcome: None }
    }

    fn reopen(&mut self) {
        self.outcome = None;
        for item in &mut self.items {
            if matches!(item.status, Status::Failed) {
                *item = Item::new(item.work.clone());
            }
        }
    }

    fn progress(&self) -> TableProgress {
        let chunks = || self.items.iter().filter(|item| matches!(item.work, WorkItem::Chunk(_)));
        let count = |wanted: fn(&Status) -> bool| {
            chunks().filter(|item| wanted(&item.status)).count() as u64
        };
        TableProgress {
            outcome: self.outcome,
            chunk_count: count(|_| true),
            completed_chunk_count: count(|status| matches!(status, Status::Completed)),
            failed_chunk_count: count(|status| matches!(status, Status::Failed)),
            counts: chunks().fold(WriteSummary::default(), |mut sum, item| {
                sum += item.counts;
                sum
            }),
            first_failure: self
                .items
                .iter()
                .filter(|item| matches!(item.status, Status::Failed))
                .find_map(|item| item.failure.clone()),
            ..TableProgress::empty(self.id)
        }
    }
}

#[async_trait]
impl PlanStore for MemoryStore {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        Ok(lock(&self.state).table(table).and_then(|entry| entry.plan.clone()))
    }

    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>> {
        let state = lock(&self.state);
        let of_target = || state.tables.iter().filter(|entry| entry.request.target == *target);
        let last = of_target().rev().find_map(|entry| {
            let window = entry.plan.as_ref()?.window.as_ref()?;
            let is_complete =
                matches!(entry.outcome, Some(Outcome::Completed | Outcome::CompletedWithRejects));
            let is_done = is_complete && window.scope == scope;
            let high = window.high.clone().filter(|_| is_done)?;
            Some((entry, high, window.rows_at_high))
        });
        Ok(last.map(|(entry, high, rows)| {
            let later = || of_target().filter(|other| other.id > entry.id);
            let mut written = later()
                .filter(|other| other.request.source == entry.request.source)
                .filter(|other| other.progress().completed_chunk_count > 0);
            LastWindow {
                high,
                rows_at_high: Some(rows),
                is_latest: written.next().is_none(),
                is_void: later().any(|other| state.has_emptied(other)),
            }
        }))
    }

    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>> {
        let mut state = lock(&self.state);
        plans.iter().map(|new| state.save(new)).collect()
    }

    async fn change_bad_rows(&self, table: TableId, bad_rows: BadRows) -> Result<()> {
        let mut state = lock(&self.state);
        let entry = state.table(table).ok_or_else(|| unknown_table(table))?;
        if let Some(plan) = &mut entry.plan {
            plan.load.bad_rows = bad_rows;
        }
        Ok(())
    }
}

impl State {
    fn save(&mut self, new: &NewPlan<'_>) -> Result<TablePlan> {
        let entry = self.table(new.table).ok_or_else(|| unknown_table(new.table))?;
        if let Some(stored) = &entry.plan {
            return Ok(stored.clone());
        }
        let chunks = new.chunks.iter().cloned().map(WorkItem::Chunk);
        entry.items = new.plan.steps().into_iter().chain(chunks).map(Item::new).collect();
        entry.plan = Some(new.plan.clone());
        Ok(new.plan.clone())
    }
}

#[async_trait]
impl WorkQueue for MemoryStore {
    async fn claim(
        &self,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Claim> {
        let mut state = lock(&self.state);
        let entry = state.table(table).ok_or_else(|| unknown_table(table))?;
        let now = Instant::now();
        let mut waiting = None;
        let (mut completed, mut failed) = (0, 0);
        for item in entry.items.iter_mut().filter(|item| item.work.kind() == kind) {
            item.reclaim_if_expired();
            match &item.status {
                Status::Pending { not_before } if *not_before <= now => {
                    let token = LeaseToken(Uuid::new_v4());
                    item.attempts += 1;
                    item.status =
                        Status::InProgress { token, worker: worker.clone(), until: now + ttl };
                    let lease = Lease::new(table, item.work.clone(), token, item.attempts);
                    return Ok(Claim::Leased(Box::new(lease)));
                }
                Status::Pending { not_before } => {
                    waiting = waiting.or(Some((not_before.saturating_duration_since(now), None)));
                }
                Status::InProgress { .. } => waiting = Some((POLL, item.live_holder())),
                Status::Completed => completed += 1,
                Status::Failed => failed += 1,
            }
        }
        Ok(match waiting {
            Some((retry_in, holder)) => Claim::NotYet { retry_in, holder },
            None => Claim::Drained { completed, failed },
        })
    }

    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>> {
        let mut state = lock(&self.state);
        let mut owned = Vec::new();
        for item in state.tables.iter_mut().flat_map(|table| &mut table.items) {
            if let Status::InProgress { token, until, .. } = &mut item.status
                && leases.contains(token)
            {
                *until = Instant::now() + ttl;
                owned.push(*token);
            }
        }
        Ok(owned)
    }

    fn commit_record(&self, _lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
        None
    }

    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled> {
        Ok(self.settle(lease, |item| {
            item.status = Status::Completed;
            item.counts = *summary;
        }))
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled> {
        Ok(self.settle(lease, |item| {
            item.failure = Some(failure.reason.clone());
            item.status = match failure.retry_in {
                Some(delay) => Status::Pending { not_before: Instant::now() + delay },
                None => Status::Failed,
            };
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<Settled> {
        Ok(self.settle(lease, |item| {
            item.attempts = item.attempts.saturating_sub(1);
            item.status = Status::Pending { not_before: Instant::now() };
        }))
    }
}

fn unknown_table(table: TableId) -> Error {
    Error::new(ErrorKind::Internal, "No such table in this store").with("table", table)
}
