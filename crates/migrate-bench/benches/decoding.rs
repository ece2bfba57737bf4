//! A part of a Snowflake result, inflated, to record batches: the client's own parse alone, and the
//! parse with our decode after it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that may break off")]

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate_core::{Column, ColumnType};
use migrate_sources::internals::decode_part;
use snowflake_connector_rs::ResultTable;
use snowflake_connector_rs::bench_support::{
    column_type, make_schema, parse_remote_chunk_result_table,
};

const ROWS: u64 = 50_000;

/// Ten columns: the name of each type on the wire, its precision and scale, and its column.
fn columns() -> Vec<(&'static str, Option<u8>, Option<u8>, ColumnType)> {
    let number = |precision, scale| ColumnType::Number { precision, scale };
    let text = || ColumnType::Text { max_chars: None };
    vec![
        ("FIXED", Some(38), Some(0), number(38, 0)),
        ("TEXT", None, None, text()),
        ("FIXED", Some(12), Some(2), number(12, 2)),
        ("FIXED", Some(38), Some(4), number(38, 4)),
        ("REAL", None, None, ColumnType::Float64),
        ("BOOLEAN", None, None, ColumnType::Boolean),
        ("DATE", None, None, ColumnType::Date),
        ("TIMESTAMP_NTZ", None, Some(6), ColumnType::Timestamp { scale: 6 }),
        ("TIMESTAMP_LTZ", None, Some(9), ColumnType::Instant { scale: 9 }),
        ("TEXT", None, None, text()),
    ]
}

/// The rows as Snowflake sends them.
fn part() -> Bytes {
    let mut text = String::new();
    for row in 0..ROWS {
        let comma = if row == 0 { "" } else { "," };
        let (cents, nanos) = (row % 100, row * 19_999 % 1_000_000_000);
        let note = if row % 5 == 0 { "null".into() } else { format!("\"a note of row {row}\"") };
        write!(
            text,
            "{comma}[\"{row}\",\"order {row} of many\",\"{row}.{cents:02}\",\"{row}000000000.1234\",\
             \"{row}.5\",\"{}\",\"{}\",\"1700000000.{:06}\",\"1700000000.{nanos:09}\",{note}]",
            row % 2,
            row % 20_000,
            nanos / 1_000,
        )
        .unwrap();
    }
    text.into()
}

fn decoding(criterion: &mut Criterion) {
    let body = part();
    let (mut wire, mut ours) = (Vec::new(), Vec::new());
    for (position, (name, precision, scale, kind)) in columns().into_iter().enumerate() {
        let column = format!("c{position}");
        wire.push((column.clone(), column_type(name, None, precision, scale), true));
        ours.push(Column::new(column.as_str(), kind, name).with_nullable(true));
    }
    let schema = make_schema(wire);
    let parse = || -> ResultTable {
        parse_remote_chunk_result_table(Arc::clone(&schema), Arc::from("q"), body.clone()).unwrap()
    };
    let mut group = criterion.benchmark_group("decoding");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("parse alone", |bencher| bencher.iter(parse));
    group.bench_function("parse and decode", |bencher| {
        bencher.iter(|| assert_eq!(decode_part(&parse(), &ours).unwrap() as u64, ROWS));
    });
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
