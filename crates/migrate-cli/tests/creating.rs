//! Target tables that are not there yet, and columns that are.

use serde_json::json;
use snowflake_double::{Double, Table, Type, Value};

use crate::support::{ORDERS, World, orders, orders_in_chunks};

fn people() -> Table {
    Table::new("DB.PUBLIC.PEOPLE")
        .required_column("ID", Type::number(9, 0))
        .required_column("Full Name", Type::varchar_of(40))
        .column("BORN", Type::Date)
        .column("SEEN", Type::timestamp_tz(9))
        .column("WEALTH", Type::number(38, 10))
        .column("NOTES", Type::Variant)
        .primary_key(["ID", "Full Name"])
        .comment("It's people; drop table people")
        .column_comment("BORN", "a \\ and a '")
        .row([
            Value::from(1),
            Value::from("Ada"),
            Value::lit("1815-12-10"),
            Value::lit("2024-01-01 10:11:12.123456 +05:30"),
            Value::lit("1.5"),
            Value::json("{\"k\":1}"),
        ])
}

const DDL: &str = r#"-- DB.PUBLIC.PEOPLE -> {target}
create table "public"."people" (
    "id" integer not null,
    "Full Name" varchar(40) not null,
    "BORN" date,
    "SEEN" timestamptz,
    "seen_offset" smallint,
    "WEALTH" numeric(38,10),
    "NOTES" jsonb,
    primary key ("id", "Full Name")
);
comment on table "public"."people" is 'It''s people; drop table people';
comment on column "public"."people"."BORN" is E'a \\ and a ''';
comment on column "public"."people"."seen_offset" is 'Offset of "SEEN" from UTC, in minutes east';
"#;

#[tokio::test]
async fn ddl_is_printed_and_runs_and_if_missing_runs_it() {
    let world = World::new(Double::builder().table(people()), "select 1").await;
    let mut table = json!({
        "source": "PEOPLE", "target": "people", "column_mapping": {"ID": "id"},
        "column_policies": {"SEEN": {"offset_column": "seen_offset"}},
    });
    let config = world.config(&json!([table]));
    let database = config["sources"][0]["target_pg_database"].as_str().expect("a name").to_owned();
    world.write_config(&config);
    let ended = world.run(&["ddl"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected = DDL.replace("{target}", &format!("{database}.public.people"));
    assert_eq!(ended.stdout.trim_end(), expected.trim_end());
    let there = "select to_regclass('people') is not null";
    assert_eq!(world.text(&format!("select ({there})::text")).await.as_deref(), Some("false"));

    let missing = world.run(&[]).await;
    assert_eq!(missing.code, Some(1), "a missing table is an error by default");
    assert!(missing.stderr.contains("not found"), "{}", missing.stderr);

    table["create_table"] = json!("if_missing");
    world.write_config(&world.config(&json!([table])));
    let planned = world.run(&["plan"]).await;
    assert_eq!(planned.code, Some(0), "{}{}", planned.stdout, planned.stderr);
    assert_eq!(world.text(&format!("select ({there})::text")).await.as_deref(), Some("false"));

    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let row = world
        .text("select concat_ws('|', id, \"Full Name\", \"BORN\", seen_offset, \"WEALTH\", \"NOTES\") from people")
        .await;
    assert_eq!(row.as_deref(), Some("1|Ada|1815-12-10|330|1.5000000000|{\"k\": 1}"));
    let key = "select string_agg(a.attname, ',' order by array_position(i.indkey::int2[], a.attnum)) \
               from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey) \
               where i.indrelid = 'people'::regclass and i.indisprimary";
    assert_eq!(world.text(key).await.as_deref(), Some("id,Full Name"));
    let comment = "select obj_description('people'::regclass)";
    assert_eq!(world.text(comment).await.as_deref(), Some("It's people; drop table people"));
}

/// Without a primary key in the source, rows are known by what the configuration says.
#[tokio::test]
async fn a_created_table_has_the_key_by_which_rows_are_merged() {
    let visits = || {
        Table::new("DB.PUBLIC.VISITS")
            .required_column("ID", Type::number(9, 0))
            .column("PLACE", Type::varchar_of(9))
            .column("SEEN", Type::timestamp_ntz(6))
    };
    let row = |place: &str, seen: &str| [Value::from(1), Value::from(place), Value::lit(seen)];
    for (keys, clause, rows) in [
        (json!(["id"]), "primary key (\"id\")", 1),
        (json!(["PLACE", "id"]), "unique (\"PLACE\", \"id\")", 2),
    ] {
        let first = [row("here", "2024-01-01 00:00:00")];
        let world = World::new(Double::builder().table(visits().rows(first)), "select 1").await;
        world.write_config(&world.config(&json!([{
            "source": "VISITS", "target": "visits", "column_mapping": {"ID": "id"},
            "uniqueness_columns": keys, "create_table": "if_missing",
            "source_watermark": "SEEN", "target_watermark": "SEEN",
        }])));
        let ddl = world.run(&["ddl"]).await;
        assert!(ddl.stdout.contains(clause), "{}", ddl.stdout);
        let planned = world.run(&["plan"]).await;
        assert_eq!(planned.code, Some(0), "{}{}", planned.stdout, planned.stderr);
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let later = [row("there", "2024-01-02 00:00:00")];
        world.double.insert("DB.PUBLIC.VISITS", later).expect("inserts");
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(world.count("visits").await, rows, "{clause}");
        assert_eq!(world.count("visits where \"PLACE\" = 'there'").await, 1);
    }
    let world = World::new(Double::builder().table(visits()), "select 1").await;
    world.write_config(&world.config(&json!([
        {"source": "VISITS", "target": "visits", "uniqueness_columns": ["id"]},
    ])));
    let ended = world.run(&["ddl"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("did you mean \"ID\""), "{}", ended.stderr);
}

#[tokio::test]
async fn only_mapped_columns_are_read_and_others_are_listed_once() {
    let world = World::new(
        Double::builder().table(people()),
        "create table people (id int generated always as identity primary key, \"NAME\" text, \
            twice int generated always as (id * 2) stored, at timestamptz default now())",
    )
    .await;
    world.write_config(&world.config(&json!([{
        "source": "PEOPLE", "target": "people",
        "column_mapping": {"ID": "id", "Full Name": "NAME"},
    }])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        world.text("select concat_ws('|', id, \"NAME\", twice) from people").await.as_deref(),
        Some("1|Ada|2")
    );
    let scans =
        world.double.count_statements(|sql| sql.starts_with("SELECT \"ID\", \"Full Name\" FROM"));
    assert_eq!(scans, 1, "only the mapped columns");
    let listed: Vec<_> = ended.stderr.lines().filter(|line| line.contains("so not read")).collect();
    assert_eq!(listed.len(), 1, "{}", ended.stderr);
    assert!(listed[0].contains("\"BORN\", \"SEEN\", \"WEALTH\", \"NOTES\""), "{}", listed[0]);
}

#[tokio::test]
async fn names_that_nearly_match_stop_the_table() {
    let world = World::new(
        Double::builder().table(people()),
        "create table people (\"ID\" int primary key, \"Full Name\" text, born date)",
    )
    .await;
    let mut table = json!({"source": "PEOPLE", "target": "people"});
    world.write_config(&world.config(&json!([table])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(r#""column_mapping": {"BORN": "born"}"#), "{}", ended.stderr);
    table["column_mapping"] = json!({"BORN": "born"});
    table["target"] = json!("x".repeat(64));
    world.write_config(&world.config(&json!([table])));
    let ended = world.run(&["ddl"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cuts names to 63 bytes"), "{}", ended.stderr);
}

/// The chunk with the bad row is rolled back as a whole, and everything else goes on.
#[tokio::test]
async fn a_bad_row_costs_its_chunk_and_names_itself() {
    let world = World::new(
        Double::builder().table(orders(1000)).table(people()),
        "create table orders (id bigint primary key, name varchar(9), amount numeric(12,2), at timestamp); \
         create table people (\"ID\" int primary key, \"Full Name\" text)",
    )
    .await;
    // `order 100` has nine characters; `order 1000` would have ten. One row is longer by hand.
    world
        .double
        .insert(
            "DB.PUBLIC.ORDERS",
            [[Value::from(255_i64), Value::from("a name with secrets"), Value::Null, Value::Null]],
        )
        .expect("a row");
    let mut tables = orders_in_chunks();
    tables.as_array_mut().expect("a list").push(json!({"source": "PEOPLE", "target": "people"}));
    world.write_config(&world.config(&tables));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let failed: Vec<_> =
        ended.stderr.lines().filter(|line| line.contains("longer than 9")).collect();
    assert!(!failed.is_empty(), "{}", ended.stderr);
    for part in
        ["column=name", "table=", "public.orders", "chunk=2", "key=\"id\"=255", "row=", "fix: "]
    {
        assert!(failed[0].contains(part), "{part}: {}", failed[0]);
    }
    assert!(!ended.stderr.contains("secrets"), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 901, "all chunks but one");
    assert_eq!(world.count("orders where id between 200 and 298").await, 0);
    assert_eq!(world.count("people").await, 1);
    let ledger =
        "select error_message from migration_status.migration_chunk_status where status = 'failed'";
    let kept = world.text(ledger).await.expect("a reason");
    assert!(kept.contains("key=\"id\"=255") && !kept.contains("secrets"), "{kept}");

    // A plain ORDERS table still works beside it.
    world.execute("drop table orders").await;
    world.execute(ORDERS).await;
    let ended = world.run(&[]).await;
    assert_ne!(ended.code, Some(0), "the key 255 is there twice");
    assert!(ended.stderr.contains("key=\"id\"=255"), "{}", ended.stderr);
}
