//! How tables are cut into chunks.

use std::fmt;
use std::num::NonZeroU64;

use async_trait::async_trait;

use crate::chunk::ChunkPlan;
use crate::error::Result;
use crate::key::Key;
use crate::name::ColumnName;
use crate::predicate::Predicate;
use crate::source::SourceTable;

/// Decides how a table is cut.
///
/// ```
/// use async_trait::async_trait;
/// use migrate_core::{ChunkPlan, ChunkingStrategy, PlanInput, Predicate, Result};
///
/// /// Everything in one chunk.
/// #[derive(Debug)]
/// struct Whole;
///
/// #[async_trait]
/// impl ChunkingStrategy for Whole {
///     fn name(&self) -> &'static str {
///         "whole"
///     }
///
///     async fn plan(&self, _input: PlanInput<'_>) -> Result<ChunkPlan> {
///         Ok(ChunkPlan::from_predicates(self.name(), "as asked", [Predicate::All]))
///     }
/// }
/// ```
#[async_trait]
pub trait ChunkingStrategy: fmt::Debug + Send + Sync {
    /// Its name in plans and configurations.
    fn name(&self) -> &'static str;

    /// Cuts the table. The chunks must be disjoint and cover the filtered table, NULL keys
    /// included; [`Predicate::partition`] guarantees that for every choice of cuts.
    ///
    /// # Errors
    ///
    /// `Config` for keys that this strategy cannot use, and whatever the table answers.
    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan>;
}

/// What a strategy decides upon.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PlanInput<'a> {
    /// The table.
    pub table: &'a dyn SourceTable,
    /// What to cut by, most significant first; may be empty. A value of the first that has too many
    /// rows is cut by the second, and so on.
    pub keys: &'a [Key],
    /// A column that will do where nothing better is known, such as a watermark.
    pub fallback: Option<&'a ColumnName>,
    /// The rows that will be read.
    pub filter: &'a Predicate,
    /// Rows to aim at per chunk.
    pub chunk_rows: NonZeroU64,
}

impl<'a> PlanInput<'a> {
    /// Rows to aim at where the user did not say: about a second of COPY, small enough to repeat.
    pub const DEFAULT_CHUNK_ROWS: NonZeroU64 = NonZeroU64::new(250_000).expect("not zero");

    /// Plans the whole table without keys, with the default size.
    pub fn new(table: &'a dyn SourceTable) -> Self {
        Self {
            table,
            keys: &[],
            fallback: None,
            filter: &Predicate::All,
            chunk_rows: Self::DEFAULT_CHUNK_ROWS,
        }
    }

    /// Sets what to cut by.
    #[must_use]
    pub fn with_keys(mut self, keys: &'a [Key]) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the column that will do where nothing better is known.
    #[must_use]
    pub fn with_fallback(mut self, column: Option<&'a ColumnName>) -> Self {
        self.fallback = column;
        self
    }

    /// Sets the rows that will be read.
    #[must_use]
    pub fn with_filter(mut self, filter: &'a Predicate) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the rows to aim at per chunk.
    #[must_use]
    pub fn with_chunk_rows(mut self, chunk_rows: NonZeroU64) -> Self {
        self.chunk_rows = chunk_rows;
        self
    }
}
