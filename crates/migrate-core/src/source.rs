//! Where rows come from.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::chunk::Extent;
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{ColumnName, TableRef};
use crate::predicate::Predicate;
use crate::schema::TableSchema;
use crate::value::{Scalar, for_each_scalar};

/// Rows on their way. Dropping the stream ends the read and frees what it holds.
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

    /// Resident bytes that one open scan may hold beside the batches it yields.
    fn scan_memory_bytes(&self) -> u64;

    /// Rows that match.
    ///
    /// # Errors
    ///
    /// As [`Source::check`]; `Unsupported` for a predicate that `pushdown` refuses.
    async fn count(&self, filter: &Predicate) -> Result<u64>;

    /// Equi-depth histogram of a key: ascending buckets of about `depth_rows` rows, in one
    /// statement. Equal keys are never split over two buckets.
    ///
    /// # Errors
    ///
    /// As [`count`](Self::count); `Unsupported` where keys of this type cannot be ordered.
    async fn key_histogram(
        &self,
        key: &ColumnName,
        depth_rows: NonZeroU64,
        filter: &Predicate,
    ) -> Result<KeyHistogram>;

    /// The greatest value of a column among the rows that match, NULL aside.
    ///
    /// # Errors
    ///
    /// As [`count`](Self::count); `Unsupported` where values of this type cannot be ordered.
    async fn greatest(&self, column: &ColumnName, _filter: &Predicate) -> Result<Option<Scalar>> {
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
    /// The exact count that the caller holds the stream to. Where it is `None`, a source that
    /// cannot trust its own transport has to count by itself.
    pub expected_rows: Option<u64>,
    /// Most rows per batch.
    pub batch_rows: NonZeroU64,
    /// About how many bytes per batch at the most.
    pub batch_bytes: NonZeroU64,
}

impl ScanRequest {
    /// Reads an extent in batches of at most 65,536 rows or about 8 MiB.
    pub fn new(columns: Vec<ColumnName>, extent: Extent) -> Self {
        const BATCH_ROWS: NonZeroU64 = NonZeroU64::new(65_536).expect("not zero");
        const BATCH_BYTES: NonZeroU64 = NonZeroU64::new(8 << 20).expect("not zero");
        Self {
            columns,
            extent,
            filter: Predicate::All,
            expected_rows: None,
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
        }
    }

    /// Sets the table's filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Predicate) -> Self {
        self.filter = filter;
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
}

/// Rows per range of a key, in buckets of about equal size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyHistogram {
    /// Rows whose key is NULL.
    pub nulls: u64,
    /// Ascending; each reaches from its first key up to the next bucket's.
    pub buckets: Vec<KeyBucket>,
}

/// The greatest of the values of a column, for sources without a query language.
///
/// # Errors
///
/// As [`for_each_scalar`](crate::value::for_each_scalar).
pub fn greatest_of(
    array: &ArrayRef,
    column: &ColumnName,
    known: Option<Scalar>,
) -> Result<Option<Scalar>> {
    let mut greatest = known;
    for_each_scalar(array, column, |value| {
        let is_greater = match (&value, &greatest) {
            (Some(value), Some(known)) => value.compare(known) == Some(Ordering::Greater),
            (value, _) => value.is_some(),
        };
        if is_greater {
            greatest = value;
        }
        Ok(())
    })?;
    Ok(greatest)
}

impl KeyHistogram {
    /// Counts keys that are at hand, for sources without a query language.
    ///
    /// A bucket starts where the rank of its first key passes a multiple of `depth_rows`, which is
    /// what `floor((rank() over (order by key) - 1) / depth_rows)` says in SQL.
    pub fn count(keys: impl IntoIterator<Item = Option<Scalar>>, depth_rows: NonZeroU64) -> Self {
        let mut histogram = Self::default();
        let mut present = Vec::new();
        for key in keys {
            match key {
                Some(key) => present.push(key),
                None => histogram.nulls += 1,
            }
        }
        // Keys of one column are of one kind, so they have an order.
        present.sort_by(|left, right| left.compare(right).unwrap_or(Ordering::Equal));
        let mut bucket_number = None;
        let mut rank = 0;
        for (position, key) in (0_u64..).zip(&present) {
            let previous =
                position.checked_sub(1).and_then(|at| present.get(usize::try_from(at).ok()?));
            if previous != Some(key) {
                rank = position;
            }
            let number = Some(rank / depth_rows);
            match histogram.buckets.last_mut() {
                Some(bucket) if number == bucket_number => bucket.rows += 1,
                _ => histogram.buckets.push(KeyBucket { first: key.clone(), rows: 1 }),
            }
            bucket_number = number;
        }
        histogram
    }
}

/// One bucket of a [`KeyHistogram`].
#[derive(Debug, Clone, PartialEq)]
pub struct KeyBucket {
    /// The smallest key in it.
    pub first: Scalar,
    /// Rows in it.
    pub rows: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_of_even_depth_and_never_split_ties() {
        let keys = [1, 2, 2, 2, 2, 3, 4, 5].map(|key| Some(Scalar::from(key)));
        let depth = NonZeroU64::new(2).expect("not zero");
        let histogram = KeyHistogram::count(keys.into_iter().chain([None]), depth);
        let buckets: Vec<_> =
            histogram.buckets.iter().map(|bucket| (bucket.first.clone(), bucket.rows)).collect();
        assert_eq!(buckets, [(1.into(), 5), (3.into(), 1), (4.into(), 2)]);
        assert_eq!(histogram.nulls, 1);
    }
}
