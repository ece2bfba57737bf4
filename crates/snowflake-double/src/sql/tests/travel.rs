//! Time travel and stored results.

use std::sync::Arc;

use super::{NOW, World};
use crate::sql::Binds;
use crate::table::TableName;
use crate::value::Value;

/// N was made an hour ago; half an hour ago it got an eleventh row.
fn world() -> World {
    let mut world = World::new();
    let name = TableName::parse("DB.SC.N").unwrap();
    let row = vec![Value::from(11), Value::Null, Value::Null, Value::Null];
    world.catalog.insert(&name, &[row], (NOW - 1_800) * 1_000).unwrap();
    world
}

fn at(instant: &str) -> String {
    format!("select count(*) from n at(timestamp => {instant})")
}

#[test]
fn each_instant_reads_its_version() {
    let mut world = world();
    assert_eq!(world.column("select count(*) from n"), "11");
    assert_eq!(world.column(&at("'2024-03-10 11:29:59.999 +0000'::timestamp_ltz")), "10");
    assert_eq!(world.column(&at("'2024-03-10 11:30:00.000 Z'::timestamp_tz")), "11");
    assert_eq!(world.column(&at("'2024-03-10 11:15:00'::timestamp_ntz")), "10");
    assert_eq!(world.column(&at("current_timestamp()")), "11");
    assert_eq!(world.column(&at("dateadd(minute, -45, current_timestamp())")), "10");
    assert_eq!(world.column("select count(*) from n at(offset => -60 * 45) as old"), "10");
    assert_eq!(
        world.column(
            "select count(*) from n before(timestamp => '2024-03-10 11:30:00.000 Z'::timestamp_ltz)"
        ),
        "10"
    );
    world.binds = Binds::of(&[("1", "TEXT", Some("2024-03-10 11:15:00.000 +0000"))]);
    assert_eq!(world.column(&at("?::timestamp_ltz")), "10");
}

#[test]
fn time_travel_has_its_limits() {
    let mut world = world();
    for instant in
        ["'2024-03-10 10:59:59.999 Z'::timestamp_ltz", "'2024-03-09 11:59:59 Z'::timestamp_ltz"]
    {
        let (code, message) = world.failure(&at(instant));
        assert_eq!(code, "000707");
        assert!(message.contains("table N."), "{message}");
    }
    assert!(world.failure(&at("'2024-03-10 12:00:01 Z'::timestamp_ltz")).1.contains("future"));
    assert!(world.failure(&at("'2024-03-10 11:30:00 Z'")).1.contains("cast"));
    let name = TableName::parse("DB.SC.N").unwrap();
    world.catalog.set_time_travel(&name, false).unwrap();
    assert_eq!(world.failure(&at("current_timestamp()")).0, "000707");
}

#[test]
fn results_can_be_scanned_again() {
    let mut world = World::new();
    let result = world.execute("select k as \"small\", n from n where k < 4").unwrap().result;
    world.kept.0.insert("01ab".to_owned(), Arc::new(result));
    assert_eq!(
        world.column("select count(*)::number(38,0) as n from table(result_scan('01ab'))"),
        "3"
    );
    assert_eq!(
        world.column("select \"small\" from table(result_scan('01ab')) where n is null"),
        "3"
    );
    world.session.last_query = Some(Arc::from("01ab"));
    assert_eq!(world.column("select max(\"small\") from table(result_scan(last_query_id()))"), "3");
    assert_eq!(world.failure("select * from table(result_scan('nope'))").0, "000709");
}
