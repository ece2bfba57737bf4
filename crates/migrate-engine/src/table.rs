//! One table of a run on its way through the stages.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use migrate_core::{
    Error, ErrorKind, Event, Holder, Outcome, Result, RunContext, RunId, StatusStore, TableHandle,
    TableId, TablePlan, TableProgress, TableState, WorkerId, code,
};

use crate::job::TableJob;
use crate::migration::Parts;
use crate::report::TableReport;
use crate::retry::{Outage, steadily};
use crate::schedule::Standing;
use crate::table_plan::Ends;

/// Crashes of the server within one run after which it is given up.
const MOST_CRASHES: u32 = 10;

/// A table, its plan once there is one, and its end.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) job: TableJob,
    pub(crate) status: Arc<dyn StatusStore>,
    /// How long that is waited for.
    pub(crate) outage: Arc<Outage>,
    handle: TableHandle,
    ledger: usize,
    /// Absent when there is nothing to do or planning failed.
    work: Option<(TablePlan, Ends)>,
    end: OnceLock<TableEnd>,
    awaited: Mutex<Option<WorkerId>>,
    went_back: AtomicU32,
    has_small_budget: AtomicBool,
    /// Whether another process has begun the run, and this one only helps.
    is_joined: bool,
}

/// How a table ended in this process.
#[derive(Debug, Clone)]
struct TableEnd {
    outcome: Outcome,
    reason: Option<String>,
    progress: TableProgress,
    /// Whether it is this process that cannot go on, and not the work that has come to an end.
    is_of_process: bool,
}

impl Table {
    pub(crate) fn new(
        job: &TableJob,
        parts: &Parts,
        handle: &TableHandle,
        (ledger, outage): (usize, Arc<Outage>),
    ) -> Self {
        Self {
            job: job.clone(),
            status: Arc::clone(&parts.status),
            outage,
            handle: handle.clone(),
            ledger,
            work: None,
            end: OnceLock::new(),
            awaited: Mutex::default(),
            went_back: AtomicU32::new(0),
            has_small_budget: AtomicBool::new(false),
            is_joined: false,
        }
    }

    /// Marks it as a table of a run that another process has begun.
    pub(crate) fn joined(mut self) -> Self {
        self.is_joined = true;
        self
    }

    /// Whether it may go back to its chunks once more: a ledger that contradicts itself must not
    /// send it back for ever.
    pub(crate) fn may_go_back(&self) -> bool {
        self.went_back.fetch_add(1, Ordering::Relaxed) < MOST_CRASHES
    }

    pub(crate) fn id(&self) -> TableId {
        self.handle.id
    }

    pub(crate) fn run(&self) -> RunId {
        self.handle.run
    }

    /// Position of its ledger among those of the migration.
    pub(crate) fn ledger(&self) -> usize {
        self.ledger
    }

    /// Whether an earlier process has completed it.
    pub(crate) fn was_completed_before(&self) -> bool {
        self.handle.state == TableState::Completed
    }

    /// Whether an entry that its run has set aside left rows in the target.
    pub(crate) fn has_leftovers(&self) -> bool {
        self.handle.has_leftovers
    }

    /// The run that it goes on with, if an earlier process has begun it.
    pub(crate) fn resumes(&self) -> Option<RunId> {
        (self.handle.state != TableState::New).then_some(self.handle.run)
    }

    /// Whether there is something to do.
    pub(crate) fn has_work(&self) -> bool {
        self.work.is_some()
    }

    /// Its plan, if there is something to do.
    pub(crate) fn plan(&self) -> Option<&TablePlan> {
        self.work.as_ref().map(|(plan, _)| plan)
    }

    /// Plan and both ends.
    ///
    /// # Errors
    ///
    /// `Internal` for a table that was never planned; the schedule gives such a table no turn.
    pub(crate) fn work(&self) -> Result<&(TablePlan, Ends)> {
        self.work.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "A table without a plan got a turn")
                .with("table", &self.job.to)
        })
    }

    /// Takes the plan that is stored for it.
    pub(crate) fn take_plan(&mut self, plan: TablePlan, ends: Ends) {
        if plan.snapshot.as_ref() == ends.source.snapshot() {
            self.work = Some((plan, ends));
            return;
        }
        let error = Error::new(
            code::SNAPSHOT_EXPIRED,
            format!("{} cannot be read as of the planned moment any more", self.job.from),
        )
        .with_hint("start anew with --no-resume");
        self.fail(&error);
    }

    fn note(&self, cx: &RunContext, note: &str) {
        cx.emit(&Event::Noted { table: self.job.to.clone(), note: note.to_owned() });
    }

    /// Tells the listener why it starts or goes on.
    pub(crate) fn announce_notes(&self, cx: &RunContext) {
        for note in &self.handle.notes {
            self.note(cx, note);
        }
    }

    /// Tells the listener what is planned.
    pub(crate) fn announce_plan(&self, cx: &RunContext) {
        let Some((plan, _)) = &self.work else { return };
        cx.emit(&Event::TablePlanned {
            table: self.job.to.clone(),
            strategy: plan.strategy.clone(),
            chunk_count: plan.chunk_count,
            estimated_rows: plan.estimated_rows,
        });
        for note in &plan.notes {
            self.note(cx, note);
        }
    }

    /// Tells once per holder that somebody else is waited for.
    pub(crate) fn await_holder(&self, cx: &RunContext, holder: &Holder) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if awaited.as_ref() == Some(&holder.worker) {
            return;
        }
        *awaited = Some(holder.worker.clone());
        cx.emit(&Event::LeaseAwaited {
            table: self.job.to.clone(),
            holder: holder.worker.to_string(),
            at_most: holder.expires_in,
        });
    }

    /// Tells once that the memory budget is too small for a chunk, where it is.
    pub(crate) fn note_small_budget(&self, cx: &RunContext, note: Option<String>) {
        if let Some(note) = note
            && !self.has_small_budget.swap(true, Ordering::Relaxed)
        {
            cx.emit(&Event::Noted { table: self.job.to.clone(), note });
        }
    }

    /// How far it is, by the ledger.
    pub(crate) async fn progress(&self) -> Result<TableProgress> {
        self.progress_of(self.id()).await
    }

    /// Why the step that prepares this table together with others failed, where another table has
    /// that step.
    pub(crate) async fn failure_of_shared_step(&self) -> Result<Option<String>> {
        let leader = self.work.as_ref().and_then(|(plan, _)| plan.prepared_by);
        let Some(leader) = leader else { return Ok(None) };
        let failure = self.progress_of(leader).await?.first_failure;
        Ok(failure.map(|failure| format!("the tables were to be emptied together: {failure}")))
    }

    async fn progress_of(&self, id: TableId) -> Result<TableProgress> {
        let ids = [id];
        let all = steadily!(self.outage, self.status.progress(&ids))?;
        Ok(all.into_iter().next().unwrap_or_else(|| TableProgress::empty(id)))
    }

    /// It cannot go on in this process. Rows that are committed stay so.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.work = None;
        self.end_by(error, TableProgress::empty(self.id()));
    }

    /// How it stands before the workers begin.
    pub(crate) async fn standing(&self, cx: &RunContext) -> Standing {
        match (self.has_work(), self.is_left_to_others(cx).await) {
            (true, _) => Standing::Open,
            (false, true) => Standing::LeftToOthers,
            (false, false) => Standing::Ended,
        }
    }

    /// Whether it may go on elsewhere, although this process cannot open it. What nobody has planned has
    /// come to its end here, unless somebody else is to plan it.
    async fn is_left_to_others(&self, cx: &RunContext) -> bool {
        let is_of_process = self.end.get().is_some_and(|end| end.is_of_process);
        if !is_of_process || self.has_work() || cx.cancel.is_cancelled() {
            return false;
        }
        match self.progress().await {
            Ok(progress) if progress.outcome.is_some() => false,
            Ok(_) if self.is_joined => true,
            Ok(_) => {
                let plan = steadily!(self.outage, self.status.load_plan(self.id()));
                !matches!(plan, Ok(None))
            }
            Err(_no_answer) => true,
        }
    }

    /// Ends it by an error; answers whether it had not ended before.
    pub(crate) fn end_by(&self, error: &Error, progress: TableProgress) -> bool {
        let outcome = match error.kind() {
            ErrorKind::Cancelled | ErrorKind::DeadlineExceeded => Outcome::Paused,
            ErrorKind::LeaseLost => Outcome::Superseded,
            _ if progress.completed_chunk_count > 0 => Outcome::Partial,
            _ => Outcome::Failed,
        };
        let reason = Some(error.report().to_string());
        self.end.set(TableEnd { outcome, reason, progress, is_of_process: true }).is_ok()
    }

    /// Ends it; only the first end counts.
    pub(crate) fn end(&self, outcome: Outcome, reason: Option<String>, progress: TableProgress) {
        self.end.get_or_init(|| TableEnd { outcome, reason, progress, is_of_process: false });
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    /// Tells the listener how it ended.
    pub(crate) fn announce_end(&self, cx: &RunContext) {
        let Some(end) = self.end.get() else { return };
        cx.emit(&Event::TableFinished {
            table: self.job.to.clone(),
            outcome: end.outcome,
            rows: end.progress.counts.rows_settled(),
            reason: end.reason.clone(),
        });
    }

    /// Writes an end that the ledger does not know yet, and makes the report.
    pub(crate) async fn report(&self) -> TableReport {
        let end = match self.end.get() {
            Some(end) => end.clone(),
            None => self.end_as_of_now().await,
        };
        // Completion was recorded when it was proved, and a superseded table is not ours any more. What
        // keeps a helper from helping is no end of the table.
        let is_done = matches!(
            end.outcome,
            Outcome::Completed | Outcome::CompletedWithRejects | Outcome::Superseded
        );
        let is_others = self.is_joined && end.is_of_process && end.outcome != Outcome::Paused;
        if !is_done && !is_others {
            let reason = end.reason.as_deref();
            let recorded =
                steadily!(self.outage, self.status.finish_table(self.id(), end.outcome, reason));
            if let Err(error) = recorded {
                tracing::warn!(error = %error.report(), "the end of a table was not recorded");
            }
        }
        TableReport {
            source: self.job.from.clone(),
            target: self.job.to.clone(),
            outcome: end.outcome,
            counts: end.progress.counts,
            chunk_count: end.progress.chunk_count,
            completed_chunk_count: end.progress.completed_chunk_count,
            guarantee: self.work.as_ref().and_then(|(plan, _)| plan.guarantee),
            reason: end.reason,
        }
    }

    async fn end_as_of_now(&self) -> TableEnd {
        let was_completed = self.was_completed_before();
        match self.progress().await {
            Ok(progress) => {
                let completed = progress.outcome.unwrap_or(Outcome::Completed);
                let outcome = match (progress.failed_chunk_count, progress.completed_chunk_count) {
                    _ if was_completed => completed,
                    (0, _) => Outcome::Paused,
                    (_, 0) => Outcome::Failed,
                    _ => Outcome::Partial,
                };
                let reason = progress.first_failure.clone();
                let reason =
                    reason.filter(|_| matches!(outcome, Outcome::Failed | Outcome::Partial));
                TableEnd { outcome, reason, progress, is_of_process: false }
            }
            Err(error) => TableEnd {
                outcome: if was_completed { Outcome::Completed } else { Outcome::Paused },
                reason: Some(error.report().to_string()),
                progress: TableProgress::empty(self.id()),
                is_of_process: true,
            },
        }
    }
}
