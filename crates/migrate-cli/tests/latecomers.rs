//! Processes that stand still while others go on, and wake up late: in the middle of a chunk, before its
//! commit, before a step that is no transaction of ours. They change nothing any more.

use std::time::Duration;

use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind, Table, Type, Value};
use tokio::process::Child;

use crate::support::{WAITS_AT_GATE, World, ended, orders, orders_in_chunks, signal};

const ITEMS: &str = "migration_status.migration_work_items";

/// Another process than the one that was there first.
const EXPIRED: &str = "not exists (select from migration_status.migration_work_items \
                       where status = 'in_progress' and lease_until > now())";

async fn until(world: &World, child: Child, condition: &str) -> Child {
    let child = world.until_with(child, &format!("to_regclass('{ITEMS}') is not null")).await;
    world.until_with(child, condition).await
}

async fn run_of(world: &World) -> String {
    let run =
        "select run_id::text from migration_status.migration_runs order by started_at limit 1";
    world.text(run).await.expect("a run")
}

/// Rows so wide that a part of a chunk is with the server while the rest is on its way.
async fn wide() -> World {
    let row = |id: i64| [Value::from(id), Value::from("x".repeat(20_000).as_str())];
    let table = Table::new("DB.PUBLIC.WIDE")
        .required_column("id", Type::number(38, 0))
        .column("name", Type::varchar())
        .rows((0..200).map(row));
    let target = "create table wide (id bigint primary key, name text)";
    let world = World::new(Double::builder().table(table), target).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_chunk_rows(20).expect("not zero");
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(300));
    let mut config = world.config(&json!([{
        "source": "WIDE", "target": "wide",
        "chunking_columns": ["id"], "chunking_column_types": ["int"], "batch_size": 100,
    }]));
    config["parallel_threads"] = json!(1);
    world.write_config(&config);
    world
}

#[tokio::test]
async fn rows_of_a_process_that_stands_still_in_mid_copy_keep_nobody_waiting() {
    let world = wide().await;
    // Rows are in the target, uncommitted, and its key holds whoever comes with the same ones.
    let half = "select coalesce(bool_or(tuples_processed > 0), false) from pg_stat_progress_copy \
                where datname = current_database() and relid = 'wide'::regclass";
    let mut sleeper = world.start(&[]);
    loop {
        sleeper = until(&world, sleeper, half).await;
        signal(&sleeper, "STOP").await;
        let is_half = world.text(&format!("select ({half})::text")).await;
        if is_half.as_deref() == Some("true") {
            break;
        }
        signal(&sleeper, "CONT").await;
    }
    let run = run_of(&world).await;
    let other = world.run(&["worker", "--run", &run]).await;
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    assert_eq!(world.count("wide").await, 200);
    signal(&sleeper, "CONT").await;
    let late = ended(sleeper).await;
    assert_eq!(late.code, Some(0), "it finds all done: {}", late.stderr);
    let rows = "select count(*) || ' ' || count(distinct id) from wide";
    assert_eq!(world.text(rows).await.as_deref(), Some("200 200"));
    let copied = "select total_rows_copied::text from migration_status.migration_table_status";
    assert_eq!(world.text(copied).await.as_deref(), Some("200"));
}

async fn small(change: impl FnOnce(&mut Json)) -> World {
    let target = "create table orders (id bigint primary key, name text, amount numeric(12,2), \
                  at timestamp); \
                  create function never() returns trigger language plpgsql as \
                      'begin raise exception ''a trigger fired''; end'; \
                  create trigger plain before insert on orders for each row \
                      execute function never()";
    let world = World::new(Double::builder().table(orders(300)), target).await;
    let mut tables = orders_in_chunks();
    tables[0]["disable_index"] = json!(true);
    change(&mut tables[0]);
    world.write_config(&world.config(&tables));
    world
}

#[tokio::test]
async fn a_process_that_stands_still_before_its_commit_is_replaced() {
    let world = small(|_| {}).await;
    let gate = world.gate("new.kind = 'chunk' and new.item_id = 1").await;
    let sleeper = until(&world, world.start(&[]), WAITS_AT_GATE).await;
    signal(&sleeper, "STOP").await;
    world.open(gate).await;
    let run = run_of(&world).await;
    let other = world.run(&["worker", "--run", &run]).await;
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    signal(&sleeper, "CONT").await;
    let late = ended(sleeper).await;
    assert_eq!(late.code, Some(0), "{}", late.stderr);
    let table = "select status || ' ' || completed_chunks || ' ' || total_rows_copied \
                 from migration_status.migration_table_status";
    assert_eq!(world.text(table).await.as_deref(), Some("completed 3 300"));
    assert_eq!(world.count("orders").await, 300);
}

const TRIGGER: &str = "select tgenabled::text from pg_trigger where tgname = 'plain'";

/// A process that was stopped when it was about to bring the trigger back: it waits because somebody,
/// as it seems, is at that already.
async fn stopped_before_restoring(world: &World) -> Child {
    let text = format!(
        "/* brings back trigger plain of {}.public.orders */ select pg_advisory_lock(4711)",
        world.database_name()
    );
    let holder = world.hold("select pg_advisory_lock(4711)").await;
    let at_it = world.session_running(&text).await;
    let claimed = format!(
        "select count(*) > 0 from {ITEMS} where kind = 'rebuild' and status = 'in_progress'"
    );
    let sleeper = until(world, world.start(&[]), &claimed).await;
    let looked = "select count(*) > 0 from pg_stat_activity where query like '%starts_with(query, $1)%' \
                  and state = 'idle' and datname = current_database()";
    let sleeper = world.until_with(sleeper, looked).await;
    signal(&sleeper, "STOP").await;
    drop(holder);
    drop(at_it);
    let gone = "not exists (select from pg_stat_activity where state = 'active' \
                and datname = current_database() and query like '/* brings back%')";
    world.until(gone).await;
    sleeper
}

#[tokio::test]
async fn a_process_that_wakes_up_late_brings_nothing_back_that_a_later_run_owns() {
    let world = small(|table| table["truncate_onstart"] = json!(true)).await;
    let sleeper = stopped_before_restoring(&world).await;
    world.until(EXPIRED).await;
    let later = world.run(&["--no-resume"]).await;
    assert_eq!(later.code, Some(0), "{}", later.stderr);
    assert_eq!(
        world.text(TRIGGER).await.as_deref(),
        Some("O"),
        "the later run has brought it back"
    );
    world.execute("alter table orders disable trigger plain").await;
    signal(&sleeper, "CONT").await;
    let late = ended(sleeper).await;
    assert_eq!(late.code, Some(1), "{}", late.stderr);
    assert!(late.stderr.contains("a newer run has taken over the table"), "{}", late.stderr);
    assert_eq!(world.text(TRIGGER).await.as_deref(), Some("D"), "as somebody has left it since");
    assert_eq!(world.count("orders").await, 300);
}

#[tokio::test]
async fn a_step_that_another_process_of_the_run_has_done_is_not_done_again() {
    let world = small(|_| {}).await;
    let sleeper = stopped_before_restoring(&world).await;
    let run = run_of(&world).await;
    let other = world.run(&["worker", "--run", &run]).await;
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    world.execute("alter table orders disable trigger plain").await;
    signal(&sleeper, "CONT").await;
    let late = ended(sleeper).await;
    assert_eq!(late.code, Some(0), "the run is completed, by the other: {}", late.stderr);
    assert_eq!(world.text(TRIGGER).await.as_deref(), Some("D"), "as somebody has left it since");
}
