//! The strategy that chooses a strategy.

use async_trait::async_trait;
use migrate_core::{ChunkPlan, ChunkingStrategy, PlanInput, Result};
use serde::Deserialize;

use crate::numeric_range::NumericRange;
use crate::row_groups::RowGroups;
use crate::single::Single;

/// Decides by what the table is made of and by its chunking columns, and says why in the plan.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auto {}

#[async_trait]
impl ChunkingStrategy for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        if !input.table.objects().await?.is_empty() {
            return RowGroups {}.plan(input).await;
        }
        let Some(key) = input.keys.first() else { return Single {}.plan(input).await };
        let column = input.table.schema().require(key)?;
        if NumericRange::takes(&column.column_type) {
            return NumericRange {}.plan(input).await;
        }
        let mut plan = Single {}.plan(input).await?;
        plan.rationale = format!("one chunk: {key} is {}, not numeric", column.native_type);
        Ok(plan)
    }
}
