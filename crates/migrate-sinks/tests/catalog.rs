//! What the sink finds out about a table, and what it refuses.

use migrate_core::{ColumnPair, ColumnType, ErrorKind, Fidelity, Fill, Sink, TableRef, code};

use crate::support::Target;

#[tokio::test]
async fn columns_are_described_as_the_server_fills_them() {
    let target = Target::with(
        "create domain positive as integer not null check (value > 0); \
         create table t (a positive, b text not null, c text not null default 'x', \
            d integer generated always as identity, e integer generated always as (1 + 1) stored, \
            \"Mixed Case\" varchar(20), f numeric(38,10))",
    )
    .await;
    let table = target.table("t").await;
    let schema = table.schema();
    let column = |name: &str| schema.require(&name.into()).expect(name).clone();
    assert!(column("a").must_be_written(), "the domain says NOT NULL");
    assert!(column("b").must_be_written());
    assert_eq!(column("c").fill, Fill::Default);
    assert_eq!(column("d").fill, Fill::Default, "COPY may write identity columns");
    assert_eq!(column("e").fill, Fill::Generated);
    assert_eq!(column("Mixed Case").native_type, "character varying(20)");
    assert_eq!(column("f").column_type, ColumnType::Number { precision: 38, scale: 10 });
    let number = ColumnType::Number { precision: 38, scale: 0 };
    let assess = |target: &str, source: &ColumnType| {
        table.assess(&ColumnPair::new("x", target, source.clone()))
    };
    assert_eq!(assess("a", &number), Fidelity::Checked);
    assert!(matches!(assess("a", &ColumnType::Date), Fidelity::Impossible { .. }));
}

#[tokio::test]
async fn missing_tables_and_schemas_are_named_with_the_nearest() {
    let target =
        Target::with("create table flights (id int); create table \"Carriers\" (id int)").await;
    let open = |schema: &str, name: &str| {
        let table = TableRef::in_schema(schema, name);
        let sink = target.sink.clone();
        async move { sink.open(&table).await.expect_err("missing") }
    };
    let typo = open("public", "flight").await;
    assert_eq!(typo.code(), code::TARGET_TABLE_MISSING);
    assert!(typo.hint().is_some_and(|hint| hint.contains("flights")), "{typo}");
    let case = open("public", "carriers").await;
    assert!(case.hint().is_some_and(|hint| hint.contains(r#""\"Carriers\"""#)), "{case}");
    let schema = open("nowhere", "flights").await;
    assert!(schema.to_string().contains("create schema \"nowhere\""), "{schema}");
}

#[tokio::test]
async fn what_cannot_hold_rows_is_refused() {
    let target = Target::with("create table t (id int); create view v as select * from t").await;
    let error = target.sink.open(&TableRef::in_schema("public", "v")).await.expect_err("a view");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("a view"), "{error}");
}

#[tokio::test]
async fn an_empty_table_is_known_as_such() {
    let target =
        Target::with("create table t (id int); create table u (id int); insert into u values (1)")
            .await;
    assert!(target.table("t").await.is_empty().await.expect("asks"));
    assert!(!target.table("u").await.is_empty().await.expect("asks"));
}
