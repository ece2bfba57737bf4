//! What an earlier run has left behind is gone on with, or refused; never doubled, never emptied.

use migrate_postgres::{Database, PostgresSettings, sqlx};
use postgres_sandbox::TestDatabase;
use serde_json::{Value as Json, json};
use snowflake_double::{Double, Table, Type};

use crate::support::{ORDERS, World, orders, orders_in_chunks};

/// One target, filled by two entries.
fn halves(first: &str, second: &str) -> Json {
    let mut tables = orders_in_chunks();
    tables[0]["source_filter"] = json!(first);
    let mut other = tables[0].clone();
    other["source_filter"] = json!(second);
    json!([tables[0], other])
}

#[tokio::test]
async fn two_entries_of_one_target_do_not_get_around_the_guard() {
    let world = World::new(Double::builder().table(orders(400)), ORDERS).await;
    world.execute("alter table orders drop constraint orders_pkey").await;
    world.write_config(&world.config(&halves("\"id\" < 200", "\"id\" >= 200")));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 400);
    let again = world.run(&[]).await;
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("on_nonempty"), "{}", again.stderr);
    assert_eq!(world.count("orders").await, 400);
}

#[tokio::test]
async fn a_changed_entry_beside_an_unchanged_one_doubles_nothing() {
    let world = World::new(Double::builder().table(orders(400)), ORDERS).await;
    let one_chunk_fails = "alter table orders drop constraint orders_pkey, \
                           add constraint odd check (id not in (150, 350))";
    world.execute(one_chunk_fails).await;
    world.write_config(&world.config(&halves("\"id\" < 200", "\"id\" >= 200")));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("odd") && !ended.stderr.contains("order 150"),
        "{}",
        ended.stderr
    );
    let before = world.count("orders").await;
    assert_eq!(before, 200);

    world.execute("alter table orders drop constraint odd").await;
    world.write_config(&world.config(&halves("\"id\" < 200", "\"id\" >= 200 and \"id\" <> 350")));
    // Twice: the second time the set-aside entry is history already.
    for _ in 0..2 {
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let left: Vec<u64> = vec![
            world.count("orders").await,
            world.count("(select distinct id from orders) x").await,
        ];
        assert_eq!(left, [300, 300], "the unchanged entry went on, the changed one wrote nothing");
    }
}

#[tokio::test]
async fn tables_that_were_to_be_emptied_together_are_not_emptied_alone() {
    let lines = Table::new("DB.PUBLIC.LINES").required_column("id", Type::number(38, 0));
    let world = World::new(
        Double::builder().table(orders(20)).table(lines),
        "create table orders (id bigint primary key, name text); \
         create table lines (id bigint primary key references orders); \
         insert into orders values (999, 'old'); insert into lines values (999)",
    )
    .await;
    let full =
        |source, target| json!({"source": source, "target": target, "truncate_onstart": true});
    let both = json!([full("ORDERS", "orders"), full("LINES", "lines")]);
    world.write_config(&world.config(&both));
    let holder = world.hold("begin; lock table lines in share mode").await;
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let members: Vec<_> = ended.stderr.lines().filter(|line| line.contains("pid ")).collect();
    assert!(members.len() >= 2, "each table says who holds the lock: {}", ended.stderr);
    drop(holder);

    world.write_config(&world.config(&json!([full("ORDERS", "orders")])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("referenced by"), "{}", ended.stderr);
    assert_eq!((world.count("orders").await, world.count("lines").await), (1, 1));

    world.write_config(&world.config(&both));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((world.count("orders").await, world.count("lines").await), (20, 0));
}

#[tokio::test]
async fn a_finished_database_is_not_copied_again_when_another_one_goes_on() {
    let world = World::new(Double::builder().table(orders(300)), ORDERS).await;
    let second = TestDatabase::create().await;
    let settings = PostgresSettings::from_url(second.url()).expect("url");
    let database = Database::connect(&settings, 1).await.expect("connects");
    let run = |sql: &'static str| sqlx::raw_sql(sql).execute(database.pool());
    run(ORDERS).await.expect("creates");
    run("alter table orders add constraint odd check (id <> 150)").await.expect("constrains");

    let mut config = world.config(&orders_in_chunks());
    let mut other = config["sources"][0].clone();
    other["source_name"] = json!("shop too");
    other["target_pg_database"] = json!(settings.database);
    config["sources"].as_array_mut().expect("sources").push(other);
    world.write_config(&config);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 300);

    run("alter table orders drop constraint odd").await.expect("relaxes");
    let plan = world.run(&["plan"]).await;
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("goes on") && plan.stdout.contains("done"), "{}", plan.stdout);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 300);
    let copied: (i64,) = sqlx::query_as("select count(*) from orders")
        .fetch_one(database.pool())
        .await
        .expect("counts");
    assert_eq!(copied.0, 300);
    database.pool().close().await;
}
