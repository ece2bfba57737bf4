//! Buckets of hashed values.

use async_trait::async_trait;
use migrate_core::{Canonical, ChunkPlan, ChunkingStrategy, ColumnType, Key, PlanInput, Result};
use serde::Deserialize;

use crate::cut::{cut, first_key, rationale};

/// Ranges of the hash of the first chunking column, packed by row counts: scatters rows that
/// neighbouring values would keep together, at the price that the source cannot skip anything. For
/// whole numbers, texts and dates, whose text all systems agree on; rows without a value are in
/// bucket 0.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashBucket {}

#[async_trait]
impl ChunkingStrategy for HashBucket {
    fn name(&self) -> &'static str {
        "hash_bucket"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        let takes = |column_type: &ColumnType, _: &Key| canonical(column_type).is_some();
        let key = first_key(&input, "whole number, text or date", takes)?;
        let column = input.table.schema().require(&key.column)?;
        let of = canonical(&column.column_type).unwrap_or(Canonical::Text);
        let mut keys = input.keys.to_vec();
        if let Some(first) = keys.first_mut() {
            *first = Key::hash_of(key.column.clone(), of);
        }
        let input = input.with_keys(&keys);
        cut(self.name(), rationale("buckets", &input), &input).await
    }
}

fn canonical(column_type: &ColumnType) -> Option<Canonical> {
    match column_type {
        ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Number { scale: 0, .. } => Some(Canonical::Integer),
        ColumnType::Text { .. } => Some(Canonical::Text),
        ColumnType::Date => Some(Canonical::Date),
        _ => None,
    }
}
