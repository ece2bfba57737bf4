//! Ranges of a numeric key with about equal numbers of rows.

use async_trait::async_trait;
use migrate_core::{
    ChunkPlan, ChunkingStrategy, ColumnName, ColumnType, Error, ErrorKind, Extent, PlanInput,
    Predicate, Result,
};
use serde::Deserialize;

/// Half-open ranges of the first chunking column, cut by row counts and not by the span of keys: a
/// key space with gaps or with most rows in one corner gives even chunks and no empty ones. Rows
/// with a NULL key belong to the first chunk.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericRange {}

impl NumericRange {
    pub(crate) fn takes(column_type: &ColumnType) -> bool {
        column_type.is_exact_number()
            || matches!(column_type, ColumnType::Float32 | ColumnType::Float64)
    }
}

#[async_trait]
impl ChunkingStrategy for NumericRange {
    fn name(&self) -> &'static str {
        "numeric_range"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        let key = numeric_key(&input)?;
        let histogram = input.table.key_histogram(key, input.chunk_rows, input.filter).await?;
        let cuts: Vec<_> =
            histogram.buckets.iter().skip(1).map(|bucket| bucket.first.clone()).collect();
        let mut rows: Vec<u64> = histogram.buckets.iter().map(|bucket| bucket.rows).collect();
        match rows.first_mut() {
            Some(first) => *first += histogram.nulls,
            None => rows.push(histogram.nulls),
        }
        let extents = Predicate::partition(key, &cuts)
            .into_iter()
            .map(|predicate| Extent::Rows { predicate })
            .zip(rows.iter().copied().map(Some));
        let rationale = format!("ranges of {key} with about {} rows each", input.chunk_rows);
        Ok(ChunkPlan::new(self.name(), rationale, extents))
    }
}

fn numeric_key<'a>(input: &PlanInput<'a>) -> Result<&'a ColumnName> {
    let key = input.keys.first().ok_or_else(|| {
        Error::new(ErrorKind::Config, "Chunking by numeric ranges needs a chunking column")
            .with("table", &input.table.schema().table)
            .with_hint("set `chunking_columns` to one numeric column")
    })?;
    let column = input.table.schema().require(key)?;
    if !NumericRange::takes(&column.column_type) {
        return Err(Error::new(
            ErrorKind::Config,
            format!("Column {key} is not numeric but {}", column.native_type),
        )
        .with("table", &input.table.schema().table)
        .with_hint("choose a numeric column in `chunking_columns`, or leave the strategy out"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;

    use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use migrate_core::memory::MemorySource;
    use migrate_core::{Source, TableRef};
    use proptest::prelude::*;

    use super::*;

    async fn plan_of(keys: Vec<Option<i64>>, chunk_rows: u64) -> (RecordBatch, ChunkPlan) {
        let table = TableRef::bare("t");
        let array: ArrayRef = Arc::new(Int64Array::from(keys));
        let rows = RecordBatch::try_from_iter_with_nullable([("k", array, true)]).expect("batch");
        let source = MemorySource::new().with_table(table.clone(), rows.clone());
        let opened = source.open(&table, None).await.expect("opens");
        let keys = [ColumnName::from("k")];
        let input = PlanInput::new(opened.as_ref())
            .with_keys(&keys)
            .with_chunk_rows(NonZeroU64::new(chunk_rows).expect("not zero"));
        (rows, NumericRange {}.plan(input).await.expect("plans"))
    }

    fn counts(rows: &RecordBatch, plan: &ChunkPlan) -> Vec<u64> {
        plan.chunks
            .iter()
            .map(|chunk| match &chunk.extent {
                Extent::Rows { predicate } => {
                    predicate.evaluate(rows).expect("evaluates").true_count() as u64
                }
                other => panic!("{other}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn skewed_keys_give_even_chunks_and_no_empty_one() {
        let crowded = (0..990).map(|key| Some(key % 500));
        let sparse = (0..10).map(|key| Some(1_000_000_000 * (key + 1)));
        let (rows, plan) = plan_of(crowded.chain(sparse).collect(), 100).await;
        let counts = counts(&rows, &plan);
        assert_eq!(counts.iter().sum::<u64>(), 1000);
        assert!(counts.iter().all(|rows| (1..=200).contains(rows)), "{counts:?}");
    }

    #[tokio::test]
    async fn a_table_of_nulls_is_one_chunk() {
        let (rows, plan) = plan_of(vec![None, None], 1).await;
        assert_eq!(counts(&rows, &plan), [2]);
        assert_eq!(plan.chunks[0].expected_rows, Some(2));
    }

    #[tokio::test]
    async fn an_empty_table_is_one_empty_chunk() {
        let (rows, plan) = plan_of(vec![], 10).await;
        assert_eq!(counts(&rows, &plan), [0]);
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_chunk_and_counted_right(
            keys in prop::collection::vec(prop::option::of(-20_i64..20), 0..200),
            chunk_rows in 1_u64..50,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let (rows, plan) = runtime.block_on(plan_of(keys, chunk_rows));
            let counted = counts(&rows, &plan);
            let planned: Vec<_> = plan.chunks.iter().filter_map(|chunk| chunk.expected_rows).collect();
            prop_assert_eq!(&planned, &counted);
            prop_assert_eq!(counted.iter().sum::<u64>(), rows.num_rows() as u64);
        }
    }
}
