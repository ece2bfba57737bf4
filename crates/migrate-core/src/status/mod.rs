//! The ledger of a migration: runs, plans, and the queue of work with its leases.
//!
//! The store is the only truth about what has been done. Traits are narrow: code asks for the part
//! that it uses, [`StatusStore`] joins them.

mod adoption;
mod join;
mod plan;
mod queue;
mod reject;
mod run;

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use adoption::{Adoption, Adoptions, KnownTable, SharedEmptying, adopt};
pub use join::{JoinedRun, RunEntry, join};
pub use plan::{NewPlan, PlanStore, TablePlan};
pub use queue::{
    Claim, Failure, Holder, Lease, LeaseToken, Settled, WorkItem, WorkKind, WorkQueue, WorkerId,
};
pub use reject::{RejectPage, RejectState, RejectedTable};
pub use run::{
    Resume, RunHandle, RunRequest, RunStore, TableHandle, TableProgress, TableRequest, TableState,
};

/// Everything that the engine needs.
pub trait StatusStore: RunStore + PlanStore + WorkQueue {}

impl<T: RunStore + PlanStore + WorkQueue> StatusStore for T {}

/// Identity of a run, the same in every database that takes part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of one table's part in a run, within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub i64);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a table or a run ended. Nothing turns one of these into another except new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every chunk is committed and every count agrees.
    Completed,
    /// The same, but some rows were set aside with a reason.
    CompletedWithRejects,
    /// Some chunks are committed, others failed.
    Partial,
    /// Nothing was committed.
    Failed,
    /// Stopped cleanly; the same command goes on.
    Paused,
    /// A newer run has taken over the target.
    Superseded,
}

impl Outcome {
    /// The word in the status tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CompletedWithRejects => "completed_with_rejects",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Superseded => "superseded",
        }
    }

    /// Reads the word of a status table.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Completed,
            Self::CompletedWithRejects,
            Self::Partial,
            Self::Failed,
            Self::Paused,
            Self::Superseded,
        ]
        .into_iter()
        .find(|outcome| outcome.as_str() == word)
    }

    /// The outcome of a run from those of its tables.
    pub fn of_run(tables: impl IntoIterator<Item = Self>) -> Self {
        let tables: Vec<_> = tables.into_iter().collect();
        let any = |outcome| tables.contains(&outcome);
        if any(Self::Partial) {
            Self::Partial
        } else if any(Self::Failed) {
            let some_rows = any(Self::Completed) || any(Self::CompletedWithRejects);
            if some_rows || any(Self::Paused) { Self::Partial } else { Self::Failed }
        } else if any(Self::Paused) {
            Self::Paused
        } else if any(Self::Superseded) {
            Self::Superseded
        } else if any(Self::CompletedWithRejects) {
            Self::CompletedWithRejects
        } else {
            Self::Completed
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::*;
    use super::*;

    #[test]
    fn a_run_is_completed_only_when_every_table_is() {
        assert_eq!(Outcome::of_run([]), Completed);
        assert_eq!(Outcome::of_run([Completed, Completed]), Completed);
        assert_eq!(Outcome::of_run([Completed, CompletedWithRejects]), CompletedWithRejects);
        assert_eq!(Outcome::of_run([Completed, Failed]), Partial);
        assert_eq!(Outcome::of_run([Failed, Failed]), Failed);
        assert_eq!(Outcome::of_run([Completed, Paused]), Paused);
        assert_eq!(Outcome::of_run([Superseded, Completed]), Superseded);
    }

    #[test]
    fn words_round_trip() {
        for outcome in [Completed, CompletedWithRejects, Partial, Failed, Paused, Superseded] {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Outcome::parse("skipped"), None);
    }
}
