//! Tables in memory and what a strategy makes of them.

use std::num::NonZeroU64;
use std::sync::Arc;

use migrate_chunking::{ChunkPlan, ChunkingStrategy, PlanInput};
use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use migrate_core::memory::MemorySource;
use migrate_core::{Extent, Key, Predicate, Result, Source, SourceTable, TableRef};

pub(crate) fn table(columns: impl IntoIterator<Item = (&'static str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

pub(crate) fn integers(keys: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(keys.into_iter().collect::<Int64Array>())
}

pub(crate) async fn open(rows: RecordBatch) -> Arc<dyn SourceTable> {
    let name = TableRef::bare("t");
    let source = MemorySource::new().with_table(name.clone(), rows);
    source.open(&name, None).await.expect("opens")
}

pub(crate) async fn try_plan(
    strategy: &dyn ChunkingStrategy,
    rows: RecordBatch,
    keys: &[Key],
    chunk_rows: u64,
) -> Result<ChunkPlan> {
    let table = open(rows).await;
    let input = PlanInput::new(table.as_ref())
        .with_keys(keys)
        .with_chunk_rows(NonZeroU64::new(chunk_rows).expect("not zero"));
    strategy.plan(input).await
}

pub(crate) async fn plan(
    strategy: &dyn ChunkingStrategy,
    rows: &RecordBatch,
    keys: &[Key],
    chunk_rows: u64,
) -> ChunkPlan {
    try_plan(strategy, rows.clone(), keys, chunk_rows).await.expect("plans")
}

pub(crate) fn predicates(plan: &ChunkPlan) -> Vec<&Predicate> {
    plan.chunks
        .iter()
        .map(|chunk| match &chunk.extent {
            Extent::Rows { predicate } => predicate,
            other => panic!("{other}"),
        })
        .collect()
}

/// Rows of each chunk, after a look that every row is in exactly one.
pub(crate) fn counts(plan: &ChunkPlan, rows: &RecordBatch) -> Vec<u64> {
    let masks: Vec<_> =
        predicates(plan).into_iter().map(|one| one.evaluate(rows).expect("evaluates")).collect();
    for row in 0..rows.num_rows() {
        let homes = masks.iter().filter(|mask| mask.value(row)).count();
        assert_eq!(homes, 1, "row {row} is in {homes} chunks of {plan:?}");
    }
    masks.iter().map(|mask| mask.true_count() as u64).collect()
}

/// The same, after a look that the planned counts are true.
pub(crate) fn true_counts(plan: &ChunkPlan, rows: &RecordBatch) -> Vec<u64> {
    let counted = counts(plan, rows);
    let planned: Vec<_> = plan.chunks.iter().filter_map(|chunk| chunk.expected_rows).collect();
    assert_eq!(planned, counted, "{plan:?}");
    counted
}
