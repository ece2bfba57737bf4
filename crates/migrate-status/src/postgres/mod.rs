//! The status store in PostgreSQL.

mod adoption;
mod install;
mod join;
mod left_aside;
mod plan;
mod queue;
mod record;
mod reject;
mod return_fence;
mod run;
mod window;

use migrate_core::{Error, ErrorKind};
use migrate_postgres::{Database, classify, sqlx};

pub use install::schema_sql;

/// The ledger in schema `migration_status` of one database. Cheap to clone.
///
/// Every decision about time is made by the database's clock, every state change is a
/// compare-and-set with a checked row count.
#[derive(Debug, Clone)]
pub struct PgStatusStore {
    database: Database,
}

impl PgStatusStore {
    /// A store in this database. Nothing is read or written yet.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

/// An error of a ledger statement.
fn ledger(cause: sqlx::Error) -> Error {
    classify("Cannot read or write the status tables", cause).with("schema", "migration_status")
}

/// A value that the ledger's own constraints exclude.
fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, what)
        .with_hint("the status tables were changed by hand; run with --no-resume")
}

/// Counts are `bigint` in PostgreSQL and never negative.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// A count as PostgreSQL keeps it; nothing that is counted here comes near the limit.
fn bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
