//! Rows, keys and moments as they come out of the source.

use migrate_core::arrow::array::{Array, AsArray};
use migrate_core::arrow::compute::concat_batches;
use migrate_core::arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64NanosecondType,
};
use migrate_core::value::for_each_scalar;
use migrate_core::{
    ColumnName, ColumnType, Dialect, Extent, Float, Predicate, Scalar, ScanRequest, Source, code,
};
use snowflake_double::{Table, Type, Value};

use crate::snowflake_support::{double, everything, open, orders, read, row_count, source, table};

#[tokio::test]
async fn inline_rows_and_parts_arrive_in_the_asked_columns() {
    let double = double().table(orders()).start().await.expect("starts");
    double.knobs().set_inline_rows(50);
    double.knobs().set_chunk_rows(100).expect("not zero");
    let orders = open(&double, "ORDERS").await;
    let batches = read(orders.as_ref(), everything(&["Name", "ID"])).await.expect("rows");
    assert_eq!(row_count(&batches), 1000);
    let all = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    assert_eq!(all.column(0).as_string::<i32>().value(999), "order 999");
    let ids = all.column(1).as_primitive::<Decimal128Type>();
    assert_eq!((ids.value(999), ids.null_count()), (999, 100));
    let counts = double.count_statements(|sql| sql.contains("RESULT_SCAN"));
    assert_eq!(counts, 1, "an uncounted extract is counted");
}

#[tokio::test]
async fn a_caller_that_counts_saves_the_statement() {
    let double = double().table(orders()).start().await.expect("starts");
    let orders = open(&double, "ORDERS").await;
    let request = everything(&["ID"]).with_expected_rows(Some(1000));
    read(orders.as_ref(), request).await.expect("rows");
    assert_eq!(double.count_statements(|sql| sql.contains("RESULT_SCAN")), 0);
}

#[tokio::test]
async fn every_type_keeps_its_value() {
    let torture = Table::new("DB.PUBLIC.T")
        .column("BIG", Type::number(38, 0))
        .column("DEC", Type::number(38, 10))
        .column("F", Type::Float)
        .column("S", Type::varchar())
        .column("B", Type::Boolean)
        .column("D", Type::Date)
        .column("TM", Type::time(9))
        .column("NTZ", Type::timestamp_ntz(9))
        .column("LTZ", Type::timestamp_ltz(6))
        .column("TZ", Type::timestamp_tz(9))
        .column("BIN", Type::binary())
        .column("V", Type::Variant)
        .row(
            [
                "12345678901234567890123456789012345678",
                "-0.0000000001",
                "NaN",
                "line1\nline2\t\"q\" \\N é🚀",
                "true",
                "0001-01-01",
                "10:11:12.123456789",
                "9999-12-31 23:59:59.999999999",
                "1969-12-31 23:59:59.999999 +00:00",
                "2024-01-01 10:11:12.5 +05:30",
                "00FF10",
                "{\"n\": 1}",
            ]
            .map(Value::lit),
        )
        .row(std::array::from_fn::<_, 12, _>(|_| Value::Null));
    let double = double().table(torture).start().await.expect("starts");
    let opened = open(&double, "T").await;
    let names: Vec<_> =
        opened.schema().columns.iter().map(|c| c.name.as_str().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let batches = read(opened.as_ref(), everything(&names)).await.expect("rows");
    let rows = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    assert_eq!(rows.num_rows(), 2);
    assert!(rows.columns().iter().all(|column| column.is_null(1)), "NULL in every type");

    let at = |name: &str| rows.column_by_name(name).expect(name);
    let big = at("BIG").as_primitive::<Decimal128Type>().value(0);
    assert_eq!(big, 12_345_678_901_234_567_890_123_456_789_012_345_678);
    assert_eq!(at("DEC").as_primitive::<Decimal128Type>().value(0), -1);
    assert!(at("F").as_primitive::<Float64Type>().value(0).is_nan());
    assert_eq!(at("S").as_string::<i32>().value(0), "line1\nline2\t\"q\" \\N é🚀");
    assert!(at("B").as_boolean().value(0));
    assert_eq!(at("D").as_primitive::<Date32Type>().value(0), -719_162);
    let time = at("TM").as_primitive::<Time64NanosecondType>().value(0);
    assert_eq!(time, 36_672_123_456_789);
    let ntz = at("NTZ").as_struct();
    assert_eq!(ntz.column(0).as_primitive::<Int64Type>().value(0), 253_402_300_799);
    assert_eq!(ntz.column(1).as_primitive::<Int32Type>().value(0), 999_999_999);
    let tz = at("TZ").as_struct();
    assert_eq!(tz.column(0).as_primitive::<Int64Type>().value(0), 1_704_084_072);
    assert_eq!(tz.column(2).as_primitive::<Int32Type>().value(0), 330);
    assert_eq!(at("BIN").as_binary::<i32>().value(0), [0, 255, 16]);
    assert_eq!(at("V").as_string::<i32>().value(0).replace(char::is_whitespace, ""), "{\"n\":1}");
    let mut instant = None;
    for_each_scalar(at("LTZ"), &"LTZ".into(), |value| {
        instant = instant.clone().or(value);
        Ok(())
    })
    .expect("an instant");
    assert_eq!(instant.expect("a value").to_string(), "1969-12-31 23:59:59.999999 UTC");
}

/// Doubles of which a result in JSON shows too few digits.
const LONG_DOUBLES: [f64; 9] = [
    0.300_000_000_000_000_04,
    f64::MAX,
    f64::MIN,
    5e-324,
    f64::MIN_POSITIVE,
    -0.0,
    1.0 / 3.0,
    9_007_199_254_740_993.0,
    123_456.789_012_345_67,
];

#[tokio::test]
async fn every_bit_of_a_double_arrives() {
    let doubles = LONG_DOUBLES.into_iter().chain([f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    let expected: Vec<u64> = doubles.clone().map(f64::to_bits).collect();
    let table = Table::new("DB.PUBLIC.T")
        .column("ID", Type::number(9, 0))
        .column("F", Type::Float)
        .rows((0..).zip(doubles).map(|(id, value)| vec![Value::from(id), Value::from(value)]))
        .row([Value::from(99), Value::Null]);
    let double = double().table(table).start().await.expect("starts");
    let opened = open(&double, "T").await;
    let request = everything(&["F"]).with_order(vec!["ID".into()]);
    let batches = read(opened.as_ref(), request).await.expect("rows");
    let rows = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    let found = rows.column_by_name("F").expect("F").as_primitive::<Float64Type>();
    let bits: Vec<_> = found.iter().flatten().map(f64::to_bits).collect();
    assert_eq!(bits, expected);
    assert!(found.is_null(expected.len()));
}

#[tokio::test]
async fn doubles_are_sorted_chosen_and_greatest_by_value_and_not_by_their_text() {
    let values = [10.0, 9.0, -1.0, 0.300_000_000_000_000_04, 0.3];
    let table = Table::new("DB.PUBLIC.T")
        .column("F", Type::Float)
        .rows(values.map(|value| vec![Value::from(value)]));
    let double = double().table(table).start().await.expect("starts");
    let opened = open(&double, "T").await;
    let bound = |value: f64| Scalar::Float(Float::new(value));
    let column = ColumnName::from("F");
    for (lower, expected) in [
        (f64::NEG_INFINITY, [-1.0, 0.3, 0.300_000_000_000_000_04, 9.0, 10.0].as_slice()),
        (0.300_000_000_000_000_04, &[0.300_000_000_000_000_04, 9.0, 10.0]),
        (f64::NAN, &[]),
    ] {
        let predicate = Predicate::range("F", Some(bound(lower)), None);
        assert_eq!(opened.count(&predicate).await.expect("counts"), expected.len() as u64);
        let request = ScanRequest::new(vec![column.clone()], Extent::Rows { predicate })
            .with_order(vec![column.clone()]);
        let batches = read(opened.as_ref(), request).await.expect("rows");
        let found: Vec<f64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Float64Type>().values().to_vec())
            .collect();
        assert_eq!(found, expected);
    }
    let below = Predicate::range("F", None, Some(bound(9.0)));
    for (filter, expected) in [(Predicate::All, 10.0), (below, 0.300_000_000_000_000_04)] {
        let greatest = opened.greatest(&column, &filter).await.expect("asks");
        assert_eq!(greatest.value, Some(bound(expected)));
    }
}

#[tokio::test]
async fn columns_are_described_as_the_wire_will_bring_them() {
    let spec = Table::new("DB.PUBLIC.T")
        .required_column("N", Type::number(12, 2))
        .column("S", Type::varchar_of(20))
        .column("long", Type::varchar())
        .column("O", Type::Object);
    let double = double().table(spec).start().await.expect("starts");
    let opened = open(&double, "T").await;
    let described: Vec<_> = opened
        .schema()
        .columns
        .iter()
        .map(|column| (column.native_type.as_str(), column.column_type.clone(), column.nullable))
        .collect();
    assert_eq!(
        described,
        [
            ("NUMBER(12,2)", ColumnType::Number { precision: 12, scale: 2 }, false),
            ("VARCHAR(20)", ColumnType::Text { max_chars: Some(20) }, true),
            ("VARCHAR", ColumnType::Text { max_chars: None }, true),
            ("OBJECT", ColumnType::Json, true),
        ]
    );
}

#[tokio::test]
async fn parts_of_a_key_and_a_filter_select_exactly_their_rows() {
    let double = double().table(orders()).start().await.expect("starts");
    let opened = open(&double, "ORDERS").await;
    let key = ColumnName::from("ID");
    let filter = Predicate::Raw {
        dialect: Dialect::Snowflake,
        sql: "\"Name\" <> 'order 7' -- all but one".into(),
    };
    let mut seen = 0;
    for predicate in Predicate::partition(&key, &[250.into(), 251.into(), 900.into()]) {
        let counted = opened.count(&predicate.clone().and(filter.clone())).await.expect("count");
        let request = ScanRequest::new(vec![key.clone()], Extent::Rows { predicate })
            .with_filter(filter.clone());
        let batches = read(opened.as_ref(), request).await.expect("rows");
        assert_eq!(row_count(&batches) as u64, counted);
        seen += counted;
    }
    assert_eq!(seen, 999);
}

#[tokio::test]
async fn a_pinned_moment_does_not_move() {
    let double = double().table(orders()).start().await.expect("starts");
    let source = source(&double);
    let moment = source.pin().await.expect("pins").expect("Snowflake has time travel");
    let opened = source.open(&table("ORDERS"), Some(&moment)).await.expect("opens");
    assert_eq!(opened.snapshot(), Some(&moment));
    double.insert("DB.PUBLIC.ORDERS", [[Value::from(5000), Value::Null]]).expect("a late row");
    assert_eq!(opened.count(&Predicate::All).await.expect("count"), 1000);
    let batches = read(opened.as_ref(), everything(&["ID"])).await.expect("rows");
    assert_eq!(row_count(&batches), 1000);
    let present = source.open(&table("ORDERS"), None).await.expect("opens");
    assert_eq!(present.count(&Predicate::All).await.expect("count"), 1001);
}

#[tokio::test]
async fn an_object_without_time_travel_is_read_as_it_is_now() {
    let double = double().table(orders()).start().await.expect("starts");
    double.deny_time_travel("DB.PUBLIC.ORDERS").expect("known");
    let source = source(&double);
    let moment = source.pin().await.expect("pins");
    let opened = source.open(&table("ORDERS"), moment.as_ref()).await.expect("opens");
    assert_eq!(opened.snapshot(), None);
    assert_eq!(opened.count(&Predicate::All).await.expect("count"), 1000);
}

#[tokio::test]
async fn a_missing_table_offers_the_nearest_name() {
    let lower = Table::new("DB.PUBLIC.\"multipayer_payer\"").column("ID", Type::number(38, 0));
    let double = double().table(orders()).table(lower).start().await.expect("starts");
    let source = source(&double);
    let typo = source.open(&table("ORDRES"), None).await.expect_err("missing");
    assert_eq!(typo.code(), code::SOURCE_TABLE_MISSING);
    assert!(typo.to_string().contains("did you mean ORDERS?"), "{typo}");
    let case = source.open(&table("MULTIPAYER_PAYER"), None).await.expect_err("missing");
    assert!(case.to_string().contains(r#""source": "\"multipayer_payer\"""#), "{case}");
}
