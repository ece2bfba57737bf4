//! Keeping the leases of this process alive, and noticing the ones that are lost.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use migrate_core::{LeaseToken, RunId, StatusStore};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::migration::Ledger;

/// Leases are renewed this many times within their time to live.
const BEATS_PER_LEASE: u32 = 3;

/// The leases that this process holds in one ledger.
#[derive(Debug, Default)]
pub(crate) struct HeldLeases {
    held: Mutex<HashMap<LeaseToken, CancellationToken>>,
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    leases: &'a HeldLeases,
    token: LeaseToken,
}

impl HeldLeases {
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseToken, CancellationToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews a lease from now on. `work` is cancelled when the lease turns out to be lost.
    pub(crate) fn hold(&self, token: LeaseToken, work: &CancellationToken) -> Held<'_> {
        self.lock().insert(token, work.clone());
        Held { leases: self, token }
    }

    /// Renews until it is dropped.
    pub(crate) async fn keep_alive(&self, store: &Arc<dyn StatusStore>, ttl: Duration) {
        let rest = ttl / BEATS_PER_LEASE;
        let mut beat = tokio::time::interval(rest);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_success = Instant::now();
        loop {
            beat.tick().await;
            let tokens: Vec<LeaseToken> = self.lock().keys().copied().collect();
            if tokens.is_empty() {
                last_success = Instant::now();
                continue;
            }
            // A connection that hangs must not keep the others from being tried.
            match tokio::time::timeout(rest, store.renew(&tokens, ttl)).await {
                Ok(Ok(owned)) => {
                    last_success = Instant::now();
                    self.cancel_lost(&tokens, &owned);
                }
                // Nothing is known. The next beat comes before the leases run out; if they do, the
                // fence in the commit decides.
                Ok(Err(error)) => {
                    tracing::warn!(error = %error.report(), "leases were not renewed");
                }
                Err(_elapsed) => tracing::warn!("leases were not renewed: no answer in time"),
            }
            // By now others may own the work, and whoever waits for an answer may wait for ever.
            if last_success.elapsed() > ttl {
                self.cancel_lost(&tokens, &[]);
            }
        }
    }

    fn cancel_lost(&self, asked: &[LeaseToken], owned: &[LeaseToken]) {
        let held = self.lock();
        // A lease that was settled meanwhile is not held any more, and not lost either.
        for lost in asked.iter().filter(|token| !owned.contains(token)) {
            if let Some(work) = held.get(lost) {
                tracing::warn!("a lease was lost; its work is given up");
                work.cancel();
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.token);
    }
}

/// Keeps a run alive until it is dropped, while it plans or rests as well.
#[derive(Debug)]
pub(crate) struct Pulse {
    _beats: JoinSet<()>,
}

impl Pulse {
    /// Begins at once. `runs` are those of its tables, some of which may have been begun earlier.
    pub(crate) fn start(ledgers: &[Arc<Ledger>], runs: &HashSet<RunId>, ttl: Duration) -> Self {
        let mut beats = JoinSet::new();
        for ledger in ledgers {
            for run in runs {
                beats.spawn(beat(Arc::clone(&ledger.store), *run, ttl));
            }
        }
        Self { _beats: beats }
    }
}

async fn beat(store: Arc<dyn StatusStore>, run: RunId, ttl: Duration) {
    let rest = ttl / BEATS_PER_LEASE;
    let mut beat = tokio::time::interval(rest);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        match tokio::time::timeout(rest, store.keep_alive(run, ttl)).await {
            Ok(Ok(())) => {}
            // Leases and fences decide what is written; this only tells others to wait.
            Ok(Err(error)) => tracing::debug!(error = %error.report(), "no sign of life was left"),
            Err(_elapsed) => tracing::debug!("no sign of life was left: no answer in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_leases_that_are_still_held_can_be_lost() {
        let leases = HeldLeases::default();
        let [kept, lost, settled] = [1, 2, 3].map(|n| LeaseToken(Uuid::from_u128(n)));
        let work = [(); 3].map(|()| CancellationToken::new());
        let _one = leases.hold(kept, &work[0]);
        let _two = leases.hold(lost, &work[1]);
        drop(leases.hold(settled, &work[2]));
        leases.cancel_lost(&[kept, lost, settled], &[kept]);
        let cancelled: Vec<_> = work.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(cancelled, [false, true, false]);
    }
}
