//! The rules of a chunking strategy.
//!
//! A strategy cuts tables of different shapes, for several sizes and filters; each of its chunks is
//! then read from the table, so that what is judged is what a run would copy.

mod rules;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};

use super::{Answer, Report, Testkit, rules as list_of_rules, same};
use crate::chunk::{Chunk, ChunkPlan, Extent};
use crate::chunking::{ChunkingStrategy, PlanInput};
use crate::context::RunContext;
use crate::error::Result;
use crate::key::Key;
use crate::predicate::Predicate;
use crate::source::{ScanRequest, SourceTable};
pub use tables::{ROW, Shape, table_of};

/// A strategy and what it is to cut.
#[async_trait]
pub trait StrategyFixture: fmt::Debug + Send + Sync {
    /// The strategy.
    fn strategy(&self) -> Arc<dyn ChunkingStrategy>;

    /// What it cuts by: columns `number`, `digits`, `text`, `day` and `time` of the tables.
    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }

    /// Whether no chunk has more rows than it aims at, unless all of them have one key.
    fn keeps_chunk_rows(&self) -> bool {
        true
    }

    /// A table of this shape: in memory, unless the strategy is for one source only.
    ///
    /// # Errors
    ///
    /// Whatever the source answers.
    async fn table(&self, shape: Shape) -> Result<Arc<dyn SourceTable>> {
        table_of(shape).await
    }
}

list_of_rules! {
    dyn StrategyFixture:
    rules::it_has_a_name_and_says_why,
    rules::each_row_is_in_one_chunk,
    rules::rows_without_a_key_have_a_home,
    rules::a_filter_is_obeyed,
    rules::counts_are_true,
    rules::no_chunk_is_empty,
    rules::chunks_keep_their_size,
    rules::chunks_are_numbered_from_zero,
    rules::a_frozen_table_is_cut_the_same_way_twice,
    rules::a_plan_survives_its_json_form,
}

impl Testkit {
    /// Tries every rule of a chunking strategy.
    pub async fn strategy<Fresh, Made, Fixture>(&self, fresh: Fresh) -> Report
    where
        Fresh: Fn() -> Made + Send + Sync,
        Made: Future<Output = Result<Fixture>> + Send + 'static,
        Fixture: StrategyFixture + 'static,
    {
        let fresh = || {
            let made = fresh();
            async { Ok(Box::new(made.await?) as Box<dyn StrategyFixture>) }.boxed()
        };
        self.run("chunking strategy", RULES, fresh).await
    }
}

/// A table that was cut.
struct Cut {
    shape: Shape,
    table: Arc<dyn SourceTable>,
    filter: Predicate,
    chunk_rows: NonZeroU64,
    plan: ChunkPlan,
}

impl Cut {
    /// For messages.
    fn what(&self) -> String {
        format!("{:?} at {} rows where {}", self.shape, self.chunk_rows, self.filter)
    }
}

/// Every shape in several sizes.
async fn cuts(fixture: &dyn StrategyFixture, filter: &Predicate) -> Answer<Vec<Cut>> {
    let mut cuts = Vec::new();
    for shape in Shape::ALL {
        let table = fixture.table(shape).await?;
        for chunk_rows in [1, 7, 40, 100_000].into_iter().filter_map(NonZeroU64::new) {
            let plan = cut(fixture, &*table, filter, chunk_rows).await?;
            let (table, filter) = (Arc::clone(&table), filter.clone());
            cuts.push(Cut { shape, table, filter, chunk_rows, plan });
        }
    }
    Ok(cuts)
}

async fn cut(
    fixture: &dyn StrategyFixture,
    table: &dyn SourceTable,
    filter: &Predicate,
    chunk_rows: NonZeroU64,
) -> Result<ChunkPlan> {
    let keys = fixture.keys();
    let input = PlanInput::new(table).with_keys(&keys).with_filter(filter);
    fixture.strategy().plan(input.with_chunk_rows(chunk_rows)).await
}

/// The numbers of the rows of an extent.
async fn rows_of(cut: &Cut, extent: Extent) -> Answer<Vec<i64>> {
    let request = ScanRequest::new(vec![ROW.into()], extent).with_filter(cut.filter.clone());
    let batches: Vec<RecordBatch> =
        cut.table.scan(request, &RunContext::new()).await?.try_collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        let numbers = batch.columns().first().and_then(|column| {
            column.as_primitive_opt::<Int64Type>().map(|numbers| numbers.values().to_vec())
        });
        rows.extend(super::found("column of row numbers", numbers)?);
    }
    Ok(rows)
}

/// The rows of each chunk.
async fn chunks_of(cut: &Cut) -> Answer<Vec<(&Chunk, Vec<i64>)>> {
    let mut chunks = Vec::new();
    for chunk in &cut.plan.chunks {
        chunks.push((chunk, rows_of(cut, chunk.extent.clone()).await?));
    }
    Ok(chunks)
}

/// Breaks the rule unless these rows are in one chunk each, and no others are in any.
async fn are_home(cut: &Cut, wanted: &[i64]) -> Answer<()> {
    let mut homes: BTreeMap<i64, u32> = wanted.iter().map(|row| (*row, 0)).collect();
    for (_, rows) in chunks_of(cut).await? {
        for row in rows {
            *homes.entry(row).or_default() += 1;
        }
    }
    for row in wanted {
        let count = homes.remove(row);
        same(&format!("homes of a row of {}", cut.what()), &count, &Some(1))?;
    }
    same(&format!("rows that nobody asked for in {}", cut.what()), &homes.len(), &0)
}
