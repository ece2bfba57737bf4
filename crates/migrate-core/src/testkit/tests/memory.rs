//! The source and the sink in memory as subjects.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;

use crate::column_type::ColumnType;
use crate::error::Result;
use crate::memory::{MemorySink, MemorySource};
use crate::name::TableRef;
use crate::schema::{Column, TableSchema};
use crate::sink::Sink;
use crate::source::Source;
use crate::testkit::Testkit;
use crate::testkit::sink::{Row, SinkFixture};
use crate::testkit::source::{SHRUNK_ROWS, SourceFixture, sample};

fn table() -> TableRef {
    TableRef::bare("t")
}

#[derive(Debug)]
pub(super) struct MemoryTarget(pub(super) Arc<MemorySink>);

impl MemoryTarget {
    pub(super) fn new() -> Self {
        let text = ColumnType::Text { max_chars: None };
        let columns =
            vec![Column::new("id", ColumnType::Int64, "int64"), Column::new("name", text, "text")];
        Self(Arc::new(MemorySink::new().with_table(TableSchema::new(table(), columns))))
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let ids = batch.column(0).as_primitive::<Int64Type>().values();
    let names = batch.column(1).as_string::<i32>();
    ids.iter().copied().zip(names.iter().map(|name| name.map(ToOwned::to_owned))).collect()
}

#[async_trait]
impl SinkFixture for MemoryTarget {
    fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.0) as Arc<dyn Sink>
    }

    fn table(&self) -> TableRef {
        table()
    }

    async fn rows(&self) -> Result<Vec<Row>> {
        Ok(self.0.rows(&table())?.map(|batch| rows_of(&batch)).unwrap_or_default())
    }
}

#[derive(Debug)]
pub(super) struct MemoryTables(pub(super) Arc<MemorySource>);

impl MemoryTables {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Arc::new(MemorySource::new().with_table(table(), sample()?))))
    }
}

#[async_trait]
impl SourceFixture for MemoryTables {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.0) as Arc<dyn Source>
    }

    fn table(&self) -> TableRef {
        table()
    }

    async fn shrink(&self) -> Result<()> {
        let left = usize::try_from(SHRUNK_ROWS).expect("small");
        self.0.put(table(), sample()?.slice(0, left));
        Ok(())
    }
}

#[tokio::test]
async fn the_sink_in_memory_keeps_every_rule() {
    let report = Testkit::new().sink(|| async { Ok(MemoryTarget::new()) }).await;
    report.expect_kept();
}

#[tokio::test]
async fn the_source_in_memory_keeps_every_rule() {
    let report = Testkit::new().source(|| async { MemoryTables::new() }).await;
    report.expect_kept();
}
