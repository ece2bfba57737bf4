//! The values that break movers of data, through storage and out on the wire.

use super::World;
use crate::table::Table;
use crate::types::Type;
use crate::value::Value;

pub(super) fn table() -> Table {
    let lit = |text: &str| Value::lit(text);
    let null = || Value::Null;
    Table::new("DB.SC.TORTURE")
        .required_column("ID", Type::number(38, 0))
        .column("BIG", Type::number(38, 0))
        .column("DEC10", Type::number(38, 10))
        .column("DEC2", Type::number(28, 2))
        .column("Payer Id", Type::varchar())
        .column("NTZ", Type::timestamp_ntz(9))
        .column("LTZ", Type::timestamp_ltz(9))
        .column("TZ", Type::timestamp_tz(9))
        .column("TM", Type::time(9))
        .column("D", Type::Date)
        .column("B", Type::Boolean)
        .column("F", Type::Float)
        .column("S", Type::varchar())
        .column("BIN", Type::binary())
        .column("V", Type::Variant)
        .column("A", Type::Array)
        .column("O", Type::Object)
        .row([
            lit("1"),
            lit("12345678901234567890123456789012345678"),
            lit("1234567890123456789012345678.1234567891"),
            lit("12345678901234567890123456.78"),
            Value::from("p1"),
            lit("2024-01-01 10:11:12.123456789"),
            lit("2024-01-01 10:11:12.123456789 Z"),
            lit("2024-01-01 10:11:12.123456 +05:30"),
            lit("10:11:12.123456"),
            lit("2024-02-29"),
            Value::from(true),
            Value::from(0.1),
            Value::from("plain"),
            lit("00FF10"),
            Value::json(r#"{"n":12345678901234567890,"f":1.10,"z":null}"#),
            Value::json(r#"[1,null,"a"]"#),
            Value::json(r#"{"k":1}"#),
        ])
        .row([
            lit("2"),
            lit("-1"),
            lit("-0.0000000001"),
            lit("-0.01"),
            Value::from(""),
            lit("0001-01-01 00:00:00"),
            lit("1970-01-01 00:00:00 Z"),
            lit("1969-12-31 23:59:59.999999 -08:00"),
            lit("00:00:00"),
            lit("9999-12-31"),
            Value::from(false),
            Value::from(f64::NAN),
            Value::from("line1\nline2\t\"q\"\\N\\back"),
            Value::from(Vec::new()),
            Value::json("null"),
            Value::json("[]"),
            Value::json("{}"),
        ])
        .row([
            lit("3"),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            Value::from(f64::INFINITY),
            null(),
            null(),
            null(),
            null(),
            null(),
        ])
        .row([
            lit("4"),
            lit("9223372036854775808"),
            lit("0"),
            lit("0"),
            Value::from("été 🚀"),
            lit("9999-12-31 23:59:59.999999"),
            null(),
            null(),
            lit("23:59:59.999999"),
            lit("0001-01-01"),
            null(),
            Value::from(1e308),
            Value::from("\\N"),
            null(),
            Value::json("\"str\""),
            null(),
            null(),
        ])
}

#[test]
fn every_value_leaves_as_it_came() {
    let rows = World::new().rows("select * from torture order by id");
    let cells: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("~")).collect())
        .collect();
    assert_eq!(
        cells[0],
        [
            "1",
            "12345678901234567890123456789012345678",
            "1234567890123456789012345678.1234567891",
            "12345678901234567890123456.78",
            "p1",
            "1704103872.123456789",
            "1704103872.123456789",
            "1704084072.123456000 1770",
            "36672.123456000",
            "19782",
            "1",
            "0.1",
            "plain",
            "00FF10",
            r#"{"n":12345678901234567890,"f":1.10,"z":null}"#,
            r#"[1,null,"a"]"#,
            r#"{"k":1}"#,
        ]
    );
    assert_eq!(
        cells[1],
        [
            "2",
            "-1",
            "-0.0000000001",
            "-0.01",
            "",
            "-62135596800.000000000",
            "0.000000000",
            "28799.999999000 960",
            "0.000000000",
            "2932896",
            "0",
            "NaN",
            "line1\nline2\t\"q\"\\N\\back",
            "",
            "null",
            "[]",
            "{}",
        ]
    );
    assert_eq!(cells[2][0], "3");
    assert_eq!(cells[2][11], "inf");
    assert_eq!(cells[2].iter().filter(|cell| **cell == "~").count(), 15);
    assert_eq!(
        cells[3],
        [
            "4",
            "9223372036854775808",
            "0.0000000000",
            "0.00",
            "été 🚀",
            "253402300799.999999000",
            "~",
            "~",
            "86399.999999000",
            "-719162",
            "~",
            "1e308",
            "\\N",
            "~",
            "\"str\"",
            "~",
            "~",
        ]
    );
}

#[test]
fn ranges_and_orders_over_hard_values() {
    let world = World::new();
    assert_eq!(world.column("select id from torture order by f"), "1 4 3 2");
    assert_eq!(world.column("select id from torture order by big"), "2 4 1 3");
    assert_eq!(world.column("select id from torture order by dec10 desc"), "3 1 4 2");
    assert_eq!(world.column("select id from torture order by ntz"), "2 1 4 3");
    assert_eq!(world.column("select id from torture order by s"), "4 2 1 3");
    assert_eq!(
        world.column("select id from torture where big >= 9223372036854775808 order by 1"),
        "1 4"
    );
    assert_eq!(world.column("select id from torture where dec10 < 0"), "2");
    assert_eq!(
        world.column("select id from torture where tz < '1970-01-01 08:00:00 Z'::timestamp_tz"),
        "2"
    );
    assert_eq!(world.column("select id from torture where \"Payer Id\" = ''"), "2");
    assert_eq!(world.column("select count(v) from torture"), "3");
    assert_eq!(world.column("select max(d) - min(d) from torture"), "3652058");
    assert_eq!(
        world.column("select sum(big)::number(38,0) from torture where id in (1, 2)"),
        "12345678901234567890123456789012345677"
    );
}

#[test]
fn types_that_are_only_carried_arrive_as_their_text() {
    let mut world = World::new();
    let table = Table::new("DB.SC.GEO")
        .column("G", Type::Geography)
        .column("DF", Type::DecFloat)
        .column("VEC", Type::Vector)
        .row([Value::json("POINT(1 2)"), Value::json("1.5e-40"), Value::json("[1.5,inf]")]);
    world.catalog.create(table, 0).unwrap();
    let types = |world: &World| {
        let result = world.execute("select * from geo").unwrap().result;
        result.fields.iter().map(|field| field.ty.reported().wire_name()).collect::<Vec<_>>()
    };
    assert_eq!(types(&world), ["object", "decfloat", "vector"]);
    world.session.parameters.insert("GEOGRAPHY_OUTPUT_FORMAT".into(), "EWKT".into());
    assert_eq!(types(&world), ["text", "decfloat", "vector"]);
    assert_eq!(world.column("select g from geo"), "POINT(1 2)");
    assert!(world.failure("select vec::array from geo").1.contains("not finite"));
    assert!(world.failure("select st_asewkt(g) from geo").1.contains("GEOMETRY"));
    assert_eq!(world.column("select count(g) from geo where vec is not null"), "1");
    assert!(world.failure("select 1 from geo where df = df").1.contains("DECFLOAT"));
    world.session.parameters.insert("GEOGRAPHY_OUTPUT_FORMAT".into(), "WKB".into());
    assert!(world.failure("select g from geo").1.contains("WKB"));
}

#[test]
fn semi_structured_values_become_text() {
    let world = World::new();
    assert_eq!(
        world.column("select v::varchar from torture order by id"),
        r#"{"n":12345678901234567890,"f":1.10,"z":null} ~ ~ str"#
    );
    assert_eq!(
        world.column("select to_json(v) from torture order by id"),
        r#"{"n":12345678901234567890,"f":1.10,"z":null} null ~ "str""#
    );
    assert_eq!(
        world.column("select a::varchar from torture order by id"),
        r#"[1,null,"a"] [] ~ ~"#
    );
}
