//! Other sessions and administrators get in the way of a load: they end its sessions, cancel its
//! statements, hold its locks, use up its connections or its disk. It is tried again, or waits and
//! says for whom.

use std::time::Duration;

use migrate_postgres::sqlx::{Connection, Executor};
use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind};
use tokio::process::Child;

use crate::support::{Ended, ORDERS, World, ended, orders, orders_in_chunks, signal, until_said};

const ITEMS: &str = "migration_status.migration_work_items";

/// Sessions of the program in this database; those of the test itself rest when it asks.
const OURS: &str = "pg_stat_activity where application_name = 'migrate from snowflake' \
                    and datname = current_database() and pid <> pg_backend_pid()";

async fn world(change: impl FnOnce(&mut Json)) -> World {
    let world = World::new(Double::builder().table(orders(2000)), ORDERS).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(60));
    let mut tables = orders_in_chunks();
    change(&mut tables[0]);
    world.write_config(&world.config(&tables));
    world
}

/// Waits until a condition on the status tables holds while the program runs.
async fn until(world: &World, child: Child, condition: &str) -> Child {
    let child = world.until_with(child, &format!("to_regclass('{ITEMS}') is not null")).await;
    world.until_with(child, condition).await
}

fn chunks_completed(least: u32) -> String {
    format!("select count(*) >= {least} from {ITEMS} where kind = 'chunk' and status = 'completed'")
}

/// Somebody waits for a lock to run this.
fn waits(statement: &str) -> String {
    format!(
        "select count(*) > 0 from {OURS} and wait_event_type = 'Lock' and query ilike '{statement}%'"
    )
}

async fn holds_exactly_the_source(world: &World, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = "select count(*) || ' ' || count(distinct id) || ' ' || min(id) || ' ' || max(id) \
                from orders";
    assert_eq!(world.text(rows).await.as_deref(), Some("2000 2000 0 1999"));
    let table = "select status || ' ' || completed_chunks || ' ' || total_rows_copied \
                 from migration_status.migration_table_status";
    assert_eq!(world.text(table).await.as_deref(), Some("completed 20 2000"));
    assert_eq!(world.count(&format!("{ITEMS} where status <> 'completed'")).await, 0);
}

#[tokio::test]
async fn sessions_that_an_administrator_ends_are_replaced() {
    let world = world(|_| {}).await;
    let mut child = world.start(&[]);
    // Copying sessions, those of the ledger and that of the heartbeat.
    for least in [2, 8] {
        child = until(&world, child, &chunks_completed(least)).await;
        world.execute(&format!("select pg_terminate_backend(pid) from {OURS}")).await;
    }
    holds_exactly_the_source(&world, &ended(child).await).await;
}

#[tokio::test]
async fn a_copy_that_somebody_cancels_is_tried_again_and_says_so() {
    let world = world(|_| {}).await;
    let child = world.start(&[]);
    let copying =
        format!("select count(*) > 0 from {OURS} and query like 'copy %' and state = 'active'");
    let child = until(&world, child, &copying).await;
    world
        .execute(&format!(
            "select pg_cancel_backend(pid) from {OURS} and query like 'copy %' and state = 'active'"
        ))
        .await;
    let cancelled = format!(
        "select count(*) > 0 from {ITEMS} where retry_count = 1 and error_code = 'timeout' \
         and error_message like '%57014%'"
    );
    let child = until(&world, child, &cancelled).await;
    // The rest of the failed try is in the store.
    let rests = format!("select max(not_before) > now() - interval '5 seconds' from {ITEMS}");
    let child = until(&world, child, &rests).await;
    let ended = ended(child).await;
    assert!(ended.stderr.contains("somebody cancelled the statement"), "{}", ended.stderr);
    holds_exactly_the_source(&world, &ended).await;
}

#[tokio::test]
async fn an_index_build_that_somebody_cancels_is_begun_again() {
    let world = world(|table| table["disable_index"] = json!(true)).await;
    world.execute("create index by_name on orders (name)").await;
    let child = world.start(&[]);
    let child = until(&world, child, &chunks_completed(20)).await;
    let writer = world.hold("begin; lock table orders in row exclusive mode").await;
    let child =
        match world.text("select count(*)::text from pg_indexes where indexname = 'by_name'").await
        {
            Some(count) if count == "0" => {
                until(&world, child, &waits("/* brings back index by_name")).await
            }
            // The build was faster than the lock: nothing is left to cancel.
            _ => child,
        };
    world
        .execute(&format!(
            "select pg_cancel_backend(pid) from {OURS} and query ilike '%create index%'"
        ))
        .await;
    drop(writer);
    holds_exactly_the_source(&world, &ended(child).await).await;
    assert_eq!(world.count("pg_indexes where indexname = 'by_name'").await, 1);
}

/// A target whose disk is full until it is told otherwise, by an error that quotes a cell.
async fn full_disk(world: &World) {
    world
        .execute(
            "create function disk() returns trigger language plpgsql as $$ begin \
             if current_setting('disk.is_full', true) = 'yes' then \
             raise exception 'could not extend file for %', new.name using errcode = '53100'; \
             end if; return new; end $$",
        )
        .await;
    world
        .execute("create trigger disk before insert on orders for each row execute function disk()")
        .await;
    set_full(world, "yes").await;
}

async fn set_full(world: &World, is_full: &str) {
    let database = world.database_name();
    world.execute(&format!("alter database {database} set disk.is_full = '{is_full}'")).await;
    // What was told to a session holds until it ends.
    world.execute(&format!("select pg_terminate_backend(pid) from {OURS}")).await;
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_the_operator_told() {
    let world = world(|_| {}).await;
    full_disk(&world).await;
    let child = world.start(&[]);
    let full = format!(
        "select count(*) > 0 from {ITEMS} where retry_count > 0 and error_code = 'resource_exhausted'"
    );
    let child = until(&world, child, &full).await;
    assert_eq!(world.count("orders").await, 0);
    set_full(&world, "no").await;
    let ended = ended(child).await;
    assert!(ended.stderr.contains("fix: free disk space on the server"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("order 1"), "a cell is in the log: {}", ended.stderr);
    holds_exactly_the_source(&world, &ended).await;
}

#[tokio::test]
async fn a_disk_that_stays_full_ends_the_run_after_its_tries_which_the_store_counts() {
    let world = world(|table| table["max_retry_attempts"] = json!(2)).await;
    full_disk(&world).await;
    let failed = world.run(&[]).await;
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("fix: free disk space on the server"), "{}", failed.stderr);
    assert_eq!(world.count("orders").await, 0);
    let tries = format!(
        "select string_agg(distinct status || ' ' || retry_count || ' ' || error_code, ', ') \
         from {ITEMS} where kind = 'chunk'"
    );
    assert_eq!(world.text(&tries).await.as_deref(), Some("failed 2 resource_exhausted"));
    set_full(&world, "no").await;
    let again = world.run(&[]).await;
    holds_exactly_the_source(&world, &again).await;
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_tried_again() {
    let world = world(|table| table["uniqueness_columns"] = json!(["id"])).await;
    let database = world.database_name();
    world.execute("insert into orders (id) values (120), (150)").await;
    // The run looks for deadlocks late, so that the circle is closed when it does; the other never.
    world.execute(&format!("alter database {database} set deadlock_timeout = '3s'")).await;
    let mut other = world
        .hold("set deadlock_timeout = '10min'; begin; update orders set name = 'x' where id = 150")
        .await;
    let child = world.start(&[]);
    let child = until(&world, child, &waits("with written as (insert")).await;
    other.execute("update orders set name = 'x' where id = 120").await.expect("gets its lock");
    let victim = format!("select count(*) = 1 from {ITEMS} where error_message like '%40P01%'");
    let child = until(&world, child, &victim).await;
    other.execute("rollback").await.expect("ends");
    holds_exactly_the_source(&world, &ended(child).await).await;
}

#[tokio::test]
async fn a_lock_of_somebody_else_is_waited_for_visibly_and_the_wait_can_be_interrupted() {
    let world = world(|_| {}).await;
    let database = world.database_name();
    world.execute(&format!("alter database {database} set lock_timeout = '1ms'")).await;
    let child = world.start(&[]);
    let mut child = until(&world, child, &chunks_completed(2)).await;
    let holder =
        world.hold("set lock_timeout = 0; begin; lock table orders in access exclusive mode").await;
    let said = until_said(&mut child, "to end it: select pg_terminate_backend(").await;
    assert!(said.contains("[orders] waits for a lock that pid "), "{said}");
    signal(&child, "INT").await;
    let paused = ended(child).await;
    assert_eq!(paused.code, Some(5), "{}", paused.stderr);
    // Nobody of ours stays in the queue for the lock, in front of others.
    world.until(&format!("select count(*) = 0 from {OURS} and wait_event_type = 'Lock'")).await;
    let leased = format!("{ITEMS} where status = 'in_progress'");
    assert_eq!(world.count(&leased).await, 0);
    holder.close().await.expect("lets go");
    let again = world.run(&[]).await;
    holds_exactly_the_source(&world, &again).await;
}

#[tokio::test]
async fn a_lock_that_keeps_the_plan_waiting_is_told_too() {
    let world = world(|_| {}).await;
    let holder = world.hold("begin; lock table orders in access exclusive mode").await;
    let mut child = world.start(&[]);
    until_said(&mut child, "waits for a lock that pid ").await;
    holder.close().await.expect("lets go");
    holds_exactly_the_source(&world, &ended(child).await).await;
}

#[tokio::test]
async fn the_end_of_a_table_survives_the_end_of_its_sessions() {
    let world = world(|_| {}).await;
    let child = world.start(&[]);
    let child = until(&world, child, &chunks_completed(4)).await;
    let holder = world.hold("begin; lock table orders in share update exclusive mode").await;
    let child = until(&world, child, &waits("analyze")).await;
    world.execute(&format!("select pg_terminate_backend(pid) from {OURS}")).await;
    let tried = format!("select retry_count = 1 from {ITEMS} where kind = 'finish'");
    let child = until(&world, child, &tried).await;
    holder.close().await.expect("lets go");
    holds_exactly_the_source(&world, &ended(child).await).await;
}

#[tokio::test]
async fn a_plan_that_loses_its_sessions_is_made_or_the_same_command_makes_it() {
    let world = world(|_| {}).await;
    world.double.knobs().set_latency(RequestKind::Query, Duration::from_millis(300));
    let child = world.start(&[]);
    let planning =
        "select count(*) > 0 from migration_status.migration_table_status where plan is null";
    let child = until(&world, child, planning).await;
    world.execute(&format!("select pg_terminate_backend(pid) from {OURS}")).await;
    let first = ended(child).await;
    if first.code == Some(0) {
        return holds_exactly_the_source(&world, &first).await;
    }
    assert!(matches!(first.code, Some(1 | 4)), "{:?}: {}", first.code, first.stderr);
    assert!(first.stderr.contains("57P01") && first.stderr.contains("fix: "), "{}", first.stderr);
    let again = world.run(&[]).await;
    holds_exactly_the_source(&world, &again).await;
}

/// A role with a limit, that owns the target and may make status tables.
async fn limited(world: &World, limit: u32) -> String {
    let database = world.database_name();
    let role = format!("{database}_limited");
    for statement in [
        format!("create role {role} login connection limit {limit}"),
        format!("grant all on database {database} to {role}"),
        format!("grant all on schema public to {role}"),
        format!("alter table orders owner to {role}"),
    ] {
        world.execute(&statement).await;
    }
    let mut config = world.config(&orders_in_chunks());
    config["postgres"]["user"] = json!(role);
    config["postgres"]["connect_timeout_seconds"] = json!(1);
    world.write_config(&config);
    role
}

async fn dropped(world: &World, role: &str) {
    world.execute(&format!("drop owned by {role} cascade")).await;
    world.execute(&format!("drop role {role}")).await;
}

#[tokio::test]
async fn a_connection_limit_that_is_reached_at_the_start_is_named() {
    let world = world(|_| {}).await;
    let role = limited(&world, 0).await;
    let refused = world.run(&[]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    for words in ["53300", "lower `parallel_threads`", "limit of the role"] {
        assert!(refused.stderr.contains(words), "{words} is missing: {}", refused.stderr);
    }
    world.execute(&format!("alter role {role} connection limit -1")).await;
    let ended = world.run(&[]).await;
    holds_exactly_the_source(&world, &ended).await;
    dropped(&world, &role).await;
}

#[tokio::test]
async fn a_connection_limit_that_is_reached_in_mid_copy_is_waited_for() {
    let world = world(|_| {}).await;
    let role = limited(&world, 20).await;
    let child = world.start(&[]);
    let child = until(&world, child, &chunks_completed(3)).await;
    world.execute(&format!("alter role {role} connection limit 0")).await;
    world.execute(&format!("select pg_terminate_backend(pid) from {OURS}")).await;
    let mut child = child;
    let said = until_said(&mut child, "fix: lower `parallel_threads`").await;
    assert!(said.contains("sqlstate=53300"), "{said}");
    world.execute(&format!("alter role {role} connection limit 1")).await;
    // One session at a time is slow, but enough.
    world.execute(&format!("alter role {role} connection limit 20")).await;
    holds_exactly_the_source(&world, &ended(child).await).await;
    dropped(&world, &role).await;
}

#[tokio::test]
async fn commits_that_are_lost_before_rows_are_shown_are_made_again_first() {
    let world = world(|table| table["replace"] = json!("atomic")).await;
    world.execute("insert into orders (id) values (-1)").await;
    let reader = world.hold("begin; lock table orders in share row exclusive mode").await;
    let child = world.start(&[]);
    let child = until(&world, child, &waits("lock table")).await;
    // What a crash of the server leaves when it takes the last commits along: the rows of a chunk,
    // its completion, and every later lease are gone.
    let beside =
        world.text("select 'migrate_beside_' || 'orders'::regclass::oid").await.expect("a name");
    let lost = format!(
        "with rows as (delete from {beside} where id between 700 and 799), \
         chunk as (update {ITEMS} set status = 'pending', lease_token = null, lease_until = null \
                   where kind = 'chunk' and item_id = 7), \
         lease as (update {ITEMS} set status = 'pending', lease_token = null, lease_until = null \
                   where kind = 'publish') \
         update migration_status.migration_table_status \
         set completed_chunks = completed_chunks - 1, total_rows_copied = total_rows_copied - 100"
    );
    world.execute(&lost).await;
    reader.close().await.expect("lets go");
    let ended = ended(child).await;
    assert!(ended.stderr.contains("chunks are open again"), "{}", ended.stderr);
    holds_exactly_the_source(&world, &ended).await;
}
