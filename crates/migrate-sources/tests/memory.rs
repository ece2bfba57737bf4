//! What scans hold in memory: batches by bytes, whatever the rows are like, and never more than the
//! budget and one chunk's need.

use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use migrate_core::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use migrate_core::arrow::datatypes::Int64Type;
use migrate_core::{
    ColumnName, Extent, MemoryBudget, Predicate, RunContext, ScanRequest, Source, SourceTable,
    TableRef,
};
use migrate_sources::ParquetSource;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use snowflake_double::{ColumnNames, Double};

use crate::snowflake_support::{double, open_with, patient};

const MIB: u64 = 1 << 20;
const TEXTS: usize = 248;
const LARGE_BYTES: usize = 16_000_000;

fn body(id: i64) -> String {
    let is_large = matches!(id, 1500 | 1501 | 2900);
    format!("{id:08}").repeat(if is_large { LARGE_BYTES / 8 } else { 1 })
}

/// Ids, a text that is large in some rows, and so many other texts.
fn write(path: &Path, ids: std::ops::Range<i64>, texts: usize) {
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("id".into(), Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("body".into(), Arc::new(StringArray::from_iter_values(ids.clone().map(body)))),
    ];
    for at in 0..texts {
        let texts = StringArray::from_iter_values(ids.clone().map(|id| format!("{id} of {at}")));
        columns.push((format!("t{at}"), Arc::new(texts)));
    }
    let rows = RecordBatch::try_from_iter(columns).expect("a batch");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2000)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    writer.close().expect("a footer");
}

fn request(table: &dyn SourceTable) -> ScanRequest {
    let columns: Vec<ColumnName> =
        table.schema().columns.iter().map(|column| column.name.clone()).collect();
    ScanRequest::new(columns, Extent::Rows { predicate: Predicate::All })
}

/// What was seen of a scan.
#[derive(Debug, Default)]
struct Seen {
    ids: Vec<i64>,
    batch_rows: Vec<usize>,
    most_taken_bytes: u64,
}

/// Reads a table under a budget, compares its texts, and looks at the budget batch by batch.
async fn read(table: &dyn SourceTable, budget: &MemoryBudget) -> Seen {
    let request = request(table);
    let share = budget.admit(table.scan_memory_bytes(&request)).await;
    let mut batches =
        table.scan(request.with_memory(share), &RunContext::new()).await.expect("scan");
    let mut seen = Seen::default();
    while let Some(batch) = batches.next().await {
        let batch = batch.expect("rows");
        seen.most_taken_bytes = seen.most_taken_bytes.max(budget.taken_bytes());
        seen.batch_rows.push(batch.num_rows());
        let ids: Vec<i64> = match batch.column(0).as_primitive_opt::<Int64Type>() {
            Some(ids) => ids.values().to_vec(),
            None => {
                let ids = batch
                    .column(0)
                    .as_primitive::<migrate_core::arrow::datatypes::Decimal128Type>();
                ids.values().iter().map(|id| i64::try_from(*id).expect("small")).collect()
            }
        };
        let bodies = batch.column(1).as_string::<i32>();
        for (id, found) in ids.iter().zip(bodies) {
            assert!(found == Some(body(*id).as_str()), "the text of row {id}");
        }
        seen.ids.extend(ids);
    }
    seen
}

async fn open_file(folder: &Path) -> Arc<dyn SourceTable> {
    ParquetSource::new(folder).open(&TableRef::bare("t"), None).await.expect("opens")
}

fn mib(count: u64) -> MemoryBudget {
    MemoryBudget::new(NonZeroU64::new(count * MIB).expect("not zero"))
}

#[tokio::test]
async fn rows_of_files_come_in_batches_by_bytes_and_large_cells_alone() {
    let folder = tempfile::tempdir().expect("folder");
    write(&folder.path().join("t.parquet"), 0..4000, 0);
    let budget = mib(128);
    let seen = read(open_file(folder.path()).await.as_ref(), &budget).await;
    assert_eq!(seen.ids, (0..4000).collect::<Vec<_>>());
    assert!(seen.batch_rows.iter().any(|rows| *rows > 1000), "{:?}", seen.batch_rows);
    assert!(seen.most_taken_bytes <= 128 * MIB, "{}", seen.most_taken_bytes);
}

#[tokio::test]
async fn wide_files_with_large_cells_keep_to_the_budget_together() {
    let folder = tempfile::tempdir().expect("folder");
    write(&folder.path().join("t.parquet"), 1400..1600, TEXTS);
    let table = open_file(folder.path()).await;
    let budget = mib(200);
    let least = table.scan_memory_bytes(&request(table.as_ref()));
    assert!((32 * MIB..200 * MIB).contains(&least), "{least}");
    let all = (0..4).map(|_| read(table.as_ref(), &budget));
    for seen in futures::future::join_all(all).await {
        assert_eq!(seen.ids, (1400..1600).collect::<Vec<_>>());
        assert!(seen.most_taken_bytes <= 200 * MIB, "{}", seen.most_taken_bytes);
    }
    assert_eq!(budget.taken_bytes(), 0);
}

/// Each scan wants more than there is; none waits for ever, and one at a time goes beyond.
#[tokio::test]
async fn scans_that_each_want_more_than_all_take_turns() {
    let folder = tempfile::tempdir().expect("folder");
    write(&folder.path().join("t.parquet"), 1490..1510, TEXTS);
    let table = open_file(folder.path()).await;
    let least = table.scan_memory_bytes(&request(table.as_ref()));
    let budget = mib(8);
    let all = (0..3).map(|_| read(table.as_ref(), &budget));
    for seen in futures::future::join_all(all).await {
        assert_eq!(seen.ids.len(), 20);
        assert!(seen.most_taken_bytes < 2 * least, "{} of {least}", seen.most_taken_bytes);
    }
    assert_eq!(budget.taken_bytes(), 0);
}

async fn wide_in_snowflake(ids: std::ops::Range<i64>, texts: usize) -> Double {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("t.parquet");
    write(&file, ids, texts);
    let double = double().parquet("DB.PUBLIC.T", &file, ColumnNames::Exact).start().await;
    let double = double.expect("starts");
    double.knobs().set_inline_rows(1);
    double
}

#[tokio::test]
async fn parts_of_results_are_decoded_piece_by_piece() {
    let double = wide_in_snowflake(1000..1600, TEXTS).await;
    double.knobs().set_chunk_rows(600).expect("not zero");
    let table = open_with(patient(&double), "T").await;
    let seen = read(table.as_ref(), &mib(256)).await;
    assert_eq!(seen.ids, (1000..1600).collect::<Vec<_>>());
    let most = seen.batch_rows.iter().max().copied().unwrap_or_default();
    assert!((50..500).contains(&most), "about 1 MiB: {:?}", seen.batch_rows);
    // The part has 33 MB of text, which was not to be known before it came.
    assert!(seen.most_taken_bytes > 60 * MIB, "{}", seen.most_taken_bytes);
    let next = table.scan_memory_bytes(&request(table.as_ref()));
    assert!(next > 60 * MIB, "the next scan is let in with as much: {next}");
}

#[tokio::test]
async fn scans_of_snowflake_keep_to_the_budget_together() {
    let double = wide_in_snowflake(1490..1510, TEXTS).await;
    double.knobs().set_chunk_rows(1).expect("not zero");
    let table = open_with(patient(&double), "T").await;
    let budget = mib(80);
    let all = (0..4).map(|_| read(table.as_ref(), &budget));
    for seen in futures::future::join_all(all).await {
        assert_eq!(seen.ids.len(), 20);
        assert!(seen.most_taken_bytes <= 80 * MIB, "{}", seen.most_taken_bytes);
    }
    assert_eq!(budget.taken_bytes(), 0);
}
