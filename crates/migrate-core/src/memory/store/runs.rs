//! Runs and the ends of tables.

use std::time::Instant;

use async_trait::async_trait;

use super::{Item, MemoryStore, State, Status, Table, lock, taken_over};
use crate::code;
use crate::commit::CommitDomain;
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::source::Snapshot;
use crate::status::{
    Adoption, Adoptions, JoinedRun, KnownTable, Outcome, RunEntry, RunHandle, RunId, RunRequest,
    RunStore, SharedEmptying, TableHandle, TableId, TableProgress, TableRequest, TableState,
    WorkItem, WorkKind, adopt, join,
};

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
        let adoptions = adopt(request, &state.known(request))?;
        // All or nothing: refused before the first change.
        for id in &adoptions.superseded {
            state.refuse_if_alive(*id)?;
        }
        for id in &adoptions.superseded {
            state.supersede(*id)?;
        }
        let mut tables = Vec::with_capacity(request.tables.len());
        let decided = adoptions.tables.iter().zip(adoptions.notes);
        for (table, (adoption, notes)) in request.tables.iter().zip(decided) {
            let (id, run, table_state) = match *adoption {
                Adoption::Done(id, run) => (id, run, TableState::Completed),
                Adoption::Resume(id, run) => {
                    let now = state.now();
                    state.table_mut(id)?.reopen(now);
                    (id, run, TableState::Resumed)
                }
                Adoption::Start => {
                    let id = TableId(i64::try_from(state.tables.len()).unwrap_or(i64::MAX));
                    state.tables.push(Table::new(id, adoptions.run, table.clone()));
                    (id, adoptions.run, TableState::New)
                }
            };
            tables.push(TableHandle { id, run, state: table_state, notes, has_leftovers: false });
        }
        for (handle, table) in tables.iter_mut().zip(&request.tables) {
            handle.has_leftovers = state.has_leftovers(adoptions.run, &table.target);
        }
        state.ended_runs.retain(|(ended, _)| *ended != adoptions.run);
        state.show_life(adoptions.run);
        for run in state.runs_of(&adoptions.superseded) {
            if run != adoptions.run {
                state.close(run);
            }
        }
        Ok(RunHandle { run: adoptions.run, resumed: adoptions.resumed, tables })
    }

    async fn join_run(&self, run: RunId, tables: &[TableRequest]) -> Result<RunHandle> {
        let state = lock(&self.state);
        let of_run = || state.tables.iter().filter(|table| table.run == run);
        if of_run().next().is_none() {
            return Err(Error::new(ErrorKind::NotFound, "No such run in this store")
                .with("run", run)
                .with_hint("use the id that the first process has told"));
        }
        let now = state.now();
        let present = of_run().filter(|table| table.outcome != Some(Outcome::Superseded));
        let joined = JoinedRun {
            id: run,
            outcome: state.run_outcome(run),
            is_at_work: of_run().any(|table| table.live_holder(now).is_some()),
            entries: present
                .map(|table| RunEntry {
                    id: table.id,
                    source: table.request.source.clone(),
                    target: table.request.target.clone(),
                    fingerprint: table.request.fingerprint.clone(),
                    outcome: table.outcome,
                })
                .collect(),
        };
        join(&joined, tables)
    }

    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>> {
        adopt(request, &lock(&self.state).known(request)).map(Some)
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
        let now = state.now();
        let entry = state.table_mut(table)?;
        if entry.outcome == Some(Outcome::Superseded) {
            return Err(taken_over());
        }
        let complete = matches!(outcome, Outcome::Completed | Outcome::CompletedWithRejects);
        if !complete && entry.live_holder(now).is_some() {
            return Ok(());
        }
        if entry.is_complete() {
            // Another process of the run was faster; what it found holds.
            return Ok(());
        }
        if complete {
            let all_done = entry.plan.is_some() && entry.items.iter().all(Item::is_done);
            let has_rejects = entry.progress().counts.rows_rejected > 0;
            if !all_done || has_rejects != (outcome == Outcome::CompletedWithRejects) {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "A table with work left cannot be completed",
                )
                .with("table", table)
                .with_hint("report this with the log of the run"));
            }
        }
        entry.outcome = Some(outcome);
        // With its last table, so that no crash leaves a run open in which nothing is to be done.
        let run = entry.run;
        state.close(run);
        Ok(())
    }

    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>> {
        Ok(lock(&self.state).close(run))
    }
}

impl State {
    /// Every entry of the requested targets that is not superseded, oldest first.
    fn known(&self, request: &RunRequest) -> Vec<KnownTable> {
        let is_history = |table: &Table| {
            let ended = matches!(
                self.run_outcome(table.run),
                Some(Outcome::Completed | Outcome::Superseded)
            );
            table.outcome == Some(Outcome::Superseded) || ended && request.joined != Some(table.run)
        };
        let wanted = |table: &Table| {
            request.tables.iter().any(|wanted| wanted.target == table.request.target)
        };
        let now = self.now();
        self.tables
            .iter()
            .filter(|table| wanted(table) && !is_history(table))
            .map(|table| KnownTable {
                id: table.id,
                run: table.run,
                target: table.request.target.clone(),
                fingerprint: table.request.fingerprint.clone(),
                outcome: table.outcome,
                run_outcome: self.run_outcome(table.run),
                silent_for: self
                    .signs_of_life
                    .iter()
                    .find(|(run, _)| *run == table.run)
                    .map(|(_, seen)| now.saturating_duration_since(*seen))
                    .unwrap_or_default(),
                emptied_with: self.shared_emptying(table),
            })
            .collect()
    }

    fn shared_emptying(&self, table: &Table) -> Option<SharedEmptying> {
        let plan = table.plan.as_ref().filter(|plan| plan.load.truncate.len() > 1)?;
        let leader = plan.prepared_by.unwrap_or(table.id);
        let table_count = plan.load.truncate.len();
        (!self.is_prepared(table)).then_some(SharedEmptying { leader, table_count })
    }

    /// Whether an entry that was set aside within the run left rows in the target.
    fn has_leftovers(&self, run: RunId, target: &TableRef) -> bool {
        self.of_target(target).any(|table| {
            table.run == run
                && table.outcome == Some(Outcome::Superseded)
                && table.of_kind(WorkKind::Chunk).any(Item::is_done)
        })
    }

    fn runs_of(&self, tables: &[TableId]) -> Vec<RunId> {
        let of_them = self.tables.iter().filter(|table| tables.contains(&table.id));
        of_them.map(|table| table.run).collect()
    }

    fn refuse_if_alive(&self, id: TableId) -> Result<()> {
        let table = self.table(id)?;
        let Some(holder) = table.live_holder(self.now()) else { return Ok(()) };
        Err(Error::new(
            code::TARGET_BUSY,
            format!("Another run is at work on {}", table.request.target),
        )
        .with("run", table.run)
        .with("worker", &holder.worker)
        .with_hint(format!(
            "wait until it has ended, or stop it; to help it: migrate worker --run {}",
            table.run
        )))
    }

    fn supersede(&mut self, id: TableId) -> Result<()> {
        let table = self.table_mut(id)?;
        table.outcome = Some(Outcome::Superseded);
        for item in &mut table.items {
            if !item.is_done() && item.status != Status::HandedOver {
                item.status = Status::Superseded;
            }
        }
        Ok(())
    }

    /// Gives the run the outcome of its tables, once all of them have one.
    fn close(&mut self, run: RunId) -> Option<Outcome> {
        let of_run = self.tables.iter().filter(|table| table.run == run);
        let outcomes: Option<Vec<Outcome>> = of_run.map(|table| table.outcome).collect();
        let outcome = outcomes.map(Outcome::of_run)?;
        self.ended_runs.push((run, outcome));
        Some(outcome)
    }
}

impl Table {
    fn new(id: TableId, run: RunId, request: TableRequest) -> Self {
        Self { id, run, request, plan: None, items: Vec::new(), outcome: None }
    }

    /// Failed work goes back to the queue, with a new count of tries, and nothing rests.
    fn reopen(&mut self, now: Instant) {
        self.outcome = None;
        for item in &mut self.items {
            match item.status {
                Status::Failed => *item = Item::pending(item.work.clone(), now),
                Status::Pending { .. } => {
                    item.status = Status::Pending { not_before: now };
                    item.failures = 0;
                }
                _ => {}
            }
        }
        self.set_aside_again(now);
    }

    /// What came back, by a repair or because chunks had failed, while chunks were left: the rest of
    /// the load does without it as well.
    fn set_aside_again(&mut self, now: Instant) {
        let comes_back =
            |item: &Item| matches!(item.work.kind(), WorkKind::Rebuild | WorkKind::Relink);
        let came_back = self.items.iter().any(|item| comes_back(item) && item.is_done());
        let is_loaded = self.of_kind(WorkKind::Chunk).all(Item::is_done);
        if is_loaded || !came_back {
            return;
        }
        for item in &mut self.items {
            if item.is_done() && (comes_back(item) || item.work == WorkItem::SetAside) {
                item.status = Status::Pending { not_before: now };
            }
        }
    }
}
