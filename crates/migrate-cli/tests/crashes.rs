//! Killed, stopped, interrupted, cut short: a later run of the same command ends with exactly the
//! source's rows.

use std::time::Duration;

use serde_json::json;
use snowflake_double::{Double, Fault, RequestKind, Rule};

use crate::support::{ORDERS, World, ended, orders, orders_in_chunks, signal};

/// A world in which each chunk takes a while, so that a signal comes in the middle.
async fn slow() -> World {
    let world = World::new(Double::builder().table(orders(2000)), ORDERS).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(60));
    world.write_config(&world.config(&orders_in_chunks()));
    world
}

const HALF_DONE: &str = "(select bool_or(status = 'completed') and bool_or(status = 'in_progress') \
    from migration_status.migration_work_items where kind = 'chunk')";

async fn holds_exactly_the_source(world: &World) {
    assert_eq!(world.count("orders").await, 2000);
    let distinct = "select count(distinct id) || ' ' || min(id) || ' ' || max(id) from orders";
    assert_eq!(world.text(distinct).await.as_deref(), Some("2000 0 1999"));
    let table = "select status || ' ' || completed_chunks || ' ' || total_rows_copied \
                 from migration_status.migration_table_status order by table_id desc limit 1";
    assert_eq!(world.text(table).await.as_deref(), Some("completed 20 2000"));
}

/// Waits for the status tables, then for a committed chunk beside one at work.
async fn until_half_done(world: &World) {
    world.until("to_regclass('migration_status.migration_work_items') is not null").await;
    world.until(HALF_DONE).await;
}

#[tokio::test]
async fn killed_in_mid_copy_the_same_command_goes_on() {
    let world = slow().await;
    let mut child = world.start(&[]);
    until_half_done(&world).await;
    child.kill().await.expect("kill -9");
    let before = world.count("orders").await;
    assert!((1..2000).contains(&before), "{before} rows when it was killed");
    let again = world.run(&[]).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains("Resuming run"), "{}", again.stderr);
    holds_exactly_the_source(&world).await;
    let runs = world.count("migration_status.migration_runs").await;
    assert_eq!(runs, 1, "one run, two processes");
}

#[tokio::test]
async fn killed_when_only_the_run_is_to_be_closed_nothing_begins_anew() {
    let world = World::new(Double::builder().table(orders(2000)), ORDERS).await;
    world.write_config(&world.config(&orders_in_chunks()));
    world.killed_before("migration_runs", "new.status = 'completed'").await;
    let again = world.run(&[]).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    holds_exactly_the_source(&world).await;
    let runs = "select string_agg(status, ' ') from migration_status.migration_runs";
    assert_eq!(world.text(runs).await.as_deref(), Some("completed"));
}

#[tokio::test]
async fn an_interrupted_run_pauses_and_the_same_command_goes_on() {
    let world = slow().await;
    for name in ["INT", "TERM"] {
        let child = world.start(&[]);
        until_half_done(&world).await;
        signal(&child, name).await;
        let paused = ended(child).await;
        assert_eq!(paused.code, Some(5), "{}", paused.stderr);
        assert!(paused.stdout.contains("same command again"), "{}", paused.stdout);
        let leased = "migration_status.migration_work_items where status = 'in_progress'";
        assert_eq!(world.count(leased).await, 0, "every lease was given back");
    }
    let again = world.run(&[]).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    holds_exactly_the_source(&world).await;
}

#[tokio::test]
async fn a_process_that_wakes_up_late_writes_nothing() {
    let world = slow().await;
    let mut tables = orders_in_chunks();
    tables[0]["truncate_onstart"] = json!(true);
    world.write_config(&world.config(&tables));
    let sleeper = world.start(&[]);
    until_half_done(&world).await;
    signal(&sleeper, "STOP").await;

    // While its leases live, a run that does not resume is refused.
    let early = world.run(&["--no-resume"]).await;
    if early.code != Some(0) {
        assert_eq!(early.code, Some(1), "{}", early.stderr);
        assert!(early.stderr.contains("Another run is at work"), "{}", early.stderr);
        let expired = "not exists (select from migration_status.migration_work_items \
                       where status = 'in_progress' and lease_until > now())";
        world.until(expired).await;
        let anew = world.run(&["--no-resume"]).await;
        assert_eq!(anew.code, Some(0), "{}", anew.stderr);
    }
    holds_exactly_the_source(&world).await;

    signal(&sleeper, "CONT").await;
    let late = ended(sleeper).await;
    assert_eq!(late.code, Some(1), "{}", late.stderr);
    holds_exactly_the_source(&world).await;
    let superseded = "migration_status.migration_table_status where status = 'superseded'";
    assert_eq!(world.count(superseded).await, 1);
}

#[tokio::test]
async fn a_result_that_lacks_a_row_writes_nothing_until_it_is_whole() {
    let faults =
        [(RequestKind::Chunk, Fault::ShortRows(1)), (RequestKind::Query, Fault::EmptyInline)];
    for (kind, fault) in faults {
        let world = World::new(Double::builder().table(orders(100)), ORDERS).await;
        if kind == RequestKind::Chunk {
            world.double.knobs().set_inline_rows(0);
        }
        let mut config = world.config(&json!([{"source": "ORDERS", "target": "orders"}]));
        config["max_retry_attempts"] = json!(1);
        world.write_config(&config);
        let of_rows = Rule::new(kind, fault).sql_containing("SELECT \"id\", ");
        world.double.knobs().inject(of_rows.always()).expect("fits");
        let short = world.run(&[]).await;
        assert_eq!(short.code, Some(1), "{}", short.stderr);
        assert!(short.stderr.contains("100 were counted"), "{}", short.stderr);
        assert!(short.stderr.contains("chunk=0"), "{}", short.stderr);
        assert_eq!(world.count("orders").await, 0);
        let status = "select status from migration_status.migration_table_status";
        assert_eq!(world.text(status).await.as_deref(), Some("failed"));

        world.double.knobs().clear_faults();
        let whole = world.run(&[]).await;
        assert_eq!(whole.code, Some(0), "{}", whole.stderr);
        assert_eq!(world.count("orders").await, 100);
    }
}

#[tokio::test]
async fn a_source_that_fails_now_and_then_is_no_obstacle() {
    let world = World::new(Double::builder().table(orders(2000)), ORDERS).await;
    world.double.knobs().set_inline_rows(0);
    world.write_config(&world.config(&orders_in_chunks()));
    world.double.knobs().fail_fraction(0.05, 7, Fault::Cut).expect("a fraction");
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    holds_exactly_the_source(&world).await;
}
