//! A flag that ends a running statement.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// Shared between a statement and whoever may end it.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    reason: Mutex<Option<Failure>>,
    changed: Condvar,
}

impl Cancel {
    /// Ends the statement with this failure, unless another came first.
    pub(crate) fn set(&self, reason: Failure) {
        let mut held = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert(reason);
        drop(held);
        self.changed.notify_all();
    }

    /// Fails once the statement is to end.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match &*self.reason.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(reason.clone()),
            None => Ok(()),
        }
    }

    /// Blocks the thread for a time, or until the statement is to end.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        let mut held = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(reason) = &*held {
                return Err(reason.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            held = self.changed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_statement() {
        let cancel = Cancel::default();
        assert_eq!(cancel.wait(Duration::ZERO), Ok(()));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| cancel.wait(Duration::from_mins(10)));
            cancel.set(Failure::cancelled());
            assert_eq!(waiting.join().unwrap(), Err(Failure::cancelled()));
        });
        cancel.set(Failure::timed_out(1));
        assert_eq!(cancel.check(), Err(Failure::cancelled()), "the first reason stays");
    }
}
