//! Ranges of a numeric key.

use async_trait::async_trait;
use migrate_core::{ChunkPlan, ChunkingStrategy, ColumnType, Key, PlanInput, Reading, Result};
use serde::Deserialize;

use crate::cut::{cut, first_key, rationale};

/// Half-open ranges of the first chunking column, cut by row counts and not by the span of keys: a
/// key space with gaps or with most rows in one corner gives even chunks and no empty ones.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericRange {}

impl NumericRange {
    pub(crate) fn takes(column_type: &ColumnType, key: &Key) -> bool {
        key.read_as == Reading::Number
            || column_type.is_exact_number()
            || matches!(column_type, ColumnType::Float32 | ColumnType::Float64)
    }
}

#[async_trait]
impl ChunkingStrategy for NumericRange {
    fn name(&self) -> &'static str {
        "numeric_range"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        first_key(&input, "number", Self::takes)?;
        cut(self.name(), rationale("ranges", &input), &input).await
    }
}
