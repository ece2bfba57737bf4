//! A sink of one's own: each chunk becomes one Parquet file. A file that is renamed into place when
//! it is whole can be written again without harm, which is what the sink promises to the engine.
//!
//! `cargo run -p migrate-examples --example custom_sink`
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::fs::{File, rename};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use migrate_core::memory::{MemorySource, MemoryStore};
use migrate_core::{
    BatchStream, Chunk, Column, ColumnPair, ColumnType, CommitGuarantee, CommitRecord, Error,
    ErrorKind, Fidelity, LoadPlan, Result, RunContext, Sink, SinkCapabilities, SinkTable, TableRef,
    TableSchema, WriteSummary,
};
use migrate_engine::{Migration, TableJob};
use parquet::arrow::ArrowWriter;

#[derive(Debug)]
struct Files(PathBuf);

#[derive(Debug)]
struct FileTable(PathBuf, Arc<TableSchema>);

fn broken(cause: impl Into<migrate_core::BoxError>) -> Error {
    Error::new(ErrorKind::ResourceExhausted, "A file cannot be written").with_source(cause)
}

#[async_trait]
impl Sink for Files {
    fn name(&self) -> String {
        format!("files in {}", self.0.display())
    }

    async fn check(&self) -> Result<()> {
        std::fs::create_dir_all(&self.0).map_err(broken)
    }

    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>> {
        let columns = vec![Column::new("id", ColumnType::Int64, "bigint")];
        Ok(Arc::new(FileTable(self.0.clone(), Arc::new(TableSchema::new(table.clone(), columns)))))
    }
}

#[async_trait]
impl SinkTable for FileTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.1
    }

    fn capabilities(&self) -> SinkCapabilities {
        let mut capabilities = SinkCapabilities::default();
        capabilities.commit = CommitGuarantee::IdempotentPerChunk;
        capabilities
    }

    fn assess(&self, _pair: &ColumnPair) -> Fidelity {
        Fidelity::Exact
    }

    async fn is_empty(&self) -> Result<bool> {
        Ok(true)
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        Ok(Vec::new())
    }

    async fn prepare(
        &self,
        _plan: &LoadPlan,
        _record: Option<&dyn CommitRecord>,
        _cx: &RunContext,
    ) -> Result<()> {
        Ok(())
    }

    async fn write_chunk(
        &self,
        _plan: &LoadPlan,
        chunk: &Chunk,
        mut batches: BatchStream,
        _record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let whole = self.0.join(format!("chunk-{}.parquet", chunk.id));
        let part = whole.with_extension("part");
        let mut writer = None;
        let mut summary = WriteSummary::default();
        while let Some(batch) = cx.unless_cancelled(batches.try_next()).await? {
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(start(&part, &batch)?),
            };
            writer.write(&batch).map_err(broken)?;
            summary.rows_read += batch.num_rows() as u64;
            summary.rows_inserted += batch.num_rows() as u64;
        }
        if let Some(writer) = writer {
            writer.close().map_err(broken)?;
            rename(&part, &whole).map_err(broken)?;
        }
        Ok(summary)
    }

    async fn finish(&self, _plan: &LoadPlan, _cx: &RunContext) -> Result<()> {
        Ok(())
    }
}

fn start(path: &Path, batch: &RecordBatch) -> Result<ArrowWriter<File>> {
    let file = File::create(path).map_err(broken)?;
    ArrowWriter::try_new(file, batch.schema(), None).map_err(broken)
}

#[tokio::main]
async fn main() -> Result<()> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let rows = RecordBatch::try_from_iter([("id", ids)]).expect("one column");
    let (from, to) = (TableRef::bare("numbers"), TableRef::bare("numbers"));
    let folder = tempfile::tempdir().map_err(broken)?;
    let sink = Files(folder.path().join("numbers"));
    sink.check().await?;

    let migration = Migration::builder()
        .source(Arc::new(MemorySource::new().with_table(from.clone(), rows)))
        .sink(Arc::new(sink))
        .status(Arc::new(MemoryStore::new()))
        .table(TableJob::copy(from, to))
        .build()?;
    let report = migration.run(&RunContext::new()).await?;

    assert_eq!(report.row_count(), 1000);
    println!(
        "{} rows in {} file(s)",
        report.row_count(),
        report.tables.iter().map(|t| t.chunk_count).sum::<u64>()
    );
    Ok(())
}
