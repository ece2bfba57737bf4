//! From step to step, and to a table's end.

use migrate_core::{
    Error, ErrorKind, Outcome, Result, Retry, RunContext, TablePlan, TableProgress, WorkKind,
};

use crate::retry::steadily;
use crate::schedule::Turn;
use crate::table::Table;
use crate::work::Worker;

impl Worker {
    /// Nothing of this stage is left, anywhere.
    pub(crate) async fn drained(
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
        self.go_on(turn, table, next, cx).await
    }

    /// Moves the table on, unless all that would be left is to finish what has failed.
    pub(crate) async fn go_on(
        &self,
        turn: &Turn<'_>,
        table: &Table,
        next: WorkKind,
        cx: &RunContext,
    ) -> Result<()> {
        if next == WorkKind::Finish && table.progress().await?.first_failure.is_some() {
            return self.end_with_failures(turn, table, cx).await;
        }
        turn.advance(next);
        Ok(())
    }

    /// Every chunk is committed and the table is in good shape.
    pub(crate) async fn complete(
        &self,
        turn: &Turn<'_>,
        table: &Table,
        cx: &RunContext,
    ) -> Result<()> {
        let (plan, _) = table.work()?;
        let progress = table.progress().await?;
        if progress.completed_chunk_count != plan.chunk_count {
            let settled = progress.completed_chunk_count + progress.failed_chunk_count;
            if settled == plan.chunk_count {
                // Another process has opened the failed ones again, and they have failed again.
                return self.end_with_failures(turn, table, cx).await;
            }
            if table.may_go_back() {
                go_back(turn, table, plan);
                return Ok(());
            }
            return Err(lacks_chunks(table, plan, &progress));
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
    pub(crate) async fn give_up(
        &self,
        turn: &Turn<'_>,
        table: &Table,
        error: &Error,
        cx: &RunContext,
    ) {
        if error.kind().retry() == Retry::GiveBack && cx.cancel.is_cancelled() {
            return;
        }
        let unknown = |_no_answer| TableProgress::empty(table.id());
        let progress = table.progress().await.unwrap_or_else(unknown);
        // Others may go on with it: whatever waits for its rows still does.
        if progress.outcome.is_none() {
            turn.park();
        } else {
            turn.end();
        }
        if table.end_by(error, progress) {
            table.announce_end(cx);
        }
    }
}

/// Whether a step is taken only when no chunk is left.
pub(crate) fn comes_after_chunks(stage: WorkKind) -> bool {
    !matches!(stage, WorkKind::Prepare | WorkKind::SetAside | WorkKind::Chunk)
}

/// Chunks that this process has seen committed are open again: the server has lost the last commits
/// in a crash. The ledger lost them together with the rows, so they are copied again.
pub(crate) fn go_back(turn: &Turn<'_>, table: &Table, plan: &TablePlan) {
    tracing::warn!(
        table = %table.job.to,
        "chunks are open again: a crash of the server has undone their commits"
    );
    // By way of what is taken away again for them, if anything was brought back.
    turn.advance(after(WorkKind::Prepare, plan));
}

/// The ledger contradicts itself.
pub(crate) fn lacks_chunks(table: &Table, plan: &TablePlan, progress: &TableProgress) -> Error {
    let (completed, planned) = (progress.completed_chunk_count, plan.chunk_count);
    Error::new(
        ErrorKind::Internal,
        format!("{completed} of {planned} chunks are committed, yet none is left"),
    )
    .with("table", &table.job.to)
    .with_hint("start anew with --no-resume")
}

/// The next stage in which there is something to do.
pub(crate) fn after(stage: WorkKind, plan: &TablePlan) -> WorkKind {
    let later = WorkKind::IN_ORDER.into_iter().skip_while(|one| *one != stage).skip(1);
    let mut with_work = later.filter(|one| plan.item_count(*one) > 0);
    with_work.next().unwrap_or(WorkKind::Finish)
}
