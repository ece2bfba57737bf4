//! The engine over in-memory components, and over ones that fail on purpose.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod configured;
mod failures;
mod faults;
mod planning;
mod resuming;
mod support;
mod three_ways;
