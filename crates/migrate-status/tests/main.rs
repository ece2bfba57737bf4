//! The ledger against a real PostgreSQL.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod conformance;
mod install;
mod leases;
mod rejects;
mod runs;
mod sharing;
mod support;
