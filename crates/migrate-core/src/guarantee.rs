//! What a status store and a sink are worth together.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::commit::CommitDomain;
use crate::sink::CommitGuarantee;

/// What becomes of a chunk when the process dies in the middle of it. Stored with the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Guarantee {
    /// Its rows and its completion share a transaction.
    ExactlyOnce,
    /// It is written again as a whole, and replaces what is there of it.
    WholeChunks,
    /// It may be written twice.
    AtLeastOnce,
}

impl Guarantee {
    /// Of a sink with a store in this domain.
    pub fn of(sink: &CommitGuarantee, store: Option<&CommitDomain>) -> Self {
        match sink {
            CommitGuarantee::Transactional(domain) if Some(domain) == store => Self::ExactlyOnce,
            CommitGuarantee::IdempotentPerChunk => Self::WholeChunks,
            CommitGuarantee::Transactional(_) | CommitGuarantee::None => Self::AtLeastOnce,
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExactlyOnce => {
                "exactly once: the rows of a chunk and its completion are committed together"
            }
            Self::WholeChunks => {
                "whole chunks: a chunk that is written again after a crash replaces itself"
            }
            Self::AtLeastOnce => {
                "at least once: a crash between a chunk and its completion writes its rows again"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_database_commits_rows_and_completion_together() {
        let (here, there) = (CommitDomain::new("here"), CommitDomain::new("there"));
        let transactional = CommitGuarantee::Transactional(here.clone());
        assert_eq!(Guarantee::of(&transactional, Some(&here)), Guarantee::ExactlyOnce);
        assert_eq!(Guarantee::of(&transactional, Some(&there)), Guarantee::AtLeastOnce);
        assert_eq!(Guarantee::of(&transactional, None), Guarantee::AtLeastOnce);
        let whole = CommitGuarantee::IdempotentPerChunk;
        assert_eq!(Guarantee::of(&whole, Some(&here)), Guarantee::WholeChunks);
        assert_eq!(Guarantee::of(&CommitGuarantee::None, None), Guarantee::AtLeastOnce);
    }
}
