//! One table of Parquet files.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use migrate_core::{
    BatchStream, ColumnName, Error, ErrorKind, Extent, Greatest, HistogramRequest, KeyHistogram,
    ObjectStat, Predicate, Pushdown, Result, RowCounter, RunContext, ScanRequest, Snapshot,
    SourceTable, TableRef, TableSchema, TableSize, code,
};

use super::file::ParquetFile;
use super::read::{Part, Selection, read_parts};

/// The files are immutable: the table's version is the identity of all of them.
#[derive(Debug)]
pub(super) struct ParquetTable {
    schema: Arc<TableSchema>,
    files: Vec<Arc<ParquetFile>>,
    snapshot: Snapshot,
}

impl ParquetTable {
    /// Reads the footers of all files.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` when the files differ; [`code::SNAPSHOT_EXPIRED`] when they are not the
    /// wanted version.
    pub(super) fn open(
        table: TableRef,
        paths: &[PathBuf],
        wanted: Option<&Snapshot>,
    ) -> Result<Self> {
        let files = paths
            .iter()
            .map(|path| ParquetFile::open(path).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        let fingerprints: Vec<_> = files.iter().map(|file| file.fingerprint.as_str()).collect();
        let snapshot = Snapshot::new(fingerprints.join("+"));
        if wanted.is_some_and(|wanted| *wanted != snapshot) {
            return Err(Error::new(
                code::SNAPSHOT_EXPIRED,
                format!("The files of {table} have changed since the load was planned"),
            )
            .with_hint("start anew with --no-resume"));
        }
        let first = files.first().ok_or_else(|| {
            Error::new(code::SOURCE_TABLE_MISSING, format!("No Parquet file for {table}"))
                .with_hint("correct `source`, or `path`")
        })?;
        let mut columns = first.columns()?;
        for file in files.iter().skip(1) {
            let others = file.columns()?;
            if others.len() != columns.len() {
                return Err(unlike(first, file));
            }
            for (column, other) in columns.iter_mut().zip(others) {
                if column.name != other.name || column.column_type != other.column_type {
                    return Err(unlike(first, file).with("column", &other.name));
                }
                column.nullable |= other.nullable;
            }
        }
        Ok(Self { schema: Arc::new(TableSchema::new(table, columns)), files, snapshot })
    }

    fn parts(&self, extent: &Extent) -> Result<Vec<Part>> {
        match extent {
            Extent::Rows { .. } => {
                Ok(self.files.iter().map(|file| Part::whole(Arc::clone(file))).collect())
            }
            Extent::Object { uri, row_groups, fingerprint } => {
                let file = self
                    .files
                    .iter()
                    .find(|file| file.uri == *uri)
                    .filter(|file| file.fingerprint == *fingerprint)
                    .ok_or_else(|| {
                        Error::new(code::SNAPSHOT_EXPIRED, "A planned file is gone or has changed")
                            .with("file", uri)
                            .with_hint("start anew with --no-resume")
                    })?;
                Ok(vec![Part { file: Arc::clone(file), row_groups: row_groups.clone() }])
            }
            other => Err(Error::new(
                ErrorKind::Unsupported,
                format!("Parquet files cannot be read by {other}"),
            )
            .with("table", &self.schema.table)
            .with_hint("start anew with --no-resume: another version of the program planned this")),
        }
    }

    fn selection(&self, request: &ScanRequest) -> Result<Selection> {
        let predicate = match &request.extent {
            Extent::Rows { predicate } => predicate.clone().and(request.filter.clone()),
            _ => request.filter.clone(),
        };
        Ok(Selection {
            output: self.schema.arrow(&request.columns)?,
            predicate,
            schema: Arc::clone(&self.schema),
            batch_rows: request.batch_rows,
            batch_bytes: request.batch_bytes,
            memory: request.memory.clone(),
        })
    }

    /// Scans selected columns, for counts and keys.
    async fn rows(&self, columns: Vec<ColumnName>, filter: &Predicate) -> Result<BatchStream> {
        let everything = Extent::Rows { predicate: Predicate::All };
        let request = ScanRequest::new(columns, everything).with_filter(filter.clone());
        self.scan(request, &RunContext::new()).await
    }
}

fn unlike(first: &ParquetFile, other: &ParquetFile) -> Error {
    Error::new(ErrorKind::SchemaMismatch, "The files of one table have different columns")
        .with("file", other.path.display())
        .with("unlike", first.path.display())
        .with_hint("name files of one kind in `source`, or give each kind its own table")
}

#[async_trait]
impl SourceTable for ParquetTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        Some(&self.snapshot)
    }

    fn pushdown(&self, predicate: &Predicate) -> Pushdown {
        match predicate.raw_part() {
            None => Pushdown::Exact,
            Some(_) => Pushdown::Unsupported,
        }
    }

    fn scan_memory_bytes(&self, request: &ScanRequest) -> u64 {
        // What cannot be read is told by the scan.
        let (Ok(parts), Ok(selection)) = (self.parts(&request.extent), self.selection(request))
        else {
            return 0;
        };
        parts.iter().map(|part| selection.least_bytes(part)).max().unwrap_or_default()
    }

    async fn count(&self, filter: &Predicate) -> Result<u64> {
        if *filter == Predicate::All {
            let stats = self.files.iter().map(|file| file.stat());
            return Ok(stats.flat_map(|stat| stat.row_group_rows).sum());
        }
        let columns = filter.columns().into_iter().cloned().collect();
        let batches = self.rows(columns, filter).await?;
        batches.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows() as u64) }).await
    }

    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>> {
        let mut columns: Vec<ColumnName> = Vec::new();
        for key in request.within.iter().chain([request.key]) {
            self.schema.require(&key.column)?;
            if !columns.contains(&key.column) {
                columns.push(key.column.clone());
            }
        }
        let mut counter = RowCounter::new(*request);
        let mut batches = self.rows(columns, request.filter).await?;
        while let Some(batch) = batches.try_next().await? {
            counter.add(&batch)?;
        }
        Ok(counter.finish())
    }

    async fn size(&self) -> Result<TableSize> {
        let rows = self.count(&Predicate::All).await?;
        let bytes = self.files.iter().map(|file| file.bytes()).sum();
        Ok(TableSize { rows: Some(rows), bytes: Some(bytes) })
    }

    async fn greatest(&self, column: &ColumnName, filter: &Predicate) -> Result<Greatest> {
        self.schema.require(column)?;
        let mut batches = self.rows(vec![column.clone()], filter).await?;
        let mut greatest = Greatest::default();
        while let Some(batch) = batches.try_next().await? {
            if let Some(array) = batch.columns().first() {
                greatest.add(array, column)?;
            }
        }
        Ok(greatest)
    }

    async fn objects(&self) -> Result<Vec<ObjectStat>> {
        Ok(self.files.iter().map(|file| file.stat()).collect())
    }

    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream> {
        let (parts, selection) = (self.parts(&request.extent)?, self.selection(&request)?);
        read_parts(parts, selection, cx)
    }
}
