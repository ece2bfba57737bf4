//! Values as PostgreSQL itself shows them after they went through binary COPY.

use std::sync::Arc;

use migrate_core::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, StringArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use migrate_core::arrow::datatypes::{Field, Schema};
use migrate_core::value::{EpochTime, MAX_DIGITS};
use migrate_core::{ColumnType, Decimal, code, to_arrow_form};
use migrate_postgres::sqlx::{self, Row as _};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Given, Target, batch, write};

/// Writes one value and reads it back as text.
async fn stored(
    target: &Target,
    table: &str,
    column_type: ColumnType,
    array: ArrayRef,
) -> Option<String> {
    let sink = target.table(table).await;
    write(sink.as_ref(), vec![Given("v", column_type, array)]).await.expect("fits");
    target.text(&format!("select v::text from {table}")).await
}

fn decimal(text: &str) -> (ColumnType, ArrayRef) {
    let value: Decimal = text.parse().expect(text);
    let array = Decimal128Array::from(vec![value.unscaled()])
        .with_precision_and_scale(MAX_DIGITS, i8::try_from(value.scale()).expect("small"))
        .expect("38 digits");
    (ColumnType::Number { precision: MAX_DIGITS, scale: value.scale() }, Arc::new(array))
}

fn nanos(value: i64) -> ArrayRef {
    let raw: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![value]));
    let given = batch(vec![Given("v", ColumnType::Timestamp { scale: 9 }, raw)]);
    let form = ColumnType::Timestamp { scale: 9 }.arrow();
    let wanted = Arc::new(Schema::new(vec![Field::new("v", form, true)]));
    Arc::clone(to_arrow_form(&given, &wanted).expect("two parts").column(0))
}

#[tokio::test]
async fn extremes_of_every_type_arrive_unchanged() {
    let text = ColumnType::Text { max_chars: None };
    let number = |precision, scale| ColumnType::Number { precision, scale };
    let utf8 = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let micros = |value| Arc::new(TimestampMicrosecondArray::from(vec![value])) as ArrayRef;
    let int = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let max38 = "99999999999999999999999999999999999999";
    let zoned = micros(-1).slice(0, 1);
    let cases: Vec<(&str, ColumnType, ArrayRef, &str)> = vec![
        ("smallint", ColumnType::Int16, Arc::new(Int16Array::from(vec![i16::MIN])), "-32768"),
        ("integer", ColumnType::Int32, Arc::new(Int32Array::from(vec![i32::MAX])), "2147483647"),
        ("bigint", ColumnType::Int64, int(i64::MIN), "-9223372036854775808"),
        ("bigint", ColumnType::Int16, Arc::new(Int16Array::from(vec![7])), "7"),
        ("numeric", decimal(max38).0, decimal(max38).1, max38),
        ("numeric(38,10)", decimal("-0.0000000001").0, decimal("-0.0000000001").1, "-0.0000000001"),
        ("numeric(19,0)", number(38, 0), decimal("9007199254740993").1, "9007199254740993"),
        ("numeric", decimal("0.00").0, decimal("0.00").1, "0.00"),
        ("smallint", number(38, 2), decimal("12.00").1, "12"),
        ("real", ColumnType::Float32, Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (
            "double precision",
            ColumnType::Float64,
            Arc::new(Float64Array::from(vec![f64::NAN])),
            "NaN",
        ),
        (
            "double precision",
            ColumnType::Float64,
            Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])),
            "-Infinity",
        ),
        ("double precision", ColumnType::Float32, Arc::new(Float32Array::from(vec![0.5])), "0.5"),
        ("boolean", ColumnType::Boolean, Arc::new(BooleanArray::from(vec![true])), "true"),
        ("text", text.clone(), utf8("été 🚀 \\N\t\"q\"\nline"), "été 🚀 \\N\t\"q\"\nline"),
        ("text", text.clone(), utf8(""), ""),
        ("varchar(3)", text.clone(), utf8("é🚀x"), "é🚀x"),
        ("json", ColumnType::Json, utf8("{\"b\": 1.10}"), "{\"b\": 1.10}"),
        (
            "jsonb",
            ColumnType::Json,
            utf8("{\"n\":12345678901234567890,\"f\":1.10,\"z\":null}"),
            "{\"f\": 1.10, \"n\": 12345678901234567890, \"z\": null}",
        ),
        (
            "uuid",
            text.clone(),
            utf8("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        (
            "bytea",
            ColumnType::Binary,
            Arc::new(BinaryArray::from(vec![&[0_u8, 255, 16][..]])),
            "\\x00ff10",
        ),
        ("bytea", ColumnType::Binary, Arc::new(BinaryArray::from(vec![&[][..]])), "\\x"),
        ("date", ColumnType::Date, Arc::new(Date32Array::from(vec![-719_162])), "0001-01-01"),
        ("date", ColumnType::Date, Arc::new(Date32Array::from(vec![2_932_896])), "9999-12-31"),
        (
            "time",
            ColumnType::Time { scale: 9 },
            Arc::new(Time64NanosecondArray::from(vec![86_399_999_999_000])),
            "23:59:59.999999",
        ),
        (
            "timestamp",
            ColumnType::Timestamp { scale: 6 },
            micros(-62_135_596_800_000_000),
            "0001-01-01 00:00:00",
        ),
        (
            "timestamp",
            ColumnType::Timestamp { scale: 6 },
            micros(253_402_300_799_999_999),
            "9999-12-31 23:59:59.999999",
        ),
        (
            "timestamp",
            ColumnType::Timestamp { scale: 9 },
            nanos(-1_000),
            "1969-12-31 23:59:59.999999",
        ),
        ("timestamptz", ColumnType::Instant { scale: 6 }, zoned, "1969-12-31 23:59:59.999999+00"),
    ];
    let target = Target::with("").await;
    for (at, (pg_type, column_type, array, expected)) in cases.into_iter().enumerate() {
        let table = format!("t{at}");
        target.execute(&format!("create table {table} (v {pg_type})")).await;
        let array = if pg_type == "timestamptz" { with_zone(&array) } else { array };
        let found = stored(&target, &table, column_type, array).await;
        assert_eq!(found.as_deref(), Some(expected), "{pg_type}");
    }
}

fn with_zone(array: &ArrayRef) -> ArrayRef {
    use migrate_core::arrow::array::AsArray;
    use migrate_core::arrow::datatypes::TimestampMicrosecondType;
    Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"))
}

#[tokio::test]
async fn null_is_null_in_every_type() {
    let target = Target::with(
        "create table t (a bigint, b numeric, c text, d timestamp, e uuid, f jsonb, g bytea)",
    )
    .await;
    let sink = target.table("t").await;
    let text = || Arc::new(StringArray::new_null(2)) as ArrayRef;
    let columns = vec![
        Given("a", ColumnType::Int64, Arc::new(Int64Array::new_null(2))),
        Given(
            "b",
            decimal("1.5").0,
            Arc::new(Decimal128Array::new_null(2).with_precision_and_scale(38, 1).expect("type")),
        ),
        Given("c", ColumnType::Text { max_chars: None }, text()),
        Given(
            "d",
            ColumnType::Timestamp { scale: 6 },
            Arc::new(TimestampMicrosecondArray::new_null(2)),
        ),
        Given("e", ColumnType::Uuid, Arc::new(FixedSizeBinaryArray::new_null(16, 2))),
        Given("f", ColumnType::Json, text()),
        Given("g", ColumnType::Binary, Arc::new(BinaryArray::new_null(2))),
    ];
    let summary = write(sink.as_ref(), columns).await.expect("fits");
    assert_eq!((summary.rows_read, summary.rows_inserted), (2, 2));
    let nulls =
        target.text("select count(*)::text from t where num_nonnulls(a,b,c,d,e,f,g) = 0").await;
    assert_eq!(nulls.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_value_that_would_be_altered_leaves_nothing_behind() {
    let target = Target::with("create table t (v numeric(5,2))").await;
    let sink = target.table("t").await;
    let values =
        Decimal128Array::from(vec![1_000, 1_005]).with_precision_and_scale(38, 3).expect("type");
    let column_type = ColumnType::Number { precision: 38, scale: 3 };
    let error = write(sink.as_ref(), vec![Given("v", column_type, Arc::new(values))]).await;
    let error = error.expect_err("the server would round");
    assert_eq!(error.code(), code::VALUE_REFUSED);
    assert_eq!((error.context("column"), error.context("row")), (Some("v"), Some("2")));
    assert_eq!(target.count("t").await, 0);
}

/// Random values of each wire form, with PostgreSQL as the oracle.
#[test]
fn random_values_come_back_equal() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let target = runtime.block_on(Target::with(
        "create table t (n integer, a bigint, b numeric, c text, d timestamp, e double precision)",
    ));
    let row = (
        any::<i64>(),
        (any::<i64>(), any::<u64>()),
        "[^\0]{0,12}",
        -62_135_596_800_000_000..253_402_300_799_999_999_i64,
        any::<f64>(),
    );
    let rows = vec(option::weighted(0.9, row), 1..60);
    let mut runner =
        TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    runner
        .run(&(rows, 0u8..=38), |(rows, scale)| {
            runtime.block_on(round_trip(&target, &rows, scale))?;
            Ok(())
        })
        .expect("every value comes back");
}

type Row = (i64, (i64, u64), String, i64, f64);

async fn round_trip(target: &Target, rows: &[Option<Row>], scale: u8) -> Result<(), TestCaseError> {
    let unscaled =
        |(high, low): (i64, u64)| ((i128::from(high) << 60) ^ i128::from(low)) % 10i128.pow(38);
    let column = |value: fn(&Row) -> i64| -> Int64Array {
        rows.iter().map(|row| row.as_ref().map(value)).collect()
    };
    let decimals: Decimal128Array =
        rows.iter().map(|row| row.as_ref().map(|row| unscaled(row.1))).collect();
    let decimals =
        decimals.with_precision_and_scale(38, i8::try_from(scale).expect("small")).expect("type");
    let texts: StringArray =
        rows.iter().map(|row| row.as_ref().map(|row| row.2.as_str())).collect();
    let times: TimestampMicrosecondArray =
        rows.iter().map(|row| row.as_ref().map(|row| row.3)).collect();
    let floats: Float64Array = rows.iter().map(|row| row.as_ref().map(|row| row.4)).collect();
    let numbers = Int32Array::from_iter_values(0..i32::try_from(rows.len()).expect("small"));
    let sink = target.table("t").await;
    let columns = vec![
        Given("n", ColumnType::Int32, Arc::new(numbers)),
        Given("a", ColumnType::Int64, Arc::new(column(|row| row.0))),
        Given("b", ColumnType::Number { precision: 38, scale }, Arc::new(decimals)),
        Given("c", ColumnType::Text { max_chars: None }, Arc::new(texts)),
        Given("d", ColumnType::Timestamp { scale: 6 }, Arc::new(times)),
        Given("e", ColumnType::Float64, Arc::new(floats)),
    ];
    target.execute("truncate t").await;
    write(sink.as_ref(), columns).await.expect("fits");
    let found = sqlx::query("select a, b::text, c, d::text, e from t order by n")
        .fetch_all(target.pool())
        .await
        .expect("reads");
    prop_assert_eq!(found.len(), rows.len());
    for (expected, found) in rows.iter().zip(&found) {
        let expected = expected.as_ref();
        prop_assert_eq!(found.get::<Option<i64>, _>(0), expected.map(|row| row.0));
        let decimal = |row: &Row| Decimal::new(unscaled(row.1), scale).to_string();
        prop_assert_eq!(found.get::<Option<String>, _>(1), expected.map(decimal));
        prop_assert_eq!(found.get::<Option<&str>, _>(2), expected.map(|row| row.2.as_str()));
        let time = found.get::<Option<String>, _>(3).map(|text| text.parse().expect("a time"));
        let micros = |row: &Row| EpochTime::from_micros(row.3).expect("in the calendar");
        prop_assert_eq!(time, expected.map(micros));
        let float = found.get::<Option<f64>, _>(4).map(f64::to_bits);
        prop_assert_eq!(float, expected.map(|row| row.4.to_bits()));
    }
    Ok(())
}
