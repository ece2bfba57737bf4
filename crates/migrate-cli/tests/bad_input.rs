//! Each mistake is one line that names the object and the remedy, an exit code, and no row.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::{Value as Json, json};
use snowflake_double::{Double, Table, Type};
use tempfile::TempDir;

use crate::support::{Ended, ORDERS, World, orders, orders_in_chunks};

async fn world() -> World {
    let lower = Table::new("DB.PUBLIC.\"lower\"").required_column("ID", Type::number(38, 0));
    World::new(Double::builder().table(orders(10)).table(lower), ORDERS).await
}

/// Runs with a changed configuration, and holds the answer to what every mistake must give.
async fn mistake(world: &World, change: impl FnOnce(&mut Json), code: i32, said: &[&str]) -> Ended {
    let mut config = world.config(&orders_in_chunks());
    change(&mut config);
    world.write_config(&config);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let errors: Vec<_> = ended.stderr.lines().filter(|line| line.contains(" | ERROR | ")).collect();
    assert_eq!(errors.len(), 1, "one line: {}", ended.stderr);
    for part in said.iter().chain(&["fix: "]) {
        assert!(errors[0].contains(part), "{part} is missing: {}", errors[0]);
    }
    assert_eq!(world.count("orders").await, 0);
    ended
}

#[tokio::test]
async fn what_is_wrong_with_snowflake_is_named() {
    let world = world().await;
    let wrong = |config: &mut Json| config["snowflake"]["password"] = json!("wrong");
    mistake(&world, wrong, 4, &["ACME", "MOVER", "password"]).await;
    let unknown = |config: &mut Json| config["snowflake"]["account"] = json!("NOBODY");
    mistake(&world, unknown, 4, &["NOBODY", "snowflake.account"]).await;
    let nowhere = |config: &mut Json| config["snowflake"]["warehouse"] = json!("NOWHERE");
    mistake(&world, nowhere, 4, &["NOWHERE", "snowflake.warehouse"]).await;
    let missing = |config: &mut Json| config["sources"][0]["tables"][0]["source"] = json!("ORDER");
    mistake(&world, missing, 1, &["DB.PUBLIC.ORDER", "did you mean ORDERS?"]).await;
    let case = |config: &mut Json| config["sources"][0]["tables"][0]["source"] = json!("LOWER");
    mistake(&world, case, 1, &["DB.PUBLIC.LOWER", r#""source": "\"lower\"""#]).await;
}

#[tokio::test]
async fn what_is_wrong_with_postgresql_is_named() {
    let world = world().await;
    let down = |config: &mut Json| config["postgres"]["port"] = json!(9);
    mistake(&world, down, 4, &[":9/", "refused", "postgres.port"]).await;
    let nobody = |config: &mut Json| config["postgres"]["user"] = json!("nobody_here");
    mistake(&world, nobody, 4, &["nobody_here", "postgres.user"]).await;
    let missing = |config: &mut Json| {
        config["sources"][0]["target_pg_database"] = json!("nowhere");
    };
    mistake(&world, missing, 4, &["nowhere", "target_pg_database"]).await;
    let table = |config: &mut Json| config["sources"][0]["tables"][0]["target"] = json!("order");
    mistake(&world, table, 1, &["public.order", "did you mean orders?"]).await;
    let schema = |config: &mut Json| config["sources"][0]["target_pg_schema"] = json!("shop");
    mistake(&world, schema, 1, &["create schema \"shop\""]).await;
}

#[tokio::test]
async fn a_password_that_postgresql_refuses_is_named_and_not_shown() {
    let folder = TempDir::new().expect("folder");
    let rules = folder.path().join("pg_hba.conf");
    std::fs::write(&rules, "host all all 127.0.0.1/32 scram-sha-256\n").expect("writes");
    // The server may run as another user.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("opens");
    let options = ServerOptions::new().setting("hba_file", rules.display().to_string());
    let server = tokio::task::spawn_blocking(|| {
        Server::start(&Installation::find(&Search::new()).expect("PostgreSQL"), options)
    });
    let server = server.await.expect("joins").expect("starts");

    let world = world().await;
    let wrong = |config: &mut Json| {
        config["postgres"]["port"] = json!(server.port());
        config["postgres"]["password"] = json!("wrong-4711");
    };
    let ended = mistake(&world, wrong, 4, &["postgres.password"]).await;
    assert!(!ended.stderr.contains("wrong-4711"), "{}", ended.stderr);
    let missing = |config: &mut Json| config["postgres"]["port"] = json!(server.port());
    mistake(&world, missing, 4, &["postgres.password"]).await;
}

#[tokio::test]
async fn columns_that_do_not_meet_are_named() {
    let world = world().await;
    world.execute("alter table orders rename id to \"ID\"").await;
    let none = |_: &mut Json| {};
    mistake(&world, none, 1, &["\"ID\"", "NOT NULL", r#"{"id": "ID"}"#]).await;
    world.execute("alter table orders rename \"ID\" to id").await;
    let key = |config: &mut Json| {
        config["sources"][0]["tables"][0]["chunking_columns"] = json!(["Id"]);
    };
    mistake(&world, key, 1, &["\"Id\"", "did you mean \"id\"?"]).await;
    world.execute("alter table orders alter amount type uuid using null").await;
    mistake(&world, none, 1, &["\"amount\"", "NUMBER(12,2)", "uuid", "impossible"]).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_named() {
    let world = world().await;
    let unknown = |config: &mut Json| config["batchsize"] = json!(5);
    mistake(&world, unknown, 3, &["batchsize", "did you mean \"batch_size\"?"]).await;
    let unset = |config: &mut Json| config["snowflake"]["password"] = json!("${SHOP_PASSWORD}");
    mistake(&world, unset, 3, &["SHOP_PASSWORD", "snowflake.password"]).await;
    let strategy = |config: &mut Json| {
        config["sources"][0]["tables"][0]["chunking"] = json!({"strategy": "numeric_rang"});
    };
    mistake(&world, strategy, 3, &["numeric_rang", "did you mean numeric_range?"]).await;
    let filter = |config: &mut Json| {
        config["sources"][0]["tables"][0]["source_filter"] = json!("1=1) OR (1=1");
    };
    mistake(&world, filter, 3, &["source_filter", "bracket"]).await;
    let upsert = |config: &mut Json| {
        config["sources"][0]["tables"][0]["uniqueness_columns"] = json!(["name"]);
    };
    let statement = r#"create unique index on "public"."orders" ("name")"#;
    mistake(&world, upsert, 1, &["no unique index", statement]).await;
    let unknown = |config: &mut Json| {
        config["sources"][0]["tables"][0]["uniqueness_columns"] = json!(["Id"]);
    };
    mistake(&world, unknown, 1, &["\"Id\"", "did you mean \"id\"?"]).await;
    let usage = world.run(&["--confg", "x"]).await;
    assert_eq!(usage.code, Some(2));
    let nothing = world.run(&["--config", "nowhere.json"]).await;
    assert_eq!(nothing.code, Some(3));
    assert!(nothing.stderr.contains("nowhere.json"), "{}", nothing.stderr);
}
