//! Each write mode: run twice, killed at each step, run again; the target equals what a model says
//! that knows no SQL.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind, Table, Type, Value};

use crate::support::World;

/// Key, version, value.
type Row = (i64, i64, i64);
type Model = BTreeMap<i64, (i64, i64)>;

const ROWS: i64 = 1200;

/// The source: a version and a value for every key that is not divisible by 11.
fn source() -> Vec<Row> {
    let keys = (0..ROWS).filter(|key| key % 11 != 0);
    keys.map(|key| (key, key * 7 % 50, key * key % 1009)).collect()
}

/// What somebody else has put into the target: every third key, some newer, some older.
fn before() -> Model {
    (0..ROWS).step_by(3).map(|key| (key, (key * 13 % 50, -1))).collect()
}

fn table(rows: &[Row]) -> Table {
    Table::new("DB.PUBLIC.ITEMS")
        .required_column("k", Type::number(38, 0))
        .required_column("version", Type::number(38, 0))
        .required_column("v", Type::number(38, 0))
        .rows(rows.iter().map(|(k, version, v)| [*k, *version, *v].map(Value::from)))
}

const TARGET: &str = "create table items (k bigint primary key, version bigint, v bigint); \
    create view dear as select * from items where v >= 0; \
    insert into items select k, k * 13 % 50, -1 from generate_series(0, 1199, 3) k";

fn config(change: impl FnOnce(&mut Json)) -> Json {
    let mut table = json!({
        "source": "ITEMS", "target": "items",
        "chunking_columns": ["k"], "chunking_column_types": ["int"], "batch_size": 100,
    });
    change(&mut table);
    json!([table])
}

async fn world(tables: &Json) -> World {
    let world = World::new(Double::builder().table(table(&source())), TARGET).await;
    world.double.knobs().set_inline_rows(0);
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(40));
    world.write_config(&world.config(tables));
    world
}

async fn holds(world: &World, model: &Model, what: &str) {
    let sql = "select string_agg(concat_ws(':', k, version, v), ' ' order by k) from items";
    let expected: Vec<String> =
        model.iter().map(|(k, (version, v))| format!("{k}:{version}:{v}")).collect();
    let found = world.text(sql).await.unwrap_or_default();
    assert!(found == expected.join(" "), "{what}: the target is not as the model says");
}

/// The moments before the steps of a table are recorded as done; for chunks the first one, and one that
/// comes later.
fn steps(kinds: &[&str], later_chunk: u32) -> Vec<String> {
    let of_kind = |kind: &&str| {
        let first = format!("new.kind = '{kind}'");
        let later = (*kind == "chunk").then(|| format!("{first} and new.item_id >= {later_chunk}"));
        std::iter::once(first.clone()).chain(later).collect::<Vec<_>>()
    };
    kinds.iter().flat_map(of_kind).collect()
}

/// What somebody who reads the target may find after a kill, beside what the mode promises in the end.
type Between<'a> = Option<&'a Model>;

/// A fresh world per step; then to the end, and once more.
async fn survives(tables: &Json, kinds: &[&str], model: &Model, between: Between<'_>) {
    for step in steps(kinds, 5) {
        let world = world(tables).await;
        world.killed_before_recording(&step).await;
        if let Some(old) = between {
            let found = if step.contains("finish") { model } else { old };
            holds(&world, found, &format!("killed at {step}")).await;
        }
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(0), "after {step}: {}", ended.stderr);
        holds(&world, model, &step).await;
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(0), "again after {step}: {}", ended.stderr);
        holds(&world, model, &step).await;
    }
}

fn loaded() -> Model {
    source().into_iter().map(|(k, version, v)| (k, (version, v))).collect()
}

#[tokio::test]
async fn an_upsert_survives_being_killed_at_any_step() {
    let tables = config(|table| {
        table["uniqueness_columns"] = json!(["k"]);
        table["source_watermark"] = json!("version");
        table["target_watermark"] = json!("version");
    });
    let mut model = before();
    for (k, version, v) in source() {
        let is_newer = model.get(&k).is_none_or(|(known, _)| version >= *known);
        if is_newer {
            model.insert(k, (version, v));
        }
    }
    survives(&tables, &["prepare", "chunk", "finish"], &model, None).await;
}

#[tokio::test]
async fn insert_only_survives_being_killed_at_any_step() {
    let tables = config(|table| {
        table["uniqueness_columns"] = json!(["k"]);
        table["insert_only_mode"] = json!(true);
    });
    let mut model = loaded();
    model.extend(before());
    survives(&tables, &["prepare", "chunk", "finish"], &model, None).await;
}

#[tokio::test]
async fn a_full_load_survives_being_killed_at_any_step() {
    let tables = config(|table| table["truncate_onstart"] = json!(true));
    survives(&tables, &["prepare", "chunk", "finish"], &loaded(), None).await;
}

#[tokio::test]
async fn an_atomic_replace_survives_being_killed_at_any_step() {
    let tables = config(|table| table["replace"] = json!("atomic"));
    let kinds = ["prepare", "chunk", "publish", "finish"];
    survives(&tables, &kinds, &loaded(), Some(&before())).await;
}

#[tokio::test]
async fn an_incremental_load_survives_being_killed_at_any_step() {
    let tables = config(|table| {
        table["uniqueness_columns"] = json!(["k"]);
        table["source_watermark"] = json!("version");
        table["target_watermark"] = json!("version");
    });
    // Every seventh row gets a version of its own above all others.
    let changed: Vec<Row> = source()
        .into_iter()
        .map(|(k, version, v)| if k % 7 == 0 { (k, 1000 + k, -v) } else { (k, version, v) })
        .collect();
    let model: Model = changed.iter().map(|(k, version, v)| (*k, (*version, *v))).collect();
    for step in steps(&["prepare", "chunk", "finish"], 1) {
        let world = world(&tables).await;
        world.execute("delete from items").await;
        assert_eq!(world.run(&[]).await.code, Some(0), "the first load");
        let rows = changed.iter().map(|(k, version, v)| [*k, *version, *v].map(Value::from));
        world.double.replace_rows("DB.PUBLIC.ITEMS", rows).expect("replaces");
        world.killed_before_recording(&step).await;
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(0), "after {step}: {}", ended.stderr);
        holds(&world, &model, &step).await;
        let read = "select sum(rows_read)::text from migration_status.v_watermark_windows \
                    where low_value is not null";
        let read: u64 = world.text(read).await.expect("a window").parse().expect("a number");
        assert!(read < source().len() as u64 / 4, "{read} rows are not only what is new");
    }
}

#[tokio::test]
async fn counts_of_the_server_are_printed_and_kept() {
    let tables = config(|table| table["uniqueness_columns"] = json!(["k"]));
    let world = world(&tables).await;
    let ended = world.run(&[]).await;
    let known = source().iter().filter(|row| row.0 % 3 == 0).count();
    let (all, new) = (source().len(), source().len() - known);
    let sums = "select concat_ws(' ', sum(rows_read), sum(rows_inserted), sum(rows_updated), \
                sum(rows_skipped)) from migration_status.migration_chunk_status";
    assert_eq!(world.text(sums).await, Some(format!("{all} {new} {known} 0")));
    let line = ended.stdout.lines().find(|line| line.contains("completed ")).expect("a line");
    let cells: Vec<_> = line.split_whitespace().skip(2).take(4).collect();
    assert_eq!(cells.join(" "), format!("1,090 {new} {known} 0"), "{}", ended.stdout);
    let plan = world.run(&["plan"]).await;
    assert!(plan.stdout.contains("upsert by \"k\""), "{}", plan.stdout);
}
