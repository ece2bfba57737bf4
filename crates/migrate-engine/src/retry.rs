//! How long a failed chunk rests before it is tried again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use migrate_core::{Error, ErrorKind, Retry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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

/// A ledger that does not answer is waited for this many times as long as a lease holds: five
/// minutes by default, more than a restart or a failover takes.
const LEASES: u32 = 10;

/// How long a call may take when the run is to stop. Dropped at once, it could leave a lease that nobody
/// knows of; without an end, a connection that hangs would keep the process beyond its time.
const GRACE: Duration = Duration::from_secs(5);

/// Repeats a call of the ledger while its failure may pass and there is patience left.
///
/// A macro, because a closure that lends its captures to a boxed future cannot be shown to be
/// `Send` in a spawned task.
macro_rules! steadily {
    ($outage:expr, $call:expr) => {{
        let mut patience = $outage.patience();
        loop {
            match patience.answer($call).await {
                Err(error) if patience.allows(&error).await => {}
                outcome => break patience.over(outcome),
            }
        }
    }};
}
pub(crate) use steadily;

/// How long one ledger is waited for, by all that call it.
#[derive(Debug)]
pub(crate) struct Outage {
    longest: Duration,
    stop: CancellationToken,
    /// Somebody has waited for all of it in vain: the others do not wait once more.
    is_given_up: AtomicBool,
}

impl Outage {
    /// `stop` ends all waiting.
    pub(crate) fn new(lease: Duration, stop: CancellationToken) -> Self {
        Self { longest: lease * LEASES, stop, is_given_up: AtomicBool::new(false) }
    }

    /// For one call.
    pub(crate) fn patience(&self) -> Patience<'_> {
        let rests = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(8))
            .without_max_times()
            .with_jitter();
        Patience { outage: self, rests: rests.build(), began: Instant::now() }
    }
}

/// The rests that are left for one call of the ledger.
pub(crate) struct Patience<'a> {
    outage: &'a Outage,
    rests: ExponentialBackoff,
    began: Instant,
}

impl Patience<'_> {
    /// What the ledger answers, while that is waited for.
    pub(crate) async fn answer<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            answer = &mut call => answer,
            () = self.outage.stop.cancelled() => {
                let answer = tokio::time::timeout(GRACE, call).await;
                answer.unwrap_or_else(|_elapsed| Err(no_answer()))
            }
        }
    }

    /// Rests and answers true, if the failure may pass and there is patience left.
    pub(crate) async fn allows(&mut self, error: &Error) -> bool {
        let outage = self.outage;
        if error.kind().retry() != Retry::AfterDelay || outage.is_given_up.load(Ordering::Relaxed) {
            return false;
        }
        let left = outage.longest.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            outage.is_given_up.store(true, Ordering::Relaxed);
            return false;
        }
        tracing::warn!(error = %error.report(), "the ledger does not answer; trying again");
        let rest = self.rests.next().unwrap_or(left).min(left);
        outage.stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_some()
    }

    /// Takes notice of how the call ended.
    pub(crate) fn over<T>(self, outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.is_ok() {
            self.outage.is_given_up.store(false, Ordering::Relaxed);
        }
        outcome
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Cancelled, "The ledger did not answer before the run had to stop")
        .with_hint("run the same command again; what is leased is free when its lease runs out")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn outage() -> Outage {
        Outage::new(Duration::from_secs(30), CancellationToken::new())
    }

    fn down() -> Error {
        Error::new(ErrorKind::Connection, "Down")
    }

    #[test]
    fn rests_grow_and_stay_within_two_minutes() {
        for (attempt, least) in [(1, 1), (2, 2), (3, 4), (7, 60), (100, 60)] {
            let rest = rest_after(attempt);
            assert!(rest >= Duration::from_secs(least), "{attempt}: {rest:?}");
            assert!(rest <= 2 * LONGEST, "{attempt}: {rest:?}");
        }
    }

    #[test]
    fn workers_that_fail_together_come_back_apart() {
        let rests: std::collections::BTreeSet<_> = (0..20).map(|_| rest_after(3)).collect();
        assert!(rests.len() > 1, "{rests:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_comes_back_within_a_failover_is_waited_for() {
        let (outage, began) = (outage(), Instant::now());
        let failover = Duration::from_mins(4);
        let outcome: Result<u8, Error> = steadily!(outage, async {
            if began.elapsed() < failover { Err(down()) } else { Ok(7) }
        });
        assert_eq!(outcome.expect("comes back"), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_is_gone_for_good_is_waited_for_once() {
        let (outage, began, calls) = (outage(), Instant::now(), Cell::new(0));
        let call = || async {
            calls.set(calls.get() + 1);
            Err::<(), Error>(down())
        };
        assert!(steadily!(outage, call()).is_err());
        assert_eq!(began.elapsed(), Duration::from_mins(5), "ten leases");
        assert!(calls.replace(0) > 15, "asked again and again");
        for _ in 0..3 {
            assert!(steadily!(outage, call()).is_err());
        }
        assert_eq!((began.elapsed(), calls.get()), (Duration::from_mins(5), 3), "not once more");
        let answered: Result<(), Error> = steadily!(outage, async { Ok(()) });
        answered.expect("answers");
        let rested = steadily!(outage, async {
            calls.set(calls.get() + 1);
            if calls.get() < 6 { Err(down()) } else { Ok(()) }
        });
        rested.expect("waited for anew, after an answer");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_pass_is_not_repeated_and_a_run_that_stops_does_not_wait() {
        let (outage, began, calls) = (outage(), Instant::now(), Cell::new(0));
        let refused: Result<(), Error> = steadily!(outage, async {
            calls.set(calls.get() + 1);
            Err(Error::new(ErrorKind::Auth, "Refused"))
        });
        assert!(refused.is_err());
        assert_eq!(calls.get(), 1);
        outage.stop.cancel();
        let stopped: Result<(), Error> = steadily!(outage, async { Err(down()) });
        assert!(stopped.is_err());
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_hangs_does_not_keep_a_run_that_stops() {
        let (outage, began) = (outage(), Instant::now());
        let stopping = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            outage.stop.cancel();
        };
        let hanging = async {
            let answer: Result<(), Error> = steadily!(outage, std::future::pending());
            answer
        };
        let (answer, ()) = tokio::join!(hanging, stopping);
        assert_eq!(answer.expect_err("no answer").kind(), ErrorKind::Cancelled);
        assert_eq!(began.elapsed(), Duration::from_mins(1) + GRACE);
        let answer: Result<u8, Error> = steadily!(outage, async {
            tokio::time::sleep(GRACE / 2).await;
            Ok(7)
        });
        assert_eq!(answer.expect("in time"), 7);
    }
}
