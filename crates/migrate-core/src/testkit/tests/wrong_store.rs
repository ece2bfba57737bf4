//! Stores that break one promise each.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::commit::{CommitDomain, CommitRecord};
use crate::error::{ErrorKind, Result};
use crate::name::TableRef;
use crate::set_aside::LeftAside;
use crate::sink::WriteSummary;
use crate::source::Snapshot;
use crate::status::{
    Adoptions, Claim, Failure, Lease, LeaseToken, NewPlan, Outcome, PlanStore, RunHandle, RunId,
    RunRequest, RunStore, Settled, StatusStore, TableId, TablePlan, TableProgress, WorkKind,
    WorkQueue, WorkerId,
};
use crate::testkit::{MemoryLedger, StoreFixture, Testkit};
use crate::watermark::LastWindow;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    /// Hands out a chunk and leaves it in the queue.
    HandsOutTwice,
    /// Takes completions of lost leases.
    NoFence,
    /// Renews what is lost.
    RenewsAll,
    /// Forgets how long a chunk rests.
    NoRest,
    /// Counts what is given back as a try.
    CountsReleases,
    /// Completes whatever it is told to.
    EndsAnything,
    /// Keeps the moment that came last.
    LastPinWins,
    /// Answers with the plan that it was given.
    EchoesPlans,
    /// Stores plans one by one.
    PlansOneByOne,
    /// Takes over targets under work.
    NoConflict,
    /// Loses what was taken away.
    NoRepairs,
    /// Loses windows.
    NoWindows,
}

#[derive(Debug)]
struct WrongLedger(MemoryLedger, Wrong);

#[async_trait]
impl StoreFixture for WrongLedger {
    fn store(&self) -> Arc<dyn StatusStore> {
        Arc::new(WrongStore { inner: self.0.store(), wrong: self.1 })
    }

    async fn pass(&self, time: Duration) -> Result<()> {
        self.0.pass(time).await
    }
}

#[derive(Debug)]
struct WrongStore {
    inner: Arc<dyn StatusStore>,
    wrong: Wrong,
}

#[async_trait]
impl RunStore for WrongStore {
    fn commit_domain(&self) -> Option<&CommitDomain> {
        self.inner.commit_domain()
    }

    async fn install(&self) -> Result<()> {
        self.inner.install().await
    }

    async fn begin_run(&self, request: &RunRequest) -> Result<RunHandle> {
        match self.inner.begin_run(request).await {
            Err(error)
                if self.wrong == Wrong::NoConflict && error.kind() == ErrorKind::Conflict =>
            {
                let mut other = request.clone();
                for table in &mut other.tables {
                    table.target.name.push_str(" elsewhere");
                }
                self.inner.begin_run(&other).await
            }
            answer => answer,
        }
    }

    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>> {
        self.inner.preview_run(request).await
    }

    async fn pin_snapshot(&self, run: RunId, source: &str, moment: &Snapshot) -> Result<Snapshot> {
        let pinned = self.inner.pin_snapshot(run, source, moment).await?;
        Ok(if self.wrong == Wrong::LastPinWins { moment.clone() } else { pinned })
    }

    async fn progress(&self, tables: &[TableId]) -> Result<Vec<TableProgress>> {
        self.inner.progress(tables).await
    }

    async fn finish_table(&self, id: TableId, end: Outcome, why: Option<&str>) -> Result<()> {
        match self.inner.finish_table(id, end, why).await {
            Err(_) if self.wrong == Wrong::EndsAnything => Ok(()),
            answer => answer,
        }
    }

    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>> {
        self.inner.finish_run(run).await
    }
}

#[async_trait]
impl PlanStore for WrongStore {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        self.inner.load_plan(table).await
    }

    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>> {
        match self.wrong {
            Wrong::NoWindows => Ok(None),
            _ => self.inner.last_window(target, scope).await,
        }
    }

    async fn left_aside(
        &self,
        target: Option<&TableRef>,
        entry: Option<TableId>,
    ) -> Result<Vec<LeftAside>> {
        match self.wrong {
            Wrong::NoRepairs => Ok(Vec::new()),
            _ => self.inner.left_aside(target, entry).await,
        }
    }

    async fn brought_back(&self, left: &LeftAside) -> Result<()> {
        self.inner.brought_back(left).await
    }

    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>> {
        if self.wrong == Wrong::PlansOneByOne {
            let mut stored = Vec::new();
            for plan in plans {
                stored.extend(self.inner.save_plans(&[*plan]).await?);
            }
            return Ok(stored);
        }
        let stored = self.inner.save_plans(plans).await?;
        match self.wrong {
            Wrong::EchoesPlans => Ok(plans.iter().map(|new| new.plan.clone()).collect()),
            _ => Ok(stored),
        }
    }
}

#[async_trait]
impl WorkQueue for WrongStore {
    async fn claim(
        &self,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Claim> {
        let claim = self.inner.claim(table, kind, worker, ttl).await?;
        if let (Wrong::HandsOutTwice, Claim::Leased(lease)) = (self.wrong, &claim) {
            self.inner.release(lease).await?;
        }
        Ok(claim)
    }

    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>> {
        let owned = self.inner.renew(leases, ttl).await?;
        Ok(if self.wrong == Wrong::RenewsAll { leases.to_vec() } else { owned })
    }

    fn commit_record(&self, lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
        self.inner.commit_record(lease)
    }

    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled> {
        match self.inner.complete(lease, summary).await? {
            Settled::LeaseLost if self.wrong == Wrong::NoFence => Ok(Settled::Applied),
            settled => Ok(settled),
        }
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled> {
        let mut failure = failure.clone();
        if self.wrong == Wrong::NoRest {
            failure.retry_in = failure.retry_in.map(|_| Duration::ZERO);
        }
        self.inner.fail(lease, &failure).await
    }

    async fn release(&self, lease: &Lease) -> Result<Settled> {
        if self.wrong == Wrong::CountsReleases {
            let retry_in = Some(Duration::ZERO);
            let failure = Failure { code: "internal", reason: "given back".into(), retry_in };
            return self.inner.fail(lease, &failure).await;
        }
        self.inner.release(lease).await
    }
}

#[tokio::test]
async fn the_suite_finds_each_broken_promise_of_a_store() {
    for (wrong, rule) in [
        (Wrong::HandsOutTwice, "a_chunk_is_never_handed_out_twice"),
        (Wrong::NoFence, "a_late_token_changes_nothing"),
        (Wrong::NoFence, "a_superseded_token_changes_nothing"),
        (Wrong::RenewsAll, "a_lost_lease_is_not_renewed"),
        (Wrong::NoRest, "a_failed_chunk_rests_in_the_store"),
        (Wrong::CountsReleases, "work_that_is_given_back_has_not_been_tried"),
        (Wrong::EndsAnything, "only_complete_work_is_completed"),
        (Wrong::EndsAnything, "a_superseded_table_cannot_end"),
        (Wrong::LastPinWins, "the_first_pinned_moment_holds"),
        (Wrong::EchoesPlans, "the_first_writer_of_a_plan_wins"),
        (Wrong::PlansOneByOne, "plans_are_stored_together_or_not_at_all"),
        (Wrong::NoConflict, "a_target_under_work_is_not_taken_over"),
        (Wrong::NoRepairs, "what_a_dead_run_took_away_is_found_once"),
        (Wrong::NoWindows, "a_window_counts_once_its_table_is_completed"),
    ] {
        let fresh = move || async move { Ok(WrongLedger(MemoryLedger::default(), wrong)) };
        let report = Testkit::new().store(fresh).await;
        assert!(report.broken().contains(&rule), "{wrong:?}: {report}");
        assert!(report.broken().len() < report.rules().len(), "not all promises: {report}");
    }
}
