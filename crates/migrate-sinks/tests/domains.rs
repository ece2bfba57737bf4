//! Domains: what their base type takes, under conditions that the server tests.

use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array};
use migrate_core::arrow::compute::concat;
use migrate_core::{ColumnType, Fidelity, Result, WriteSummary, code};

use crate::samples::array;
use crate::support::{Given, Target, plan, write};

const WORLD: &str = "\
    create domain price as numeric(8,2) check (value >= 0); \
    create domain label as varchar(5) not null check (value ~ '^[a-z]*$'); \
    create domain discount as price check (value < 100); \
    create domain day as date check (value > '2000-01-01'); \
    create domain tags as text[] check (cardinality(value) < 3); \
    create domain body as jsonb check (value ? 'k'); \
    create table t (id bigint primary key)";

fn given(column_type: &ColumnType, texts: &[Option<&str>]) -> Vec<Given> {
    let cells: Vec<ArrayRef> = texts.iter().map(|text| array(column_type, *text)).collect();
    let cells: Vec<&dyn migrate_core::arrow::array::Array> =
        cells.iter().map(AsRef::as_ref).collect();
    let ids = Int64Array::from_iter_values((1..).take(texts.len()));
    vec![
        Given("id", ColumnType::Int64, Arc::new(ids)),
        Given("v", column_type.clone(), concat(&cells).expect("one type")),
    ]
}

#[tokio::test]
async fn a_domain_takes_what_its_base_takes_under_its_own_conditions() {
    let target = Target::with(WORLD).await;
    let number = ColumnType::Number { precision: 12, scale: 3 };
    let text = ColumnType::Text { max_chars: None };
    let json = ColumnType::Json;
    for (domain, column_type, good, shown, bad) in [
        (
            "price",
            &number,
            "123456.780",
            "123456.78",
            ["-0.010", "0.001", "1234567.000"].as_slice(),
        ),
        ("discount", &number, "99.990", "99.99", &["100.000", "-1.000", "1.005"]),
        ("label", &text, "abcde", "abcde", &["abcdef", "AB", "a\0"]),
        ("price", &text, "1e2", "100.00", &["-1", "x", "0.001"]),
        ("day", &ColumnType::Date, "2024-02-29", "2024-02-29", &["1999-12-31"]),
        ("tags", &json, r#"["a",null]"#, "{a,NULL}", &[r#"["a","b","c"]"#, "[1]"]),
        ("body", &json, r#"{"k":1}"#, r#"{"k": 1}"#, &["{}", "[NaN]"]),
    ] {
        target.execute("alter table t drop column if exists v").await;
        target.execute(&format!("alter table t add v {domain}")).await;
        let table = target.table("t").await;
        let load = async |texts: &[Option<&str>]| -> Result<WriteSummary> {
            write(table.as_ref(), given(column_type, texts)).await
        };
        let verdict = table.assess(&plan(&given(column_type, &[None])).columns[1]);
        // The verdict is that of the base type.
        let expected = if domain == "day" { Fidelity::Exact } else { Fidelity::Checked };
        assert_eq!(verdict, expected, "{domain}");
        load(&[Some(good)]).await.unwrap_or_else(|error| panic!("{domain}: {}", error.report()));
        assert_eq!(target.text("select v::text from t").await.as_deref(), Some(shown), "{domain}");
        target.execute("truncate t").await;
        for bad in bad {
            let error = load(&[Some(good), Some(bad), Some(good)]).await.expect_err(bad);
            assert_eq!(error.code(), code::VALUE_REFUSED, "{domain} {bad}: {}", error.report());
            assert_eq!(error.context("key"), Some("\"id\"=2"), "{domain} {bad}");
            assert_eq!(error.context("column"), Some("v"), "{domain} {bad}: {}", error.report());
            assert_eq!(target.count("t").await, 0, "{domain} {bad}");
        }
        let null = load(&[Some(good), None]).await;
        if domain == "label" {
            let error = null.expect_err("NOT NULL");
            assert_eq!(error.context("key"), Some("\"id\"=2"), "{}", error.report());
            assert_eq!(error.code(), code::VALUE_REFUSED);
        } else {
            assert_eq!(null.expect("NULL").rows_inserted, 2, "{domain}");
        }
        target.execute("truncate t").await;
    }
}
