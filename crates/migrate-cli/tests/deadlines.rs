//! Runs that stop at their deadline or at a signal, in each of their stages: nothing is half done, and
//! the same command goes on.

use std::time::Duration;

use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind};
use tokio::process::Child;

use crate::support::{Ended, ORDERS, World, ended, orders, orders_in_chunks, signal};

const ITEMS: &str = "migration_status.migration_work_items";

async fn world(change: impl FnOnce(&mut Json)) -> World {
    let world = World::new(Double::builder().table(orders(2000)), ORDERS).await;
    world.double.knobs().set_inline_rows(0);
    let mut tables = orders_in_chunks();
    change(&mut tables[0]);
    world.write_config(&world.config(&tables));
    world
}

async fn paused(world: &World) -> Ended {
    let ended = world.run(&["--deadline", "2s"]).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("same command again") || ended.stdout.is_empty(),
        "{}",
        ended.stdout
    );
    assert_eq!(held(world).await, 0, "every lease was given back: {}", ended.stderr);
    ended
}

/// Leases that are held, once there is a queue.
async fn held(world: &World) -> u64 {
    let is_there = format!("select (to_regclass('{ITEMS}') is not null)::text");
    if world.text(&is_there).await.as_deref() != Some("true") {
        return 0;
    }
    world.count(&format!("{ITEMS} where status = 'in_progress'")).await
}

async fn completes(world: &World) {
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = "select count(*) || ' ' || count(distinct id) || ' ' || min(id) || ' ' || max(id) \
                from orders";
    assert_eq!(world.text(rows).await.as_deref(), Some("2000 2000 0 1999"));
    let runs = "select count(*) || ' ' || min(status) from migration_status.migration_runs";
    assert_eq!(world.text(runs).await.as_deref(), Some("1 completed"), "one run, all the time");
}

async fn until(world: &World, child: Child, condition: &str) -> Child {
    let child = world.until_with(child, &format!("to_regclass('{ITEMS}') is not null")).await;
    world.until_with(child, condition).await
}

#[tokio::test]
async fn a_run_that_ends_before_its_deadline_is_completed() {
    let world = world(|_| {}).await;
    let ended = world.run(&["run", "--deadline", "1h"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let refused = world.run(&["--deadline", "soon"]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[tokio::test]
async fn at_the_deadline_nothing_is_planned() {
    let world = world(|_| {}).await;
    world.double.knobs().set_latency(RequestKind::Query, Duration::from_secs(5));
    paused(&world).await;
    world.double.knobs().set_latency(RequestKind::Query, Duration::ZERO);
    assert_eq!(world.count("orders").await, 0);
    completes(&world).await;
}

#[tokio::test]
async fn at_the_deadline_a_table_is_not_emptied() {
    let world = world(|table| table["truncate_onstart"] = json!(true)).await;
    world.execute("insert into orders (id) values (-1)").await;
    let reader = world.hold("begin; lock table orders in access share mode").await;
    paused(&world).await;
    assert_eq!(world.count("orders").await, 1, "emptied together with its record, or not at all");
    drop(reader);
    completes(&world).await;
}

#[tokio::test]
async fn at_the_deadline_chunks_are_rolled_back_and_their_statements_ended() {
    let world = world(|_| {}).await;
    // Nobody gets the rows of the tenth chunk.
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(20));
    let writer = world.hold("begin; insert into orders (id) values (950)").await;
    paused(&world).await;
    let rest = "orders where id between 900 and 999";
    assert_eq!(world.count(rest).await, 0, "its chunk is not there in part");
    let waiting = "select count(*) = 0 from pg_stat_activity where wait_event_type = 'Lock' \
                   and datname = current_database() and application_name = 'migrate from snowflake'";
    world.until(waiting).await;
    drop(writer);
    completes(&world).await;
}

#[tokio::test]
async fn at_the_deadline_a_statement_in_snowflake_is_aborted() {
    let world = world(|_| {}).await;
    let child = world.start(&[]);
    let copying =
        format!("select count(*) > 1 from {ITEMS} where kind = 'chunk' and status = 'completed'");
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(200));
    let child = until(&world, child, &copying).await;
    signal(&child, "INT").await;
    assert_eq!(ended(child).await.code, Some(5));
    // From now on statements take longer than anybody waits.
    world.double.knobs().set_in_progress_answers(1_000_000);
    paused(&world).await;
    assert!(world.double.count_requests(RequestKind::Abort) > 0, "statements were left running");
    world.double.knobs().set_in_progress_answers(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::ZERO);
    completes(&world).await;
}

#[tokio::test]
async fn at_the_deadline_rows_are_not_shown() {
    let world = world(|table| table["replace"] = json!("atomic")).await;
    world.execute("insert into orders (id) values (-1)").await;
    let reader = world.hold("begin; lock table orders in share row exclusive mode").await;
    for _ in 0..2 {
        paused(&world).await;
        assert_eq!(world.count("orders").await, 1, "the old rows");
    }
    drop(reader);
    completes(&world).await;
}

#[tokio::test]
async fn at_the_deadline_an_index_build_goes_on_without_us_and_is_found_again() {
    let world = world(|table| table["disable_index"] = json!(true)).await;
    world
        .execute(
            "create function gate(n bigint) returns bigint language plpgsql immutable as \
             'begin perform pg_advisory_xact_lock_shared(4711); return n; end'",
        )
        .await;
    world.execute("create index gated on orders (gate(id))").await;
    let gate = world.hold("select pg_advisory_lock(4711)").await;
    let building = "select count(*) > 0 from pg_stat_progress_create_index \
                    where datname = current_database()";
    let child = until(&world, world.start(&[]), building).await;
    signal(&child, "TERM").await;
    assert_eq!(ended(child).await.code, Some(5));
    let ended = paused(&world).await;
    assert!(!ended.stderr.contains("| ERROR"), "{}", ended.stderr);
    drop(gate);
    completes(&world).await;
    let indexes = "pg_indexes where indexname = 'gated'";
    assert_eq!(world.count(indexes).await, 1);
}

#[tokio::test]
async fn at_the_deadline_a_table_is_not_finished_but_the_next_run_does() {
    let world = world(|_| {}).await;
    let holder = world.hold("begin; lock table orders in share update exclusive mode").await;
    paused(&world).await;
    drop(holder);
    completes(&world).await;
}

#[tokio::test]
async fn a_chunk_that_never_fits_into_the_time_budget_is_given_up_with_the_remedy() {
    let world = world(|table| table["max_retry_attempts"] = json!(1)).await;
    let holder = world.hold("begin; lock table orders in share mode").await;
    // Two tries that had their time are enough; on a busy machine some have not had it.
    let mut failed = None;
    for _ in 0..20 {
        let ended = world.run(&["--deadline", "3s"]).await;
        if ended.code != Some(5) {
            failed = Some(ended);
            break;
        }
    }
    let failed = failed.expect("given up in the end");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let said = format!("{}{}", failed.stdout, failed.stderr);
    assert!(said.contains("does not fit into the time budget"), "{said}");
    assert!(said.contains("fix: raise --deadline"), "{said}");
    let counted = "select max(overrun_count)::text from migration_status.migration_chunk_status \
                   where status = 'failed'";
    assert_eq!(world.text(counted).await.as_deref(), Some("2"));
    drop(holder);
    completes(&world).await;
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_does_not_keep_a_run_beyond_its_deadline() {
    let world = world(|_| {}).await;
    // Chunks are under way, and then nothing can be given back any more.
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(200));
    let child = world.start(&["--deadline", "3s"]);
    let copying =
        format!("select count(*) > 0 from {ITEMS} where kind = 'chunk' and status <> 'pending'");
    let child = until(&world, child, &copying).await;
    let ledger =
        world.hold("begin; lock table migration_status.migration_work_items in share mode").await;
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    drop(ledger);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::ZERO);
    completes(&world).await;
}

#[tokio::test]
async fn the_second_signal_ends_the_program_where_it_stands() {
    let world = world(|_| {}).await;
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(60));
    let copying =
        format!("select count(*) > 1 from {ITEMS} where kind = 'chunk' and status = 'completed'");
    let child = until(&world, world.start(&[]), &copying).await;
    // Nothing can be given back now.
    let ledger =
        world.hold("begin; lock table migration_status.migration_work_items in share mode").await;
    signal(&child, "TERM").await;
    let waits = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' \
                 and datname = current_database() and query like 'update migration_status.%'";
    let child = world.until_with(child, waits).await;
    signal(&child, "INT").await;
    let stopped = ended(child).await;
    assert_eq!(stopped.code, Some(130), "{}", stopped.stderr);
    drop(ledger);
    completes(&world).await;
}
