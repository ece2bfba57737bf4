//! How data and status are committed together, without knowing of each other.

use std::fmt;

use crate::reject::RejectedRow;
use crate::sink::WriteSummary;
use crate::sql::SqlStatement;

/// A status change that a sink applies inside its own data transaction, as plain data: the sink
/// knows no status table, the store no sink, and neither hands a driver type to the other.
pub trait CommitRecord: fmt::Debug + Send + Sync {
    /// The database in which it has to run.
    fn domain(&self) -> &CommitDomain;

    /// Pure. The statement must change exactly one row; another count means that the lease is gone,
    /// and the sink has to roll back with [`LeaseLost`](crate::ErrorKind::LeaseLost).
    fn statement(&self, summary: &WriteSummary) -> SqlStatement;

    /// Pure. Keeps rows that were set aside, some hundreds at a time; it must change as many rows.
    /// `None` where they cannot be kept; then the sink refuses to set rows aside.
    fn keep(&self, _rows: &[RejectedRow]) -> Option<SqlStatement> {
        None
    }

    /// Pure. Runs after [`statement`](Self::statement) where rows were set aside, and finds one row
    /// while the work's table, with all that is committed, has no more than `most_rows` of them.
    /// Otherwise the sink rolls back with [`TOO_MANY_BAD_ROWS`](crate::code::TOO_MANY_BAD_ROWS).
    /// `None` where nothing limits them.
    fn within(&self, _most_rows: u64) -> Option<SqlStatement> {
        None
    }
}

/// One database, however its address is written. Equal domains may share a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitDomain(String);

impl CommitDomain {
    /// Wraps an identity that the database itself gives, such as its system identifier.
    pub fn new(identity: impl Into<String>) -> Self {
        Self(identity.into())
    }
}

impl fmt::Display for CommitDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
