//! The real program, against Snowflake's protocol and a real PostgreSQL, killed by real signals.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bad_input;
mod canary;
mod copying;
mod crashes;
mod creating;
mod deadlines;
mod incremental;
mod interference;
mod large_cells;
mod latecomers;
mod modes;
mod outages;
mod plans;
mod quarantine;
mod replacing;
mod rights;
mod set_aside;
mod sharing;
mod snowflake_trouble;
mod soak;
mod support;
mod taking_over;
mod tls;
mod validating;
mod values;
