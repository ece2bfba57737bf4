//! A status store whose calls may fail.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Faulty;
use crate::commit::{CommitDomain, CommitRecord, Fence};
use crate::error::Result;
use crate::name::TableRef;
use crate::reject::BadRows;
use crate::set_aside::LeftAside;
use crate::sink::WriteSummary;
use crate::source::Snapshot;
use crate::status::{
    Adoptions, Claim, Failure, Lease, LeaseToken, NewPlan, Outcome, PlanStore, RejectPage,
    RejectedTable, RunHandle, RunId, RunRequest, RunStore, Settled, StatusStore, TableId,
    TablePlan, TableProgress, TableRequest, WorkKind, WorkQueue, WorkerId,
};
use crate::watermark::LastWindow;

#[async_trait]
impl RunStore for Faulty<dyn StatusStore> {
    fn commit_domain(&self) -> Option<&CommitDomain> {
        self.inner.commit_domain()
    }

    async fn install(&self) -> Result<()> {
        self.faults.around("install", None, self.inner.install()).await
    }

    async fn begin_run(&self, request: &RunRequest) -> Result<RunHandle> {
        self.faults.around("begin_run", None, self.inner.begin_run(request)).await
    }

    async fn join_run(&self, run: RunId, tables: &[TableRequest]) -> Result<RunHandle> {
        self.faults.around("join_run", None, self.inner.join_run(run, tables)).await
    }

    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>> {
        self.faults.around("preview_run", None, self.inner.preview_run(request)).await
    }

    async fn pin_snapshot(&self, run: RunId, source: &str, moment: &Snapshot) -> Result<Snapshot> {
        let pinned = self.inner.pin_snapshot(run, source, moment);
        self.faults.around("pin_snapshot", None, pinned).await
    }

    async fn progress(&self, tables: &[TableId]) -> Result<Vec<TableProgress>> {
        self.faults.around("progress", None, self.inner.progress(tables)).await
    }

    async fn finish_table(
        &self,
        table: TableId,
        outcome: Outcome,
        reason: Option<&str>,
    ) -> Result<()> {
        let finished = self.inner.finish_table(table, outcome, reason);
        self.faults.around("finish_table", None, finished).await
    }

    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>> {
        self.faults.around("finish_run", None, self.inner.finish_run(run)).await
    }
}

#[async_trait]
impl PlanStore for Faulty<dyn StatusStore> {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        self.faults.around("load_plan", None, self.inner.load_plan(table)).await
    }

    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>> {
        self.faults.around("last_window", None, self.inner.last_window(target, scope)).await
    }

    async fn left_aside(
        &self,
        target: Option<&TableRef>,
        entry: Option<TableId>,
    ) -> Result<Vec<LeftAside>> {
        self.faults.around("left_aside", None, self.inner.left_aside(target, entry)).await
    }

    async fn give_up_chunks(&self, left: &LeftAside) -> Result<()> {
        self.faults.around("give_up_chunks", None, self.inner.give_up_chunks(left)).await
    }

    fn return_fence(&self, left: &LeftAside, entry: Option<TableId>) -> Option<Arc<dyn Fence>> {
        self.inner.return_fence(left, entry)
    }

    async fn brought_back(&self, left: &LeftAside) -> Result<()> {
        self.faults.around("brought_back", None, self.inner.brought_back(left)).await
    }

    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>> {
        self.faults.around("save_plans", None, self.inner.save_plans(plans)).await
    }

    async fn change_bad_rows(&self, table: TableId, bad_rows: BadRows) -> Result<()> {
        let changed = self.inner.change_bad_rows(table, bad_rows);
        self.faults.around("change_bad_rows", None, changed).await
    }
}

#[async_trait]
impl WorkQueue for Faulty<dyn StatusStore> {
    async fn claim(
        &self,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Claim> {
        self.faults.around("claim", None, self.inner.claim(table, kind, worker, ttl)).await
    }

    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>> {
        self.faults.around("renew", None, self.inner.renew(leases, ttl)).await
    }

    fn commit_record(&self, lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
        self.inner.commit_record(lease)
    }

    fn fence(&self, lease: &Lease) -> Option<Arc<dyn Fence>> {
        self.inner.fence(lease)
    }

    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled> {
        self.faults.around("complete", None, self.inner.complete(lease, summary)).await
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled> {
        self.faults.around("fail", None, self.inner.fail(lease, failure)).await
    }

    async fn overrun(&self, lease: &Lease, most: u32, failure: &Failure) -> Result<Settled> {
        self.faults.around("overrun", None, self.inner.overrun(lease, most, failure)).await
    }

    async fn release(&self, lease: &Lease) -> Result<Settled> {
        self.faults.around("release", None, self.inner.release(lease)).await
    }

    async fn rejected_tables(&self, run: Option<RunId>) -> Result<Vec<RejectedTable>> {
        self.faults.around("rejected_tables", None, self.inner.rejected_tables(run)).await
    }

    async fn rejected_rows(&self, table: TableId, after: i64) -> Result<RejectPage> {
        self.faults.around("rejected_rows", None, self.inner.rejected_rows(table, after)).await
    }

    fn retry_record(&self, table: TableId, page: &RejectPage) -> Option<Arc<dyn CommitRecord>> {
        self.inner.retry_record(table, page)
    }
}
