//! How long a failed chunk rests before it is tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use migrate_core::{Error, Retry};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// The rest after the given failed try, from 1: about 1, 2, 4 … up to 60 seconds, up to twice as
/// long by chance, so that workers which failed together do not come back together.
pub(crate) fn rest_after(attempt: u32) -> Duration {
    let tries = usize::try_from(attempt).unwrap_or(usize::MAX);
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .with_max_times(tries)
        .build()
        .last()
        .unwrap_or(FIRST)
}

/// Repeats a call of the ledger while its failure may pass: half a minute in all, about as long as
/// a lease holds.
///
/// A macro, because a closure that lends its captures to a boxed future cannot be shown to be
/// `Send` in a spawned task.
macro_rules! steadily {
    ($call:expr) => {{
        let mut patience = $crate::retry::Patience::new();
        loop {
            match $call.await {
                Err(error) if patience.allows(&error).await => {}
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use steadily;

/// The rests that are left for one call of the ledger.
pub(crate) struct Patience(ExponentialBackoff);

impl Patience {
    pub(crate) fn new() -> Self {
        let rests = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(8))
            .with_max_times(7)
            .with_jitter();
        Self(rests.build())
    }

    /// Rests and answers true, if the failure may pass and there is a rest left.
    pub(crate) async fn allows(&mut self, error: &Error) -> bool {
        if error.kind().retry() != Retry::AfterDelay {
            return false;
        }
        let Some(rest) = self.0.next() else { return false };
        tracing::warn!(error = %error.report(), "the ledger does not answer; trying again");
        tokio::time::sleep(rest).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use migrate_core::ErrorKind;

    use super::*;

    #[test]
    fn rests_grow_and_stay_within_two_minutes() {
        for (attempt, least) in [(1, 1), (2, 2), (3, 4), (7, 60), (100, 60)] {
            let rest = rest_after(attempt);
            assert!(rest >= Duration::from_secs(least), "{attempt}: {rest:?}");
            assert!(rest <= 2 * LONGEST, "{attempt}: {rest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_comes_back_in_time_is_waited_for() {
        let mut failures = 3;
        let outcome: Result<u8, Error> = steadily!(async {
            failures -= 1;
            if failures > 0 { Err(Error::new(ErrorKind::Connection, "Down")) } else { Ok(7) }
        });
        assert_eq!(outcome.expect("comes back"), 7);
        let for_good: Result<(), Error> =
            steadily!(async { Err(Error::new(ErrorKind::Connection, "Down")) });
        assert!(for_good.is_err());
        let mut calls = 0;
        let refused: Result<(), Error> = steadily!(async {
            calls += 1;
            Err(Error::new(ErrorKind::Auth, "Refused"))
        });
        assert!(refused.is_err());
        assert_eq!(calls, 1, "what cannot pass is not repeated");
    }
}
