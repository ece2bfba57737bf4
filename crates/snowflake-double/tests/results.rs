//! Results: rows, metadata, binds, failures.

use std::sync::Arc;

use snowflake_connector_rs::bind::{BindType, RawBind};
use snowflake_connector_rs::{ColumnType, ErrorKind, Statement};
use snowflake_double::{ColumnNames, Double, RowOrder, Table, Type, User, Value};

use crate::support::{Texts, double, rows, session, thousand, value};

#[tokio::test]
async fn inline_rows_and_chunks_arrive_in_order_and_complete() {
    let double = double().await;
    let session = session(&double).await;
    for (inline, chunk) in [(5_000, 10), (0, 300), (7, 333), (1_000, 1)] {
        double.knobs().set_inline_rows(inline);
        double.knobs().set_chunk_rows(chunk).unwrap();
        let found = rows(&session, "select id, name, n from t order by id").await.unwrap();
        assert_eq!(found.len(), 1_000, "{inline} {chunk}");
        for (row, id) in found.iter().zip(1..) {
            assert_eq!(row[0].as_deref(), Some(id.to_string().as_str()));
            assert_eq!(row[1], Some(format!("name \"{id}\" é🚀\n")));
            assert_eq!(row[2], (id % 7 != 0).then(|| format!("{id}.25")));
        }
    }
}

#[tokio::test]
async fn empty_results_have_columns() {
    let double = double().await;
    let session = session(&double).await;
    let cursor = session.query("select id, name from t where false").await.unwrap();
    assert_eq!(cursor.schema().len(), 2);
    assert_eq!(cursor.collect_table().await.unwrap().row_count(), 0);
}

#[tokio::test]
async fn columns_are_described() {
    let double = double().await;
    let session = session(&double).await;
    let sql = "select id, name, n, 1::float as f, current_date() as d, true as b, \
               current_timestamp() as l, '10:00'::time(3) as tm from t limit 1";
    let cursor = session.query(sql).await.unwrap();
    let columns: Vec<_> = cursor
        .schema()
        .columns()
        .iter()
        .map(|column| format!("{} {} {}", column.name(), column.ty(), column.is_nullable()))
        .collect();
    assert_eq!(
        columns,
        [
            "ID fixed(38,0) false",
            "NAME text(16777216) true",
            "N fixed(12,2) true",
            "F real false",
            "D date false",
            "B boolean false",
            "L timestamp_ltz(9) false",
            "TM time(3) false",
        ]
    );
    assert!(matches!(cursor.schema().columns()[0].ty(), ColumnType::Fixed { .. }));
}

#[tokio::test]
async fn values_decode_in_the_client() {
    let table = Table::new("DB.SC.V")
        .column("D", Type::Date)
        .column("TZ", Type::timestamp_tz(9))
        .column("V", Type::Variant)
        .column("BIN", Type::binary())
        .column("F", Type::Float)
        .column("SHORT", Type::Float)
        .row([
            Value::lit("0001-01-01"),
            Value::lit("9999-12-31 23:59:59.999999999 +14:00"),
            Value::json(r#"{"a":[1,undefined]}"#),
            Value::lit("00ff"),
            Value::from(f64::NEG_INFINITY),
            Value::from(1.0 / 3.0),
        ]);
    let double = crate::support::builder().table(table).start().await.unwrap();
    let session = session(&double).await;
    let table = session.query("select * from v").await.unwrap().collect_table().await.unwrap();
    let row = table.dynamic_rows().unwrap().next().unwrap().unwrap();
    let shown: Vec<_> = row.values().iter().map(|value| format!("{value:?}")).collect();
    assert!(shown[0].contains("0001-01-01"), "{shown:?}");
    assert!(shown[1].contains("9999-12-31T23:59:59.999999999+14:00"), "{shown:?}");
    assert!(shown[2].contains("Null"), "{shown:?}");
    assert!(shown[4].contains("-inf"), "{shown:?}");
    assert!(shown[5].contains("0.3333333333)"), "a result shows 10 digits: {shown:?}");
}

#[tokio::test]
async fn semi_structured_values_are_indented_by_default() {
    let table =
        Table::new("DB.SC.V").column("V", Type::Variant).row([Value::json("{\"a\":[1,2]}")]);
    let double = crate::support::builder().table(table).start().await.unwrap();
    let session = session(&double).await;
    assert_eq!(value(&session, "select v from v").await.as_deref(), Some("{\"a\":[1,2]}"));
    session.query("alter session set json_indent = 2").await.unwrap();
    assert_eq!(
        value(&session, "select v from v").await.as_deref(),
        Some("{\n  \"a\": [\n    1,\n    2\n  ]\n}")
    );
    session.query("alter session unset json_indent").await.unwrap();
    assert!(value(&session, "select v from v").await.unwrap().contains('\n'));
}

#[tokio::test]
async fn binds_reach_the_statement() {
    let double = double().await;
    let session = session(&double).await;
    let statement =
        Statement::new("select count(*) from t where id >= ? and id < ? and name like ?")
            .bind(10)
            .bind(20)
            .bind("name \"1%");
    let table = session.query(statement).await.unwrap().collect_table().await.unwrap();
    let row = table.rows::<Texts>().unwrap().next().unwrap().unwrap();
    assert_eq!(row.0[0].as_deref(), Some("10"));
    let binds = double.requests().pop().unwrap().binds;
    assert_eq!(binds.len(), 3);
    assert_eq!(binds[1], ("FIXED".to_owned(), Some("20".to_owned())));
    let statement = Statement::new("select ?, ?, ?::timestamp_ltz, ?")
        .bind(RawBind::new(BindType::TimestampTz, "1718454645000000001 1980"))
        .bind(RawBind::new(BindType::Binary, "00FF"))
        .bind("2024-01-01 00:00:00.123 +0100")
        .bind(RawBind::null(BindType::Date));
    let table = session.query(statement).await.unwrap().collect_table().await.unwrap();
    let row = table.rows::<Texts>().unwrap().next().unwrap().unwrap();
    let texts: Vec<_> = row.0.iter().map(Option::as_deref).collect();
    assert_eq!(
        texts,
        [Some("1718454645.000000001 1980"), Some("00FF"), Some("1704063600.123000000"), None]
    );
}

#[tokio::test]
async fn long_conditions_are_evaluated() {
    let double = double().await;
    let session = session(&double).await;
    let terms: Vec<_> = (1..=2_000).map(|id| format!("id = {id}")).collect();
    let sql = format!("select count(*) from t where {}", terms.join(" or "));
    assert_eq!(value(&session, &sql).await.as_deref(), Some("1000"));
    let list: Vec<_> = (1..=5_000).map(|id| (id * 2).to_string()).collect();
    let sql = format!("select count(*) from t where id in ({})", list.join(", "));
    assert_eq!(value(&session, &sql).await.as_deref(), Some("500"));
}

#[tokio::test]
async fn failures_carry_code_message_and_query_id() {
    let double = double().await;
    let session = session(&double).await;
    let error = session.query("select nope from t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.snowflake_code(), Some("000904"));
    assert!(error.snowflake_message().unwrap().contains("invalid identifier 'NOPE'"));
    assert!(error.query_id().is_some());
    let error = session.query("select soundex('x')").await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("000002"));
    assert!(error.snowflake_message().unwrap().contains("SOUNDEX"));
}

#[tokio::test]
async fn results_are_counted_and_read_again_by_their_id() {
    let double = double().await;
    double.knobs().set_inline_rows(10);
    let session = session(&double).await;
    let cursor = session.query("select id from t where id <= 50 order by id desc").await.unwrap();
    let id = cursor.query_id().to_owned();
    let count = format!("select count(*)::number(38,0) as n from table(result_scan('{id}'))");
    assert_eq!(value(&session, &count).await.as_deref(), Some("50"));
    let again = format!("select max(id), min(id) from table(result_scan('{id}'))");
    assert_eq!(
        rows(&session, &again).await.unwrap(),
        [[Some("50".to_owned()), Some("1".to_owned())]]
    );
    let last = "select count(*) from table(result_scan(last_query_id()))";
    assert_eq!(value(&session, last).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn old_results_are_forgotten() {
    let double = double().await;
    double.knobs().set_kept_results(2);
    let session = session(&double).await;
    let first = session.query("select 1").await.unwrap().query_id().to_owned();
    let scan = format!("select * from table(result_scan('{first}'))");
    assert_eq!(value(&session, &scan).await.as_deref(), Some("1"));
    session.query("select 2").await.unwrap();
    session.query("select 3").await.unwrap();
    let error = session.query(scan).await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("000709"));
}

#[tokio::test]
async fn rows_without_an_order_may_come_in_any() {
    let double = double().await;
    double.knobs().set_row_order(RowOrder::Shuffled(1));
    let session = session(&double).await;
    let ids = |sql: &'static str| {
        let session = &session;
        async move {
            let rows = rows(session, sql).await.unwrap();
            rows.into_iter().map(|row| row[0].clone().unwrap()).collect::<Vec<_>>()
        }
    };
    let stored = ids("select id from t order by id").await;
    let shuffled = ids("select id from t").await;
    assert_ne!(shuffled, stored);
    assert_eq!(ids("select id from t").await, shuffled, "the seed repeats the order");
    let mut sorted = shuffled;
    sorted.sort_by_key(|id| id.parse::<i32>().unwrap());
    assert_eq!(sorted, stored);
}

#[tokio::test]
async fn parquet_files_become_tables() {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let path = std::env::temp_dir().join(format!("double-{}.parquet", std::process::id()));
    let batch = RecordBatch::try_from_iter([
        ("flight_id", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef),
        ("carrier", Arc::new(StringArray::from(vec!["UA", "AA"]))),
    ])
    .unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let double = Double::builder()
        .account("acme")
        .user(User::password("mover", "secret"))
        .parquet("DB.SC.EXACT", &path, ColumnNames::Exact)
        .parquet("DB.SC.UPPER", &path, ColumnNames::Upper)
        .start()
        .await
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let session = session(&double).await;
    assert_eq!(value(&session, "select sum(flight_id) from upper").await.as_deref(), Some("1"));
    let sql = "select \"carrier\" from exact where \"flight_id\" is null";
    assert_eq!(value(&session, sql).await.as_deref(), Some("AA"));
    let missing =
        Double::builder().parquet("DB.SC.T", "/nowhere", ColumnNames::Exact).start().await;
    assert!(missing.unwrap_err().to_string().contains("/nowhere"));
}

#[tokio::test]
async fn tables_come_and_go_while_the_double_runs() {
    let double = double().await;
    let session = session(&double).await;
    double.create_table(Table::new("DB.NEW.X").column("A", Type::Date)).unwrap();
    assert_eq!(value(&session, "select count(*) from db.new.x").await.as_deref(), Some("0"));
    assert!(double.create_table(thousand()).unwrap_err().to_string().contains("DB.SC.T"));
    double.drop_table("DB.NEW.X").unwrap();
    let error = session.query("select 1 from db.new.x").await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("002003"));
    assert!(double.drop_table("DB.NEW.X").is_err());
    double.replace_table(Table::new("DB.SC.T").column("OTHER", Type::Date)).unwrap();
    assert_eq!(rows(&session, "select other from t").await.unwrap().len(), 0);
}
