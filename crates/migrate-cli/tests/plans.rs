//! What `migrate plan` says of a table of each kind, held against golden files. After a change that
//! is meant, `UPDATE_GOLDEN=1` writes them anew.

use std::path::PathBuf;

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
    create table keyed (region text, id bigint); create table small (id bigint)";

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
    let double = Double::builder().table(events()).table(keyed()).table(small());
    let world = World::new(double, TARGET).await;
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
        ("no_key", json!({"source_filter": "\"region\" <> 'berlin' -- not these"})),
        ("small", json!({"source": "SMALL", "target": "small", "chunking_columns": ["id"]})),
    ] {
        planned(&world, name, table).await;
    }
}

#[tokio::test]
async fn files_are_cut_at_their_row_groups() {
    let target = "create table weather (origin text, temp double precision)";
    let world = World::new(Double::builder(), target).await;
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "demo"].iter().collect();
    let mut config = world.config(&json!([{
        "source": "weather", "target": "weather", "batch_size": 10_000,
    }]));
    let source = &mut config["sources"][0];
    for key in ["source_sf_database", "source_sf_schema"] {
        source.as_object_mut().expect("an object").remove(key);
    }
    source["type"] = json!("parquet");
    source["path"] = json!(folder);
    world.write_config(&config);
    let ended = world.run(&["plan"]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let folder = folder.display().to_string();
    let found = settled(&ended.stdout, &world.database_name()).replace(&folder, "[folder]");
    check("row_groups", &found);
}

#[tokio::test]
async fn what_cannot_be_cut_so_is_refused_with_the_next_step() {
    let world = World::new(Double::builder().table(events()), TARGET).await;
    for (table, said) in [
        (
            json!({"chunking_columns": ["day"], "chunking_column_types": ["int"]}),
            "Column \"day\" is DATE and cannot be read as int",
        ),
        (
            json!({"chunking_columns": ["day"], "chunking": {"strategy": "numeric_range"}}),
            "Column \"day\" is not of type number but DATE",
        ),
        (json!({"chunking_columns": ["Day"]}), "did you mean \"day\"?"),
        (json!({"sort_columns": ["Day"]}), "did you mean \"day\"?"),
        (json!({"chunking": {"strategy": "calender"}}), "Unknown chunking strategy \"calender\""),
    ] {
        let mut entry = json!({"source": "EVENTS", "target": "events"});
        for (key, value) in table.as_object().expect("an object") {
            entry[key] = value.clone();
        }
        world.write_config(&world.config(&json!([entry])));
        let ended = world.run(&["plan"]).await;
        assert_ne!(ended.code, Some(0), "{}", ended.stdout);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(said) && all.contains("fix: "), "{said}: {all}");
    }
}

#[tokio::test]
async fn planning_costs_one_aggregate_per_column_and_no_more_than_one_besides() {
    let tables = || Double::builder().table(events()).table(keyed()).table(small());
    let world = World::new(tables(), TARGET).await;
    let is_aggregate = |sql: &str| {
        let reads =
            ["\"EVENTS\"", "\"KEYED\"", "\"SMALL\""].iter().any(|table| sql.contains(table));
        reads && (sql.contains("COUNT(") || sql.contains("SUM("))
    };
    for (table, columns) in [
        (json!({"chunking_columns": ["id"], "batch_size": 100}), 1),
        (json!({"chunking_columns": ["region", "day", "id"], "batch_size": 100}), 3),
        (json!({"chunking_columns": ["at"], "batch_size": 200}), 1),
        (json!({}), 0),
        (json!({"source": "KEYED", "target": "keyed", "batch_size": 100}), 2),
        (json!({"source": "SMALL", "target": "small"}), 0),
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
        assert_eq!(aggregates, columns.max(1), "{table}: {statements:#?}");
        // The session's warehouse, its time, the columns, the size, perhaps the keys.
        let others = statements.len() - aggregates;
        assert!(others <= 5, "{table}: {statements:#?}");
    }
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
