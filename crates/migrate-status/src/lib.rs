//! The ledger of a migration: which runs, plans and chunks there are, and who works on what.
//!
//! [`PgStatusStore`] keeps it in the target's own database, so that a chunk's rows and its
//! completion are committed together. `SqliteStatusStore`, with feature `sqlite`, keeps it in a file,
//! for targets without a database.
#![forbid(unsafe_code)]

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use migrate_core::{PlanStore, RunStore, StatusStore, WorkQueue};
#[cfg(feature = "postgres")]
pub use postgres::{PgStatusStore, schema_sql};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStatusStore;
