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

    /// Pure. Where there is one, it runs first in the transaction of a chunk, and finds one row while
    /// the lease is owned; otherwise the sink stops with [`LeaseLost`](crate::ErrorKind::LeaseLost). It
    /// also ends sessions in which an earlier holder of the chunk still waits for rows: they could
    /// commit nothing any more, but hold locks on what they have copied.
    fn enter(&self) -> Option<SqlStatement> {
        None
    }

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

/// The right to bring something back, held against statements that are no part of a transaction of
/// ours: an index that takes an hour is committed by itself, and by the server alone if its client dies.
///
/// The sink sends both statements and the work between them in one message. The server then runs all
/// of it as one transaction, whatever becomes of the client, so a process that was frozen before it
/// sent the message changes nothing, and one that was overtaken meanwhile has its change undone.
pub trait Fence: fmt::Debug + Send + Sync {
    /// The database in which it has to run.
    fn domain(&self) -> &CommitDomain;

    /// Pure, without parameters. Fails with [`LEASE_LOST_SQLSTATE`] unless the lease is still owned.
    fn before(&self) -> SqlStatement;

    /// Pure, without parameters. Fails in the same way once the step is completed or a later run has
    /// taken the table over, and keeps both from happening until the transaction ends. Another worker
    /// of the same run is no reason: it waits for this very statement.
    fn after(&self) -> SqlStatement;
}

/// The SQLSTATE by which a [`Fence`] fails; in the range that the standard leaves to applications.
pub const LEASE_LOST_SQLSTATE: &str = "LEASE";

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
