//! Bad rows are set aside and everything else is loaded, whatever dies meanwhile; and they come in
//! once they fit.

use std::time::Duration;

use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind, Table, Type, Value};

use crate::support::{Ended, World, ended};

/// It stands in bad rows only.
const CANARY: &str = "canary-cell-0815";

const ROWS: i64 = 1000;

/// Every hundredth row breaks the check, and every hundredth, 50 later, does not fit its column.
fn items() -> Table {
    let row = |id: i64| {
        let is_long = id % 100 == 50;
        let note = if is_long || id % 100 == 0 { CANARY } else { "fine" };
        let amount = if id % 100 == 0 { -1 } else { id };
        [
            Value::from(id),
            Value::from(note),
            Value::from(amount),
            Value::from(if is_long { 40_000 } else { 1 }),
        ]
    };
    Table::new("DB.PUBLIC.ITEMS")
        .required_column("id", Type::number(38, 0))
        .column("note", Type::varchar())
        .column("amount", Type::number(12, 0))
        .column("small", Type::number(38, 0))
        .rows((1..=ROWS).map(row))
}

const TARGET: &str = "create table items (id bigint primary key, note text, \
    amount numeric(12,0) constraint positive check (amount > 0), small smallint)";

fn table(change: impl FnOnce(&mut Json)) -> Json {
    let mut table = json!({
        "source": "ITEMS", "target": "items", "on_bad_row": "quarantine",
        "chunking_columns": ["id"], "chunking_column_types": ["int"], "batch_size": 100,
    });
    change(&mut table);
    json!([table])
}

/// Every write mode, by its keys.
fn modes() -> [Json; 4] {
    let keyed = |change: fn(&mut Json)| {
        table(|table| {
            table["uniqueness_columns"] = json!(["id"]);
            change(table);
        })
    };
    [
        table(|_| {}),
        table(|table| table["replace"] = json!("atomic")),
        keyed(|_| {}),
        keyed(|table| table["insert_only_mode"] = json!(true)),
    ]
}

async fn world(tables: &Json) -> World {
    let world = World::new(Double::builder().table(items()), TARGET).await;
    world.double.knobs().set_inline_rows(0);
    world.write_config(&world.config(tables));
    world
}

const UNRESOLVED: &str = "migration_status.rejected_rows where resolved_at is null";

/// Ten of each kind, once each, and every count agrees.
async fn has_set_the_bad_rows_aside(world: &World) {
    assert_eq!(world.count("items").await, 980);
    assert_eq!(world.count("items where id % 50 = 0").await, 0);
    let kept = "select count(*) || ' ' || count(distinct row_key) || ' ' || \
                count(*) filter (where constraint_name = 'positive' and sqlstate = '23514') || ' ' || \
                count(*) filter (where column_name = 'small' and error_code = 'value_refused') \
                from migration_status.rejected_rows";
    assert_eq!(world.text(kept).await.as_deref(), Some("20 20 10 10"));
    let counts = "select concat_ws(' ', sum(rows_read), sum(rows_inserted), sum(rows_rejected)) \
                  from migration_status.migration_chunk_status";
    assert_eq!(world.text(counts).await.as_deref(), Some("1000 980 20"));
    let progress = "select concat_ws(' ', status, total_rows_copied, rejected_rows, unresolved_rows) \
                    from migration_status.v_table_progress";
    assert_eq!(world.text(progress).await.as_deref(), Some("completed_with_rejects 980 20 20"));
}

/// The values of bad rows stand nowhere but in the table that is made for them.
async fn values_are_in_one_place(world: &World, outputs: &[&Ended]) {
    for ended in outputs {
        assert!(!ended.stdout.contains(CANARY), "{}", ended.stdout);
        assert!(!ended.stderr.contains(CANARY), "{}", ended.stderr);
    }
    let columns = "select string_agg(format('select %L from %I.%I x where x.%I::text like ''%%%s%%''', \
                   table_name || '.' || column_name, table_schema, table_name, column_name, \
                   'canary-cell'), ' union ') \
                   from information_schema.columns c join information_schema.tables t \
                   using (table_schema, table_name) \
                   where table_schema = 'migration_status' and table_type = 'BASE TABLE'";
    let everywhere = world.text(columns).await.expect("a statement");
    let found =
        world.text(&format!("select string_agg(p, ' ') from ({everywhere}) as f (p)")).await;
    assert_eq!(found.as_deref(), Some("rejected_rows.row_values"));
}

#[tokio::test]
async fn bad_rows_are_set_aside_and_come_in_once_they_fit_in_every_mode() {
    for tables in modes() {
        set_aside_and_come_in(&tables).await;
    }
}

async fn set_aside_and_come_in(tables: &Json) {
    let world = world(tables).await;
    let plan = world.run(&["plan"]).await;
    assert!(plan.stdout.contains("set aside, at most 1,000 rows"), "{}", plan.stdout);
    let first = world.run(&[]).await;
    assert_eq!(first.code, Some(7), "{}", first.stderr);
    assert!(first.stdout.contains("completed_with_rejects"), "{}", first.stdout);
    assert!(first.stdout.contains("v_rejected_rows where run_id"), "{}", first.stdout);
    assert!(first.stdout.contains("migrate retry-rejects"), "{}", first.stdout);
    has_set_the_bad_rows_aside(&world).await;

    let nothing_mended = world.run(&["retry-rejects"]).await;
    assert_eq!(nothing_mended.code, Some(7), "{}", nothing_mended.stderr);
    assert_eq!(world.count(UNRESOLVED).await, 20);
    let retried = "migration_status.rejected_rows where retry_count = 1";
    assert_eq!(world.count(retried).await, 20);

    world.execute("alter table items drop constraint positive").await;
    let half_mended = world.run(&["retry-rejects"]).await;
    assert_eq!(half_mended.code, Some(7), "{}", half_mended.stderr);
    assert_eq!((world.count(UNRESOLVED).await, world.count("items").await), (10, 990));

    world.execute("alter table items alter small type integer").await;
    let run = world.text("select run_id::text from migration_status.migration_runs").await;
    let mended = world.run(&["retry-rejects", "--run", &run.expect("a run")]).await;
    assert_eq!(mended.code, Some(0), "{}", mended.stderr);
    assert_eq!((world.count(UNRESOLVED).await, world.count("items").await), (0, 1000));
    let sum = "select sum(amount)::text from items";
    let expected: i64 = (1..=ROWS).map(|id| if id % 100 == 0 { -1 } else { id }).sum();
    assert_eq!(world.text(sum).await, Some(expected.to_string()));

    let again = world.run(&["retry-rejects"]).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(world.count("items").await, 1000);
    let outputs = [&plan, &first, &nothing_mended, &half_mended, &mended, &again];
    values_are_in_one_place(&world, &outputs).await;
}

#[tokio::test]
async fn two_at_once_load_no_row_twice() {
    let world = world(&table(|_| {})).await;
    assert_eq!(world.run(&[]).await.code, Some(7));
    // Without a key, nothing but the settlement keeps a row from coming in twice.
    world.execute("alter table items drop constraint items_pkey, drop constraint positive, alter small type integer").await;
    let retry = || world.run(&["retry-rejects"]);
    let (one, two, three, four) = tokio::join!(retry(), retry(), retry(), retry());
    for one in [one, two, three, four] {
        assert_eq!(one.code, Some(0), "{}{}", one.stdout, one.stderr);
    }
    assert_eq!((world.count(UNRESOLVED).await, world.count("items").await), (0, 1000));
}

#[tokio::test]
async fn killed_at_any_time_the_same_command_sets_aside_the_same_rows_once() {
    for (tables, done) in modes().into_iter().zip([1, 3, 5, 8]) {
        let world = world(&tables).await;
        world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(60));
        let is_there = "to_regclass('migration_status.rejected_rows') is not null";
        let child = world.until_with(world.start(&[]), is_there).await;
        let some = format!(
            "(select count(*) >= {done} from migration_status.migration_chunk_status \
             where status = 'completed')"
        );
        let mut child = world.until_with(child, &some).await;
        child.kill().await.expect("kill -9");
        let again = world.run(&[]).await;
        assert_eq!(again.code, Some(7), "{}", again.stderr);
        has_set_the_bad_rows_aside(&world).await;
    }
}

#[tokio::test]
async fn chunks_at_once_do_not_pass_the_limit_together() {
    let world = world(&table(|table| table["max_bad_rows"] = json!(7))).await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the 7 that may be set aside"), "{}", ended.stderr);
    let counted = "select concat_ws(' ', rejected_rows, (select count(*) from \
                   migration_status.rejected_rows)) from migration_status.migration_table_status";
    let counted = world.text(counted).await.expect("a count");
    assert_eq!(counted, "6 6", "two of each chunk, and a fourth chunk has no room");
    assert_eq!(world.count("items").await, 294);

    // A higher limit, the same command: it goes on.
    let tables = table(|table| table["max_bad_fraction"] = json!(0.02));
    world.write_config(&world.config(&tables));
    let plan = world.run(&["plan"]).await;
    assert!(plan.stdout.contains("set aside, at most 20 rows"), "{}", plan.stdout);
    let again = world.run(&[]).await;
    assert_eq!(again.code, Some(7), "{}", again.stderr);
    assert!(again.stderr.contains("Resuming run"), "{}", again.stderr);
    has_set_the_bad_rows_aside(&world).await;
    values_are_in_one_place(&world, &[&ended, &again]).await;
}

#[tokio::test]
async fn a_run_that_a_bad_row_has_stopped_goes_on_when_it_may_be_set_aside() {
    let mut tables = table(|table| table["on_bad_row"] = json!("fail"));
    let world = world(&tables).await;
    let stopped = world.run(&[]).await;
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    tables[0]["on_bad_row"] = json!("quarantine");
    world.write_config(&world.config(&tables));
    let again = world.run(&[]).await;
    assert_eq!(again.code, Some(7), "{}", again.stderr);
    assert!(again.stderr.contains("Resuming run"), "{}", again.stderr);
    has_set_the_bad_rows_aside(&world).await;
    let stored =
        "select plan -> 'load' ->> 'bad_rows' from migration_status.migration_table_status";
    let stored = world.text(stored).await.expect("stored");
    assert!(stored.contains("1000"), "{stored}");
    values_are_in_one_place(&world, &[&stopped, &again]).await;
}

#[tokio::test]
async fn rows_of_a_run_before_a_new_full_load_are_left_alone() {
    let tables = table(|table| table["truncate_onstart"] = json!(true));
    let world = world(&tables).await;
    assert_eq!(world.run(&[]).await.code, Some(7));
    let second = world.run(&[]).await;
    assert_eq!(second.code, Some(7), "{}", second.stderr);
    assert!(!second.stderr.contains("Resuming run"), "{}", second.stderr);
    let per_run = "select string_agg(n::text, ' ') from (select count(*) as n \
                   from migration_status.rejected_rows group by run_id) runs";
    assert_eq!(world.text(per_run).await.as_deref(), Some("20 20"), "each run has its own");
    world.execute("alter table items drop constraint items_pkey, drop constraint positive, alter small type integer").await;
    let ended = world.run(&["retry-rejects"]).await;
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("A later run has loaded the whole table anew"),
        "{}",
        ended.stdout
    );
    assert_eq!((world.count(UNRESOLVED).await, world.count("items").await), (20, 1000));
}

#[tokio::test]
async fn an_older_row_that_was_set_aside_never_overwrites_a_newer_one() {
    let versions = |version: i64, value: i64| {
        Table::new("DB.PUBLIC.ITEMS")
            .required_column("id", Type::number(38, 0))
            .column("version", Type::number(38, 0))
            .column("v", Type::number(38, 0))
            .rows([[1, 1, 1], [2, version, value]].map(|row| row.map(Value::from)))
    };
    let target = "create table items (id bigint primary key, version bigint, \
                  v bigint constraint small check (v < 100))";
    let world = World::new(Double::builder().table(versions(2, 500)), target).await;
    let tables = json!([{
        "source": "ITEMS", "target": "items", "on_bad_row": "quarantine", "max_bad_rows": 1,
        "uniqueness_columns": ["id"], "source_watermark": "version", "target_watermark": "version",
    }]);
    world.write_config(&world.config(&tables));
    assert_eq!(world.run(&[]).await.code, Some(7));
    world.double.replace_table(versions(3, 7)).expect("replaces");
    let later = world.run(&[]).await;
    assert_eq!(later.code, Some(0), "the bad row has not stopped the window: {}", later.stderr);
    world.execute("alter table items drop constraint small").await;
    let retried = world.run(&["retry-rejects"]).await;
    assert_eq!(retried.code, Some(0), "{}{}", retried.stdout, retried.stderr);
    assert_eq!(
        world.text("select concat_ws(' ', version, v) from items where id = 2").await.as_deref(),
        Some("3 7")
    );
    assert_eq!(world.count(UNRESOLVED).await, 0);
}

#[tokio::test]
async fn a_retry_that_is_killed_loses_and_doubles_nothing() {
    let world = world(&table(|_| {})).await;
    assert_eq!(world.run(&[]).await.code, Some(7));
    world.execute("alter table items drop constraint items_pkey, drop constraint positive, alter small type integer").await;
    let held = world.hold("begin; lock table items in exclusive mode").await;
    let mut child = world.start(&["retry-rejects"]);
    world.until("exists (select from pg_locks l where not l.granted and l.relation = 'items'::regclass)").await;
    child.kill().await.expect("kill -9");
    drop(held);
    let again = ended(world.start(&["retry-rejects"])).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!((world.count(UNRESOLVED).await, world.count("items").await), (0, 1000));
}
