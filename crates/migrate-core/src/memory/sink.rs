//! A sink that keeps committed rows in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::TryStreamExt;

use super::{lock, source::concat};
use crate::chunk::{Chunk, ChunkId};
use crate::code;
use crate::column_match::ColumnPair;
use crate::commit::CommitRecord;
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::schema::TableSchema;
use crate::sink::{
    CommitGuarantee, Fidelity, LoadPlan, Sink, SinkCapabilities, SinkTable, WriteMode, WriteSummary,
};
use crate::source::BatchStream;

/// A sink in memory. Writing a chunk again replaces what it wrote before.
#[derive(Debug, Default)]
pub struct MemorySink {
    tables: BTreeMap<TableRef, Arc<MemorySinkTable>>,
}

impl MemorySink {
    /// A sink without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an empty table.
    #[must_use]
    pub fn with_table(mut self, schema: TableSchema) -> Self {
        let table = schema.table.clone();
        let sink_table = MemorySinkTable { schema: Arc::new(schema), chunks: Mutex::default() };
        self.tables.insert(table, Arc::new(sink_table));
        self
    }

    /// All committed rows of a table; `None` when there are none.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` when chunks were written with different columns.
    pub fn rows(&self, table: &TableRef) -> Result<Option<RecordBatch>> {
        let Some(table) = self.tables.get(table) else { return Ok(None) };
        let chunks = lock(&table.chunks);
        concat(&chunks.values().flatten().cloned().collect::<Vec<_>>())
    }

    /// Numbers of the committed chunks of a table.
    pub fn chunks(&self, table: &TableRef) -> BTreeSet<ChunkId> {
        self.tables
            .get(table)
            .map(|table| lock(&table.chunks).keys().copied().collect())
            .unwrap_or_default()
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn name(&self) -> String {
        "memory".into()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>> {
        match self.tables.get(table) {
            Some(found) => Ok(Arc::clone(found) as Arc<dyn SinkTable>),
            None => {
                let known: Vec<_> = self.tables.keys().map(ToString::to_string).collect();
                Err(Error::new(
                    code::TARGET_TABLE_MISSING,
                    format!("Target table {table} not found"),
                )
                .with_hint(format!("create it, or use one of: {}", known.join(", "))))
            }
        }
    }
}

#[derive(Debug)]
struct MemorySinkTable {
    schema: Arc<TableSchema>,
    chunks: Mutex<BTreeMap<ChunkId, Vec<RecordBatch>>>,
}

#[async_trait]
impl SinkTable for MemorySinkTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            truncate: true,
            commit: CommitGuarantee::IdempotentPerChunk,
            ..SinkCapabilities::default()
        }
    }

    fn assess(&self, pair: &ColumnPair) -> Fidelity {
        match self.schema.column(&pair.target) {
            Some(target) if target.column_type == pair.column_type => Fidelity::Exact,
            Some(target) => Fidelity::Impossible {
                why: format!("{} is not {}", pair.column_type, target.column_type),
            },
            None => Fidelity::Impossible { why: format!("there is no column {}", pair.target) },
        }
    }

    async fn is_empty(&self) -> Result<bool> {
        Ok(lock(&self.chunks).values().flatten().all(|batch| batch.num_rows() == 0))
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        Ok(Vec::new())
    }

    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        _cx: &RunContext,
    ) -> Result<()> {
        refuse_record(record)?;
        if !plan.truncate.is_empty() {
            lock(&self.chunks).clear();
        }
        Ok(())
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        refuse_record(record)?;
        if plan.mode != WriteMode::Copy {
            return Err(Error::new(ErrorKind::Unsupported, "A memory sink only appends")
                .with_hint("plan the table without unique keys"));
        }
        let batches: Vec<_> = cx.unless_cancelled(batches.try_collect()).await?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let bytes = batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
        lock(&self.chunks).insert(chunk.id, batches);
        Ok(WriteSummary { rows_read: rows, rows_inserted: rows, bytes, ..WriteSummary::default() })
    }

    async fn finish(&self, _plan: &LoadPlan, _cx: &RunContext) -> Result<()> {
        Ok(())
    }
}

fn refuse_record(record: Option<&dyn CommitRecord>) -> Result<()> {
    match record {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Unsupported,
            "A memory sink cannot take part in a status store's transaction",
        )
        .with_hint("use the in-memory status store with it")),
    }
}
