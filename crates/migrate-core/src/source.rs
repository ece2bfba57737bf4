//! Where rows come from.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::chunk::Extent;
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::greatest::Greatest;
use crate::histogram::{HistogramRequest, KeyHistogram};
use crate::memory_budget::MemoryShare;
use crate::name::{ColumnName, TableRef};
use crate::predicate::Predicate;
use crate::schema::{Annotations, TableSchema};

/// Rows on their way. Dropping the stream ends the read and frees what it holds.
///
/// A batch counts as the source's until the next one is asked for. Whoever keeps it longer counts it
/// among what a write needs, see [`SinkTable::write_memory_bytes`](crate::SinkTable::write_memory_bytes).
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// One point in time of a source, in the source's own spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(String);

impl Snapshot {
    /// Wraps the source's own spelling.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The source's own spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A system that holds tables.
///
/// ```
/// use migrate_core::memory::MemorySource;
/// use migrate_core::{Source, TableRef};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let source = MemorySource::new();
/// assert!(source.open(&TableRef::bare("nothing"), None).await.is_err());
/// # });
/// ```
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// What it is, for messages: `Snowflake account xy12345`. No secrets.
    fn name(&self) -> String;

    /// The cheapest proof that address and credentials work.
    ///
    /// # Errors
    ///
    /// `Auth`, `Connection`, `Timeout` or `NotFound`, with the next step.
    async fn check(&self) -> Result<()>;

    /// The present moment by the source's own clock, if it can read its tables as of a moment.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    async fn pin(&self) -> Result<Option<Snapshot>>;

    /// Loads what is known of a table. With a snapshot every read through the handle sees that
    /// moment, unless [`SourceTable::snapshot`] answers `None` because this object cannot.
    ///
    /// # Errors
    ///
    /// [`SOURCE_TABLE_MISSING`](crate::code::SOURCE_TABLE_MISSING),
    /// [`SNAPSHOT_EXPIRED`](crate::code::SNAPSHOT_EXPIRED), or as [`check`](Self::check).
    async fn open(
        &self,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Arc<dyn SourceTable>>;

    /// Waits, for a few seconds at most, until the source has heard of every read that was given
    /// up. Called once at the end; a source where nothing goes on by itself has nothing to do.
    async fn close(&self) {}
}

/// One open table. Its metadata is loaded once and kept.
#[async_trait]
pub trait SourceTable: fmt::Debug + Send + Sync {
    /// Columns and types.
    fn schema(&self) -> &Arc<TableSchema>;

    /// The version that every read through this handle sees; `None` for the changing present.
    fn snapshot(&self) -> Option<&Snapshot>;

    /// Whether this table can apply a predicate itself. Asked for every filter and chunk before any
    /// row moves.
    fn pushdown(&self, predicate: &Predicate) -> Pushdown;

    /// The least bytes with which such a scan goes on: what it reads from, and the batches that are
    /// being made, waiting and being written. Chunks are let in by it; what a scan takes beyond, it
    /// [reserves](MemoryShare::reserve).
    fn scan_memory_bytes(&self, request: &ScanRequest) -> u64;

    /// Rows that match.
    ///
    /// # Errors
    ///
    /// As [`Source::check`]; `Unsupported` for a predicate that `pushdown` refuses.
    async fn count(&self, filter: &Predicate) -> Result<u64>;

    /// Histograms of a key, in one statement: one, or one for each combination of values of the
    /// columns that it is taken within.
    ///
    /// # Errors
    ///
    /// As [`count`](Self::count); `Unsupported` where keys of this type cannot be ordered.
    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>>;

    /// About how large the whole table is, from what the source knows without reading it.
    ///
    /// # Errors
    ///
    /// As [`Source::check`].
    async fn size(&self) -> Result<TableSize> {
        Ok(TableSize::default())
    }

    /// The columns by which the source itself orders or identifies rows.
    ///
    /// # Errors
    ///
    /// As [`Source::check`].
    async fn declared_keys(&self) -> Result<DeclaredKeys> {
        Ok(DeclaredKeys::default())
    }

    /// Whether a scan can hand out rows in an order that the caller asks for.
    fn can_sort(&self) -> bool {
        false
    }

    /// A statement with which a person sees the values of a column in the matching rows; `None`
    /// where the source has no language for people.
    fn statement_to_see(&self, _column: &ColumnName, _rows: &Predicate) -> Option<String> {
        None
    }

    /// Primary key and comments, asked only where a target table is to be created.
    ///
    /// # Errors
    ///
    /// As [`Source::check`].
    async fn annotations(&self) -> Result<Annotations> {
        Ok(Annotations::default())
    }

    /// The greatest value of a column among the rows that match, in one statement.
    ///
    /// # Errors
    ///
    /// As [`count`](Self::count); `Unsupported` where values of this type cannot be ordered.
    async fn greatest(&self, column: &ColumnName, _filter: &Predicate) -> Result<Greatest> {
        Err(Error::new(ErrorKind::Unsupported, "This source cannot tell its greatest watermark")
            .with("column", column)
            .with_hint("remove `source_watermark` and `target_watermark`"))
    }

    /// The immutable objects that the table is made of; none where it is not made of objects.
    ///
    /// # Errors
    ///
    /// As [`Source::check`].
    async fn objects(&self) -> Result<Vec<ObjectStat>>;

    /// Starts reading. Batches have exactly `request.columns`, in that order, each in the
    /// [Arrow form](crate::ColumnType::arrow) of its type.
    ///
    /// # Errors
    ///
    /// As [`count`](Self::count), from the call or from the stream.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the call or the stream loses nothing. When `cx.cancel` fires, a statement that runs
    /// in the source is aborted there, not only forgotten.
    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream>;
}

/// Whether a source applies a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushdown {
    /// Exactly the matching rows are read.
    Exact,
    /// The source refuses it.
    Unsupported,
}

/// What to read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScanRequest {
    /// Columns, in the order of the batches.
    pub columns: Vec<ColumnName>,
    /// The chunk.
    pub extent: Extent,
    /// The table's filter; applies to either kind of extent.
    pub filter: Predicate,
    /// Columns by which the rows arrive in order, the most significant first; none for any order.
    pub order: Vec<ColumnName>,
    /// The exact count that the caller holds the stream to. Where it is `None`, a source that
    /// cannot trust its own transport has to count by itself.
    pub expected_rows: Option<u64>,
    /// Most rows per batch.
    pub batch_rows: NonZeroU64,
    /// About how many bytes per batch at the most; a single row may be larger.
    pub batch_bytes: NonZeroU64,
    /// The chunk's part of the memory budget; none where nobody counts.
    pub memory: Option<MemoryShare>,
}

impl ScanRequest {
    /// Reads an extent in batches of at most 16,384 rows or about 1 MiB.
    pub fn new(columns: Vec<ColumnName>, extent: Extent) -> Self {
        const BATCH_ROWS: NonZeroU64 = NonZeroU64::new(16_384).expect("not zero");
        const BATCH_BYTES: NonZeroU64 = NonZeroU64::new(1 << 20).expect("not zero");
        Self {
            columns,
            extent,
            filter: Predicate::All,
            order: Vec::new(),
            expected_rows: None,
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
            memory: None,
        }
    }

    /// Sets the table's filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Predicate) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the order of the rows. Only for tables that [can sort](SourceTable::can_sort).
    #[must_use]
    pub fn with_order(mut self, columns: Vec<ColumnName>) -> Self {
        self.order = columns;
        self
    }

    /// Says that the caller counts.
    #[must_use]
    pub fn with_expected_rows(mut self, rows: Option<u64>) -> Self {
        self.expected_rows = rows;
        self
    }

    /// Sets the bounds of a batch.
    #[must_use]
    pub fn with_batch_limits(mut self, rows: NonZeroU64, bytes: NonZeroU64) -> Self {
        self.batch_rows = rows;
        self.batch_bytes = bytes;
        self
    }

    /// Sets the part of the memory budget that the scan may use.
    #[must_use]
    pub fn with_memory(mut self, share: MemoryShare) -> Self {
        self.memory = Some(share);
        self
    }
}

/// One immutable object of a table, such as a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStat {
    /// Where it is, in the source's own terms.
    pub uri: String,
    /// Identity of its content.
    pub fingerprint: String,
    /// Rows of each of its row groups.
    pub row_group_rows: Vec<u64>,
}

/// About how large a table is. What a source does not know is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSize {
    /// Rows, without any filter, perhaps of another moment than the one that is read.
    pub rows: Option<u64>,
    /// Bytes that the source keeps them in, perhaps compressed.
    pub bytes: Option<u64>,
}

impl TableSize {
    /// Bytes of an average row, if there are rows.
    pub fn row_bytes(&self) -> Option<u64> {
        self.bytes?.checked_div(self.rows?)
    }
}

/// Columns by which a source orders or identifies rows; empty where it declares none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeclaredKeys {
    /// The primary key.
    pub primary: Vec<ColumnName>,
    /// The columns by which rows lie together, up to the first that is an expression.
    pub clustering: Vec<ColumnName>,
    /// What could not be found out and why, for people; they are advice, so that is no error.
    pub unknown: Option<String>,
}
