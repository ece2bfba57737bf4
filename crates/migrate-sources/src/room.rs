//! Memory that a scan takes from its chunk's part before it fills it.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use migrate_core::{Error, ErrorKind, MemoryShare, Reservation, Result};
use tokio::time::timeout;

use crate::task_stream::BatchSender;

/// Others hold the memory meanwhile. A chunk that waits keeps its transaction open, and whoever holds
/// the memory could be waiting for a lock of it in the database: so it ends, and is tried again.
const PATIENCE: Duration = Duration::from_mins(5);

/// Memory that is counted while it is there. Where nobody counts it is nothing.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<Reservation>);

impl Room {
    /// Waits for room for rows on their way; `None` when nobody waits for the rows any more.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` when there was none for minutes.
    pub(crate) async fn passing(
        share: Option<&MemoryShare>,
        bytes: u64,
        rows: &BatchSender,
    ) -> Result<Option<Self>> {
        let Some(share) = share else { return Ok(Some(Self::default())) };
        let (reserving, closing) = (pin!(share.reserve(bytes)), pin!(rows.closed()));
        match timeout(PATIENCE, select(reserving, closing)).await {
            Ok(Either::Left((reservation, _))) => Ok(Some(Self(Some(reservation)))),
            Ok(Either::Right(_)) => Ok(None),
            Err(_elapsed) => {
                let minutes = PATIENCE.as_secs() / 60;
                let text = format!("Other chunks held all memory for {minutes} minutes");
                Err(Error::new(ErrorKind::ResourceExhausted, text)
                    .with("bytes wanted", bytes)
                    .with_hint("raise `memory_budget`, or lower `parallel_threads`"))
            }
        }
    }

    /// Room for what is read before anybody wants it; `None` where others need it more.
    pub(crate) fn ahead(share: Option<&MemoryShare>, bytes: u64) -> Option<Self> {
        match share {
            None => Some(Self::default()),
            Some(share) => share.try_reserve(bytes).map(|reservation| Self(Some(reservation))),
        }
    }

    /// Room for what stays until the end of the scan.
    pub(crate) fn lasting(share: Option<&MemoryShare>, bytes: u64) -> Self {
        Self(share.map(|share| share.hold(bytes)))
    }

    /// Says how much it is, once that is known.
    pub(crate) fn correct(&self, bytes: u64) {
        if let Some(reservation) = &self.0 {
            reservation.correct(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use migrate_core::MemoryBudget;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_that_nobody_gives_back_is_not_waited_for_for_ever_nor_taken() {
        let budget = MemoryBudget::new(NonZeroU64::new(10).expect("not zero"));
        let (large, small) = (budget.admit(5).await, budget.admit(5).await);
        let held = large.reserve(20).await;
        let (rows, _consumer) = mpsc::channel(1);
        let refused = Room::passing(Some(&small), 6, &rows).await.expect_err("in vain");
        assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
        assert_eq!(budget.taken_bytes(), 25, "what is held, and what is kept for the other");
        drop(held);
        assert!(Room::passing(Some(&small), 6, &rows).await.expect("free").is_some());
    }
}
