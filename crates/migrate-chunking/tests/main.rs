//! Every strategy over tables in memory: each row in one chunk, chunks of even size, counts that
//! are true.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod choosing;
mod conformance;
mod coverage;
mod nesting;
mod sizes;
mod support;
