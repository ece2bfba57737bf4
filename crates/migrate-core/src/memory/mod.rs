//! Honest in-memory implementations of every trait, for examples and tests.
//!
//! They keep the same promises as the real ones, except durability: a chunk is written as a whole
//! or not at all, a lease that has run out fences its holder, a snapshot does not move.

mod sink;
mod source;
mod store;

pub use sink::MemorySink;
pub use source::MemorySource;
pub use store::MemoryStore;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock whose holder panicked holds a state that is consistent between two statements here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
