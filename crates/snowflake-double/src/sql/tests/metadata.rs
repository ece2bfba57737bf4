//! `INFORMATION_SCHEMA`, SHOW, DESCRIBE, session statements.

use super::World;
use crate::sql::Change;

fn cells(row: &[Option<String>]) -> Vec<&str> {
    row.iter().map(|cell| cell.as_deref().unwrap_or("~")).collect()
}

#[test]
fn information_schema_describes_tables_and_columns() {
    let world = World::new();
    let rows = world.rows(
        "select table_catalog, table_schema, table_name, table_type, row_count, clustering_key, comment \
         from information_schema.tables where table_schema = 'SC' order by table_name",
    );
    assert_eq!(cells(&rows[0]), ["DB", "SC", "N", "BASE TABLE", "10", "LINEAR(K)", "numbers"]);
    assert_eq!(cells(&rows[2]), ["DB", "SC", "Words", "BASE TABLE", "4", "~", "~"]);
    let columns = world.rows(
        "select column_name, ordinal_position, is_nullable, data_type, numeric_precision, \
         numeric_scale, datetime_precision, character_maximum_length, collation_name, comment \
         from \"DB\".information_schema.columns where table_name in ('N', 'Words') \
         order by table_name, ordinal_position",
    );
    assert_eq!(cells(&columns[0]), ["K", "1", "NO", "NUMBER", "38", "0", "~", "~", "~", "~"]);
    assert_eq!(cells(&columns[1]), ["G", "2", "YES", "TEXT", "~", "~", "~", "10", "~", "parity"]);
    assert_eq!(cells(&columns[3]), ["F", "4", "YES", "FLOAT", "~", "~", "~", "~", "~", "~"]);
    assert_eq!(
        cells(&columns[6]),
        ["CI", "3", "YES", "TEXT", "~", "~", "~", "16777216", "en-ci", "~"]
    );
    let precision =
        "select datetime_precision from information_schema.columns where column_name = 'TM'";
    assert_eq!(world.column(precision), "9");
    assert!(world.rows("select bytes from information_schema.tables")[0][0].is_some());
    assert_eq!(world.failure("select 1 from nope.information_schema.tables").0, "002003");
    assert!(world.failure("select 1 from information_schema.views").1.contains("VIEWS"));
}

#[test]
fn show_lists_objects() {
    let world = World::new();
    let name = |sql: &str, column: usize| {
        let rows = world.rows(sql);
        rows.iter().map(|row| row[column].clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(name("show tables", 1), ["N", "TORTURE", "Words"]);
    assert_eq!(name("show tables like 'w%' in schema \"DB\".\"SC\"", 1), ["Words"]);
    assert_eq!(name("show tables in database db", 7), ["10", "4", "4"]);
    assert_eq!(name("show columns in table db.sc.n", 2), ["K", "G", "N", "F"]);
    assert_eq!(
        name("show columns in table db.sc.n", 3)[0],
        r#"{"nullable":false,"precision":38,"scale":0,"type":"FIXED"}"#
    );
    assert_eq!(name("show primary keys in table \"DB\".\"SC\".\"N\"", 4), ["K"]);
    assert_eq!(name("show primary keys in table \"Words\"", 4), [""; 0]);
    assert_eq!(name("show parameters like 'timez%' in session", 1), ["UTC"]);
    assert_eq!(name("show parameters like 'json_indent'", 1), ["2"]);
    assert_eq!(name("show schemas in database db", 0), ["SC"]);
    assert_eq!(name("show databases", 0), ["DB"]);
    assert_eq!(world.failure("show tables in schema db.nope").0, "002003");
    assert_eq!(world.failure("show columns in table nope").0, "002003");
    assert!(world.failure("show grants to user x").1.contains("SHOW grants"));
    assert_eq!(
        name("describe table n", 1),
        ["NUMBER(38,0)", "VARCHAR(10)", "NUMBER(10,2)", "FLOAT"]
    );
    assert_eq!(name("desc table \"Words\"", 1)[2], "VARCHAR(16777216) COLLATE 'en-ci'");
}

#[test]
fn session_statements_report_their_change() {
    let world = World::new();
    let change = |sql: &str| world.execute(sql).map(|outcome| outcome.change.unwrap());
    assert_eq!(
        change("alter session set timezone = 'UTC', json_indent = 0"),
        Ok(Change::Set(vec![
            ("TIMEZONE".into(), "UTC".into()),
            ("JSON_INDENT".into(), "0".into())
        ]))
    );
    assert_eq!(change("alter session unset timezone"), Ok(Change::Unset(vec!["TIMEZONE".into()])));
    assert_eq!(change("use schema db.sc"), Ok(Change::UseSchema("DB".into(), "SC".into())));
    assert_eq!(change("use database db"), Ok(Change::UseDatabase("DB".into())));
    assert_eq!(change("use warehouse w"), Ok(Change::UseWarehouse("W".into())));
    assert_eq!(world.failure("use database nope").0, "002003");
    assert!(world.failure("alter session set nonsense = 1").1.contains("NONSENSE"));
    assert!(world.failure("alter session set week_start = 3").1.contains("WEEK_START"));
    assert_eq!(world.column("begin"), "Statement executed successfully.");
    assert_eq!(world.column("call system$wait(0)"), "waited 0 seconds");
}

#[test]
fn sessions_know_who_they_are() {
    let world = World::new();
    let sql = "select current_account(), current_user(), current_role(), current_warehouse(), \
               current_database(), current_schema(), current_session()";
    assert_eq!(cells(&world.rows(sql)[0]), ["ACME", "MOVER", "READER", "WH", "DB", "SC", "7"]);
    assert_eq!(
        world.value("system$last_change_commit_time('DB.SC.N')").as_deref(),
        Some("1710068400000000000")
    );
}

#[test]
fn a_missing_warehouse_is_reported_when_tables_are_read() {
    let mut world = World::new();
    world.account.warehouses = vec!["WH".to_owned()];
    assert_eq!(world.column("select k from n where k = 1"), "1");
    world.session.warehouse = None;
    assert_eq!(world.failure("select 1 from n").0, "000606");
    assert_eq!(world.column("select 1"), "1");
    assert_eq!(world.failure("use warehouse nope").0, "002003");
}
