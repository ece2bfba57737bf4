//! The rules of a sink.
//!
//! Each rule gets a table of its own, empty, with two columns: `id`, a whole number of 64 bits that
//! is a unique key where the sink has keys, and `name`, a text that may be NULL.

mod modes;
mod preparing;
mod records;
mod table;
mod writing;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt, stream};

use super::{Answer, Kept, Report, Testkit, ensure, rules, same};
use crate::chunk::{Chunk, ChunkId, Extent};
use crate::column_match::ColumnPair;
use crate::column_type::ColumnType;
use crate::commit::CommitRecord;
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::predicate::Predicate;
use crate::sink::{LoadPlan, Sink, SinkTable, WriteMode, WriteSummary};
use crate::source::BatchStream;

/// A sink with one empty table.
#[async_trait]
pub trait SinkFixture: fmt::Debug + Send + Sync {
    /// The sink.
    fn sink(&self) -> Arc<dyn Sink>;

    /// Its table, with columns `id` and `name`.
    fn table(&self) -> TableRef;

    /// The committed rows as any reader sees them, in any order.
    ///
    /// # Errors
    ///
    /// Whatever the system answers.
    async fn rows(&self) -> Result<Vec<Row>>;

    /// A record of the sink's commit domain whose lease is held or gone; `None` for sinks that
    /// share no transaction.
    ///
    /// # Errors
    ///
    /// Whatever the system answers.
    async fn record(&self, _lease: LeaseState) -> Result<Option<Arc<dyn CommitRecord>>> {
        Ok(None)
    }

    /// Whether a [record](Self::record) has been committed.
    ///
    /// # Errors
    ///
    /// Whatever the system answers.
    async fn is_recorded(&self) -> Result<bool> {
        Ok(false)
    }

    /// A name that the table refuses, for sinks that can set rows aside.
    fn refused_name(&self) -> Option<&'static str> {
        None
    }
}

/// `id` and `name`.
pub type Row = (i64, Option<String>);

/// Whether a record finds its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Its statement changes one row.
    Held,
    /// Its statement changes none.
    Gone,
}

rules! {
    dyn SinkFixture:
    table::it_answers_and_has_a_name,
    table::a_missing_table_is_refused_by_name,
    table::its_schema_describes_the_table,
    table::its_own_columns_can_be_stored,
    table::a_new_table_is_empty,
    table::a_settled_plan_keeps_what_was_asked,
    writing::a_chunk_is_written_as_it_was_sent,
    writing::a_chunk_without_rows_is_written,
    writing::counts_are_balanced,
    writing::chunks_at_once_do_not_mix,
    writing::a_broken_stream_writes_nothing,
    writing::a_cancelled_chunk_writes_nothing,
    writing::a_dropped_chunk_writes_nothing,
    writing::a_chunk_written_again_replaces_what_it_wrote,
    records::a_record_is_committed_with_its_rows,
    records::a_record_whose_lease_is_gone_rolls_back,
    records::a_record_of_another_database_is_refused,
    records::a_record_is_refused_where_none_is_declared,
    records::a_preparation_whose_lease_is_gone_changes_nothing,
    preparing::preparing_keeps_rows_unless_it_is_to_empty,
    preparing::emptying_is_done_or_refused,
    preparing::what_is_set_aside_comes_back,
    preparing::finishing_may_be_repeated,
    modes::only_new_keys_are_inserted_or_it_is_refused,
    modes::known_keys_are_updated_or_it_is_refused,
    modes::a_table_is_replaced_at_once_or_it_is_refused,
    modes::a_refused_row_is_set_aside,
}

impl Testkit {
    /// Tries every rule of a sink, each on a table of its own.
    pub async fn sink<Fresh, Made, Fixture>(&self, fresh: Fresh) -> Report
    where
        Fresh: Fn() -> Made + Send + Sync,
        Made: Future<Output = Result<Fixture>> + Send + 'static,
        Fixture: SinkFixture + 'static,
    {
        let fresh = || {
            let made = fresh();
            async { Ok(Box::new(made.await?) as Box<dyn SinkFixture>) }.boxed()
        };
        self.run("sink", RULES, fresh).await
    }
}

fn pairs() -> Vec<ColumnPair> {
    vec![
        ColumnPair::new("id", "id", ColumnType::Int64),
        ColumnPair::new("name", "name", ColumnType::Text { max_chars: None }),
    ]
}

fn append() -> LoadPlan {
    LoadPlan::append(pairs())
}

fn plan_of(mode: WriteMode) -> LoadPlan {
    LoadPlan { mode, ..append() }
}

fn chunk(number: u32) -> Chunk {
    Chunk::new(ChunkId(number), Extent::Rows { predicate: Predicate::All })
}

fn row(id: i64, name: &str) -> Row {
    (id, Some(name.to_owned()))
}

/// Rows with these ids, every third without a name.
fn sample(ids: impl IntoIterator<Item = i64>) -> Vec<Row> {
    ids.into_iter().map(|id| (id, (id % 3 != 0).then(|| format!("n{id}")))).collect()
}

fn batch(rows: &[Row]) -> Result<RecordBatch> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id)));
    let names: StringArray = rows.iter().map(|(_, name)| name.as_deref()).collect();
    let columns = [("id", ids, true), ("name", Arc::new(names) as ArrayRef, true)];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|cause| {
        Error::new(ErrorKind::Internal, "The suite cannot make a batch").with_source(cause)
    })
}

/// The rows in batches of four.
fn batches(rows: &[Row]) -> Result<BatchStream> {
    let batches = rows.chunks(4).map(batch).collect::<Result<Vec<_>>>()?;
    Ok(stream::iter(batches.into_iter().map(Ok)).boxed())
}

async fn open(fixture: &dyn SinkFixture) -> Result<Arc<dyn SinkTable>> {
    fixture.sink().open(&fixture.table()).await
}

/// Prepares the table for appending, and writes a chunk.
async fn fill(table: &dyn SinkTable, number: u32, rows: &[Row]) -> Result<WriteSummary> {
    table.prepare(&append(), None, &RunContext::new()).await?;
    write(table, &append(), number, rows).await
}

async fn write(
    table: &dyn SinkTable,
    plan: &LoadPlan,
    number: u32,
    rows: &[Row],
) -> Result<WriteSummary> {
    let cx = RunContext::new();
    table.write_chunk(plan, &chunk(number), batches(rows)?, None, &cx).await
}

/// Breaks the rule unless exactly these rows are committed.
async fn holds(fixture: &dyn SinkFixture, wanted: &[Row]) -> Kept {
    let (mut found, mut wanted) = (fixture.rows().await?, wanted.to_vec());
    found.sort();
    wanted.sort();
    same("committed rows", &found, &wanted)
}

/// Writes a chunk whose stream calls `then` after its first batch and never ends. Answers what the
/// sink said, or `None` when it was dropped because `then` wanted that.
async fn write_for_ever(
    table: &dyn SinkTable,
    cx: &RunContext,
    then: impl FnOnce() -> AfterFirst + Send + 'static,
) -> Answer<Option<Result<WriteSummary>>> {
    let (sender, dropped) = futures::channel::oneshot::channel::<()>();
    let first = batch(&sample(0..4))?;
    let rest = stream::once(async move {
        // Kept while the stream pends, or the drop would be seen as the signal.
        let _sender = match then() {
            AfterFirst::Drop => {
                // Whoever waits for it may have gone: then nothing is to be dropped any more.
                sender.send(()).ok();
                None
            }
            AfterFirst::Wait => Some(sender),
        };
        futures::future::pending().await
    });
    let stream = stream::iter([Ok(first)]).chain(rest).boxed();
    let plan = append();
    let chunk = chunk(0);
    let writing = table.write_chunk(&plan, &chunk, stream, None, cx);
    let dropped = dropped.then(|signal| async move {
        if signal.is_err() {
            futures::future::pending::<()>().await;
        }
    });
    match select(writing, dropped.boxed()).await {
        Either::Left((answer, _)) => Ok(Some(answer)),
        Either::Right(((), writing)) => {
            drop(writing);
            Ok(None)
        }
    }
}

enum AfterFirst {
    Drop,
    Wait,
}

fn nothing_left(answer: Option<&Result<WriteSummary>>) -> Kept {
    ensure(!matches!(answer, Some(Ok(_))), "a chunk that never ended was written")
}
