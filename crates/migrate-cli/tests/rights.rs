//! A role with the rights of docs/security.md and no other can do every load; without one of them
//! the plan says which, in words that can be run.

use serde_json::{Value as Json, json};
use snowflake_double::{Double, Table, Type, Value};

use crate::support::World;

const SECURITY: &str = include_str!("../../../docs/security.md");

const TARGET: &str = "\
    create schema sales; \
    create table sales.customers (id bigint primary key); insert into sales.customers values (7); \
    create table sales.orders (id bigint primary key, v bigint); \
    create table sales.order_lines (id bigint, v bigint); \
    create table sales.visits (id bigint primary key, v bigint); \
    create table sales.plain (id bigint, v bigint); \
    create table sales.prices (id bigint primary key, v bigint, \
        customer bigint default 7 references sales.customers); \
    create table sales.discounts (price bigint references sales.prices); \
    create table sales.events (id bigint primary key, v bigint); \
    create index on sales.events (v); \
    insert into sales.orders select n, 0 from generate_series(1, 50) n; \
    insert into sales.prices select n, 0 from generate_series(50, 150) n; \
    delete from sales.prices where id > 100; insert into sales.discounts values (60)";

const ROWS: i64 = 100;

/// A table for each mode.
fn tables() -> Json {
    let table = |target: &str, mut keys: Json| {
        keys["source"] = json!("ROWS");
        keys["target"] = json!(target);
        keys
    };
    json!([
        table("plain", json!({})),
        table("orders", json!({"uniqueness_columns": ["id"]})),
        table("visits", json!({"uniqueness_columns": ["id"], "insert_only_mode": true})),
        table("order_lines", json!({"truncate_onstart": true})),
        table("prices", json!({"replace": "atomic", "on_bad_row": "quarantine"})),
        table("events", json!({"truncate_onstart": true, "disable_index": true})),
        table("created", json!({"create_table": "if_missing"})),
    ])
}

async fn world() -> (World, String) {
    let row = |id: i64| [Value::from(id), Value::from(id * 3)];
    let rows = Table::new("DB.PUBLIC.ROWS")
        .required_column("id", Type::number(18, 0))
        .column("v", Type::number(18, 0))
        .rows((1..=ROWS).map(row));
    let world = World::new(Double::builder().table(rows), TARGET).await;
    let role = format!("migrator_of_{}", world.database_name());
    world.execute(&format!("create role \"{role}\" login")).await;
    world.execute("revoke all on schema public from public").await;
    let database = world.database_name();
    world.execute(&format!("revoke all on database \"{database}\" from public")).await;
    for statement in documented() {
        let statement = statement.replace("migrator", &format!("\"{role}\""));
        world.execute(&statement.replace("warehouse", &format!("\"{database}\""))).await;
    }
    let mut config = world.config(&tables());
    config["postgres"]["user"] = json!(role);
    config["sources"][0]["target_pg_schema"] = json!("sales");
    world.write_config(&config);
    (world, role)
}

/// The statements of the documentation.
fn documented() -> Vec<String> {
    let (_, section) = SECURITY.split_once("## Rights in PostgreSQL").expect("the section");
    let (_, block) = section.split_once("```sql\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    let lines = block.lines().map(|line| line.split("--").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}

async fn leave(world: &World, role: &str) {
    world.execute(&format!("drop owned by \"{role}\" cascade")).await;
    world.execute(&format!("drop role \"{role}\"")).await;
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_every_mode() {
    let (world, role) = world().await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for table in ["plain", "orders", "visits", "order_lines", "prices", "events", "created"] {
        let sum = world.text(&format!("select count(*) || ' ' || sum(v) from sales.{table}")).await;
        assert_eq!(sum, Some(format!("{ROWS} {}", 3 * ROWS * (ROWS + 1) / 2)), "{table}");
    }
    leave(&world, &role).await;
}

/// What upsert, insert-only and replace read of the target, and no more.
#[tokio::test]
async fn rights_on_the_columns_that_are_read_are_enough() {
    let (world, role) = world().await;
    let mut config = world.config(&tables());
    config["postgres"]["user"] = json!(role);
    config["sources"][0]["target_pg_schema"] = json!("sales");
    let tables = config["sources"][0]["tables"].as_array_mut().expect("tables");
    let merged = ["orders", "visits", "prices"];
    tables.retain(|table| merged.iter().any(|name| table["target"] == *name));
    for table in tables {
        table["on_bad_row"] = json!("fail");
    }
    world.write_config(&config);
    for (table, columns) in [("orders", "id, v, xmax"), ("visits", "id, xmax"), ("prices", "id, v")]
    {
        world.execute(&format!("revoke select on sales.{table} from \"{role}\"")).await;
        world.execute(&format!("grant select ({columns}) on sales.{table} to \"{role}\"")).await;
    }
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for table in ["orders", "visits", "prices"] {
        let rows = i64::try_from(world.count(&format!("sales.{table}")).await);
        assert_eq!(rows, Ok(ROWS), "{table}");
    }
    leave(&world, &role).await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_the_statement_that_gives_it() {
    let (world, role) = world().await;
    let database = world.database_name();
    for taken in [
        "revoke usage on schema sales from ROLE",
        "revoke select on sales.plain from ROLE",
        "revoke insert on sales.plain from ROLE",
        "revoke select on sales.orders from ROLE; grant select (id, xmax) on sales.orders to ROLE",
        "revoke select on sales.visits from ROLE; grant select (v, xmax) on sales.visits to ROLE",
        "revoke select on sales.prices from ROLE; grant select (id, v) on sales.prices to ROLE",
        "revoke update on sales.orders from ROLE",
        "revoke temporary on database BASE from ROLE",
        "revoke truncate on sales.order_lines from ROLE",
        "revoke delete on sales.prices from ROLE",
        "revoke update on sales.prices from ROLE",
        "revoke create on schema sales from ROLE",
        "revoke references on sales.customers from ROLE",
        "alter table sales.events owner to postgres; grant select, insert, truncate on sales.events to ROLE",
    ] {
        for statement in taken.split("; ") {
            let statement = statement.replace("ROLE", &format!("\"{role}\""));
            world.execute(&statement.replace("BASE", &format!("\"{database}\""))).await;
        }
        let plan = world.run(&["plan"]).await;
        assert_eq!(plan.code, Some(1), "{taken}: {}", plan.stdout);
        let said = format!("{}{}", plan.stdout, plan.stderr);
        let hints: Vec<_> =
            said.lines().filter_map(|line| line.split_once("run as the owner: ")).collect();
        assert!(!hints.is_empty(), "{taken}: {said}");
        for (_, statements) in hints {
            for statement in statements.split("; ") {
                world.execute(statement).await;
            }
        }
        let plan = world.run(&["plan"]).await;
        assert_eq!(plan.code, Some(0), "after {taken}: {}{}", plan.stdout, plan.stderr);
    }
    leave(&world, &role).await;
}

#[tokio::test]
async fn a_role_that_may_not_create_the_status_tables_is_told_so() {
    let (world, role) = world().await;
    world.execute("drop schema migration_status").await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let remedy = "sql/migration_status_schema.sql";
    assert!(ended.stderr.contains(remedy), "{}", ended.stderr);
    leave(&world, &role).await;
}
