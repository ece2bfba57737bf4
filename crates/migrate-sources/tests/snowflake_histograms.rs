//! Histograms as Snowflake computes them, held against counting the rows ourselves; sizes, declared
//! keys and order.

use std::num::NonZeroU64;

use migrate_core::arrow::array::{AsArray, RecordBatch};
use migrate_core::arrow::compute::filter_record_batch;
use migrate_core::{
    Buckets, CalendarUnit, Canonical, ColumnName, Greatest, HistogramRequest, Key, Predicate,
    SourceTable, TableSize,
};
use snowflake_double::{Double, Table, Type, Value};

use crate::snowflake_support::{double, everything, open, read};

const COLUMNS: [&str; 10] = ["ID", "DEC", "F", "S", "CI", "B", "D", "NTZ", "LTZ", "TZ"];

/// One of the items, in turn.
fn pick<'a>(items: &[&'a str], row: i64) -> &'a str {
    items.iter().cycle().nth(usize::try_from(row).expect("not negative")).expect("an item")
}

/// Keys of every kind that collide, with gaps, NULLs and times before 1970.
fn torture() -> Table {
    let number = |row: i64| Value::from((row * row) % 23 - 7);
    let text =
        |row: i64| Value::from(pick(&["a", "B", "é", "A", "b", "", "🚀", "10", " 9 ", "1e1"], row));
    let date = |row: i64| {
        Value::lit(pick(
            &["0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "2024-03-01", "9999-12-31"],
            row,
        ))
    };
    let time = |row: i64, zone: &str| {
        let moments = [
            "1969-12-31 23:59:59.999999999",
            "2024-01-01 10:00:00",
            "2024-01-01 10:00:00.000000001",
            "2024-01-01 10:59:59.5",
            "2024-01-01 11:00:00",
            "2024-01-31 23:00:00",
            "2024-02-01 00:00:00",
            "0001-01-01 00:00:00",
        ];
        Value::lit(format!("{}{zone}", pick(&moments, row)))
    };
    let row = |row: i64| {
        let cells = [
            number(row),
            Value::lit(format!("{}.{:03}", row % 5 - 2, row % 3)),
            Value::lit(pick(&["NaN", "-1.5", "0", "2.25", "1e300"], row)),
            text(row),
            text(row + 3),
            Value::from(row % 2 == 0),
            date(row),
            time(row, ""),
            time(row, " +00:00"),
            time(row, pick(&[" +05:30", " -08:00"], row)),
        ];
        let nulls = (0..10).map(move |at| (row + at) % 9 == 0);
        cells
            .into_iter()
            .zip(nulls)
            .map(|(cell, is_null)| if is_null { Value::Null } else { cell })
            .collect::<Vec<_>>()
    };
    Table::new("DB.PUBLIC.T")
        .column("ID", Type::number(38, 0))
        .column("DEC", Type::number(38, 10))
        .column("F", Type::Float)
        .column("S", Type::varchar())
        .column("CI", Type::varchar())
        .collated("CI", "en-ci")
        .column("B", Type::Boolean)
        .column("D", Type::Date)
        .column("NTZ", Type::timestamp_ntz(9))
        .column("LTZ", Type::timestamp_ltz(9))
        .column("TZ", Type::timestamp_tz(9))
        .rows((0..97).map(row))
}

async fn started() -> Double {
    double().table(torture()).start().await.expect("starts")
}

async fn agrees(table: &dyn SourceTable, rows: &[RecordBatch], request: &HistogramRequest<'_>) {
    let found = table.histograms(request).await.expect("histograms");
    let expected = request.count(rows).expect("counts");
    assert_eq!(found, expected, "{request:?}");
}

#[tokio::test]
async fn snowflake_counts_as_we_do() {
    let double = started().await;
    let table = open(&double, "T").await;
    let rows = read(table.as_ref(), everything(&COLUMNS)).await.expect("rows");
    let plain = ["ID", "DEC", "F", "S", "CI", "B"].map(|name| (Key::from(name), Buckets::Even));
    let computed = [
        Key::number_in("S"),
        Key::hash_of("ID", Canonical::Integer),
        Key::hash_of("S", Canonical::Text),
        Key::hash_of("D", Canonical::Date),
    ]
    .map(|key| (key, Buckets::Even));
    let times = ["NTZ", "LTZ", "TZ"].map(|name| (Key::from(name), Buckets::Hours));
    let days = [Buckets::Days, Buckets::Each(CalendarUnit::Month)].map(|by| ("D".into(), by));
    let hours = ["NTZ", "TZ"].map(|name| (name.into(), Buckets::Each(CalendarUnit::Hour)));
    let keys = plain.into_iter().chain(computed).chain(times).chain(days).chain(hours);
    let mut statements = 0;
    for (key, buckets) in keys {
        for depth in [1, 2, 5, 40, 1_000] {
            let depth = NonZeroU64::new(depth).expect("not zero");
            let request = HistogramRequest::new(&key, depth).with_buckets(buckets);
            agrees(table.as_ref(), &rows, &request).await;
            let within = ["CI".into(), "B".into()];
            let nested = request.within(&within);
            agrees(table.as_ref(), &rows, &nested).await;
            agrees(table.as_ref(), &rows, &nested.with_groups_above(NonZeroU64::new(6))).await;
            statements += 3;
        }
    }
    assert_eq!(double.count_statements(|sql| sql.contains("PRECEDING")), statements, "one each");
}

#[tokio::test]
async fn the_greatest_value_its_ties_and_the_nulls_cost_one_statement() {
    let double = started().await;
    let table = open(&double, "T").await;
    let rows = read(table.as_ref(), everything(&COLUMNS)).await.expect("rows");
    let filter = Predicate::range("ID", Some(0.into()), None);
    let mut has_nulls = false;
    for name in ["ID", "DEC", "S", "CI", "D", "NTZ", "LTZ", "TZ"].map(ColumnName::from) {
        for filter in [&Predicate::All, &filter] {
            let before = double.statements().len();
            let found = table.greatest(&name, filter).await.expect("greatest");
            assert_eq!(double.statements().len() - before, 1);
            let mut expected = Greatest::default();
            for batch in &rows {
                let mask = filter.evaluate(batch).expect("evaluates");
                let batch = filter_record_batch(batch, &mask).expect("filters");
                expected
                    .add(batch.column_by_name(name.as_str()).expect("a column"), &name)
                    .expect("counts");
            }
            assert!(expected.rows > 0, "{name}");
            has_nulls |= expected.nulls > 0;
            assert_eq!(found, expected, "{name} where {filter}");
        }
    }
    assert!(has_nulls);
    let nothing = Predicate::range("ID", Some(1_000_000.into()), None);
    assert_eq!(table.greatest(&"D".into(), &nothing).await.expect("none"), Greatest::default());
}

#[tokio::test]
async fn doubles_that_differ_in_the_last_digit_are_cut_apart() {
    let doubles = [0.3, 0.300_000_000_000_000_04, 0.3_f64.next_down(), f64::MAX, 10.0, 9.0];
    let doubles = doubles.into_iter().chain([f64::NAN, f64::INFINITY]).map(Value::from);
    let spec = Table::new("DB.PUBLIC.T")
        .column("F", Type::Float)
        .column("B", Type::Boolean)
        .rows(doubles.chain([Value::Null]).map(|value| vec![value, Value::from(true)]));
    let double = double().table(spec).start().await.expect("starts");
    let table = open(&double, "T").await;
    let rows = read(table.as_ref(), everything(&["F", "B"])).await.expect("rows");
    for (key, within) in [("F", "B"), ("B", "F")] {
        let (key, within) = (Key::from(key), [Key::from(within)]);
        let request = HistogramRequest::new(&key, NonZeroU64::MIN);
        agrees(table.as_ref(), &rows, &request).await;
        agrees(table.as_ref(), &rows, &request.within(&within)).await;
    }
}

#[tokio::test]
async fn a_histogram_of_nothing_is_none() {
    let double = started().await;
    let table = open(&double, "T").await;
    let nothing = Predicate::range("ID", Some(1_000_000.into()), None);
    let key = "S".into();
    let request = HistogramRequest::new(&key, NonZeroU64::MIN).with_filter(&nothing);
    assert_eq!(table.histograms(&request).await.expect("histograms"), []);
}

#[tokio::test]
async fn sizes_and_keys_are_asked_once_and_without_reading() {
    let orders = Table::new("DB.PUBLIC.ORDERS")
        .required_column("REGION", Type::varchar())
        .required_column("ID", Type::number(38, 0))
        .column("DAY", Type::Date)
        .primary_key(["REGION", "ID"])
        .clustering_key("LINEAR(DAY, REGION)")
        .row([Value::from("n"), Value::from(1), Value::Null]);
    let double = double().table(orders).start().await.expect("starts");
    let table = open(&double, "ORDERS").await;
    let before = double.statements().len();
    let TableSize { rows, bytes } = table.size().await.expect("size");
    assert_eq!((rows, bytes.is_some()), (Some(1), true));
    let keys = table.declared_keys().await.expect("keys");
    assert_eq!(keys.primary, ["REGION".into(), "ID".into()]);
    assert_eq!(keys.clustering, ["DAY".into(), "REGION".into()]);
    assert_eq!(double.statements().len() - before, 2);
}

#[tokio::test]
async fn rows_arrive_in_the_order_that_is_asked_for() {
    let double = started().await;
    let table = open(&double, "T").await;
    assert!(table.can_sort());
    let request = everything(&["S"]).with_order(vec!["CI".into(), "ID".into()]);
    let batches = read(table.as_ref(), request).await.expect("rows");
    let request = everything(&["CI", "ID", "S"]);
    let rows = read(table.as_ref(), request).await.expect("rows");
    let all = |batches: &[RecordBatch], at: usize| -> Vec<Option<String>> {
        let texts = batches.iter().flat_map(|batch| batch.column(at).as_string::<i32>().iter());
        texts.map(|text| text.map(str::to_owned)).collect()
    };
    let ids: Vec<Option<i128>> = rows
        .iter()
        .flat_map(|batch| {
            batch.column(1).as_primitive::<migrate_core::arrow::datatypes::Decimal128Type>().iter()
        })
        .collect();
    let mut expected: Vec<_> = all(&rows, 0).into_iter().zip(ids).zip(all(&rows, 2)).collect();
    expected.sort_by_key(|((ci, id), _)| (ci.is_none(), ci.clone(), id.is_none(), *id));
    let expected: Vec<_> = expected.into_iter().map(|(_, text)| text).collect();
    assert_eq!(all(&batches, 0), expected);
}

#[tokio::test]
async fn people_can_see_what_holds_no_number() {
    let double = started().await;
    let table = open(&double, "T").await;
    let rows = Predicate::is_null(Key::number_in("S")).and(Predicate::range("S", None, None));
    let sql = table.statement_to_see(&"S".into(), &rows).expect("a statement");
    assert_eq!(
        sql,
        "select \"S\" from \"DB\".\"PUBLIC\".\"T\" where (try_to_number(\"S\", 38, 0) is null and \
         \"S\" is not null)"
    );
    let bound = Predicate::range("ID", Some(1.into()), None);
    assert_eq!(table.statement_to_see(&"S".into(), &bound), None, "parameters cannot be copied");
}
