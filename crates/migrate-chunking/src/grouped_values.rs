//! Groups of neighbouring texts.

use async_trait::async_trait;
use migrate_core::{ChunkPlan, ChunkingStrategy, ColumnType, Key, PlanInput, Reading, Result};
use serde::Deserialize;

use crate::cut::{cut, first_key, rationale};

/// Half-open ranges over the sorted values of a text or UUID column, packed by row counts, in the
/// order of their bytes. Ranges also where there are few values: one that arrives late has a home.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupedValues {}

impl GroupedValues {
    pub(crate) fn takes(column_type: &ColumnType, key: &Key) -> bool {
        let is_grouped =
            matches!(column_type, ColumnType::Text { .. } | ColumnType::Uuid | ColumnType::Boolean);
        is_grouped && key.read_as == Reading::Value
    }
}

#[async_trait]
impl ChunkingStrategy for GroupedValues {
    fn name(&self) -> &'static str {
        "grouped_values"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        first_key(&input, "text or UUID", Self::takes)?;
        cut(self.name(), rationale("neighbouring values", &input), &input).await
    }
}
