//! The main job, from the wire to the table.

use serde_json::json;
use snowflake_double::{ColumnNames, Double, Table, Type};

use crate::support::{ORDERS, World, orders, orders_in_chunks};

#[tokio::test]
async fn rows_arrive_and_the_ledger_knows() {
    let world = World::new(Double::builder().table(orders(1000)), ORDERS).await;
    world.write_config(&world.config(&orders_in_chunks()));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 1000);
    let sum = world.text("select sum(amount)::text from orders").await;
    let expected: i64 = (0..1000).map(|id| id / 7 * 100 + id % 100).sum();
    assert_eq!(sum, Some(format!("{}.{:02}", expected / 100, expected % 100)));
    let ledger = "select status || ' ' || total_chunks || ' ' || completed_chunks || ' ' || \
                  total_rows_copied from migration_status.migration_table_status";
    assert_eq!(world.text(ledger).await.as_deref(), Some("completed 10 10 1000"));
    assert_eq!(
        world.count("migration_status.migration_chunk_status where rows_copied = 100").await,
        10
    );
    assert_eq!(world.count("migration_status.v_active_migrations").await, 0);
    assert!(ended.stdout.contains("Outcome   completed"), "{}", ended.stdout);
    let line = ended.stderr.lines().next().expect("a log line");
    let parts: Vec<_> = line.split(" | ").collect();
    assert_eq!((parts[0].len(), parts[1]), ("2024-12-04 10:00:00".len(), "INFO"), "{line}");
}

#[tokio::test]
async fn a_dry_run_shows_everything_and_writes_nothing() {
    let world = World::new(Double::builder().table(orders(1000)), ORDERS).await;
    world.write_config(&world.config(&orders_in_chunks()));
    for arguments in [["--dry-run"].as_slice(), ["plan", "--all-chunks"].as_slice()] {
        let ended = world.run(arguments).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for shown in ["DB.PUBLIC.ORDERS -> ", "numeric_range", "1,000 rows in 10 chunks", "checked"]
        {
            assert!(ended.stdout.contains(shown), "{shown}: {}", ended.stdout);
        }
    }
    assert_eq!(world.count("orders").await, 0);
    let schema = "select (to_regnamespace('migration_status') is null)::text";
    assert_eq!(world.text(schema).await.as_deref(), Some("true"));
}

#[tokio::test]
async fn a_full_load_can_be_repeated_and_an_append_asks_first() {
    let world = World::new(Double::builder().table(orders(250)), ORDERS).await;
    let mut tables = orders_in_chunks();
    tables[0]["truncate_onstart"] = json!(true);
    world.write_config(&world.config(&tables));
    for _ in 0..2 {
        let ended = world.run(&["run"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(world.count("orders").await, 250);
    }
    world.write_config(&world.config(&orders_in_chunks()));
    let ended = world.run(&["run"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("truncate_onstart"), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 250);
}

#[tokio::test]
async fn tables_that_reference_each_other_are_emptied_together() {
    let lines = Table::new("DB.PUBLIC.LINES")
        .required_column("id", Type::number(38, 0))
        .column("name", Type::varchar());
    let double = Double::builder().table(orders(20)).table(lines);
    let world = World::new(
        double,
        "create table orders (id bigint primary key, name text); \
         create table lines (id bigint primary key references orders, name text); \
         insert into orders values (1, 'old'), (999, 'old'); insert into lines values (999, 'old')",
    )
    .await;
    let full =
        |source, target| json!({"source": source, "target": target, "truncate_onstart": true});
    world.write_config(&world.config(&json!([full("ORDERS", "orders"), full("LINES", "lines")])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((world.count("orders").await, world.count("lines").await), (20, 0));

    world.write_config(&world.config(&json!([full("ORDERS", "orders")])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("referenced by") && ended.stderr.contains("lines"),
        "{}",
        ended.stderr
    );
    assert_eq!(world.count("orders").await, 20);
}

#[tokio::test]
async fn tables_of_another_tool_are_kept_aside() {
    let world = World::new(
        Double::builder().table(orders(10)),
        "create table orders (id bigint primary key, name text); \
         create schema migration_status; \
         create table migration_status.migration_runs (run_id uuid, config_hash text); \
         insert into migration_status.migration_runs values (gen_random_uuid(), 'abc')",
    )
    .await;
    world.write_config(&world.config(&orders_in_chunks()));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("migration_status_legacy"), "{}", ended.stderr);
    assert_eq!(world.count("migration_status_legacy.migration_runs").await, 1);
    assert_eq!(world.count("migration_status.migration_runs").await, 1);
}

/// The same data by two ways must be the same rows.
#[tokio::test]
async fn snowflake_and_parquet_bring_the_same_rows() {
    const TABLES: [&str; 5] = ["airlines", "airports", "planes", "weather", "flights"];
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");
    let double = TABLES.iter().fold(Double::builder(), |double, name| {
        let path = format!("{data}/{name}.parquet");
        double.parquet(&format!("DB.PUBLIC.\"{name}\""), path, ColumnNames::Exact)
    });
    let target = concat!(
        include_str!("../demo/target.sql"),
        "alter schema nyc rename to by_snowflake;",
        include_str!("../demo/target.sql"),
        "alter schema nyc rename to by_parquet;"
    );
    let world = World::new(double, target).await;
    let quoted = |name: &str| format!("\"{name}\"");
    let table = |name| json!({"source": quoted(name), "target": name, "batch_size": 50_000});
    let mut config = world.config(&json!(TABLES.map(table)));
    config["sources"][0]["target_pg_schema"] = json!("by_snowflake");
    let mut parquet = config["sources"][0].clone();
    parquet["source_name"] = json!("files");
    parquet["type"] = json!("parquet");
    parquet["path"] = json!(data);
    parquet["target_pg_schema"] = json!("by_parquet");
    parquet["tables"] = json!(TABLES.map(|name| json!({"source": name, "target": name})));
    for key in ["source_sf_database", "source_sf_schema"] {
        parquet.as_object_mut().expect("an object").remove(key);
    }
    config["sources"].as_array_mut().expect("a list").push(parquet);
    world.write_config(&config);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for table in TABLES {
        let hash = |schema: &str| {
            format!(
                "select count(*) || ' ' || sum(hashtextextended(t::text, 0)::numeric)::text \
                 from {schema}.{table} t"
            )
        };
        let by_snowflake = world.text(&hash("by_snowflake")).await;
        assert_eq!(by_snowflake, world.text(&hash("by_parquet")).await, "{table}");
        assert!(by_snowflake.is_some_and(|text| !text.starts_with("0 ")), "{table} has rows");
    }
}
