//! The queue of work. A lease with a fencing token and an expiry by the store's clock replaces
//! flags: a worker that dies needs no repair, a worker that wakes up late can commit nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{RejectPage, RejectedTable, RunId, TableId};
use crate::chunk::Chunk;
use crate::commit::{CommitRecord, Fence};
use crate::error::Result;
use crate::sink::WriteSummary;

/// Hands out work and takes it back.
///
/// Every item passes through the same states: pending, in progress under a lease, then completed
/// or failed; back to pending when it is released, when it is to be tried again, or when its lease
/// has run out.
#[async_trait]
pub trait WorkQueue: fmt::Debug + Send + Sync {
    /// Takes one item that is due: pending and rested, or left behind by a lease that ran out.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn claim(
        &self,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Claim>;

    /// Extends leases; answers those that are still owned, and those whose work was completed under
    /// them. A missing one is lost for good.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`; then nothing is known and the caller tries again.
    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>>;

    /// The completion of this lease, for a sink to commit with its data. `None` where the store
    /// cannot take part in a sink's transaction; then [`complete`](Self::complete) follows the data.
    fn commit_record(&self, lease: &Lease) -> Option<Arc<dyn CommitRecord>>;

    /// What holds this lease's work to it where that is no part of a transaction of ours. `None` where
    /// the store cannot take part in a sink's sessions.
    fn fence(&self, _lease: &Lease) -> Option<Arc<dyn Fence>> {
        None
    }

    /// Records completion of work whose record was not committed together with its data.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled>;

    /// Records a failure: rest and try again, or give up.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled>;

    /// Gives the item back untouched; the attempt does not count.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn release(&self, lease: &Lease) -> Result<Settled>;

    /// Gives the item back because a time budget ended before it was done. A store counts such tries:
    /// with the one that makes them `most` the item has failed for good, as `failure` says. One that
    /// does not count gives it back for ever.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn overrun(&self, lease: &Lease, _most: u32, _failure: &Failure) -> Result<Settled> {
        self.release(lease).await
    }

    /// Tables with rows that were set aside and not loaded since, oldest first; of one run or of all.
    /// A store that keeps no rows answers nothing.
    ///
    /// # Errors
    ///
    /// [`PLAN_UNREADABLE`](crate::code::PLAN_UNREADABLE), `Connection`, `Timeout`.
    async fn rejected_tables(&self, _run: Option<RunId>) -> Result<Vec<RejectedTable>> {
        Ok(Vec::new())
    }

    /// The next of the rows of a table that were set aside and not loaded since: a few megabytes of
    /// those with ids above `after`.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn rejected_rows(&self, _table: TableId, _after: i64) -> Result<RejectPage> {
        Ok(RejectPage::default())
    }

    /// What a sink commits together with these rows: the ones that are in are settled, the ones that
    /// it sets aside again stay, with their new reason. It changes nothing when another process has
    /// settled one of them meanwhile, or when they have become outdated.
    fn retry_record(&self, _table: TableId, _page: &RejectPage) -> Option<Arc<dyn CommitRecord>> {
        None
    }
}

/// Kinds of leased work, in the order in which a table passes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// Empty the target; once per run and table.
    Prepare,
    /// Take away again what came back while chunks were left.
    SetAside,
    /// Copy a chunk.
    Chunk,
    /// Show what was loaded beside the target.
    Publish,
    /// Bring an index, a constraint or a trigger back.
    Rebuild,
    /// Bring a foreign key back.
    Relink,
    /// Leave the target in good shape; after all chunks.
    Finish,
}

impl WorkKind {
    /// All of them, in the order in which a table passes through them.
    pub const IN_ORDER: [Self; 7] = [
        Self::Prepare,
        Self::SetAside,
        Self::Chunk,
        Self::Publish,
        Self::Rebuild,
        Self::Relink,
        Self::Finish,
    ];
}

impl fmt::Display for WorkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare",
            Self::SetAside => "set_aside",
            Self::Chunk => "chunk",
            Self::Publish => "publish",
            Self::Rebuild => "rebuild",
            Self::Relink => "relink",
            Self::Finish => "finish",
        })
    }
}

/// One piece of leased work.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkItem {
    /// Empty the target.
    Prepare,
    /// Take away again what came back while chunks were left. Done from the start, because the
    /// preparation does it; open again when a run with open chunks is resumed after a repair.
    SetAside,
    /// Copy this chunk.
    Chunk(Chunk),
    /// Show what was loaded beside the target.
    Publish,
    /// Bring back what has this number in the plan.
    Rebuild(u32),
    /// Bring back the foreign key that has this number in the plan.
    Relink(u32),
    /// Leave the target in good shape.
    Finish,
}

impl WorkItem {
    /// Its kind.
    pub fn kind(&self) -> WorkKind {
        match self {
            Self::Prepare => WorkKind::Prepare,
            Self::SetAside => WorkKind::SetAside,
            Self::Chunk(_) => WorkKind::Chunk,
            Self::Publish => WorkKind::Publish,
            Self::Rebuild(_) => WorkKind::Rebuild,
            Self::Relink(_) => WorkKind::Relink,
            Self::Finish => WorkKind::Finish,
        }
    }
}

/// Fencing token of one lease, new with each claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub Uuid);

/// Who works, for people: host, process, number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to do one piece of work. It ends with its completion in the sink's transaction or with
/// one of [`complete`](WorkQueue::complete), [`fail`](WorkQueue::fail) and
/// [`release`](WorkQueue::release), each of which may be repeated when its answer was lost.
#[derive(Debug)]
#[must_use = "settle the lease, or the work stays blocked until it expires"]
pub struct Lease {
    table: TableId,
    item: WorkItem,
    token: LeaseToken,
    attempt: u32,
}

impl Lease {
    /// For stores only.
    pub fn new(table: TableId, item: WorkItem, token: LeaseToken, attempt: u32) -> Self {
        Self { table, item, token, attempt }
    }

    /// The table that the work belongs to.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// The work.
    pub fn item(&self) -> &WorkItem {
        &self.item
    }

    /// The fencing token.
    pub fn token(&self) -> LeaseToken {
        self.token
    }

    /// Which try this is, from 1. Crashed tries do not count.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// Answer to a claim.
#[derive(Debug)]
pub enum Claim {
    /// Work.
    Leased(Box<Lease>),
    /// Nothing is due, but something is not done yet.
    NotYet {
        /// When it is worth asking again.
        retry_in: Duration,
        /// Who holds the lease that is waited for; `None` when an item only rests.
        holder: Option<Holder>,
    },
    /// Nothing of this kind is left to do, anywhere.
    Drained {
        /// Items that are completed.
        completed: u64,
        /// Items that have failed for good.
        failed: u64,
    },
}

/// Who holds a lease that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The worker.
    pub worker: WorkerId,
    /// How long it holds the lease if it does not renew it.
    pub expires_in: Duration,
}

/// Why work failed and what comes next.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Stable code of the error.
    pub code: &'static str,
    /// One line for people; no secrets, no cell values.
    pub reason: String,
    /// How long the item rests before another try; `None` gives it up.
    pub retry_in: Option<Duration>,
}

/// Answer to settling a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Recorded.
    Applied,
    /// The work was committed already: the COMMIT whose answer was lost did land.
    AlreadyCompleted,
    /// Somebody else owns the work, or the table has been superseded.
    LeaseLost,
}
