//! The real program, against Snowflake's protocol and a real PostgreSQL, killed by real signals.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bad_input;
mod copying;
mod crashes;
mod creating;
mod incremental;
mod interference;
mod modes;
mod outages;
mod plans;
mod quarantine;
mod replacing;
mod set_aside;
mod snowflake_trouble;
mod support;
mod taking_over;
mod tls;
mod validating;
mod values;
