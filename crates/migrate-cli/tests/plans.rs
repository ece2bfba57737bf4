//! What `migrate plan` says of a table of each kind, held against golden files. After a change that
//! is meant, `UPDATE_GOLDEN=1` writes them anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value as Json, json};
use snowflake_double::{Double, Table, Type, Value};

use crate::support::World;

/// Rows of `EVENTS`: enough to be cut.
const ROWS: i64 = 24_000;

/// One table with a column of each kind. Ids lie in two heaps; one region has most rows; times cover
/// a year and a crowded hour.
fn events() -> Table {
    let row = |row: i64| {
        let id = if row % 100 == 0 { row * 1_000 - 5_000_000 } else { row / 2 };
        let region = match row % 10 {
            0 => "Ålesund",
            1 => "berlin",
            _ => "Amsterdam",
        };
        let day = row % 300;
        let moment = if row % 3 == 0 {
            format!("2024-05-01 10:{:02}:{:02}.{:03}", row / 400 % 60, row % 60, row % 1_000)
        } else {
            format!("2024-{:02}-{:02} {:02}:00:00", day / 28 % 12 + 1, day % 28 + 1, row % 24)
        };
        let code = if row % 1_000 == 7 { "n/a".to_owned() } else { format!("{:05}", row % 9_000) };
        [
            if row % 500 == 3 { Value::Null } else { Value::from(id) },
            Value::from(format!("{:08x}-0000", row * 2_654_435_761 % 4_294_967_296).as_str()),
            Value::from(region),
            if row % 400 == 1 {
                Value::Null
            } else {
                Value::lit(moment.split(' ').next().unwrap_or_default())
            },
            Value::lit(moment.as_str()),
            Value::lit(format!("{moment} +02:00")),
            Value::from(code.as_str()),
        ]
    };
    Table::new("DB.PUBLIC.EVENTS")
        .column("id", Type::number(38, 0))
        .column("uuid", Type::varchar())
        .column("region", Type::varchar())
        .column("day", Type::Date)
        .column("at", Type::timestamp_ntz(9))
        .column("zoned", Type::timestamp_tz(6))
        .column("code", Type::varchar())
        .rows((0..ROWS).map(row))
}

const TARGET: &str = "create table events (id bigint, uuid text, region text, day date, at timestamp, \
    zoned timestamptz, code text); \
    create unique index on events (uuid); \
    create table keyed (region text, id bigint); create table small (id bigint); \
    create table crowded (k bigint, id bigint); create table clustered (day date, flag boolean, \
    amount double precision, sparse bigint)";

fn keyed() -> Table {
    Table::new("DB.PUBLIC.KEYED")
        .required_column("region", Type::varchar())
        .required_column("id", Type::number(38, 0))
        .primary_key(["region", "id"])
        .rows(
            (0..12_000_i64)
                .map(|row| [Value::from(if row % 2 == 0 { "n" } else { "s" }), Value::from(row)]),
        )
}

/// 600 keys of 101 rows each.
fn crowded() -> Table {
    Table::new("DB.PUBLIC.CROWDED")
        .column("k", Type::number(38, 0))
        .column("id", Type::number(38, 0))
        .rows((0..60_600_i64).map(|row| [Value::from(row / 101), Value::from(row)]))
}

/// Without a primary key, and with keys that are hard to cut by.
fn clustered() -> Table {
    let row = |row: i64| {
        [
            Value::lit(format!("2024-{:02}-{:02}", row % 12 + 1, row % 28 + 1)),
            if row % 5 == 0 { Value::Null } else { Value::from(row % 3 == 0) },
            Value::lit(if row % 100 == 0 { "NaN".to_owned() } else { format!("{}.5", row % 700) }),
            if row % 10 == 0 { Value::from(row) } else { Value::Null },
        ]
    };
    Table::new("DB.PUBLIC.CLUSTERED")
        .column("day", Type::Date)
        .column("flag", Type::Boolean)
        .column("amount", Type::Float)
        .column("sparse", Type::number(38, 0))
        .clustering_key("LINEAR(\"day\", \"amount\")")
        .rows((0..12_000).map(row))
}

fn small() -> Table {
    Table::new("DB.PUBLIC.SMALL").column("id", Type::number(38, 0)).row([Value::from(1)])
}

/// What is different each time stands in brackets.
fn settled(text: &str, database: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace(database, "[database]");
        match line.split_once("as of     ") {
            Some((before, _)) => format!("{before}as of     [moment]"),
            None => line,
        }
    });
    lines.map(|line| line + "\n").collect()
}

#[expect(clippy::disallowed_methods, reason = "the person who runs the test says what is golden")]
fn check(name: &str, found: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
    let path = path.with_extension("txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("writes");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, golden, "{} differs; UPDATE_GOLDEN=1 accepts it", path.display());
}

async fn planned(world: &World, name: &str, table: Json) {
    let mut entry = json!({"source": "EVENTS", "target": "events"});
    for (key, value) in table.as_object().expect("an object") {
        entry[key] = value.clone();
    }
    world.write_config(&world.config(&json!([entry])));
    let ended = world.run(&["plan"]).await;
    assert_eq!(ended.code, Some(0), "{name}: {}{}", ended.stdout, ended.stderr);
    check(name, &settled(&ended.stdout, &world.database_name()));
}

#[tokio::test]
async fn plans_read_as_they_should() {
    let double = Double::builder().table(events()).table(keyed()).table(small()).table(clustered());
    let world = World::new(double, TARGET).await;
    let clustered = |table: Json| {
        let mut entry = json!({"source": "CLUSTERED", "target": "clustered", "batch_size": 4_000});
        entry.as_object_mut().expect("object").extend(table.as_object().expect("object").clone());
        entry
    };
    let by = |columns: Json, types: Json| json!({"chunking_columns": columns, "chunking_column_types": types, "batch_size": 4_000});
    for (name, table) in [
        ("numeric_range", by(json!(["id"]), json!(["bigint"]))),
        ("grouped_values", by(json!(["uuid"]), json!(["uuid"]))),
        ("date_range_of_days", by(json!(["day"]), json!(["date"]))),
        ("date_range_of_times", by(json!(["at"]), json!(["timestamp_ntz"]))),
        ("date_range_of_instants", by(json!(["zoned"]), json!(["timestamp_tz"]))),
        ("several_columns", by(json!(["region", "day", "id"]), json!(["varchar", "date", "int"]))),
        ("numbers_in_text", by(json!(["code"]), json!(["varchar_numeric"]))),
        ("one_crowded_value", by(json!(["region"]), json!(["string"]))),
        (
            "hash_bucket",
            json!({
                "chunking_columns": ["uuid"], "batch_size": 8_000,
                "chunking": {"strategy": "hash_bucket"}, "sort_columns": ["at", "id"],
            }),
        ),
        ("primary_key", json!({"source": "KEYED", "target": "keyed", "batch_size": 5_000})),
        ("clustering_key", clustered(json!({}))),
        ("boolean", clustered(json!({"chunking_columns": ["flag"]}))),
        ("float", clustered(json!({"chunking_columns": ["amount"]}))),
        ("mostly_null", clustered(json!({"chunking_columns": ["sparse"]}))),
        (
            "watermark",
            json!({
                "source_watermark": "at", "target_watermark": "at", "batch_size": 4_000,
                "uniqueness_columns": ["uuid"],
            }),
        ),
        ("no_key", json!({"source_filter": "\"region\" <> 'berlin' -- not these"})),
        ("small", json!({"source": "SMALL", "target": "small", "chunking_columns": ["id"]})),
    ] {
        planned(&world, name, table).await;
    }
}

/// 26,000 rows in row groups of 4,000.
fn write_file(path: &Path) {
    let origins = (0..26_000).map(|row| ["EWR", "JFK", "LGA"][row % 3]);
    let rows = RecordBatch::try_from_iter([
        ("origin", Arc::new(StringArray::from_iter_values(origins)) as ArrayRef),
        ("id", Arc::new(Int64Array::from_iter_values(0..26_000))),
    ])
    .expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4_000)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("writer");
    writer.write(&rows).expect("rows");
    writer.close().expect("footer");
}

#[tokio::test]
async fn files_are_cut_at_their_row_groups() {
    let world =
        World::new(Double::builder(), "create table flights (origin text, id bigint)").await;
    write_file(&world.path("flights.parquet"));
    for (name, columns) in [("row_groups", json!([])), ("row_groups_by_choice", json!(["id"]))] {
        let mut config = world.config(&json!([{
            "source": "flights", "target": "flights", "batch_size": 10_000,
            "chunking_columns": columns,
        }]));
        let source = &mut config["sources"][0];
        for key in ["source_sf_database", "source_sf_schema"] {
            source.as_object_mut().expect("an object").remove(key);
        }
        source["type"] = json!("parquet");
        source["path"] = json!(world.folder.path());
        world.write_config(&config);
        let ended = world.run(&["plan"]).await;
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let folder = world.folder.path().display().to_string();
        let found = settled(&ended.stdout, &world.database_name()).replace(&folder, "[folder]");
        check(name, &found);
    }
}

#[tokio::test]
async fn what_cannot_be_cut_so_is_refused_with_the_next_step() {
    let world = World::new(Double::builder().table(events()), TARGET).await;
    for (table, code, said) in [
        (
            json!({"chunking_columns": ["day"], "chunking_column_types": ["int"]}),
            1,
            "Column \"day\" is DATE and cannot be read as int",
        ),
        (
            json!({"chunking_columns": ["day"], "chunking": {"strategy": "numeric_range"}}),
            1,
            "Column \"day\" is not of type number but DATE",
        ),
        (json!({"chunking_columns": ["Day"]}), 1, "did you mean \"day\"?"),
        (json!({"sort_columns": ["Day"]}), 1, "did you mean \"day\"?"),
        (
            json!({"chunking": {"strategy": "calender"}}),
            3,
            "Unknown chunking strategy \"calender\"",
        ),
        (
            json!({"chunking": {"strategy": "single", "options": {"unit": "month"}}}),
            3,
            "unknown field `unit`",
        ),
    ] {
        let mut entry = json!({"source": "EVENTS", "target": "events"});
        for (key, value) in table.as_object().expect("an object") {
            entry[key] = value.clone();
        }
        world.write_config(&world.config(&json!([entry])));
        // What the configuration alone shows is found before anybody is asked.
        let commands: &[&str] = if code == 3 { &["validate", "plan"] } else { &["plan"] };
        let before = world.double.statements().len();
        for command in commands {
            let ended = world.run(&[command]).await;
            let all = format!("{}{}", ended.stdout, ended.stderr);
            assert_eq!(ended.code, Some(code), "{command}: {all}");
            assert!(all.contains(said) && all.contains("fix: "), "{command}, {said}: {all}");
        }
        assert!(code != 3 || world.double.statements().len() == before);
    }
}

#[tokio::test]
async fn planning_costs_one_aggregate_per_column_and_no_more_than_one_besides() {
    let tables = Double::builder().table(events()).table(keyed()).table(small()).table(crowded());
    let world = World::new(tables, TARGET).await;
    let is_aggregate = |sql: &str| {
        let tables = ["\"EVENTS\"", "\"KEYED\"", "\"SMALL\"", "\"CROWDED\""];
        let reads = tables.iter().any(|table| sql.contains(table));
        reads && ["COUNT(", "COUNT_IF(", "SUM(", "MAX("].iter().any(|call| sql.contains(call))
    };
    for (table, columns) in [
        (json!({"chunking_columns": ["id"], "batch_size": 100}), 1),
        (json!({"chunking_columns": ["region", "day", "id"], "batch_size": 100}), 3),
        (json!({"chunking_columns": ["at"], "batch_size": 200}), 1),
        (json!({}), 0),
        (json!({"source": "KEYED", "target": "keyed", "batch_size": 100}), 2),
        (json!({"source": "SMALL", "target": "small"}), 0),
        (
            json!({"source": "CROWDED", "target": "crowded", "chunking_columns": ["k", "id"], "batch_size": 100}),
            2,
        ),
        (
            json!({
                "chunking_columns": ["id"], "batch_size": 4_000,
                "source_watermark": "at", "target_watermark": "at",
            }),
            1,
        ),
        (
            json!({
                "source_watermark": "at", "target_watermark": "at", "batch_size": 4_000,
                "uniqueness_columns": ["uuid"], "watermark_nulls": "always",
            }),
            1,
        ),
    ] {
        let before = world.double.statements().len();
        let mut entry = json!({"source": "EVENTS", "target": "events"});
        for (key, value) in table.as_object().expect("an object") {
            entry[key] = value.clone();
        }
        world.write_config(&world.config(&json!([entry])));
        let ended = world.run(&["plan"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let statements = world.double.statements().split_off(before);
        let aggregates = statements.iter().filter(|sql| is_aggregate(sql)).count();
        // A watermark costs one more: its greatest value, the rows that share it, those without.
        let watermarks = usize::from(table.get("source_watermark").is_some());
        assert_eq!(aggregates, columns.max(1) + watermarks, "{table}: {statements:#?}");
        let longest = statements.iter().map(String::len).max();
        assert!(longest < Some(20_000), "{table}: {longest:?}");
        // The session's warehouse, its time, the columns, the size, perhaps the keys.
        let others = statements.len() - aggregates;
        assert!(others <= 5, "{table}: {statements:#?}");
    }
}

#[tokio::test]
async fn a_filter_widens_no_chunk() {
    let world = World::new(Double::builder().table(events()), TARGET).await;
    world.write_config(&world.config(&json!([{
        "source": "EVENTS", "target": "events", "chunking_columns": ["id"], "batch_size": 1_000,
        "source_filter": "\"region\" = 'berlin' or \"region\" = 'Ålesund' -- x",
    }])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(world.count("migration_status.migration_chunk_status").await >= 3);
    assert_eq!(world.count("events").await, 4_800);
    assert_eq!(world.count("(select distinct uuid from events) keys").await, 4_800);
    assert_eq!(world.count("events where region = 'Amsterdam'").await, 0);
}

#[tokio::test]
async fn rows_of_a_chunk_arrive_in_their_order() {
    let world = World::new(Double::builder().table(events()), TARGET).await;
    let table = json!([{
        "source": "EVENTS", "target": "events", "sort_columns": ["at", "uuid"],
        "chunking_columns": ["region"], "batch_size": 20_000, "parallel_threads": 1,
    }]);
    world.write_config(&world.config(&table));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("events").await, 24_000);
    let strays = "(select (at, uuid collate \"C\") < lag((at, uuid collate \"C\")) over (order by ctid) as is_stray \
                  from events) rows where is_stray";
    let chunks = world.count("migration_status.migration_chunk_status").await;
    assert!(world.count(strays).await < chunks, "only where chunks meet");
}
