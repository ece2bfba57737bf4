//! Which rows.

use super::{SourceFixture, columns, everything, expected, expected_cells, open, read, same_rows};
use crate::chunk::Extent;
use crate::dialect::Dialect;
use crate::error::ErrorKind;
use crate::key::{Canonical, Key};
use crate::predicate::Predicate;
use crate::source::{Pushdown, ScanRequest, SourceTable};
use crate::testkit::{Kept, ensure, refused, same};
use crate::value::Scalar;

fn days(day: i32) -> Option<Scalar> {
    crate::value::EpochDay::new(day).map(Scalar::Date)
}

fn with_columns() -> Vec<Predicate> {
    let id = |value: i64| Some(Scalar::from(value));
    let ids = Predicate::range("id", id(30), id(90));
    vec![
        ids.clone(),
        Predicate::range("id", None, id(-60)),
        Predicate::range("id", id(570), None),
        Predicate::range("id", None, None),
        Predicate::Above { column: "id".into(), value: 30.into() },
        Predicate::AtMost { column: "id".into(), value: 33.into() },
        Predicate::In { column: "id".into(), values: vec![33.into(), 36.into(), 1.into()] },
        Predicate::In { column: "name".into(), values: vec!["".into(), "crowd".into()] },
        Predicate::is_null("name"),
        Predicate::range("name", Some("a".into()), Some("n2".into())),
        Predicate::range("name", Some("quote' \"3\" \\ % _".into()), Some("\u{10ffff}".into())),
        Predicate::range("day", days(19_782), days(19_790)),
        Predicate::range(Key::number_in("name"), id(0), id(100)),
        Predicate::is_null(Key::number_in("name")),
        Predicate::range(Key::hash_of("id", Canonical::Integer), None, id(1 << 31)),
        ids.clone().and(Predicate::is_null("name")),
        Predicate::Or { terms: vec![ids, Predicate::is_null("id")] },
    ]
}

fn without_columns() -> Vec<Predicate> {
    let all = || Predicate::And { terms: Vec::new() };
    vec![
        Predicate::All,
        all(),
        Predicate::Or { terms: Vec::new() },
        Predicate::Or { terms: vec![all(), Predicate::All] },
        Predicate::And { terms: vec![all(), Predicate::Or { terms: Vec::new() }] },
    ]
}

/// The extents that strategies make of a key.
pub(super) async fn parts_of_a_key_hold_each_row_once(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let text = |texts: &[&str]| texts.iter().map(|text| Scalar::from(*text)).collect::<Vec<_>>();
    let cuts: Vec<(&str, Vec<Scalar>)> = vec![
        ("id", vec![]),
        ("id", [-120, 0, 1, 2, 3, 590].map(Scalar::from).to_vec()),
        ("name", text(&["", "crowd", "crowe", "ä"])),
        ("day", [19_781, 19_785, 19_800].into_iter().filter_map(days).collect()),
    ];
    for (column, cuts) in cuts {
        let mut rows = Vec::new();
        for predicate in Predicate::partition(column, &cuts) {
            let request = ScanRequest::new(columns(), Extent::Rows { predicate });
            rows.extend(read(&*table, request).await?);
        }
        super::sort(&mut rows);
        let all = expected_cells(&Predicate::All)?;
        same_rows(&format!("all parts of {column}"), &rows, &all)?;
    }
    Ok(())
}

pub(super) async fn a_filter_and_an_extent_both_apply(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let extent = Predicate::range("id", Some(0.into()), None);
    let filter = Predicate::is_null("name");
    let request = ScanRequest::new(columns(), Extent::Rows { predicate: extent.clone() });
    let rows = read(&*table, request.with_filter(filter.clone())).await?;
    same_rows("both", &rows, &expected_cells(&extent.and(filter))?)
}

pub(super) async fn a_predicate_is_applied_or_refused(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    for predicate in with_columns() {
        applies_or_refuses(&*table, &predicate).await?;
    }
    // Text that no database understands.
    for dialect in [Dialect::Postgres, Dialect::Snowflake] {
        let raw = Predicate::Raw { dialect, sql: "no such function(1) = 1".into() };
        if table.pushdown(&raw) == Pushdown::Unsupported {
            refuses(&*table, &raw).await?;
        } else {
            refused(&format!("{raw}"), table.count(&raw).await)?;
        }
    }
    Ok(())
}

pub(super) async fn a_predicate_without_columns_is_applied(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    for predicate in without_columns() {
        applies_or_refuses(&*table, &predicate).await?;
    }
    Ok(())
}

async fn applies_or_refuses(table: &dyn SourceTable, predicate: &Predicate) -> Kept {
    if table.pushdown(predicate) == Pushdown::Unsupported {
        return refuses(table, predicate).await;
    }
    let wanted = expected(predicate)?.num_rows() as u64;
    same(&format!("the count of {predicate}"), &table.count(predicate).await?, &wanted)?;
    let wanted = expected_cells(predicate)?;
    let request = ScanRequest::new(columns(), Extent::Rows { predicate: predicate.clone() });
    same_rows(&predicate.to_string(), &read(table, request).await?, &wanted)?;
    let request = ScanRequest::new(columns(), everything()).with_filter(predicate.clone());
    same_rows(&format!("the filter {predicate}"), &read(table, request).await?, &wanted)
}

async fn refuses(table: &dyn SourceTable, predicate: &Predicate) -> Kept {
    let what = format!("{predicate}, which it says it cannot apply,");
    let error = refused(&what, table.count(predicate).await)?;
    same("the error", &error.kind(), &ErrorKind::Unsupported)?;
    ensure(error.hint().is_some(), "the error has no hint")?;
    let request = ScanRequest::new(columns(), everything()).with_filter(predicate.clone());
    let error = refused(&what, super::batches(table, request).await)?;
    same("the error", &error.kind(), &ErrorKind::Unsupported)
}

pub(super) async fn a_scan_without_rows_is_empty(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let nothing = Predicate::range("id", Some(1_000_000.into()), None);
    let request = ScanRequest::new(columns(), Extent::Rows { predicate: nothing });
    same("rows", &read(&*table, request.with_expected_rows(Some(0))).await?.len(), &0)?;
    let none = Predicate::In { column: "id".into(), values: Vec::new() };
    same("count", &table.count(&none).await?, &0)?;
    let request = ScanRequest::new(columns(), everything()).with_filter(none);
    same("rows", &read(&*table, request).await?.len(), &0)
}
