//! The queue of leased work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use uuid::Uuid;

use super::{Item, MemoryStore, Status, lock};
use crate::commit::CommitRecord;
use crate::error::Result;
use crate::sink::WriteSummary;
use crate::status::{
    Claim, Failure, Lease, LeaseToken, Outcome, Settled, TableId, WorkKind, WorkQueue, WorkerId,
};

/// Crashes of one item after which it is not handed out again: it probably kills its workers.
const MAX_CRASHES: u32 = 10;

/// How soon an idle worker asks again when nothing tells it a better time.
const POLL: Duration = Duration::from_millis(50);

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
        let now = state.now();
        let entry = state.table_mut(table)?;
        let mut waiting = None;
        let (mut completed, mut failed) = (0, 0);
        for item in entry.items.iter_mut().filter(|item| item.work.kind() == kind) {
            item.reclaim_if_expired(now);
            match &item.status {
                Status::Pending { not_before } if *not_before <= now => {
                    let token = LeaseToken(Uuid::new_v4());
                    let worker = worker.clone();
                    item.status = Status::InProgress { token, worker, until: now + ttl };
                    let lease = Lease::new(table, item.work.clone(), token, item.failures + 1);
                    return Ok(Claim::Leased(Box::new(lease)));
                }
                Status::Pending { not_before } => {
                    waiting = waiting.or(Some((not_before.saturating_duration_since(now), None)));
                }
                Status::InProgress { .. } => waiting = Some((POLL, item.live_holder(now))),
                Status::Completed(_) => completed += 1,
                Status::Failed | Status::Superseded | Status::HandedOver => failed += 1,
            }
        }
        Ok(match waiting {
            Some((retry_in, holder)) => Claim::NotYet { retry_in, holder },
            None => Claim::Drained { completed, failed },
        })
    }

    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>> {
        let mut state = lock(&self.state);
        let now = state.now();
        let (mut owned, mut runs) = (Vec::new(), Vec::new());
        for table in &mut state.tables {
            for item in &mut table.items {
                if let Status::InProgress { token, until, .. } = &mut item.status
                    && leases.contains(token)
                {
                    *until = now + ttl;
                    owned.push(*token);
                    runs.push(table.run);
                } else if let Status::Completed(Some(token)) = item.status
                    && leases.contains(&token)
                {
                    // Its work has just been completed under it.
                    owned.push(token);
                    runs.push(table.run);
                }
            }
        }
        runs.dedup();
        for run in runs {
            // Whoever holds a lease is at work: a run that another process has left paused is not.
            state.ended_runs.retain(|ended| *ended != (run, Outcome::Paused));
            state.show_life(run);
        }
        Ok(owned)
    }

    fn commit_record(&self, _lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
        None
    }

    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled> {
        Ok(self.settle(lease, |item, _| {
            item.status = Status::Completed(Some(lease.token()));
            item.counts = *summary;
            item.failure = None;
        }))
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled> {
        Ok(self.settle(lease, |item, now| {
            item.failures += 1;
            item.failure = Some(failure.reason.clone());
            item.status = match failure.retry_in {
                Some(delay) => Status::Pending { not_before: now + delay },
                None => Status::Failed,
            };
        }))
    }

    async fn overrun(&self, lease: &Lease, most: u32, failure: &Failure) -> Result<Settled> {
        Ok(self.settle(lease, |item, now| {
            item.overruns += 1;
            item.failure = Some(failure.reason.clone());
            item.status = if item.overruns >= most {
                Status::Failed
            } else {
                Status::Pending { not_before: now }
            };
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<Settled> {
        Ok(self.settle(lease, |item, now| item.status = Status::Pending { not_before: now }))
    }
}

impl Item {
    /// A lease that ran out was a crash, not an attempt.
    fn reclaim_if_expired(&mut self, now: Instant) {
        if !matches!(self.status, Status::InProgress { until, .. } if until <= now) {
            return;
        }
        self.crashes += 1;
        self.status = if self.crashes >= MAX_CRASHES {
            self.failure = Some(format!("its worker died {MAX_CRASHES} times"));
            Status::Failed
        } else {
            Status::Pending { not_before: now }
        };
    }
}
