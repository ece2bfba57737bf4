//! One worker: claim, do, settle.

use std::sync::{Arc, OnceLock};

use migrate_core::{
    Chunk, ChunkId, Claim, CommitGuarantee, CommitRecord, Error, ErrorKind, Event, Failure, Fence,
    Holder, Lease, LoadPlan, Result, Retry, RunContext, Settled, SinkCapabilities, TablePlan,
    WorkItem, WorkKind, WorkerId, WriteSummary,
};
use tokio::time::Instant;

use crate::chunk_memory::{least_bytes, scan_of, too_small};
use crate::deadline::{had_its_time, is_over, paced};
use crate::drain::Drain;
use crate::retry::{rest_after, steadily};
use crate::schedule::Turn;
use crate::steps::{after, comes_after_chunks, go_back, lacks_chunks};
use crate::table::Table;
use crate::table_plan::Ends;
use crate::verify::{Witnessed, counted};

/// Takes turns until there are none.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) drain: Arc<Drain>,
    pub(crate) name: WorkerId,
}

/// What a settled piece of work means for its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It is committed, by this or an earlier attempt.
    Committed,
    /// It goes back to the queue, or has failed for good: the queue knows.
    NotYet,
}

impl Worker {
    pub(crate) async fn work(&self, cx: &RunContext) {
        while let Some(turn) = self.drain.schedule.next(cx).await {
            let Some(table) = self.drain.tables.get(turn.table) else { return };
            if let Err(error) = self.take(&turn, table, cx).await {
                self.give_up(&turn, table, &error, cx).await;
            }
        }
    }

    /// One turn at a table. An error here is about the table, not about one chunk.
    async fn take(&self, turn: &Turn<'_>, table: &Table, cx: &RunContext) -> Result<()> {
        let (plan, _) = table.work()?;
        let owner = match turn.stage {
            WorkKind::Prepare => plan.prepared_by.unwrap_or(table.id()),
            _ => table.id(),
        };
        let claim = steadily!(
            table.outage,
            table.status.claim(owner, turn.stage, &self.name, self.drain.lease)
        )?;
        match claim {
            Claim::Leased(lease) if comes_after_chunks(turn.stage) => {
                // Looked at under the lease: a crash of the server that took commits of chunks along
                // takes every later commit along too, so this lease is younger than the crash.
                let progress = table.progress().await?;
                let settled = progress.completed_chunk_count + progress.failed_chunk_count;
                let is_open = settled < progress.chunk_count;
                if is_open && table.may_go_back() {
                    steadily!(table.outage, table.status.release(&lease))?;
                    go_back(turn, table, plan);
                    return Ok(());
                }
                // Readers never see a table that lacks a chunk.
                let is_whole = progress.completed_chunk_count == plan.chunk_count;
                if turn.stage == WorkKind::Publish && !is_whole {
                    steadily!(table.outage, table.status.release(&lease))?;
                    if is_open {
                        return Err(lacks_chunks(table, plan, &progress));
                    }
                    return self.go_on(turn, table, after(turn.stage, plan), cx).await;
                }
                self.carry_out(turn, table, &lease, cx).await
            }
            Claim::Leased(lease) => self.carry_out(turn, table, &lease, cx).await,
            Claim::NotYet { retry_in, holder } => {
                let is_sibling = |holder: &Holder| self.drain.is_sibling(&holder.worker);
                if let Some(holder) = holder.filter(|holder| !is_sibling(holder)) {
                    table.await_holder(cx, &holder);
                }
                turn.rest(retry_in);
                Ok(())
            }
            Claim::Drained { completed, failed } => {
                self.drained(turn, table, (completed, failed), cx).await
            }
        }
    }

    async fn carry_out(
        &self,
        turn: &Turn<'_>,
        table: &Table,
        lease: &Lease,
        cx: &RunContext,
    ) -> Result<()> {
        let (plan, ends) = table.work()?;
        let started = Instant::now();
        let chunk = match lease.item() {
            WorkItem::Chunk(chunk) => Some(chunk.id),
            _ => None,
        };
        let attempt = lease.attempt();
        if let Some(chunk) = chunk {
            let table = table.job.to.clone();
            cx.emit(&Event::ChunkStarted { table, chunk, attempt });
        }
        let admitted = OnceLock::new();
        let outcome = self.under_lease(table, (plan, ends), lease, &admitted, cx).await;
        let done = match outcome {
            Ok(summary) => {
                let done = self.committed(table, lease, &summary).await?;
                if let (Some(chunk), Done::Committed) = (chunk, done) {
                    self.drain.count(&summary);
                    let table = table.job.to.clone();
                    let elapsed = started.elapsed();
                    cx.emit(&Event::ChunkCompleted { table, chunk, summary, elapsed });
                }
                done
            }
            Err(error) if is_out_of_time(&error, cx) => {
                // Nobody here begins it again.
                turn.park();
                self.out_of_time(table, lease, admitted.get(), &error, cx).await?
            }
            Err(error) => self.failed(table, lease, chunk, &error, cx).await?,
        };
        match (turn.stage, done) {
            (WorkKind::Prepare | WorkKind::SetAside | WorkKind::Publish, Done::Committed) => {
                turn.advance(after(turn.stage, plan));
            }
            (WorkKind::Finish, Done::Committed) => self.complete(turn, table, cx).await?,
            _ => turn.wake(),
        }
        Ok(())
    }

    /// Does the work while its lease is kept alive.
    async fn under_lease(
        &self,
        table: &Table,
        (plan, ends): (&TablePlan, &Ends),
        lease: &Lease,
        admitted: &OnceLock<Instant>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let cx_of_work = cx.child();
        let ledger = self.drain.ledgers.get(table.ledger());
        let _held = ledger.map(|one| one.leases.hold(lease.token(), &cx_of_work.cancel));
        let record = shared_record(table, ends, lease);
        let record = record.as_deref();
        let outcome = match lease.item() {
            WorkItem::Prepare => {
                let prepared = ends.sink.prepare(&plan.load, record, &cx_of_work).await;
                prepared.map(|()| WriteSummary::default())
            }
            WorkItem::Chunk(chunk) => {
                let work = (plan, ends);
                let copied = self.copy(table, work, chunk, record, admitted, &cx_of_work).await;
                copied.map_err(|error| error.with("table", &plan.target).with("chunk", chunk.id))
            }
            WorkItem::SetAside => {
                // Only that: rows that are there already stay.
                let mut again = LoadPlan::append(plan.load.columns.clone());
                again.set_aside.clone_from(&plan.load.restore);
                let prepared = ends.sink.prepare(&again, record, &cx_of_work).await;
                prepared.map(|()| WriteSummary::default())
            }
            WorkItem::Publish => {
                let published = ends.sink.publish(&plan.load, record, &cx_of_work).await;
                published.map(|()| WriteSummary::default())
            }
            WorkItem::Rebuild(number) | WorkItem::Relink(number) => {
                let fence = shared_fence(table, ends, lease);
                let restored = restore(plan, ends, *number, fence.as_deref(), &cx_of_work).await;
                restored.map(|()| WriteSummary::default())
            }
            WorkItem::Finish => {
                let finished = ends.sink.finish(&plan.load, &cx_of_work).await;
                finished.map(|()| WriteSummary::default())
            }
        };
        outcome.map_err(|error| {
            // The work was cancelled and nobody asked for that: its lease is another worker's.
            let is_lost = error.kind() == ErrorKind::Cancelled && !cx.cancel.is_cancelled();
            if is_lost {
                Error::new(ErrorKind::LeaseLost, "The lease was lost").with_source(error)
            } else {
                error
            }
        })
    }

    async fn copy(
        &self,
        table: &Table,
        (plan, ends): (&TablePlan, &Ends),
        chunk: &Chunk,
        record: Option<&dyn CommitRecord>,
        admitted: &OnceLock<Instant>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let request = scan_of(plan, chunk);
        let bytes = least_bytes(ends, &plan.load, chunk, &request);
        table.note_small_budget(cx, too_small(bytes, self.drain.budget.bytes()));
        let tally = &self.drain.tally;
        let share = async { Ok(tally.memory(self.drain.budget.admit(bytes)).await) };
        let share = cx.unless_cancelled(share).await?;
        // Its time begins here: a small memory budget says nothing about the chunk.
        admitted.get_or_init(Instant::now);
        let copying = async {
            let scan = ends.source.scan(request.with_memory(share), cx);
            let batches = tally.reading(scan).await?;
            let passed = Arc::default();
            let batches = tally.delivered(counted(batches, chunk, &passed));
            let batches = paced(batches, chunk, cx.deadline);
            let record = record.map(|record| Witnessed::new(record, &passed));
            let record = record.as_ref().map(|record| record as &dyn CommitRecord);
            let written = ends.sink.write_chunk(&plan.load, chunk, batches, record, cx).await;
            passed.judge(written, chunk)
        };
        tally.copying(copying).await
    }

    /// The sink has committed; records completion where that did not happen together.
    async fn committed(
        &self,
        table: &Table,
        lease: &Lease,
        summary: &WriteSummary,
    ) -> Result<Done> {
        let (_, ends) = table.work()?;
        let shares_transaction =
            matches!(lease.item(), WorkItem::Prepare | WorkItem::Chunk(_) | WorkItem::Publish);
        if shares_transaction && shared_record(table, ends, lease).is_some() {
            return Ok(Done::Committed);
        }
        match steadily!(table.outage, table.status.complete(lease, summary))? {
            Settled::Applied | Settled::AlreadyCompleted => Ok(Done::Committed),
            Settled::LeaseLost => Ok(Done::NotYet),
        }
    }

    /// Gives work back for which the time does not suffice. Chunks that have had their time, again and
    /// again, are given up: they would use up every budget and never be done.
    async fn out_of_time(
        &self,
        table: &Table,
        lease: &Lease,
        began: Option<&Instant>,
        error: &Error,
        cx: &RunContext,
    ) -> Result<Done> {
        let chunk = match lease.item() {
            WorkItem::Chunk(chunk) => chunk.id,
            _ => return steadily!(table.outage, table.status.release(lease)).map(Done::from),
        };
        let had = |deadline| began.is_some_and(|began| had_its_time(deadline, *began));
        if !cx.deadline.is_some_and(had) {
            return steadily!(table.outage, table.status.release(lease)).map(Done::from);
        }
        let reason = Error::new(error.kind(), "The chunk does not fit into the time budget")
            .with("table", &table.job.to)
            .with("chunk", chunk)
            .with_hint("raise --deadline, or lower `batch_size` and start anew with --no-resume")
            .report()
            .to_string();
        let failure = Failure { code: error.code().name(), reason: reason.clone(), retry_in: None };
        let most = table.job.max_attempts.get().saturating_add(1);
        let done =
            steadily!(table.outage, table.status.overrun(lease, most, &failure)).map(Done::from)?;
        if done == Done::NotYet {
            cx.emit(&Event::Noted { table: table.job.to.clone(), note: reason });
        }
        Ok(done)
    }

    /// Settles a failure by its kind. A COMMIT whose answer was lost turns out to be a success.
    async fn failed(
        &self,
        table: &Table,
        lease: &Lease,
        chunk: Option<ChunkId>,
        error: &Error,
        cx: &RunContext,
    ) -> Result<Done> {
        let attempt = lease.attempt();
        let retry_in = match error.kind().retry() {
            Retry::GiveBack => {
                return steadily!(table.outage, table.status.release(lease)).map(Done::from);
            }
            Retry::AfterDelay if attempt < table.job.max_attempts.get() => {
                Some(error.retry_after().unwrap_or_else(|| rest_after(attempt)))
            }
            Retry::AfterDelay | Retry::Never => None,
        };
        let reason = error.report().to_string();
        let failure = Failure { code: error.code().name(), reason: reason.clone(), retry_in };
        let done = steadily!(table.outage, table.status.fail(lease, &failure)).map(Done::from)?;
        if done == Done::NotYet {
            let table = table.job.to.clone();
            cx.emit(&match (chunk, retry_in) {
                (Some(chunk), Some(delay)) => {
                    Event::ChunkRetried { table, chunk, attempt, delay, reason }
                }
                (Some(chunk), None) => Event::ChunkFailed { table, chunk, reason },
                (None, Some(_)) => Event::Noted { table, note: format!("tried again: {reason}") },
                (None, None) => Event::Noted { table, note: reason },
            });
        }
        Ok(done)
    }
}

/// Whether work was given up for the time budget, and for nothing else.
fn is_out_of_time(error: &Error, cx: &RunContext) -> bool {
    match error.kind() {
        ErrorKind::DeadlineExceeded => true,
        ErrorKind::Cancelled => cx.deadline.is_some_and(is_over),
        _ => false,
    }
}

/// The record that the sink commits together with its work: there is one only where the sink's
/// transactions reach the ledger.
fn shared_record(table: &Table, ends: &Ends, lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
    match ends.sink.capabilities().commit {
        CommitGuarantee::Transactional(domain) => {
            table.status.commit_record(lease).filter(|record| *record.domain() == domain)
        }
        _ => None,
    }
}

/// What holds the sink's own transactions to the lease, where they can see it.
fn shared_fence(table: &Table, ends: &Ends, lease: &Lease) -> Option<Arc<dyn Fence>> {
    shared(table.status.fence(lease), &ends.sink.capabilities())
}

/// A fence, where the sink is in its database.
pub(crate) fn shared(
    fence: Option<Arc<dyn Fence>>,
    sink: &SinkCapabilities,
) -> Option<Arc<dyn Fence>> {
    match &sink.commit {
        CommitGuarantee::Transactional(domain) => fence.filter(|fence| fence.domain() == domain),
        _ => None,
    }
}

/// Brings back one thing of the plan.
async fn restore(
    plan: &TablePlan,
    ends: &Ends,
    number: u32,
    fence: Option<&dyn Fence>,
    cx: &RunContext,
) -> Result<()> {
    let object = usize::try_from(number).ok().and_then(|at| plan.load.restore.get(at));
    let object = object.ok_or_else(|| {
        Error::new(ErrorKind::Internal, "The plan lacks what a step brings back")
            .with("step", number)
            .with_hint("report this with the log of the run")
    })?;
    ends.sink.restore(object, fence, cx).await
}

impl From<Settled> for Done {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::AlreadyCompleted => Self::Committed,
            Settled::Applied | Settled::LeaseLost => Self::NotYet,
        }
    }
}
