//! The double's clock: the system's, moved forward by tests, in milliseconds.
//!
//! A change of data happens strictly after every instant that was read before it, and not after the
//! next one that is read. So a snapshot taken at "now" never sees a later change, however fast the
//! test is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::calendar::Stamp;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds that tests added.
    ahead: AtomicI64,
    /// The newest instant that was read or used for a change.
    newest: AtomicI64,
}

impl Clock {
    /// Now, in milliseconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        let now = self.system();
        self.newest.fetch_max(now, Ordering::SeqCst).max(now)
    }

    /// The instant of a change of data.
    pub(crate) fn change(&self) -> i64 {
        let now = self.system();
        let update = |newest: i64| Some(now.max(newest + 1));
        match self.newest.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update) {
            Ok(newest) | Err(newest) => now.max(newest + 1),
        }
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2);
        self.ahead.fetch_add(millis, Ordering::SeqCst);
    }

    fn system(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX / 2);
        millis.saturating_add(self.ahead.load(Ordering::SeqCst))
    }
}

/// An instant of the clock as a timestamp.
pub(crate) fn stamp(millis: i64) -> Stamp {
    Stamp::from_nanos(i128::from(millis) * 1_000_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_lies_between_the_reads_around_it() {
        let clock = Clock::default();
        for _ in 0..1_000 {
            let before = clock.now();
            let change = clock.change();
            assert!(before < change && change <= clock.now());
        }
    }

    #[test]
    fn tests_move_the_clock_forward() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(Duration::from_hours(1));
        assert!(clock.now() >= before + 3_600_000);
    }
}
