//! The whole table in one chunk.

use async_trait::async_trait;
use migrate_core::{ChunkPlan, ChunkingStrategy, Extent, PlanInput, Predicate, Result};
use serde::Deserialize;

use crate::unreadable;

/// Everything in one chunk: for small tables, and for tables without a usable key. Rows are
/// streamed, so the size of the chunk costs no memory; but a failure repeats all of it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single {}

impl Single {
    pub(crate) const RATIONALE: &str = "one chunk for the whole table";
}

#[async_trait]
impl ChunkingStrategy for Single {
    fn name(&self) -> &'static str {
        "single"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        let rows = input.table.count(input.filter).await?;
        let everything = Extent::Rows { predicate: Predicate::All };
        let mut plan = ChunkPlan::new(self.name(), Self::RATIONALE, [(everything, Some(rows))]);
        for key in input.keys {
            plan.notes.extend(unreadable::count(&input, key).await?);
        }
        Ok(plan)
    }
}
