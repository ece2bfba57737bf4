//! How data and status are committed together, without knowing of each other.

use std::fmt;

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
