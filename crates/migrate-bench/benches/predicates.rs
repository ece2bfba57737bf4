//! A plan's predicates: cut, written as SQL for both sides, evaluated on a batch.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that may break off")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate_bench::data;
use migrate_core::{Dialect, Predicate, SqlBuilder};

const CHUNKS: i64 = 1_000;
const ROWS: u64 = 16_384;

fn predicates(criterion: &mut Criterion) {
    let cuts: Vec<_> = (1..CHUNKS).map(|cut| (cut * 250_000).into()).collect();
    let mut group = criterion.benchmark_group("predicates");
    group.throughput(Throughput::Elements(CHUNKS.unsigned_abs()));
    group.bench_function("partition", |bencher| {
        bencher.iter(|| Predicate::partition("id", &cuts));
    });
    let partition = Predicate::partition("id", &cuts);
    for (name, dialect) in [("snowflake", Dialect::Snowflake), ("postgres", Dialect::Postgres)] {
        group.bench_function(format!("render/{name}"), |bencher| {
            bencher.iter(|| {
                for predicate in &partition {
                    let mut sql = SqlBuilder::new(dialect);
                    predicate.render(&mut sql).unwrap();
                    std::hint::black_box(sql.finish());
                }
            });
        });
    }
    group.throughput(Throughput::Elements(ROWS));
    let batch = data::batch(0..ROWS, 1).unwrap();
    let middle = Predicate::partition("id", &[5_000_i64.into(), 10_000_i64.into()]).swap_remove(1);
    group.bench_function("evaluate", |bencher| {
        bencher.iter(|| middle.evaluate(&batch).unwrap());
    });
    group.finish();
}

criterion_group!(benches, predicates);
criterion_main!(benches);
