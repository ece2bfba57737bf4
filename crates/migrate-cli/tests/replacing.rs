//! Atomic replace: readers see the old rows or the new ones, and everything that hangs on the table
//! stays.

use serde_json::json;
use snowflake_double::{Double, Table, Type, Value};

use crate::support::World;

const TARGET: &str = "\
    create table items (k bigint primary key, v text, second bigint unique, note text default 'kept'); \
    insert into items select k, 'old', k from generate_series(1, 500) k; \
    create view seen as select count(*) as n, min(v) as low, max(v) as high from items; \
    create table uses (k bigint references items); insert into uses values (7); \
    grant select on items to public; \
    create index on items (v)";

fn source(rows: impl Iterator<Item = (i64, &'static str, i64)>) -> Table {
    Table::new("DB.PUBLIC.ITEMS")
        .required_column("k", Type::number(38, 0))
        .column("v", Type::varchar())
        .column("second", Type::number(38, 0))
        .rows(rows.map(|(k, v, second)| [Value::from(k), Value::from(v), Value::from(second)]))
}

async fn world(table: Table, target: &'static str) -> World {
    let world = World::new(Double::builder().table(table), target).await;
    world.write_config(&world.config(&json!([{
        "source": "ITEMS", "target": "items", "replace": "atomic",
        "chunking_columns": ["k"], "chunking_column_types": ["int"], "batch_size": 100,
    }])));
    world
}

async fn replaced(world: &World) {
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let left = "select count(*)::text from pg_class where relname like 'migrate_beside%'";
    assert_eq!(world.text(left).await.as_deref(), Some("0"), "nothing is left beside");
}

#[tokio::test]
async fn readers_see_the_old_rows_or_the_new_ones_and_dependents_stay() {
    let world = world(source((1..=800).map(|k| (k, "new", k))), TARGET).await;
    let before = world.schema().await;
    let seen = "select concat_ws(' ', n, low, high) from seen";
    let mut child = world.start(&[]);
    let mut both = Vec::new();
    loop {
        let now = world.text(seen).await.expect("a view that answers");
        if both.last() != Some(&now) {
            both.push(now);
        }
        if child.try_wait().expect("asks").is_some() {
            break;
        }
    }
    both.push(world.text(seen).await.expect("an answer"));
    both.dedup();
    assert_eq!(both, ["500 old old", "800 new new"], "nothing in between was ever seen");
    assert_eq!(world.schema().await, before, "views, grants, keys and indexes are as they were");
    assert_eq!(world.count("items where note = 'kept'").await, 800);

    let places = "select md5(string_agg(ctid::text, ' ' order by k)) from items";
    let first = world.text(places).await;
    replaced(&world).await;
    assert_eq!(world.text(places).await, first, "an equal table is not written");
}

#[tokio::test]
async fn values_of_a_second_key_may_change_places() {
    let target = "create table items (k bigint primary key, v text, second bigint unique); \
                  insert into items select k, 'same', k from generate_series(1, 300) k";
    let world = world(source((1..=299).map(|k| (k, "same", 300 - k))), target).await;
    replaced(&world).await;
    assert_eq!(world.count("items where k + second = 300").await, 299);
}

#[tokio::test]
async fn a_table_without_a_key_is_written_anew() {
    let target = "create table items (k bigint, v text, second bigint); \
                  insert into items select 1, 'old', 1 from generate_series(1, 300)";
    let world = world(source((1..=200).map(|k| (k / 2, "new", 1))), target).await;
    for _ in 0..2 {
        replaced(&world).await;
        assert_eq!(
            world
                .text("select concat_ws(' ', count(*), count(distinct k), min(v)) from items")
                .await
                .as_deref(),
            Some("200 101 new")
        );
    }
}

#[tokio::test]
async fn a_row_that_is_still_referenced_keeps_the_old_table() {
    let world = world(source((8..=300).map(|k| (k, "new", k))), TARGET).await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(world.count("items where v = 'old'").await, 500, "readers still have the old rows");
    world.execute("delete from uses").await;
    replaced(&world).await;
    assert_eq!(world.count("items where v = 'new'").await, 293);
}

#[tokio::test]
async fn a_failed_chunk_publishes_nothing() {
    let rows = (1..=300).map(|k| (k, if k == 250 { "much too long" } else { "new" }, k));
    let target = "create table items (k bigint primary key, v varchar(5), second bigint); \
                  insert into items values (1, 'old', 1)";
    let world = world(source(rows), target).await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(world.count("items where v = 'old'").await, 1);
    world.execute("alter table items alter v type text").await;
    let anew = world.run(&["--no-resume"]).await;
    assert_eq!(anew.code, Some(0), "{}", anew.stderr);
    assert_eq!(world.count("items").await, 300);
}

/// Another process has opened a failed chunk again since this one found all of them settled.
#[tokio::test]
async fn rows_are_not_shown_while_a_chunk_is_missing() {
    let fails = "update migration_status.migration_work_items \
                 set status = 'failed', error_message = 'no such chunk' \
                 where table_id = new.table_id and kind = 'chunk' and item_id = ( \
                     select max(item_id) from migration_status.migration_work_items \
                     where table_id = new.table_id and kind = 'chunk');";
    for (change, failed, told) in
        [(fails, 1, "no such chunk"), ("", 0, "chunks are committed, yet none is left")]
    {
        let world = world(source((1..=800).map(|k| (k, "new", k))), TARGET).await;
        let lacks = format!(
            "begin {change} \
             update migration_status.migration_table_status \
             set completed_chunks = total_chunks - 1, failed_chunks = {failed} \
             where table_id = new.table_id; \
             return null; end"
        );
        let claimed = "new.kind = 'publish' and new.status = 'in_progress'";
        world.after("migration_work_items", claimed, &lacks).await;
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(1), "{told}: {}", ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(told), "{told}: {said}");
        assert_eq!(world.count("items where v = 'old'").await, 500, "{told}: as they were");
        let steps = "migration_status.migration_work_items where kind = 'publish'";
        assert_eq!(world.count(&format!("{steps} and status = 'pending'")).await, 1, "{told}");
    }
}

#[tokio::test]
async fn a_foreign_key_that_would_follow_is_refused_in_the_plan() {
    let world = world(source((1..=10).map(|k| (k, "new", k))), TARGET).await;
    world
        .execute(
            "alter table uses add constraint follows foreign key (k) references items \
             on delete cascade",
        )
        .await;
    let plan = world.run(&["plan"]).await;
    assert_eq!(plan.code, Some(1), "{}", plan.stdout);
    assert!(plan.stdout.contains("follows of uses"), "{}", plan.stdout);
    assert!(plan.stdout.contains("on delete no action"), "{}", plan.stdout);
}
