//! Chunks: the unit of resume and retry.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::predicate::Predicate;

/// Number of a chunk within its table, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub u32);

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a chunk covers: rows by value, or a part of an immutable object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Extent {
    /// The rows that match.
    Rows {
        /// Which rows.
        predicate: Predicate,
    },
    /// Row groups of one file.
    Object {
        /// Where the object is, in the source's own terms.
        uri: String,
        /// Which row groups.
        row_groups: Range<u32>,
        /// Identity of the object's content; another one later means that the object has changed.
        fingerprint: String,
    },
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows { predicate } => predicate.fmt(f),
            Self::Object { uri, row_groups, .. } => {
                write!(f, "{uri} row groups {}..{}", row_groups.start, row_groups.end)
            }
        }
    }
}

/// One chunk of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Chunk {
    /// Its number.
    pub id: ChunkId,
    /// What it covers.
    pub extent: Extent,
    /// How many rows it has, counted on the version that will be read. Another count at load time
    /// is an error. `None` when nothing was counted or the table may have changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_rows: Option<u64>,
    /// How many rows it probably has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
}

impl Chunk {
    /// A chunk of unknown size.
    pub fn new(id: ChunkId, extent: Extent) -> Self {
        Self { id, extent, expected_rows: None, estimated_rows: None }
    }

    /// Sets both counts.
    #[must_use]
    pub fn with_rows(mut self, expected: Option<u64>, estimated: Option<u64>) -> Self {
        self.expected_rows = expected;
        self.estimated_rows = estimated;
        self
    }
}

/// How a table is cut. Immutable once stored: a resumed run executes it and never plans again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChunkPlan {
    /// Name of the strategy that made it.
    pub strategy: String,
    /// Why it was cut like this, for people.
    pub rationale: String,
    /// What the operator should know of the keys.
    pub notes: Vec<String>,
    /// The chunks: disjoint, and together the whole filtered table, NULL keys included.
    pub chunks: Vec<Chunk>,
}

impl ChunkPlan {
    /// Numbers the extents in their order. `rows` is an exact count of each where one was taken.
    pub fn new(
        strategy: impl Into<String>,
        rationale: impl Into<String>,
        extents: impl IntoIterator<Item = (Extent, Option<u64>)>,
    ) -> Self {
        let chunks = (0..)
            .zip(extents)
            .map(|(number, (extent, rows))| {
                Chunk::new(ChunkId(number), extent).with_rows(rows, rows)
            })
            .collect();
        let notes = Vec::new();
        Self { strategy: strategy.into(), rationale: rationale.into(), notes, chunks }
    }

    /// One chunk per predicate, uncounted.
    pub fn from_predicates(
        strategy: impl Into<String>,
        rationale: impl Into<String>,
        predicates: impl IntoIterator<Item = Predicate>,
    ) -> Self {
        let extents = predicates.into_iter().map(|predicate| (Extent::Rows { predicate }, None));
        Self::new(strategy, rationale, extents)
    }

    /// Turns exact counts into estimates: the table may change between planning and loading.
    pub fn forget_exact_counts(&mut self) {
        for chunk in &mut self.chunks {
            chunk.expected_rows = None;
        }
    }

    /// Rows of all chunks, if each has at least an estimate.
    pub fn estimated_rows(&self) -> Option<u64> {
        self.chunks.iter().map(|chunk| chunk.estimated_rows).sum()
    }
}
