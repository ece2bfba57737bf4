//! Several chunking columns, and the statements that they cost.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use migrate_chunking::{ChunkingStrategy, GroupedValues, NumericRange, PlanInput};
use migrate_core::arrow::array::StringArray;
use migrate_core::{
    BatchStream, HistogramRequest, Key, KeyHistogram, ObjectStat, Predicate, Pushdown, Result,
    RunContext, ScanRequest, Snapshot, SourceTable, TableSchema, async_trait,
};

use crate::support::{integers, open, plan, predicates, table, true_counts};

#[tokio::test]
async fn a_value_that_is_too_big_is_cut_by_the_next_column() {
    // Region 1 has 80 rows over 8 days of which one has 45; region 2 has 12; NULL has 30.
    let regions = (0..122).map(|row| match row {
        0..80 => Some(1),
        80..92 => Some(2),
        _ => None,
    });
    let days = (0..122).map(|row| if row < 45 { Some(7) } else { Some(row % 8) });
    let rows = table([
        ("region", integers(regions)),
        ("day", integers(days)),
        ("id", integers((0..122).map(Some))),
    ]);
    let keys: Vec<Key> = ["region", "day", "id"].map(Into::into).to_vec();
    let counts = true_counts(&plan(&NumericRange {}, &rows, &keys, 20).await, &rows);
    assert!(counts.iter().all(|rows| (1..=20).contains(rows)), "{counts:?}");

    let without_id = plan(&NumericRange {}, &rows, &keys[..2], 20).await;
    let counts = true_counts(&without_id, &rows);
    assert_eq!(counts.iter().max(), Some(&50), "one day of one region cannot be cut");
    assert_eq!(without_id.notes.len(), 1);
    let first = predicates(&without_id)[0].to_string();
    assert!(
        first.starts_with("(\"region\" is null and ("),
        "NULL has a home in each level: {first}"
    );
}

#[tokio::test]
async fn columns_of_several_kinds_nest() {
    let name = |row: usize| (!row.is_multiple_of(50)).then_some(["a", "b", "é"][row % 3]);
    let names: StringArray = (0..200).map(name).collect();
    let rows = table([("name", Arc::new(names) as _), ("id", integers((0..200).map(Some)))]);
    let keys = ["name".into(), "id".into()];
    let counts = true_counts(&plan(&GroupedValues {}, &rows, &keys, 10).await, &rows);
    assert!(counts.iter().all(|rows| (1..=10).contains(rows)), "{counts:?}");
}

#[tokio::test]
async fn there_is_one_histogram_per_column_at_most() {
    let rows = || {
        let regions = integers((0..1_000).map(|row| Some(row % 5)));
        table([("region", regions), ("id", integers((0..1_000).map(Some)))])
    };
    for (chunk_rows, statements) in [(10, 2), (200, 1)] {
        let counting = Counting::new(open(rows()).await);
        let keys = ["region".into(), "id".into()];
        let input = PlanInput::new(&counting)
            .with_keys(&keys)
            .with_chunk_rows(NonZeroU64::new(chunk_rows).expect("not zero"));
        NumericRange {}.plan(input).await.expect("plans");
        assert_eq!(counting.histograms.load(Ordering::SeqCst), statements, "{chunk_rows}");
    }
}

#[tokio::test]
async fn thousands_of_crowds_are_cut_by_one_short_request() {
    // 5,000 regions of three rows, each of them too big by one.
    let regions = integers((0..15_000).map(|row| (row >= 3).then_some(row / 3)));
    let rows = table([("region", regions), ("id", integers((0..15_000).map(Some)))]);
    let counting = Counting::new(open(rows.clone()).await);
    let keys = ["region".into(), "id".into()];
    let input = PlanInput::new(&counting)
        .with_keys(&keys)
        .with_chunk_rows(NonZeroU64::new(2).expect("not zero"));
    let plan = NumericRange {}.plan(input).await.expect("plans");
    assert_eq!(counting.histograms.load(Ordering::SeqCst), 2);
    assert!(counting.longest_filter.load(Ordering::SeqCst) < 10_000, "the filter names each value");
    let counted: Vec<_> = plan.chunks.iter().map(|chunk| chunk.expected_rows).collect();
    assert_eq!(counted.len(), 10_000);
    assert!(counted.iter().all(|rows| matches!(rows, Some(1 | 2))));
    assert_eq!(plan.estimated_rows(), Some(15_000));
}

/// Counts the histograms that are asked for.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn SourceTable>,
    histograms: AtomicUsize,
    longest_filter: AtomicUsize,
}

impl Counting {
    fn new(inner: Arc<dyn SourceTable>) -> Self {
        Self { inner, histograms: AtomicUsize::new(0), longest_filter: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl SourceTable for Counting {
    fn schema(&self) -> &Arc<TableSchema> {
        self.inner.schema()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.inner.snapshot()
    }

    fn pushdown(&self, predicate: &Predicate) -> Pushdown {
        self.inner.pushdown(predicate)
    }

    fn scan_memory_bytes(&self, request: &ScanRequest) -> u64 {
        self.inner.scan_memory_bytes(request)
    }

    async fn count(&self, filter: &Predicate) -> Result<u64> {
        self.inner.count(filter).await
    }

    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>> {
        self.histograms.fetch_add(1, Ordering::SeqCst);
        let length = request.filter.to_string().len();
        self.longest_filter.fetch_max(length, Ordering::SeqCst);
        self.inner.histograms(request).await
    }

    async fn objects(&self) -> Result<Vec<ObjectStat>> {
        self.inner.objects().await
    }

    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream> {
        self.inner.scan(request, cx).await
    }
}
