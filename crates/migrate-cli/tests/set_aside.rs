//! Indexes, constraints and triggers are away for the load and back after it, whatever happens.

use std::time::Duration;

use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind};

use crate::support::{World, ended, orders, orders_in_chunks, signal, until_said};

/// Everything that can be set aside, and things that look like it and must stay.
const TARGET: &str = "\
    create table regions (id bigint primary key); \
    create table orders (id bigint primary key, name text, amount numeric(12,2), at timestamp, \
        region bigint references regions, old_region bigint, \
        constraint named unique (name), \
        constraint paid unique (id, amount) deferrable initially deferred, \
        constraint alone exclude using btree (id with =)); \
    alter table orders add constraint unproved foreign key (old_region) references regions not valid; \
    create index on orders (amount desc nulls last) include (at) where amount > 1; \
    create unique index \"Lower \"\"Name\"\"\" on orders (lower(name)); \
    create index stays on orders (at); cluster orders using stays; \
    comment on index \"Lower \"\"Name\"\"\" is 'it''s \\ odd'; \
    comment on constraint named on orders is 'named'; comment on index named is 'and its index'; \
    create table lines (id bigint primary key, order_name text, \
        constraint of_order foreign key (order_name) references orders (name) on delete cascade); \
    comment on constraint of_order on lines is 'inbound'; \
    create function never() returns trigger language plpgsql as \
        'begin raise exception ''a trigger fired''; end'; \
    create trigger plain before insert on orders for each row execute function never(); \
    create trigger always after insert on orders for each row execute function never(); \
    create trigger off after insert on orders for each row execute function never(); \
    create trigger replica after insert on orders for each row execute function never(); \
    alter table orders enable always trigger always; alter table orders disable trigger off; \
    alter table orders enable replica trigger replica; \
    insert into orders (id, name) select 0, 'order 0' from regions; \
    insert into lines values (1, null)";

const ROWS: u64 = 1000;

fn tables(change: impl FnOnce(&mut Json)) -> Json {
    let mut tables = orders_in_chunks();
    tables[0]["truncate_onstart"] = json!(true);
    tables[0]["disable_index"] = json!(true);
    change(&mut tables[0]);
    tables
}

async fn world(tables: &Json) -> World {
    let world = World::new(Double::builder().table(orders(1000)), TARGET).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(50));
    world.write_config(&world.config(tables));
    world
}

async fn finished(world: &World, arguments: &[&str]) {
    let ended = world.run(arguments).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
}

const ITEMS: &str = "migration_status.migration_work_items";

/// Starts the program and kills it once a condition holds.
async fn killed_when(world: &World, condition: &str) {
    let mut child = world.start(&[]);
    world.until(&format!("to_regclass('{ITEMS}') is not null")).await;
    tokio::select! {
        () = world.until(condition) => {}
        ended = child.wait() => panic!("it ended before {condition}: {ended:?}"),
    }
    child.kill().await.expect("kill -9");
}

/// Indexes of the target, without the primary key.
const INDEXES: &str = "pg_index where indrelid = 'orders'::regclass and not indisprimary";

fn half_loaded() -> String {
    format!(
        "(select count(*) between 2 and 7 from {ITEMS} where kind = 'chunk' \
             and status = 'completed')"
    )
}

/// A repair waits for a lock of somebody else.
const REPAIR_WAITS: &str = "exists (select from pg_stat_activity where datname = current_database() \
                                and wait_event_type = 'Lock' and query like '%brings back%')";

/// A killed run, all of whose leases have run out.
async fn dead_run(world: &World) {
    killed_when(world, &half_loaded()).await;
    let expired = format!("not exists (select from {ITEMS} where lease_until > now())");
    world.until(&expired).await;
    let silent =
        "not exists (select from migration_status.migration_runs where alive_until > now())";
    world.until(silent).await;
}

#[tokio::test]
async fn whoever_comes_after_a_dead_run_the_schema_is_as_before() {
    let same = tables(|_| {});
    let kept = tables(|table| table["disable_index"] = json!(false));
    let by_key = tables(|table| {
        table["truncate_onstart"] = json!(false);
        table["uniqueness_columns"] = json!(["name"]);
    });
    for (arguments, next) in [
        (["run"].as_slice(), &same),
        (&["repair"], &same),
        (&["run", "--no-resume"], &same),
        (&["run"], &by_key),
        (&["repair"], &kept),
    ] {
        let world = world(&same).await;
        let before = world.schema().await;
        dead_run(&world).await;
        assert_eq!(world.count(INDEXES).await, 1, "only what cannot come back as it was stays");
        assert_ne!(world.schema().await, before);
        world.write_config(&world.config(next));
        finished(&world, arguments).await;
        assert_eq!(world.schema().await, before, "after {arguments:?}");
        let again = world.run(&["repair"]).await;
        assert!(again.stdout.contains("Nothing was left"), "{}", again.stdout);
        if arguments[0] == "repair" {
            world.write_config(&world.config(&same));
            finished(&world, &["run"]).await;
            assert_eq!(world.schema().await, before, "the repaired run goes on");
        }
        assert_eq!(world.count("orders").await, ROWS);
    }
}

#[tokio::test]
async fn killed_at_any_step_the_same_command_brings_everything_back() {
    for kind in ["prepare", "chunk", "rebuild", "relink", "finish"] {
        let world = world(&tables(|_| {})).await;
        let before = world.schema().await;
        world.killed_before_recording(&format!("new.kind = '{kind}'")).await;
        finished(&world, &[]).await;
        assert_eq!(world.schema().await, before, "killed before {kind} was recorded");
        assert_eq!(world.count("orders").await, ROWS);
        let open = format!("{ITEMS} where status <> 'completed'");
        assert_eq!(world.count(&open).await, 0);
    }
}

#[tokio::test]
async fn one_that_cannot_come_back_keeps_no_other_away() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    // The line loses its order while the key is away.
    let is_there = format!("to_regclass('{ITEMS}') is not null");
    let child = world.until_with(world.start(&[]), &is_there).await;
    let mut child = world.until_with(child, &half_loaded()).await;
    world.execute("insert into lines values (2, 'nowhere')").await;
    let ended = child.wait().await.expect("ends");
    assert_eq!(ended.code(), Some(1));
    let status =
        "select status || ' ' || error_message from migration_status.migration_table_status";
    let status = world.text(status).await.expect("a status");
    assert!(status.starts_with("partial") && status.contains("of_order"), "{status}");
    assert!(status.contains("migrate repair"), "{status}");
    assert_eq!(world.count(INDEXES).await, 6, "all indexes are back");

    let repair = world.run(&["repair"]).await;
    assert_eq!(repair.code, Some(1), "{}", repair.stdout);
    world.execute("delete from lines where id = 2").await;
    finished(&world, &["repair"]).await;
    assert_eq!(world.schema().await, before);
    finished(&world, &[]).await;
    assert_eq!(world.count("orders").await, ROWS);
}

#[tokio::test]
async fn indexes_are_built_side_by_side_and_a_build_outlives_its_client() {
    let world = world(&tables(|_| {})).await;
    world
        .execute(
            "do $$ begin \
             create function slowly(n bigint) returns bigint language plpgsql immutable as \
                 'begin perform pg_sleep(0.002); return n; end'; \
             alter table orders drop constraint paid, drop constraint alone, \
                 drop constraint named cascade; \
             create index slow_1 on orders (slowly(id)); create index slow_2 on orders (slowly(-id)); \
             end $$",
        )
        .await;
    let before = world.schema().await;
    // The view shows the builds of every database of the server.
    let building = "(select count(*) >= 2 from pg_stat_progress_create_index \
                         where datname = current_database())";
    killed_when(&world, building).await;
    finished(&world, &[]).await;
    assert_eq!(world.schema().await, before);
    let crashed = format!("{ITEMS} where kind = 'rebuild' and crash_count > 0");
    assert!(world.count(&crashed).await >= 2, "both builds lost their client");
}

#[tokio::test]
async fn a_live_run_is_left_alone() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    let is_there = format!("to_regclass('{ITEMS}') is not null");
    let child = world.until_with(world.start(&[]), &is_there).await;
    let mut child = world.until_with(child, &half_loaded()).await;
    let repair = world.run(&["repair"]).await;
    assert_eq!(repair.code, Some(1), "{}", repair.stdout);
    assert!(repair.stdout.contains("A run is at work"), "{}", repair.stdout);
    assert_eq!(child.wait().await.expect("ends").code(), Some(0));
    assert_eq!(world.schema().await, before);
}

#[tokio::test]
async fn a_run_that_plans_is_left_alone_though_it_holds_no_lease() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    dead_run(&world).await;
    world.double.knobs().set_latency(RequestKind::Query, Duration::from_secs(2));
    let child = world.start(&["--no-resume"]);
    let plans =
        "exists (select from migration_status.migration_table_status where status = 'pending')";
    let mut child = world.until_with(child, plans).await;
    let away = world.schema().await;
    let repair = world.run(&["repair"]).await;
    assert_eq!(repair.code, Some(1), "{}", repair.stdout);
    assert!(repair.stdout.contains("A run is at work"), "{}", repair.stdout);
    assert_eq!(world.schema().await, away, "nothing came back under the run");
    world.double.knobs().set_latency(RequestKind::Query, Duration::ZERO);
    assert_eq!(child.wait().await.expect("ends").code(), Some(0));
    assert_eq!(world.schema().await, before);
    assert_eq!(world.count("orders").await, ROWS);
}

#[tokio::test]
async fn a_run_begins_before_something_comes_back_or_after_it() {
    for arguments in [["run", "--no-resume"].as_slice(), &["run"]] {
        let world = world(&tables(|_| {})).await;
        let before = world.schema().await;
        dead_run(&world).await;
        // Whoever wants to build an index or to switch a trigger on waits for this.
        let writer = world.hold("begin; lock table orders in row exclusive mode").await;
        let mut repair = world.until_with(world.start(&["repair"]), REPAIR_WAITS).await;
        let child = world.start(arguments);
        let meets = "exists (select from pg_stat_activity where datname = current_database() \
                         and wait_event_type = 'Lock' and query like '%migration_targets%' \
                         and query not like '%brings back%')";
        let child = world.until_with(child, meets).await;
        let alive = world.count("migration_status.migration_runs where alive_until > now()").await;
        assert_eq!(alive, 0, "no run has begun");
        drop(writer);
        // What is still away when the run begins is the run's to bring back.
        repair.wait().await.expect("ends");
        let ended = ended(child).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        assert_eq!(world.schema().await, before, "{arguments:?}");
        assert_eq!(world.count("orders").await, ROWS);
    }
}

#[tokio::test]
async fn what_came_back_without_a_note_is_taken_away_again() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    dead_run(&world).await;
    // As a repair leaves it that dies right after its statement.
    world.execute("alter table orders enable trigger plain").await;
    finished(&world, &["run"]).await;
    assert_eq!(world.schema().await, before);
    assert_eq!(world.count("orders").await, ROWS);
}

#[tokio::test]
async fn a_table_that_one_process_has_parked_may_be_the_work_of_another() {
    let world = world(&tables(|_| {})).await;
    dead_run(&world).await;
    let away = world.schema().await;
    world.execute("update migration_status.migration_table_status set status = 'paused'").await;
    for at_work in [
        "update migration_status.migration_runs set alive_until = now() + interval '1 h'",
        "update migration_status.migration_work_items set lease_until = now() + interval '1 h' \
         where status = 'in_progress'",
    ] {
        world.execute(at_work).await;
        let repair = world.run(&["repair"]).await;
        assert_eq!(repair.code, Some(1), "{}", repair.stdout);
        assert!(repair.stdout.contains("A run is at work"), "{}", repair.stdout);
        world.execute("update migration_status.migration_runs set alive_until = null").await;
    }
    assert_eq!(world.schema().await, away, "nothing came back");
}

#[tokio::test]
async fn a_repair_reads_the_ledger_of_an_earlier_version() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    dead_run(&world).await;
    world.execute("alter table migration_status.migration_runs drop alive_until").await;
    world.execute("delete from migration_status.schema_migrations where version = 4").await;
    finished(&world, &["repair"]).await;
    assert_eq!(world.schema().await, before);
    finished(&world, &["run"]).await;
    assert_eq!(world.schema().await, before);
    assert_eq!(world.count("orders").await, ROWS);
}

#[tokio::test]
async fn a_statement_that_outlives_its_client_is_waited_for_by_name() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    dead_run(&world).await;
    let writer = world.hold("begin; lock table orders in row exclusive mode").await;
    let mut first = world.until_with(world.start(&["repair"]), REPAIR_WAITS).await;
    first.kill().await.expect("kill -9");
    let mut second = world.start(&["repair"]);
    until_said(&mut second, "its client may have gone").await;
    drop(writer);
    assert_eq!(second.wait().await.expect("ends").code(), Some(0));
    assert_eq!(world.schema().await, before);
}

#[tokio::test]
async fn a_process_that_wakes_up_after_a_repair_loads_nothing_under_it() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    let is_there = format!("to_regclass('{ITEMS}') is not null");
    let child = world.until_with(world.start(&[]), &is_there).await;
    let child = world.until_with(child, &half_loaded()).await;
    signal(&child, "STOP").await;
    let dead = format!(
        "not exists (select from {ITEMS} where lease_until > now()) \
         and not exists (select from migration_status.migration_runs where alive_until > now())"
    );
    world.until(&dead).await;
    finished(&world, &["repair"]).await;
    assert_eq!(world.schema().await, before);
    let rows = world.count("orders").await;
    signal(&child, "CONT").await;
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("A repair brought back"), "{}", ended.stderr);
    assert_eq!((world.count("orders").await, world.schema().await), (rows, before.clone()));
    finished(&world, &["run"]).await;
    assert_eq!((world.count("orders").await, world.schema().await), (ROWS, before));
}

#[tokio::test]
async fn few_rows_and_the_deciding_key_keep_their_indexes() {
    let by_key = tables(|table| {
        table["truncate_onstart"] = json!(false);
        table["uniqueness_columns"] = json!(["name"]);
    });
    let world = world(&by_key).await;
    world.execute("alter table orders disable trigger all").await;
    let before = world.schema().await;
    let plan = world.run(&["plan"]).await;
    let away = plan.stdout.lines().find(|line| line.contains("set aside"));
    let away = away.unwrap_or_else(|| panic!("no note: {}", plan.stdout));
    assert!(!away.contains("named"), "the key that decides conflicts stays: {away}");
    assert!(away.contains("Lower"), "{away}");
    finished(&world, &[]).await;
    assert_eq!(world.schema().await, before);

    let fill =
        "insert into orders (id, name) select n, 'x' || n from generate_series(1000, 7000) n";
    world.execute(fill).await;
    world.execute("analyze orders").await;
    let plan = world.run(&["plan"]).await;
    assert!(plan.stdout.contains("indexes stay: 1000 rows"), "{}", plan.stdout);
    assert_eq!(world.schema().await, before);
}

#[tokio::test]
async fn tables_that_reference_each_other_are_filled_in_any_order() {
    use snowflake_double::{Table, Type, Value};
    let lines = Table::new("DB.PUBLIC.LINES")
        .required_column("id", Type::number(38, 0))
        .column("order_name", Type::varchar())
        .rows((0..500).map(|id| [Value::from(id), Value::from(format!("order {id}").as_str())]));
    let world = World::new(Double::builder().table(orders(1000)).table(lines), TARGET).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(20));
    let mut all = tables(|_| {}).as_array().expect("a list").clone();
    all.insert(
        0,
        json!({"source": "LINES", "target": "lines", "truncate_onstart": true, "disable_index": true}),
    );
    world.write_config(&world.config(&json!(all)));
    let before = world.schema().await;
    for _ in 0..2 {
        finished(&world, &[]).await;
        assert_eq!(world.schema().await, before);
        assert_eq!((world.count("orders").await, world.count("lines").await), (ROWS, 500));
    }
}

/// Orders and their lines, which refer to them; the lines stand first in the configuration.
async fn lines_before_orders(latency: Duration, change: impl FnOnce(&mut [Json; 3])) -> World {
    use snowflake_double::{Table, Type, Value};
    let lines = Table::new("DB.PUBLIC.LINES")
        .required_column("id", Type::number(38, 0))
        .column("order_name", Type::varchar())
        .rows((0..500).map(|id| [Value::from(id), Value::from(format!("order {id}").as_str())]));
    let regions = Table::new("DB.PUBLIC.REGIONS").required_column("id", Type::number(38, 0));
    let double = Double::builder().table(orders(1000)).table(lines).table(regions);
    let world = World::new(double, TARGET).await;
    world.execute("alter table orders disable trigger all").await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, latency);
    let table = |name: &str| json!({"source": name, "target": name.to_lowercase(), "truncate_onstart": true});
    let mut tables = [table("LINES"), table("REGIONS"), table("ORDERS")];
    change(&mut tables);
    world.write_config(&world.config(&json!(tables)));
    world
}

/// Longer than a preparation waits for a lock.
const LONG: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_preparation_never_meets_chunks_of_its_own_run() {
    let world = lines_before_orders(LONG, |tables| {
        tables[0]["truncate_onstart"] = json!(false);
        tables[0]["on_nonempty"] = json!("append");
        tables[2]["disable_index"] = json!(true);
    })
    .await;
    world.execute("delete from lines").await;
    let before = world.schema().await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for trouble in ["failed", "ended a session"] {
        assert!(!ended.stderr.contains(trouble), "{}", ended.stderr);
    }
    assert_eq!((world.count("orders").await, world.count("lines").await), (ROWS, 500));
    assert_eq!(world.schema().await, before);
}

#[tokio::test]
async fn rows_that_are_referred_to_come_first() {
    let world = lines_before_orders(Duration::ZERO, |_| {}).await;
    let mut config = world.read_config();
    config["parallel_threads"] = json!(1);
    world.write_config(&config);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("failed"), "{}", ended.stderr);
    assert_eq!((world.count("orders").await, world.count("lines").await), (ROWS, 500));
}

#[tokio::test]
async fn what_was_changed_after_a_repair_is_not_taken_away() {
    let world = world(&tables(|_| {})).await;
    dead_run(&world).await;
    finished(&world, &["repair"]).await;
    world.execute("drop index \"Lower \"\"Name\"\"\"").await;
    world.execute("create index \"Lower \"\"Name\"\"\" on orders (upper(name))").await;
    let changed = world.schema().await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("has been changed since"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--no-resume"), "{}", ended.stderr);
    assert_eq!(world.schema().await, changed);
    finished(&world, &["run", "--no-resume"]).await;
    assert_eq!(world.schema().await, changed, "it came back as it is now");
    assert_eq!(world.count("orders").await, ROWS);
}

#[tokio::test]
async fn indexes_come_back_where_they_were_whatever_the_default() {
    let world = world(&tables(|_| {})).await;
    let before = world.schema().await;
    killed_when(&world, &half_loaded()).await;
    let everywhere = |word: &str| {
        format!(
            "do $$ begin execute format('alter database %I {word}', current_database()); end $$"
        )
    };
    // No index can be made there.
    world.execute(&everywhere("set default_tablespace = pg_global")).await;
    finished(&world, &[]).await;
    world.execute(&everywhere("reset default_tablespace")).await;
    assert_eq!(world.schema().await, before);
}
