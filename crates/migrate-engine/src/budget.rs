//! One bound on the bytes in flight over all workers.

use std::num::NonZeroU64;
use std::sync::Arc;

use migrate_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is shared out at a time.
const UNIT_BYTES: u64 = 64 << 10;

/// Batches of one chunk that exist at once: being read, waiting, being written.
const BATCHES_IN_FLIGHT: u64 = 3;

/// Bytes that workers may hold together. A chunk waits until its share is free; a share larger than
/// the whole budget becomes the whole budget, so that one chunk can always go on.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    units: Arc<Semaphore>,
    all: u32,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: NonZeroU64) -> Self {
        let all = u32::try_from(bytes.get().div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let permits = usize::try_from(all).unwrap_or(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(permits)), all }
    }

    /// Waits for the share of one chunk; it is given back when the permit is dropped.
    pub(crate) async fn reserve(
        &self,
        scan_bytes: u64,
        batch_bytes: NonZeroU64,
    ) -> Result<OwnedSemaphorePermit> {
        let bytes = scan_bytes.saturating_add(BATCHES_IN_FLIGHT * batch_bytes.get());
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.all);
        Arc::clone(&self.units).acquire_many_owned(units).await.map_err(|cause| {
            Error::new(ErrorKind::Internal, "The memory budget was closed").with_source(cause)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_are_bounded_by_the_whole_and_come_back() {
        let mib = |n: u64| NonZeroU64::new(n << 20).expect("not zero");
        let budget = MemoryBudget::new(mib(32));
        let all = budget.reserve(1 << 40, mib(1)).await.expect("clipped to the whole");
        assert_eq!(budget.units.available_permits(), 0);
        drop(all);
        let one = budget.reserve(0, mib(1)).await.expect("a share");
        assert_eq!(budget.units.available_permits() as u64 * UNIT_BYTES, 29 << 20);
        drop(one);
    }
}
