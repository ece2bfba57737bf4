//! Arrow arrays to the bytes of `COPY … (format binary)`: all columns of the mixed table, each alone,
//! and the same batches by pgpq. It has a version of Arrow of its own, so they reach it as a stream.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that may break off")]

use arrow::array::RecordBatch;
use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate_bench::data;
use migrate_core::Column;
use migrate_sinks::CopyEncoder;
use pgpq::ArrowToPostgresBinaryEncoder;

const ROWS: u64 = 16_384;

fn encoding(criterion: &mut Criterion) {
    let batch = data::batch(0..ROWS, 1).unwrap();
    let columns = data::columns();
    beside(criterion, "all", &batch, &columns);
    for (position, column) in columns.iter().enumerate() {
        let one = batch.project(&[position]).unwrap();
        beside(criterion, column.name.as_str(), &one, std::slice::from_ref(column));
    }
}

fn beside(criterion: &mut Criterion, name: &str, batch: &RecordBatch, columns: &[Column]) {
    let mut group = criterion.benchmark_group(format!("encoding/{name}"));
    group.throughput(Throughput::Elements(ROWS));
    let encoder = CopyEncoder::new(columns).unwrap();
    // Both write into a buffer that has grown already.
    let mut out = Vec::new();
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            out.clear();
            encoder.encode(batch, &mut out).unwrap();
        });
    });
    let theirs = handed_over(batch);
    let theirs = arrow_ipc_59::reader::StreamReader::try_new(theirs.as_slice(), None).unwrap();
    let theirs = theirs.map(Result::unwrap).next().unwrap();
    let mut encoder = ArrowToPostgresBinaryEncoder::try_new(&theirs.schema()).unwrap();
    let mut out = BytesMut::new();
    encoder.write_header(&mut out).unwrap();
    group.bench_function("pgpq", |bencher| {
        bencher.iter(|| {
            out.clear();
            encoder.write_batch(&theirs, &mut out).unwrap();
        });
    });
    group.finish();
}

/// The batch as a stream.
fn handed_over(batch: &RecordBatch) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    stream
}

criterion_group!(benches, encoding);
criterion_main!(benches);
