//! Tables that are batches in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::{
    SortColumn, SortOptions, concat_batches, filter_record_batch, lexsort_to_indices,
    take_record_batch,
};
use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use super::lock;
use crate::chunk::Extent;
use crate::code;
use crate::column_type::ColumnType;
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::greatest::Greatest;
use crate::histogram::{HistogramRequest, KeyHistogram};
use crate::name::{ColumnName, TableRef};
use crate::predicate::Predicate;
use crate::schema::{Column, TableSchema};
use crate::source::{
    BatchStream, ObjectStat, Pushdown, ScanRequest, Snapshot, Source, SourceTable, TableSize,
};

/// A source of batches in memory. Replacing a table makes a new version; snapshots read old ones.
#[derive(Debug, Default)]
pub struct MemorySource {
    versions: Mutex<Versions>,
}

#[derive(Debug, Default)]
struct Versions {
    now: u64,
    tables: BTreeMap<TableRef, BTreeMap<u64, RecordBatch>>,
}

impl MemorySource {
    /// A source without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a table; older snapshots keep what it was.
    pub fn put(&self, table: TableRef, rows: RecordBatch) {
        let mut versions = lock(&self.versions);
        versions.now += 1;
        let now = versions.now;
        versions.tables.entry(table).or_default().insert(now, rows);
    }

    /// A source with one table.
    #[must_use]
    pub fn with_table(self, table: TableRef, rows: RecordBatch) -> Self {
        self.put(table, rows);
        self
    }

    fn rows(&self, table: &TableRef, snapshot: Option<&Snapshot>) -> Result<RecordBatch> {
        let versions = lock(&self.versions);
        let moment = match snapshot {
            None => versions.now,
            Some(snapshot) => {
                snapshot.as_str().parse().map_err(|cause: std::num::ParseIntError| {
                    Error::new(ErrorKind::Config, "Not a snapshot of a memory source")
                        .with_hint("use what `pin` returns")
                        .with_source(cause)
                })?
            }
        };
        versions
            .tables
            .get(table)
            .and_then(|history| history.range(..=moment).next_back())
            .map(|(_, rows)| rows.clone())
            .ok_or_else(|| {
                let known: Vec<_> = versions.tables.keys().map(ToString::to_string).collect();
                Error::new(code::SOURCE_TABLE_MISSING, format!("Source table {table} not found"))
                    .with_hint(format!("use one of: {}", known.join(", ")))
            })
    }
}

#[async_trait]
impl Source for MemorySource {
    fn name(&self) -> String {
        "memory".into()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn pin(&self) -> Result<Option<Snapshot>> {
        Ok(Some(Snapshot::new(lock(&self.versions).now.to_string())))
    }

    async fn open(
        &self,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Arc<dyn SourceTable>> {
        let rows = self.rows(table, snapshot)?;
        let columns = rows
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let column_type = ColumnType::of_arrow(field.data_type()).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Unsupported,
                        format!("Column {} has no supported type", field.name()),
                    )
                    .with_hint("leave nested columns out")
                })?;
                let native = field.data_type().to_string();
                Ok(Column::new(field.name().as_str(), column_type, native)
                    .with_nullable(field.is_nullable()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(MemoryTable {
            schema: Arc::new(TableSchema::new(table.clone(), columns)),
            snapshot: snapshot.cloned(),
            rows,
        }))
    }
}

#[derive(Debug)]
struct MemoryTable {
    schema: Arc<TableSchema>,
    snapshot: Option<Snapshot>,
    rows: RecordBatch,
}

impl MemoryTable {
    fn matching(&self, predicate: &Predicate) -> Result<RecordBatch> {
        let mask = predicate.evaluate(&self.rows)?;
        filter_record_batch(&self.rows, &mask).map_err(|cause| {
            Error::new(ErrorKind::Internal, "Cannot filter a batch").with_source(cause)
        })
    }
}

#[async_trait]
impl SourceTable for MemoryTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    fn pushdown(&self, predicate: &Predicate) -> Pushdown {
        match predicate.raw_part() {
            None => Pushdown::Exact,
            Some(_) => Pushdown::Unsupported,
        }
    }

    fn scan_memory_bytes(&self, _request: &ScanRequest) -> u64 {
        0
    }

    async fn count(&self, filter: &Predicate) -> Result<u64> {
        Ok(self.matching(filter)?.num_rows() as u64)
    }

    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>> {
        for key in request.within.iter().chain([request.key]) {
            self.schema.require(&key.column)?;
        }
        request.count(&[self.matching(request.filter)?])
    }

    async fn size(&self) -> Result<TableSize> {
        let bytes = self.rows.get_array_memory_size() as u64;
        Ok(TableSize { rows: Some(self.rows.num_rows() as u64), bytes: Some(bytes) })
    }

    fn can_sort(&self) -> bool {
        true
    }

    async fn greatest(&self, column: &ColumnName, filter: &Predicate) -> Result<Greatest> {
        self.schema.require(column)?;
        let rows = self.matching(filter)?;
        let mut greatest = Greatest::default();
        if let Some(array) = rows.column_by_name(column.as_str()) {
            greatest.add(array, column)?;
        }
        Ok(greatest)
    }

    async fn objects(&self) -> Result<Vec<ObjectStat>> {
        Ok(Vec::new())
    }

    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream> {
        let Extent::Rows { predicate } = request.extent else {
            return Err(Error::new(ErrorKind::Unsupported, "A memory table has no objects")
                .with_hint("use a chunking strategy that cuts by rows"));
        };
        let rows = self.matching(&predicate.and(request.filter))?;
        let rows = sorted(rows, &request.order)?;
        let wanted = self.schema.arrow(&request.columns)?;
        let indices = wanted
            .fields()
            .iter()
            .filter_map(|field| rows.schema_ref().index_of(field.name()).ok())
            .collect::<Vec<_>>();
        let rows = rows.project(&indices).map_err(|cause| {
            Error::new(ErrorKind::Internal, "Cannot project a batch").with_source(cause)
        })?;
        let rows = crate::arrow_form::to_arrow_form(&rows, &wanted)?;
        let most = usize::try_from(request.batch_rows.get()).unwrap_or(usize::MAX);
        let batches: Vec<_> = (0..rows.num_rows())
            .step_by(most)
            .map(|start| rows.slice(start, most.min(rows.num_rows() - start)))
            .collect();
        let cx = cx.clone();
        Ok(stream::iter(batches).map(move |batch| cx.ensure_active().map(|()| batch)).boxed())
    }
}

/// The rows in the order of these columns, NULLs last.
fn sorted(rows: RecordBatch, order: &[ColumnName]) -> Result<RecordBatch> {
    if order.is_empty() {
        return Ok(rows);
    }
    let columns = order.iter().map(|column| {
        let values = rows.column_by_name(column.as_str()).map(Arc::clone).ok_or_else(|| {
            Error::new(code::COLUMN_MISSING, format!("Column {column} not found"))
                .with_hint("correct `sort_columns`")
        })?;
        let options = Some(SortOptions { descending: false, nulls_first: false });
        Ok(SortColumn { values, options })
    });
    let indices = lexsort_to_indices(&columns.collect::<Result<Vec<_>>>()?, None);
    indices.and_then(|indices| take_record_batch(&rows, &indices)).map_err(|cause| {
        Error::new(ErrorKind::Unsupported, "Rows cannot be sorted by these columns")
            .with_hint("correct `sort_columns`")
            .with_source(cause)
    })
}

/// All rows of several batches of one schema.
///
/// # Errors
///
/// `SchemaMismatch` when the batches differ.
pub(super) fn concat(batches: &[RecordBatch]) -> Result<Option<RecordBatch>> {
    let Some(first) = batches.first() else { return Ok(None) };
    concat_batches(&first.schema(), batches).map(Some).map_err(|cause| {
        Error::new(ErrorKind::SchemaMismatch, "Batches of one table differ").with_source(cause)
    })
}
