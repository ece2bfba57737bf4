//! Cuts 10,000,000 skewed ids of a Parquet file and fails where a chunk is empty, larger than twice the
//! aimed rows, or wrongly counted. Part of `make bench`.
//!
//! `cargo run --release -p migrate-sources --example skewed_plan`
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use migrate_chunking::{ChunkingStrategy, NumericRange, PlanInput};
use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use migrate_core::{Extent, Source, TableRef};
use migrate_sources::ParquetSource;
use parquet::arrow::ArrowWriter;

const ROWS: i64 = 10_000_000;
const BATCH: i64 = 100_000;

/// 99 % of the ids in 2 % of their range, with gaps and negatives.
fn id(row: i64) -> i64 {
    if row % 100 == 0 { row * 50 - ROWS * 25 } else { row / 3 * 3 - ROWS / 2 }
}

fn batch(first: i64) -> Result<RecordBatch, Box<dyn Error>> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((first..first + BATCH).map(id)));
    Ok(RecordBatch::try_from_iter([("id", ids)])?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = File::create(folder.path().join("t.parquet"))?;
    let mut writer = ArrowWriter::try_new(file, batch(0)?.schema(), None)?;
    for first in (0..ROWS).step_by(usize::try_from(BATCH)?) {
        writer.write(&batch(first)?)?;
    }
    writer.close()?;

    let table = ParquetSource::new(folder.path()).open(&TableRef::bare("t"), None).await?;
    let keys = ["id".into()];
    let input = PlanInput::new(table.as_ref()).with_keys(&keys);
    let aim = input.chunk_rows.get();
    let started = Instant::now();
    let plan = NumericRange {}.plan(input).await?;
    let seconds = started.elapsed().as_secs_f64();

    let mut counted = vec![0_u64; plan.chunks.len()];
    for first in (0..ROWS).step_by(usize::try_from(BATCH)?) {
        let rows = batch(first)?;
        for (count, chunk) in counted.iter_mut().zip(&plan.chunks) {
            if let Extent::Rows { predicate } = &chunk.extent {
                *count += predicate.evaluate(&rows)?.true_count() as u64;
            }
        }
    }
    let planned: Vec<u64> = plan.chunks.iter().filter_map(|chunk| chunk.expected_rows).collect();
    assert_eq!(planned, counted, "the plan counts what is there");
    assert_eq!(counted.iter().sum::<u64>(), u64::try_from(ROWS)?, "each row in one chunk");
    let (least, most) = (counted.iter().min(), counted.iter().max());
    println!(
        "{ROWS} skewed ids in {} chunks of {least:?} to {most:?} rows, aimed at {aim}, in {seconds:.1} s",
        counted.len()
    );
    assert!(least > Some(&0), "an empty chunk");
    assert!(most <= Some(&(2 * aim)), "a chunk that is too large");
    Ok(())
}
