//! How fast the ledger stores a plan of 11,000 chunks and hands them out to 8 workers; fails beyond
//! its limits. Part of `make bench`.
//!
//! `cargo run --release -p migrate-status --example queue_speed`
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use migrate_core::{
    Chunk, ChunkId, Claim, Extent, LoadPlan, NewPlan, PlanStore, Predicate, Result, RunId,
    RunRequest, RunStore, TablePlan, TableRef, TableRequest, WorkItem, WorkKind, WorkQueue,
    WorkerId,
};
use migrate_postgres::{Database, PostgresSettings};
use migrate_status::PgStatusStore;
use postgres_sandbox::TestDatabase;

const CHUNKS: u32 = 11_000;
const WORKERS: u32 = 8;
/// What a run may spend on storing a plan before the first row moves.
const MOST_SECONDS_TO_STORE: f64 = 1.0;
/// Far more than workers that copy can ask for.
const LEAST_CLAIMS_PER_SECOND: f64 = 500.0;

#[tokio::main]
async fn main() -> Result<()> {
    let server = TestDatabase::create().await;
    let database =
        Database::connect(&PostgresSettings::from_url(server.url())?, WORKERS + 2).await?;
    let store = PgStatusStore::new(database);
    store.install().await?;
    let (source, target) = (TableRef::bare("S"), TableRef::in_schema("public", "t"));
    let table = TableRequest {
        source_name: "speed".into(),
        source: source.clone(),
        target: target.clone(),
        fingerprint: "f".into(),
    };
    let run = store.begin_run(&RunRequest::new(RunId::random(), vec![table], "speed")).await?;
    let table = run.tables.first().map(|table| table.id).expect("one table");

    let cuts: Vec<_> = (1..i64::from(CHUNKS)).map(|cut| (cut * 250_000).into()).collect();
    let chunks: Vec<Chunk> = (0..)
        .zip(Predicate::partition("id", &cuts))
        .map(|(id, predicate)| {
            let extent = Extent::Rows { predicate };
            Chunk::new(ChunkId(id), extent).with_rows(Some(250_000), Some(250_000))
        })
        .collect();
    let plan = TablePlan::new(source, target, LoadPlan::append(Vec::new()));
    let started = Instant::now();
    store.save_plans(&[NewPlan { table, plan: &plan, chunks: &chunks }]).await?;
    let stored_in = started.elapsed().as_secs_f64();
    println!(
        "storing {} chunks: {stored_in:.3} s, at most {MOST_SECONDS_TO_STORE} s",
        chunks.len()
    );

    let started = Instant::now();
    let workers = (0..WORKERS).map(|worker| {
        let worker = WorkerId(format!("worker {worker}"));
        let store = &store;
        async move {
            let mut claimed = Vec::new();
            let ttl = Duration::from_mins(5);
            while let Claim::Leased(lease) =
                store.claim(table, WorkKind::Chunk, &worker, ttl).await?
            {
                if let WorkItem::Chunk(chunk) = lease.item() {
                    claimed.push(chunk.id);
                }
            }
            Ok::<_, migrate_core::Error>(claimed)
        }
    });
    let claimed = try_join_all(workers).await?;
    let claims: usize = claimed.iter().map(Vec::len).sum();
    let distinct: BTreeSet<_> = claimed.iter().flatten().collect();
    assert_eq!((claims, distinct.len()), (chunks.len(), chunks.len()), "each chunk once");
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(CHUNKS) / seconds;
    println!(
        "{WORKERS} workers claimed {claims} chunks in {seconds:.3} s: {rate:.0} claims/s, at least \
         {LEAST_CLAIMS_PER_SECOND}"
    );
    assert!(stored_in < MOST_SECONDS_TO_STORE, "storing took {stored_in:.3} s");
    assert!(rate >= LEAST_CLAIMS_PER_SECOND, "only {rate:.0} claims/s");
    Ok(())
}
