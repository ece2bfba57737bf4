//! Values from the wire of the double to the table, through the program.

use serde_json::json;
use snowflake_double::{Double, Table, Type, Value};

use crate::support::World;

/// Four rows that alter something in most movers of data.
fn torture() -> Table {
    let lit = Value::lit;
    let columns = [
        ("BIG", Type::number(38, 0)),
        ("DEC10", Type::number(38, 10)),
        ("DEC2", Type::number(28, 2)),
        ("Payer Id", Type::varchar()),
        ("NTZ", Type::timestamp_ntz(9)),
        ("LTZ", Type::timestamp_ltz(9)),
        ("TZ", Type::timestamp_tz(9)),
        ("TM", Type::time(9)),
        ("D", Type::Date),
        ("B", Type::Boolean),
        ("F", Type::Float),
        ("S", Type::varchar()),
        ("BIN", Type::binary()),
        ("V", Type::Variant),
        ("A", Type::Array),
        ("O", Type::Object),
    ];
    let table = Table::new("DB.PUBLIC.TORTURE").required_column("ID", Type::number(38, 0));
    let table = columns.into_iter().fold(table, |table, (name, ty)| table.column(name, ty));
    let mut third = vec![lit("3")];
    third.extend(
        columns.map(|(name, _)| if name == "F" { Value::from(f64::INFINITY) } else { Value::Null }),
    );
    table
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
        .row(third)
        .row([
            lit("4"),
            lit("9223372036854775808"),
            lit("0"),
            lit("0"),
            Value::from("été 🚀"),
            lit("9999-12-31 23:59:59.999999"),
            Value::Null,
            Value::Null,
            lit("23:59:59.999999"),
            lit("0001-01-01"),
            Value::Null,
            Value::from(1e308),
            Value::from("\\N"),
            Value::Null,
            Value::json("\"str\""),
            Value::Null,
            Value::Null,
        ])
}

/// A column as the server shows it, by id; NULL is `~`.
async fn column(world: &World, table: &str, expression: &str) -> Vec<String> {
    let sql = format!(
        "select string_agg(coalesce(({expression})::text, '~'), '\u{1}' order by \"ID\") from {table}"
    );
    world.text(&sql).await.expect("rows").split('\u{1}').map(str::to_owned).collect()
}

const TARGET: &str = "create table torture (\"ID\" bigint primary key, \"BIG\" numeric(38,0), \
    \"DEC10\" numeric(38,10), \"DEC2\" numeric(28,2), \"Payer Id\" text, \"NTZ\" timestamp, \
    \"LTZ\" timestamptz, \"TZ\" timestamptz, tz_offset smallint, \"TM\" time, \"D\" date, \"B\" boolean, \
    \"F\" double precision, \"S\" text, \"BIN\" bytea, \"V\" jsonb, \"A\" jsonb, \"O\" json); \
    create table spelled (\"ID\" bigint, \"NTZ\" text, \"LTZ\" text, \"TZ\" text, \"BIG\" text, \"F\" text, \
    \"V\" text)";

#[tokio::test]
async fn every_value_of_the_torture_table_arrives_exact() {
    let world = World::new(Double::builder().table(torture()), TARGET).await;
    let offset = json!({"TZ": {"offset_column": "tz_offset"}});
    world.write_config(&world.config(&json!([
        {"source": "TORTURE", "target": "torture", "column_policies": offset},
        {"source": "TORTURE", "target": "spelled"},
    ])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for (expression, expected) in [
        ("\"BIG\"", ["12345678901234567890123456789012345678", "-1", "~", "9223372036854775808"]),
        (
            "\"DEC10\"",
            ["1234567890123456789012345678.1234567891", "-0.0000000001", "~", "0.0000000000"],
        ),
        ("\"DEC2\"", ["12345678901234567890123456.78", "-0.01", "~", "0.00"]),
        ("\"Payer Id\"", ["p1", "", "~", "été 🚀"]),
        (
            "\"NTZ\"",
            [
                "2024-01-01 10:11:12.123456",
                "0001-01-01 00:00:00",
                "~",
                "9999-12-31 23:59:59.999999",
            ],
        ),
        (
            "\"LTZ\" at time zone 'UTC'",
            ["2024-01-01 10:11:12.123456", "1970-01-01 00:00:00", "~", "~"],
        ),
        (
            "\"TZ\" at time zone 'UTC'",
            ["2024-01-01 04:41:12.123456", "1970-01-01 07:59:59.999999", "~", "~"],
        ),
        ("tz_offset", ["330", "-480", "~", "~"]),
        ("\"TM\"", ["10:11:12.123456", "00:00:00", "~", "23:59:59.999999"]),
        ("\"D\"", ["2024-02-29", "9999-12-31", "~", "0001-01-01"]),
        ("\"B\"", ["true", "false", "~", "~"]),
        ("\"F\"", ["0.1", "NaN", "Infinity", "1e+308"]),
        ("\"S\"", ["plain", "line1\nline2\t\"q\"\\N\\back", "~", "\\N"]),
        ("\"BIN\"", ["\\x00ff10", "\\x", "~", "~"]),
        ("\"V\"", [r#"{"f": 1.10, "n": 12345678901234567890, "z": null}"#, "null", "~", "\"str\""]),
        ("\"A\"", [r#"[1, null, "a"]"#, "[]", "~", "~"]),
        ("\"O\"", [r#"{"k":1}"#, "{}", "~", "~"]),
    ] {
        assert_eq!(column(&world, "torture", expression).await, expected, "{expression}");
    }
    // The two times of nine digits are the only values that a column here cannot hold; the plan
    // said so, once, and texts hold them.
    let said: Vec<_> =
        ended.stderr.lines().filter(|line| line.contains("beyond 6 are cut")).collect();
    assert_eq!(said.len(), 1, "{}", ended.stderr);
    assert!(said[0].contains("\"NTZ\", \"LTZ\""), "{}", said[0]);
    for (expression, expected) in [
        (
            "\"NTZ\"",
            [
                "2024-01-01 10:11:12.123456789",
                "0001-01-01 00:00:00",
                "~",
                "9999-12-31 23:59:59.999999",
            ],
        ),
        ("\"LTZ\"", ["2024-01-01 10:11:12.123456789+00", "1970-01-01 00:00:00+00", "~", "~"]),
        (
            "\"TZ\"",
            ["2024-01-01 10:11:12.123456+05:30", "1969-12-31 23:59:59.999999-08:00", "~", "~"],
        ),
        ("\"BIG\"", ["12345678901234567890123456789012345678", "-1", "~", "9223372036854775808"]),
        ("\"F\"", ["0.1", "NaN", "Infinity", "1e+308"]),
        ("\"V\"", [r#"{"n":12345678901234567890,"f":1.10,"z":null}"#, "null", "~", "\"str\""]),
    ] {
        assert_eq!(column(&world, "spelled", expression).await, expected, "{expression}");
    }
}

#[tokio::test]
async fn every_bit_of_a_double_arrives_also_where_it_is_the_key() {
    let doubles = [0.300_000_000_000_000_04, 0.3, f64::MAX, 5e-324, -0.0, 1.0 / 3.0, f64::NAN];
    let many = (0..300).map(|n| f64::from(n) / 3.0);
    let table = Table::new("DB.PUBLIC.T")
        .required_column("ID", Type::number(9, 0))
        .column("F", Type::Float)
        .rows(
            (0..)
                .zip(doubles.into_iter().chain(many))
                .map(|(id, value)| vec![Value::from(id), Value::from(value)]),
        );
    let world = World::new(
        Double::builder().table(table),
        "create table t (\"ID\" int, \"F\" double precision)",
    )
    .await;
    world.write_config(&world.config(&json!([{
        "source": "T", "target": "t", "chunking_columns": ["F"],
        "chunking": {"strategy": "numeric_range"}, "batch_size_copy_mode": 100,
    }])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("t").await, 307);
    assert!(world.count("migration_status.migration_chunk_status").await > 1, "cut by the double");
    assert_eq!(
        column(&world, "t where \"ID\" < 7", "\"F\"").await,
        [
            "0.30000000000000004",
            "0.3",
            "1.7976931348623157e+308",
            "5e-324",
            "-0",
            "0.3333333333333333",
            "NaN"
        ]
    );
}

/// Every column in a type that cannot hold it: nothing is altered, and the plan says what it can.
#[tokio::test]
async fn the_torture_table_is_refused_where_it_does_not_fit() {
    let world = World::new(
        Double::builder().table(torture()),
        "create table impossible (\"ID\" bigint, \"BIG\" boolean, \"D\" uuid, \"BIN\" text, \"TM\" date); \
         create table lossy (\"ID\" bigint, \"NTZ\" timestamptz, \"D\" timestamptz); \
         create table narrow (\"ID\" bigint, \"BIG\" bigint); \
         create table exact (\"ID\" bigint, \"NTZ\" timestamp)",
    )
    .await;
    let attempt = async |target: &str, key: &str, value: &str| {
        let mut table = json!({"source": "TORTURE", "target": target});
        table[key] = json!(value);
        world.write_config(&world.config(&json!([table])));
        world.run(&[]).await
    };
    let ended = attempt("impossible", "fidelity", "warn").await;
    assert_eq!(ended.code, Some(1));
    for column in ["\"D\"", "\"BIN\"", "\"TM\""] {
        assert!(ended.stderr.contains(&format!("{column} ")), "{column}: {}", ended.stderr);
    }
    let ended = attempt("lossy", "fidelity", "strict").await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ["taken for UTC", "first moment in UTC", "\"warn\""]
            .iter()
            .all(|said| ended.stderr.contains(said)),
        "{}",
        ended.stderr
    );
    assert_eq!(world.count("lossy").await, 0);
    let ended = attempt("lossy", "fidelity", "warn").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("lossy").await, 4);
    let ended = attempt("narrow", "fidelity", "strict").await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("beyond the range"), "{}", ended.stderr);
    assert_eq!(world.count("narrow").await, 0);
    let ended = attempt("exact", "on_fraction", "reject").await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("finer than the 6 fraction digits"), "{}", ended.stderr);
    assert_eq!(world.count("exact").await, 0);
}

#[tokio::test]
async fn policies_of_columns_do_what_they_say() {
    let table = Table::new("DB.PUBLIC.T")
        .required_column("ID", Type::number(9, 0))
        .column("AT", Type::timestamp_ntz(9))
        .column("NOTE", Type::varchar())
        .column("V", Type::Variant)
        .column("W", Type::Array)
        .row([
            Value::from(1),
            Value::lit("2024-01-01 10:11:12.123456789"),
            Value::from("a\0b"),
            Value::json("[NaN,undefined,\"NaN\"]"),
            Value::json("[\"a\\u0000b\",-Infinity]"),
        ]);
    let world = World::new(
        Double::builder().table(table),
        "create table t (\"ID\" int, \"AT\" timestamp(3), \"NOTE\" text, \"V\" jsonb, \"W\" jsonb)",
    )
    .await;
    let mut source = json!({
        "source": "T", "target": "t", "on_nonjson": "null",
        "column_policies": {
            "AT": {"on_fraction": "round"},
            "NOTE": {"on_nul": "remove"},
            "W": {"on_nonjson": "text", "on_nul": "replace"},
        },
    });
    world.write_config(&world.config(&json!([source])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let row = world.text("select concat_ws('|', \"AT\", \"NOTE\", \"V\", \"W\") from t").await;
    assert_eq!(
        row.as_deref(),
        Some("2024-01-01 10:11:12.123|ab|[null, null, \"NaN\"]|[\"a\u{fffd}b\", \"-Infinity\"]")
    );
    // The stored plan holds what was chosen.
    let stored = world
        .text("select plan::text from migration_status.migration_table_status limit 1")
        .await
        .expect("a plan");
    assert!(stored.contains("\"on_fraction\"") && stored.contains("\"round\""), "{stored}");

    source["column_policies"] = json!({"Note": {"on_nul": "remove"}});
    source["truncate_onstart"] = json!(true);
    world.write_config(&world.config(&json!([source])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("did you mean \"NOTE\"?"), "{}", ended.stderr);
}

#[tokio::test]
async fn shapes_vectors_and_long_decimals_come_as_they_are() {
    let table = Table::new("DB.PUBLIC.T")
        .required_column("ID", Type::number(9, 0))
        .column("G", Type::Geography)
        .column("M", Type::Geometry)
        .column("DF", Type::DecFloat)
        .column("VEC", Type::Vector)
        .row([
            Value::from(1),
            Value::json(r#"{"type":"Point","coordinates":[1.5,-2]}"#),
            Value::json("SRID=3857;POINT(1 2)"),
            Value::json("1.5e-40"),
            Value::json("[1.5,0.1000000014901161,-3]"),
        ]);
    let world = World::new(
        Double::builder().table(table),
        "create table t (\"ID\" int, \"G\" jsonb, \"M\" text, \"DF\" numeric, \"VEC\" real[])",
    )
    .await;
    world.write_config(&world.config(&json!([{"source": "T", "target": "t"}])));
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let row =
        world.text("select concat_ws('|', \"G\", \"M\", \"DF\" * 1e40, \"VEC\") from t").await;
    let row = row.expect("a row");
    assert!(
        row.starts_with(
            "{\"type\": \"Point\", \"coordinates\": [1.5, -2]}|SRID=3857;POINT(1 2)|1.5"
        ),
        "{row}"
    );
    assert!(row.ends_with("|{1.5,0.1,-3}"), "{row}");
    assert!(world.double.count_statements(|sql| sql.contains("::ARRAY")) > 0, "with all digits");
}
