//! The Parquet source on files written for the test.

use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use migrate_chunking::{Auto, ChunkingStrategy, PlanInput, RowGroups};
use migrate_core::arrow::array::{
    ArrayRef, AsArray, Int64Array, LargeStringArray, RecordBatch, TimestampNanosecondArray,
};
use migrate_core::arrow::datatypes::Int64Type;
use migrate_core::{
    ColumnName, ColumnType, ErrorKind, Extent, HistogramRequest, Key, Predicate, RunContext,
    ScanRequest, Source, SourceTable, TableRef, code,
};
use migrate_sources::ParquetSource;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

fn write(folder: &Path, name: &str, ids: std::ops::Range<i64>) {
    let keys: Int64Array = ids.clone().map(|id| (id % 7 != 0).then_some(id)).collect();
    let names: ArrayRef =
        Arc::new(LargeStringArray::from_iter_values(ids.clone().map(|id| format!("n{id}"))));
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(ids));
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(keys) as ArrayRef, true),
        ("name", names, false),
        ("at", times, false),
    ])
    .expect("batch");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
    let file = File::create(folder.join(name)).expect("file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("writer");
    writer.write(&rows).expect("rows");
    writer.close().expect("footer");
}

async fn open(folder: &Path, table: &str) -> Arc<dyn SourceTable> {
    ParquetSource::new(folder).open(&TableRef::bare(table), None).await.expect("opens")
}

async fn read(table: &dyn SourceTable, request: ScanRequest) -> Vec<RecordBatch> {
    let stream = table.scan(request, &RunContext::new()).await.expect("scan");
    stream.try_collect().await.expect("rows")
}

fn rows(predicate: Predicate) -> Extent {
    Extent::Rows { predicate }
}

fn ids(batches: &[RecordBatch]) -> Vec<Option<i64>> {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter()).collect()
}

#[tokio::test]
async fn files_of_a_table_are_read_as_one_with_the_asked_columns_in_their_order() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "a.parquet", 1..25);
    write(folder.path(), "b.parquet", 25..31);
    let table = open(folder.path(), "*.parquet").await;
    let types: Vec<_> = table.schema().columns.iter().map(|c| c.column_type.clone()).collect();
    let expected = [
        ColumnType::Int64,
        ColumnType::Text { max_chars: None },
        ColumnType::Timestamp { scale: 9 },
    ];
    assert_eq!(types, expected);
    assert_eq!(table.count(&Predicate::All).await.expect("count"), 30);

    let columns = vec!["name".into(), "id".into()];
    let batches = read(table.as_ref(), ScanRequest::new(columns, rows(Predicate::All))).await;
    let names: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten())
        .collect();
    assert_eq!(names.len(), 30);
    assert_eq!((names[0], names[29]), ("n1", "n30"));
}

#[tokio::test]
async fn parts_of_a_key_cover_the_table_and_agree_with_its_histogram() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "t.parquet", 1..50);
    let table = open(folder.path(), "t").await;
    let key = ColumnName::from("id");
    let depth = NonZeroU64::new(8).expect("not zero");
    let by = Key::from(&key);
    let request = HistogramRequest::new(&by, depth);
    let histogram = table.histograms(&request).await.expect("histogram").remove(0);
    assert_eq!(histogram.nulls, 7);
    let cuts: Vec<_> = histogram.buckets.iter().skip(1).map(|b| b.first.clone()).collect();
    let mut seen = Vec::new();
    for (predicate, bucket) in Predicate::partition(&key, &cuts).into_iter().zip(&histogram.buckets)
    {
        let request = ScanRequest::new(vec![key.clone()], rows(predicate));
        let found = ids(&read(table.as_ref(), request).await);
        let present = found.iter().flatten().count() as u64;
        assert_eq!(present, bucket.rows);
        seen.extend(found);
    }
    seen.sort();
    let expected: Vec<_> =
        std::iter::repeat_n(None, 7).chain((1..50).filter(|id| id % 7 != 0).map(Some)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn each_row_is_in_one_chunk_of_row_groups() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "a.parquet", 1..46);
    write(folder.path(), "b.parquet", 46..50);
    write(folder.path(), "c.parquet", 50..111);
    let table = open(folder.path(), "*.parquet").await;
    let filter = Predicate::range("id", Some(20.into()), Some(80.into()));
    for (chunk_rows, chunk_count) in [(1, 13), (10, 13), (25, 6), (1_000, 3)] {
        for filter in [&Predicate::All, &filter] {
            let input = PlanInput::new(table.as_ref())
                .with_filter(filter)
                .with_chunk_rows(NonZeroU64::new(chunk_rows).expect("not zero"));
            let plan = RowGroups {}.plan(input).await.expect("plans");
            assert_eq!(plan.chunks.len(), chunk_count, "{chunk_rows}");
            let mut names = Vec::new();
            for chunk in &plan.chunks {
                let request = ScanRequest::new(vec!["name".into()], chunk.extent.clone());
                let batches = read(table.as_ref(), request.with_filter(filter.clone())).await;
                let before = names.len();
                for batch in &batches {
                    let column = batch.column(0).as_string::<i32>();
                    names.extend(column.iter().flatten().map(str::to_owned));
                }
                let rows = (names.len() - before) as u64;
                let is_exact = *filter == Predicate::All;
                assert_eq!(chunk.expected_rows, is_exact.then_some(rows), "{}", chunk.extent);
                assert!(chunk.estimated_rows >= Some(rows), "{}", chunk.extent);
            }
            names.sort();
            let is_read =
                |id: &i64| *filter == Predicate::All || ((20..80).contains(id) && id % 7 != 0);
            let mut expected: Vec<_> =
                (1..111).filter(is_read).map(|id: i64| format!("n{id}")).collect();
            expected.sort();
            assert_eq!(names, expected, "about {chunk_rows} rows where {filter}");
        }
    }
}

#[tokio::test]
async fn files_say_why_their_chunking_columns_are_not_used() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "t.parquet", 1..31);
    let table = open(folder.path(), "t").await;
    let keys = ["id".into()];
    let plan = Auto {}.plan(PlanInput::new(table.as_ref()).with_keys(&keys)).await.expect("plans");
    assert_eq!(plan.strategy, "row_groups");
    assert!(plan.rationale.contains("whatever its chunking columns"), "{}", plan.rationale);
    let [note] = plan.notes.as_slice() else { panic!("one note: {:?}", plan.notes) };
    assert!(note.starts_with("chunking_columns are not used for files"), "{note}");
    assert!(note.contains("{\"strategy\": \"numeric_range\"}"), "{note}");
    let plan = Auto {}.plan(PlanInput::new(table.as_ref())).await.expect("plans");
    assert_eq!(plan.notes, Vec::<String>::new());
}

#[tokio::test]
async fn row_groups_are_read_alone_and_filtered() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "t.parquet", 1..31);
    let table = open(folder.path(), "t").await;
    let objects = table.objects().await.expect("objects");
    assert_eq!(objects[0].row_group_rows, [10, 10, 10]);
    let extent = Extent::Object {
        uri: objects[0].uri.clone(),
        row_groups: 1..3,
        fingerprint: objects[0].fingerprint.clone(),
    };
    let filter = Predicate::range("id", None, Some(15.into()));
    let request = ScanRequest::new(vec!["id".into()], extent).with_filter(filter);
    let found = ids(&read(table.as_ref(), request).await);
    assert_eq!(found, [Some(11), Some(12), Some(13)]);
}

#[tokio::test]
async fn a_changed_file_is_noticed_before_a_row_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "t.parquet", 1..31);
    let source = ParquetSource::new(folder.path());
    let name = TableRef::bare("t");
    let table = source.open(&name, None).await.expect("opens");
    let planned = table.snapshot().cloned().expect("files are their own version");
    source.open(&name, Some(&planned)).await.expect("unchanged");
    write(folder.path(), "t.parquet", 1..32);
    let error = source.open(&name, Some(&planned)).await.expect_err("changed");
    assert_eq!(error.code(), code::SNAPSHOT_EXPIRED);
}

#[tokio::test]
async fn bad_files_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("bad.parquet"), "not parquet at all").expect("file");
    let source = ParquetSource::new(folder.path());
    let damaged = source.open(&TableRef::bare("bad"), None).await.expect_err("damaged");
    assert_eq!(damaged.kind(), ErrorKind::DataInvalid);
    assert!(damaged.to_string().contains("bad.parquet"), "{damaged}");

    write(folder.path(), "good.parquet", 0..3);
    let both = source.open(&TableRef::bare("*.parquet"), None).await.expect_err("one is damaged");
    assert_eq!(both.kind(), ErrorKind::DataInvalid);
}

#[tokio::test]
async fn a_raw_filter_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "t.parquet", 1..3);
    let table = open(folder.path(), "t").await;
    let raw = Predicate::Raw { dialect: migrate_core::Dialect::Snowflake, sql: "x = 1".into() };
    let request = ScanRequest::new(vec!["id".into()], rows(Predicate::All)).with_filter(raw);
    let error = table.scan(request, &RunContext::new()).await.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
