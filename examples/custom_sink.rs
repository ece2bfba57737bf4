//! A sink of one's own: each chunk becomes one Parquet file. A file that is renamed into place when
//! it is whole can be written again without harm, which is what the sink promises to the engine.
//!
//! `cargo run -p migrate-examples --example custom_sink`; its tests hold it to every rule of a sink.
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::fs::{File, remove_file, rename};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use migrate_core::memory::{MemorySource, MemoryStore};
use migrate_core::{
    BatchStream, Chunk, Column, ColumnPair, ColumnType, CommitGuarantee, CommitRecord, Error,
    ErrorKind, Fidelity, LoadPlan, Result, RunContext, Sink, SinkCapabilities, SinkTable, TableRef,
    TableSchema, WriteMode, WriteSummary,
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
        let folder = self.0.join(&table.name);
        std::fs::create_dir_all(&folder).map_err(broken)?;
        let text = ColumnType::Text { max_chars: None };
        let columns =
            vec![Column::new("id", ColumnType::Int64, "int64"), Column::new("name", text, "text")];
        Ok(Arc::new(FileTable(folder, Arc::new(TableSchema::new(table.clone(), columns)))))
    }
}

/// What this sink does not declare is never asked for; if it is, it is refused.
fn only_adds(plan: &LoadPlan, record: Option<&dyn CommitRecord>) -> Result<()> {
    if plan.mode == WriteMode::Copy && plan.truncate.is_empty() && record.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "Files are only added")
        .with_hint("load into an empty folder, without keys"))
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
        let mut files = std::fs::read_dir(&self.0).map_err(broken)?.flatten();
        Ok(!files.any(|file| file.path().extension().is_some_and(|end| end == "parquet")))
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
        only_adds(plan, record)
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        mut batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        only_adds(plan, record)?;
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
        match writer.filter(|_| summary.rows_read > 0) {
            Some(writer) => {
                writer.close().map_err(broken)?;
                rename(&part, &whole).map_err(broken)?;
            }
            // A chunk that has lost all of its rows replaces what an earlier try wrote, too.
            None if whole.exists() => remove_file(&whole).map_err(broken)?,
            None => {}
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
    let names: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..1000).map(|id| format!("n{id}"))));
    let rows = RecordBatch::try_from_iter([("id", ids), ("name", names)]).expect("two columns");
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

#[cfg(test)]
mod tests {
    use migrate_core::arrow::array::AsArray;
    use migrate_core::arrow::datatypes::Int64Type;
    use migrate_core::testkit::Testkit;
    use migrate_core::testkit::sink::{Row, SinkFixture};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[derive(Debug)]
    struct Folder(tempfile::TempDir);

    #[async_trait]
    impl SinkFixture for Folder {
        fn sink(&self) -> Arc<dyn Sink> {
            Arc::new(Files(self.0.path().to_owned()))
        }

        fn table(&self) -> TableRef {
            TableRef::bare("t")
        }

        async fn rows(&self) -> Result<Vec<Row>> {
            let mut rows = Vec::new();
            for entry in std::fs::read_dir(self.0.path().join("t")).map_err(broken)? {
                let path = entry.map_err(broken)?.path();
                if path.extension().is_none_or(|end| end != "parquet") {
                    continue;
                }
                let file = File::open(path).map_err(broken)?;
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
                for batch in reader.build().map_err(broken)? {
                    let batch = batch.map_err(broken)?;
                    let ids = batch.column(0).as_primitive::<Int64Type>().values().iter();
                    let names = batch.column(1).as_string::<i32>().iter();
                    rows.extend(ids.copied().zip(names.map(|name| name.map(str::to_owned))));
                }
            }
            Ok(rows)
        }
    }

    #[tokio::test]
    async fn a_sink_of_ones_own_keeps_every_rule() {
        let fresh = || async { Ok(Folder(tempfile::tempdir().map_err(broken)?)) };
        Testkit::new().sink(fresh).await.expect_kept();
    }
}
