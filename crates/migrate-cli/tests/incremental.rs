//! Incremental reads: what is new is read, once, and nothing is missed at the edges.

use serde_json::{Value as Json, json};
use snowflake_double::{Double, Table, Type, Value};

use crate::support::{Ended, World};

const TARGET: &str = "create table events (id bigint primary key, at timestamptz, note text)";

/// Key, watermark, note.
type Event = (i64, Option<&'static str>, &'static str);

fn row((id, at, note): Event) -> [Value; 3] {
    [Value::from(id), at.map_or(Value::Null, Value::lit), Value::from(note)]
}

fn events(watermark: Type, rows: &[Event]) -> Table {
    Table::new("DB.PUBLIC.EVENTS")
        .required_column("id", Type::number(38, 0))
        .column("AT", watermark)
        .column("note", Type::varchar())
        .rows(rows.iter().copied().map(row))
}

fn table() -> Json {
    json!({
        "source": "EVENTS", "target": "events", "uniqueness_columns": ["id"],
        "source_watermark": "AT", "target_watermark": "at",
    })
}

fn without_keys() -> Json {
    let mut table = table();
    table.as_object_mut().expect("an object").remove("uniqueness_columns");
    table
}

async fn world(watermark: Type, rows: &[Event], target: &'static str, table: &Json) -> World {
    let world = World::new(Double::builder().table(events(watermark, rows)), target).await;
    world.write_config(&world.config(&json!([table])));
    world
}

async fn run(world: &World) -> Ended {
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// How often rows were selected; counting and looking is not reading.
fn reads(world: &World) -> usize {
    world.double.count_statements(|sql| sql.starts_with("SELECT \"id\", "))
}

/// Low, high, rows at high; read, inserted, updated, skipped of the newest window.
async fn audit(world: &World) -> String {
    let sql = "select concat_ws(' ', coalesce(low_value, '-'), coalesce(high_value, '-'), \
               rows_at_high, '|', rows_read, rows_inserted, rows_updated, rows_skipped) \
               from migration_status.v_watermark_windows limit 1";
    world.text(sql).await.expect("a window")
}

async fn notes(world: &World) -> String {
    let sql = "select string_agg(note, ' ' order by id, note) from events";
    world.text(sql).await.unwrap_or_default()
}

const DAY_1: Option<&str> = Some("2024-01-01 10:11:12.123456");
const DAY_2: Option<&str> = Some("2024-01-02 10:11:12.123456");
const DAY_3: Option<&str> = Some("2024-01-03 00:00:00");

#[tokio::test]
async fn a_second_run_without_changes_reads_no_rows() {
    let rows = [(1, DAY_1, "a"), (2, DAY_2, "b"), (3, DAY_2, "c")];
    let mut never = table();
    never["watermark_nulls"] = json!("never");
    for table in [table(), never] {
        let world = world(Type::timestamp_ltz(9), &rows, TARGET, &table).await;
        run(&world).await;
        let high = "2024-01-02 10:11:12.123456 UTC";
        assert_eq!(audit(&world).await, format!("- {high} 2 | 3 3 0 0"));
        let before = reads(&world);
        let plan = world.run(&["plan"]).await;
        assert!(plan.stdout.contains("nothing new since 2024-01-02"), "{}", plan.stdout);
        run(&world).await;
        assert_eq!(reads(&world), before, "nothing was read");
        assert_eq!(audit(&world).await, format!("{high} {high} 2 | 0 0 0 0"));

        world.double.insert("DB.PUBLIC.EVENTS", [row((4, DAY_3, "d"))]).expect("inserts");
        run(&world).await;
        let new = "2024-01-03 00:00:00 UTC";
        assert_eq!(audit(&world).await, format!("{high} {new} 1 | 3 1 0 2"));
        assert_eq!(notes(&world).await, "a b c d");
    }
}

#[tokio::test]
async fn ties_at_the_boundary_lose_no_row_whatever_the_type_and_the_sessions_zone() {
    for (watermark, column) in [
        (Type::timestamp_ltz(9), "timestamptz"),
        (Type::timestamp_tz(9), "timestamptz"),
        (Type::timestamp_ntz(9), "timestamp"),
        (Type::timestamp_ntz(3), "timestamp"),
    ] {
        let rows = [(1, Some("2024-01-01 23:30:00"), "a"), (2, Some("2024-01-02 00:30:00"), "b")];
        let world = world(watermark, &rows, TARGET, &table()).await;
        world.execute(&format!("alter table events alter at type {column}")).await;
        world
            .execute(
                "do $$ begin execute format('alter database %I set timezone = ''Asia/Kolkata''', \
                 current_database()); \
                 execute format('alter database %I set datestyle = ''SQL, DMY''', \
                 current_database()); end $$",
            )
            .await;
        run(&world).await;
        let late = (3, Some("2024-01-02 00:30:00"), "late tie");
        world.double.insert("DB.PUBLIC.EVENTS", [row(late)]).expect("inserts");
        run(&world).await;
        assert_eq!(notes(&world).await, "a b late tie", "{watermark:?}");
        let changed =
            [(1, Some("2024-01-01 23:30:00"), "a"), (2, Some("2024-01-02 00:45:00"), "B")];
        world.double.replace_rows("DB.PUBLIC.EVENTS", changed.map(row)).expect("replaces");
        run(&world).await;
        assert_eq!(notes(&world).await, "a B late tie", "an update is new; a deletion is not seen");
    }
}

#[tokio::test]
async fn an_overlap_catches_what_came_late() {
    let mut overlapping = table();
    overlapping["watermark_overlap_seconds"] = json!(86_400 * 2);
    for (table, expected) in [(table(), "a b"), (overlapping, "a late b")] {
        let rows = [(1, DAY_1, "a"), (3, DAY_2, "b")];
        let world = world(Type::timestamp_ltz(9), &rows, TARGET, &table).await;
        run(&world).await;
        world.double.insert("DB.PUBLIC.EVENTS", [row((2, DAY_1, "late"))]).expect("inserts");
        run(&world).await;
        assert_eq!(notes(&world).await, expected);
    }
}

#[tokio::test]
async fn rows_without_a_watermark_follow_their_policy() {
    for (policy, expected) in
        [(None, "a none new"), (Some("first_load"), "a none"), (Some("never"), "a")]
    {
        let mut table = table();
        if let Some(policy) = policy {
            table["watermark_nulls"] = json!(policy);
        }
        let rows = [(1, DAY_1, "a"), (2, None, "none")];
        let world = world(Type::timestamp_ltz(9), &rows, TARGET, &table).await;
        run(&world).await;
        world.double.insert("DB.PUBLIC.EVENTS", [row((3, None, "new"))]).expect("inserts");
        run(&world).await;
        assert_eq!(notes(&world).await, expected);
    }
}

#[tokio::test]
async fn without_keys_each_row_is_appended_once() {
    let target = "create table events (id bigint, at timestamptz, note text)";
    let rows = [(1, DAY_1, "a"), (2, DAY_2, "b")];
    let world = world(Type::timestamp_ltz(9), &rows, target, &without_keys()).await;
    run(&world).await;
    run(&world).await;
    world.double.insert("DB.PUBLIC.EVENTS", [row((3, DAY_3, "c"))]).expect("inserts");
    run(&world).await;
    run(&world).await;
    assert_eq!(notes(&world).await, "a b c");

    // Somebody appends the table by another configuration; going on would double its rows.
    let mut other = without_keys();
    other["source_filter"] = json!("\"id\" > 1");
    other["on_nonempty"] = json!("append");
    world.write_config(&world.config(&json!([other])));
    run(&world).await;
    world.write_config(&world.config(&json!([without_keys()])));
    let refused = world.run(&[]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("uniqueness_columns"), "{}", refused.stderr);
    assert_eq!(notes(&world).await, "a b b c c");
}

#[tokio::test]
async fn the_target_may_be_trusted_and_an_emptied_one_is_filled_again() {
    let rows = [(1, DAY_1, "a"), (2, DAY_2, "b")];
    let target = "create table events (id bigint primary key, at timestamptz, note text); \
                  insert into events values (9, '2024-01-02 00:00:00+00', 'known')";
    let mut trusting = table();
    trusting["watermark_low"] = json!("target");
    let world = world(Type::timestamp_ltz(9), &rows, target, &trusting).await;
    run(&world).await;
    assert_eq!(notes(&world).await, "b known", "what lies below is taken as loaded");

    world.write_config(&world.config(&json!([table()])));
    run(&world).await;
    assert_eq!(notes(&world).await, "a b known", "no window of this series was completed");
    world.execute("truncate events").await;
    run(&world).await;
    assert_eq!(notes(&world).await, "a b", "an emptied table is not a loaded one");
}

/// What the target holds may have been rounded up, so that rows below it are not known to be loaded.
#[tokio::test]
async fn a_target_of_fewer_digits_hides_no_row_below_its_maximum() {
    for policy in ["round", "truncate"] {
        let mut trusting = table();
        trusting["watermark_low"] = json!("target");
        trusting["on_fraction"] = json!(policy);
        let first = (1, Some("2024-01-01 10:11:12.1234566"), "a");
        let world = world(Type::timestamp_ltz(9), &[first], TARGET, &trusting).await;
        run(&world).await;
        let later = [
            (2, Some("2024-01-01 10:11:12.1234566"), "tie"),
            (3, Some("2024-01-01 10:11:12.1234569"), "c"),
        ];
        world.double.insert("DB.PUBLIC.EVENTS", later.map(row)).expect("inserts");
        world.killed_before_recording("new.kind = 'chunk'").await;
        run(&world).await;
        assert_eq!(notes(&world).await, "a tie c", "{policy}");
    }
    let mut appending = without_keys();
    appending["watermark_low"] = json!("target");
    let world = world(Type::timestamp_ltz(9), &[(1, DAY_1, "a")], TARGET, &appending).await;
    run(&world).await;
    let refused = world.run(&[]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("fewer digits"), "{}", refused.stderr);
    assert!(refused.stderr.contains("fix: set \"uniqueness_columns\""), "{}", refused.stderr);
}

#[tokio::test]
async fn a_run_that_failed_moves_no_bound() {
    let rows: Vec<Event> =
        (0..400).map(|id| (id, if id < 200 { DAY_2 } else { DAY_1 }, "x")).collect();
    let mut cut = table();
    cut["chunking_columns"] = json!(["id"]);
    cut["chunking_column_types"] = json!(["int"]);
    cut["batch_size"] = json!(100);
    let target = "create table events \
                  (id bigint primary key check (id <> 350), at timestamptz, note text)";
    let world = world(Type::timestamp_ltz(9), &rows, target, &cut).await;
    let failed = world.run(&[]).await;
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_eq!(world.count("events").await, 300, "the newest rows are there, older ones are not");
    world.execute("alter table events drop constraint events_id_check").await;
    let anew = world.run(&["--no-resume"]).await;
    assert_eq!(anew.code, Some(0), "{}", anew.stderr);
    assert_eq!(world.count("events").await, 400);
    assert!(audit(&world).await.starts_with("- 2024-01-02"), "{}", audit(&world).await);
}

#[tokio::test]
async fn a_window_counts_no_more_once_a_full_load_has_emptied_the_target() {
    let rows = [(1, DAY_1, "a"), (2, DAY_2, "b"), (3, DAY_2, "c")];
    for full in ["truncate_onstart", "replace"] {
        let world = world(Type::timestamp_ltz(9), &rows, TARGET, &table()).await;
        run(&world).await;
        let mut part = json!({"source": "EVENTS", "target": "events", "source_filter": "\"id\" = 1",
            "column_mapping": {"AT": "at"}});
        part[full] = if full == "replace" { json!("atomic") } else { json!(true) };
        world.write_config(&world.config(&json!([part])));
        run(&world).await;
        assert_eq!(notes(&world).await, "a", "{full}");

        world.write_config(&world.config(&json!([table()])));
        let plan = world.run(&["plan"]).await;
        assert!(plan.stdout.contains("has emptied the target since"), "{}", plan.stdout);
        run(&world).await;
        assert_eq!(notes(&world).await, "a b c", "{full}");
        run(&world).await;
        assert!(audit(&world).await.ends_with("| 0 0 0 0"), "the series goes on from there");
    }
}

#[tokio::test]
async fn an_emptying_load_that_failed_later_voids_the_window_too() {
    let rows = [(1, DAY_1, "a"), (2, DAY_2, "b")];
    let world = world(Type::timestamp_ltz(9), &rows, TARGET, &table()).await;
    run(&world).await;
    let full = json!({
        "source": "EVENTS", "target": "events", "truncate_onstart": true,
        "column_mapping": {"AT": "at"},
    });
    world.write_config(&world.config(&json!([full])));
    world.execute("alter table events add check (id > 99) not valid").await;
    assert_eq!(world.run(&[]).await.code, Some(1), "no row came in");
    assert_eq!(world.count("events").await, 0, "but the old ones are gone");
    world.execute("alter table events drop constraint events_id_check").await;
    world.execute("insert into events values (7, null, 'somebody')").await;
    world.write_config(&world.config(&json!([table()])));
    run(&world).await;
    assert_eq!(notes(&world).await, "a b somebody");
}
