//! One worker: claim, do, settle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use migrate_core::{
    Chunk, ChunkId, Claim, CommitGuarantee, CommitRecord, Error, ErrorKind, Event, Failure, Holder,
    Lease, LoadPlan, Outcome, Result, Retry, RunContext, ScanRequest, Settled, TablePlan,
    TableProgress, WorkItem, WorkKind, WorkerId, WriteSummary,
};

use crate::drain::Drain;
use crate::retry::{rest_after, steadily};
use crate::schedule::Turn;
use crate::table::Table;
use crate::table_plan::Ends;
use crate::verify::counted;

/// How long a claim that is on its way may take when the run is to stop.
const CLAIM_GRACE: Duration = Duration::from_secs(2);

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
        let claiming = async {
            steadily!(
                table.outage,
                table.status.claim(owner, turn.stage, &self.name, self.drain.lease)
            )
        };
        let mut claiming = std::pin::pin!(claiming);
        let claim = tokio::select! {
            claim = &mut claiming => claim?,
            // Dropped on its way, it could leave a lease that nobody knows of.
            () = cx.cancel.cancelled() => match tokio::time::timeout(CLAIM_GRACE, claiming).await {
                Ok(claim) => claim?,
                Err(_elapsed) => return cx.ensure_active(),
            },
        };
        match claim {
            Claim::Leased(lease) if comes_after_chunks(turn.stage) => {
                // Looked at under the lease: a crash of the server that took commits of chunks along
                // takes every later commit along too, so this lease is younger than the crash.
                let progress = table.progress().await?;
                let settled = progress.completed_chunk_count + progress.failed_chunk_count;
                if settled < progress.chunk_count && table.may_go_back() {
                    steadily!(table.outage, table.status.release(&lease))?;
                    go_back(turn, table);
                    return Ok(());
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
        let outcome = self.under_lease(table, plan, ends, lease, cx).await;
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
        plan: &TablePlan,
        ends: &Ends,
        lease: &Lease,
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
                let copied = self.copy(plan, ends, chunk, record, &cx_of_work).await;
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
                let restored = restore(plan, ends, *number, &cx_of_work).await;
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
        plan: &TablePlan,
        ends: &Ends,
        chunk: &Chunk,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let request = ScanRequest::new(plan.load.read_columns(), chunk.extent.clone())
            .with_filter(plan.filter.clone())
            .with_order(plan.order.clone())
            .with_expected_rows(chunk.expected_rows);
        let scan_bytes = ends.source.scan_memory_bytes();
        let share = self.drain.budget.reserve(scan_bytes, request.batch_bytes);
        let _share = cx.unless_cancelled(share).await?;
        let batches = counted(ends.source.scan(request, cx).await?, chunk);
        ends.sink.write_chunk(&plan.load, chunk, batches, record, cx).await
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

    /// Nothing of this stage is left, anywhere.
    async fn drained(
        &self,
        turn: &Turn<'_>,
        table: &Table,
        (completed, failed): (u64, u64),
        cx: &RunContext,
    ) -> Result<()> {
        let (plan, _) = table.work()?;
        if completed + failed != plan.item_count(turn.stage) {
            return Err(Error::new(ErrorKind::Internal, "The ledger lacks a step of the table")
                .with("step", turn.stage)
                .with_hint("start anew with --no-resume"));
        }
        let next = match (turn.stage, failed) {
            (WorkKind::Finish, 0) => return self.complete(turn, table, cx).await,
            (WorkKind::Prepare | WorkKind::SetAside | WorkKind::Finish, 1..) => {
                return self.end_with_failures(turn, table, cx).await;
            }
            // What was taken away comes back whatever has failed, but nothing unfinished is shown.
            (WorkKind::Chunk, 1..) => after(WorkKind::Publish, plan),
            (stage, _) => after(stage, plan),
        };
        if next == WorkKind::Finish && table.progress().await?.first_failure.is_some() {
            return self.end_with_failures(turn, table, cx).await;
        }
        turn.advance(next);
        Ok(())
    }

    /// Every chunk is committed and the table is in good shape.
    async fn complete(&self, turn: &Turn<'_>, table: &Table, cx: &RunContext) -> Result<()> {
        let (plan, _) = table.work()?;
        let progress = table.progress().await?;
        if progress.completed_chunk_count != plan.chunk_count {
            if progress.failed_chunk_count == 0 && table.may_go_back() {
                go_back(turn, table);
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "{} of {} chunks are committed, yet none is left",
                    progress.completed_chunk_count, plan.chunk_count
                ),
            )
            .with("table", &table.job.to)
            .with_hint("start anew with --no-resume"));
        }
        let outcome = match progress.counts.rows_rejected {
            0 => Outcome::Completed,
            _ => Outcome::CompletedWithRejects,
        };
        steadily!(table.outage, table.status.finish_table(table.id(), outcome, None))?;
        table.end(outcome, None, progress);
        if turn.end() {
            table.announce_end(cx);
        }
        Ok(())
    }

    async fn end_with_failures(
        &self,
        turn: &Turn<'_>,
        table: &Table,
        cx: &RunContext,
    ) -> Result<()> {
        let progress = table.progress().await?;
        let outcome = match (progress.outcome, progress.completed_chunk_count) {
            (Some(Outcome::Superseded), _) => Outcome::Superseded,
            (_, 0) => Outcome::Failed,
            _ => Outcome::Partial,
        };
        let reason = match (outcome, &progress.first_failure) {
            (Outcome::Superseded, _) => Some("a newer run has taken over the table".to_owned()),
            (_, Some(reason)) => Some(reason.clone()),
            (_, None) => table.failure_of_shared_step().await?,
        };
        table.end(outcome, reason, progress);
        if turn.end() {
            table.announce_end(cx);
        }
        Ok(())
    }

    /// The ledger does not answer or contradicts itself: this process can do no more for the table.
    async fn give_up(&self, turn: &Turn<'_>, table: &Table, error: &Error, cx: &RunContext) {
        if error.kind().retry() == Retry::GiveBack && cx.cancel.is_cancelled() {
            return;
        }
        let unknown = |_no_answer| TableProgress::empty(table.id());
        let progress = table.progress().await.unwrap_or_else(unknown);
        table.end_by(error, progress);
        if turn.end() {
            table.announce_end(cx);
        }
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

/// Whether a step is taken only when no chunk is left.
fn comes_after_chunks(stage: WorkKind) -> bool {
    !matches!(stage, WorkKind::Prepare | WorkKind::SetAside | WorkKind::Chunk)
}

/// Chunks that this process has seen committed are open again: the server has lost the last commits
/// in a crash. The ledger lost them together with the rows, so they are copied again.
fn go_back(turn: &Turn<'_>, table: &Table) {
    tracing::warn!(
        table = %table.job.to,
        "chunks are open again: a crash of the server has undone their commits"
    );
    turn.advance(WorkKind::Chunk);
}

/// The next stage in which there is something to do.
fn after(stage: WorkKind, plan: &TablePlan) -> WorkKind {
    const STAGES: [WorkKind; 7] = [
        WorkKind::Prepare,
        WorkKind::SetAside,
        WorkKind::Chunk,
        WorkKind::Publish,
        WorkKind::Rebuild,
        WorkKind::Relink,
        WorkKind::Finish,
    ];
    let later = STAGES.into_iter().skip_while(|one| *one != stage).skip(1);
    let mut with_work = later.filter(|one| plan.item_count(*one) > 0);
    with_work.next().unwrap_or(WorkKind::Finish)
}

/// Brings back one thing of the plan.
async fn restore(plan: &TablePlan, ends: &Ends, number: u32, cx: &RunContext) -> Result<()> {
    let object = usize::try_from(number).ok().and_then(|at| plan.load.restore.get(at));
    let object = object.ok_or_else(|| {
        Error::new(ErrorKind::Internal, "The plan lacks what a step brings back")
            .with("step", number)
            .with_hint("report this with the log of the run")
    })?;
    ends.sink.restore(object, cx).await
}

impl From<Settled> for Done {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::AlreadyCompleted => Self::Committed,
            Settled::Applied | Settled::LeaseLost => Self::NotYet,
        }
    }
}
