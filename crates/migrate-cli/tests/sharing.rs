//! Several processes at one run: each chunk is copied once, whoever dies, and a helper that does not
//! fit is told why.

use std::time::Duration;

use serde_json::json;
use snowflake_double::{Double, RequestKind};
use tokio::process::Child;

use crate::support::{Ended, ORDERS, World, ended, orders, signal};

const ITEMS: &str = "migration_status.migration_work_items";

/// Eighty chunks, each of which takes a while.
async fn world() -> World {
    let world = World::new(Double::builder().table(orders(8000)), ORDERS).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(60));
    world.write_config(&world.config(&tables()));
    world
}

fn tables() -> serde_json::Value {
    json!([{
        "source": "ORDERS", "target": "orders", "truncate_onstart": true,
        "chunking_columns": ["id"], "chunking_column_types": ["int"], "batch_size": 100,
    }])
}

/// A process whose run has begun to copy, and the id of the run.
async fn begun(world: &World) -> (Child, String) {
    let child = world.start(&[]);
    let child = world.until_with(child, &format!("to_regclass('{ITEMS}') is not null")).await;
    let copying =
        format!("select count(*) > 0 from {ITEMS} where kind = 'chunk' and status = 'completed'");
    let child = world.until_with(child, &copying).await;
    let run = world.text("select run_id::text from migration_status.migration_runs").await;
    (child, run.expect("a run"))
}

fn helper(world: &World, run: &str) -> Child {
    world.start(&["worker", "--run", run])
}

async fn holds_exactly_the_source(world: &World) {
    let rows = "select count(*) || ' ' || count(distinct id) || ' ' || min(id) || ' ' || max(id) \
                from orders";
    assert_eq!(world.text(rows).await.as_deref(), Some("8000 8000 0 7999"));
    let table = "select status || ' ' || completed_chunks || ' ' || total_rows_copied \
                 from migration_status.migration_table_status";
    assert_eq!(world.text(table).await.as_deref(), Some("completed 80 8000"));
    let run = "select count(*) || ' ' || min(status) from migration_status.migration_runs";
    assert_eq!(world.text(run).await.as_deref(), Some("1 completed"));
}

fn completed(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lease was lost"), "{}", ended.stderr);
}

#[tokio::test]
async fn four_processes_share_a_run_and_copy_every_chunk_once() {
    let world = world().await;
    let (first, run) = begun(&world).await;
    let others = [helper(&world, &run), helper(&world, &run), world.start(&[])];
    for child in others {
        completed(&ended(child).await);
    }
    completed(&ended(first).await);
    holds_exactly_the_source(&world).await;
    let again = format!("{ITEMS} where crash_count + retry_count + overrun_count > 0");
    assert_eq!(world.count(&again).await, 0, "nothing was done twice");
    // Names of workers begin with host and process.
    let processes = format!(
        "select count(distinct split_part(lease_holder, ' (', 1))::text from {ITEMS} where kind = 'chunk'"
    );
    let processes = world.text(&processes).await.expect("a count");
    assert!(processes != "1", "{processes} process has done all");
}

#[tokio::test]
async fn a_helper_ends_what_a_killed_process_has_begun() {
    let world = world().await;
    let (mut first, run) = begun(&world).await;
    let other = helper(&world, &run);
    let helping =
        format!("select count(distinct split_part(lease_holder, ' (', 1)) > 1 from {ITEMS}");
    let other = world.until_with(other, &helping).await;
    first.kill().await.expect("kill -9");
    let ended = ended(other).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("Helping with run {run}")), "{}", ended.stderr);
    holds_exactly_the_source(&world).await;
}

#[tokio::test]
async fn whoever_pauses_leaves_the_others_at_work() {
    let world = world().await;
    let (first, run) = begun(&world).await;
    let other = helper(&world, &run);
    let helping =
        format!("select count(distinct split_part(lease_holder, ' (', 1)) > 1 from {ITEMS}");
    let other = world.until_with(other, &helping).await;
    signal(&first, "TERM").await;
    let paused = ended(first).await;
    assert_eq!(paused.code, Some(5), "{}", paused.stderr);
    // Also for whoever comes now, though the first process has said that it pauses.
    let late = helper(&world, &run);
    completed(&ended(other).await);
    let late = ended(late).await;
    let came_too_late = late.code == Some(1) && late.stderr.contains("The run is completed");
    assert!(late.code == Some(0) || came_too_late, "{}", late.stderr);
    holds_exactly_the_source(&world).await;
}

#[tokio::test]
async fn a_helper_that_does_not_fit_is_refused_with_the_reason() {
    let world = world().await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let unknown = world.run(&["worker", "--run", nobody]).await;
    assert_eq!(unknown.code, Some(4), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("There is no such run"), "{}", unknown.stderr);
    let installed = "select to_regnamespace('migration_status') is not null";
    assert_eq!(world.text(&format!("select ({installed})::text")).await.as_deref(), Some("false"));

    let (first, run) = begun(&world).await;
    let mut other = tables();
    other[0]["source_filter"] = json!("\"id\" > 5");
    other[0]["truncate_onstart"] = json!(false);
    world.write_config(&world.config(&other));
    let differs = world.run(&["worker", "--run", &run]).await;
    assert_eq!(differs.code, Some(3), "{}", differs.stderr);
    let difference = "differs=target emptied there, not emptied here; source_filter";
    assert!(differs.stderr.contains(difference), "{}", differs.stderr);
    other[0]["target"] = json!("elsewhere");
    world.write_config(&world.config(&other));
    let unknown = world.run(&["worker", "--run", &run]).await;
    assert_eq!(unknown.code, Some(3), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("does not load"), "{}", unknown.stderr);

    // A run that would have to push the living one aside says how to help it instead.
    world.write_config(&world.config(&tables()));
    let held = world.hold("begin; lock table orders in share row exclusive mode").await;
    let waits = "exists (select from pg_stat_activity where wait_event_type = 'Lock' \
                 and datname = current_database())";
    world.until(waits).await;
    let busy = world.run(&["--no-resume"]).await;
    assert_ne!(busy.code, Some(0), "{}", busy.stderr);
    assert!(busy.stderr.contains(&format!("migrate worker --run {run}")), "{}", busy.stderr);
    drop(held);
    assert_eq!(ended(first).await.code, Some(0));
    let late = world.run(&["worker", "--run", &run]).await;
    assert_eq!(late.code, Some(1), "{}", late.stderr);
    assert!(late.stderr.contains("The run is completed"), "{}", late.stderr);
    holds_exactly_the_source(&world).await;
}

#[tokio::test]
async fn a_helper_is_told_how_to_go_on_with_a_run_that_has_stopped() {
    let world = world().await;
    let (first, run) = begun(&world).await;
    signal(&first, "INT").await;
    assert_eq!(ended(first).await.code, Some(5));
    let refused = world.run(&["worker", "--run", &run]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let next = format!("fix: go on with it: migrate run --resume-run-id {run}");
    assert!(refused.stderr.contains(&next), "{}", refused.stderr);
    let resumed = world.run(&["run", "--resume-run-id", &run]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    holds_exactly_the_source(&world).await;
}
