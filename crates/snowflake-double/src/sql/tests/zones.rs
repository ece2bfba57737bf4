//! Rows that are not looked at because their zone cannot hold what is asked for.

use super::World;
use crate::table::Table;
use crate::types::Type;
use crate::value::Value;

/// 5,000 rows in the order of `K`; every seventh NULL; `S` is `K` with a fraction.
fn world() -> World {
    let rows = (0..5_000_i64).map(|k| {
        let key = if k % 7 == 0 { Value::Null } else { Value::from(k - 2_000) };
        [key, Value::lit(format!("{}.5", k - 2_000))]
    });
    let table = Table::new("DB.SC.Z")
        .column("K", Type::number(38, 0))
        .column("S", Type::number(12, 1))
        .rows(rows);
    let mut world = World::new();
    world.catalog.create(table, (super::NOW - 3_600) * 1_000).unwrap();
    world
}

#[test]
fn what_is_ruled_out_holds_no_row_that_is_asked_for() {
    let world = world();
    for (column, low, high) in [
        ("k", "-2000", "-1999"),
        ("k", "-977", "48"),
        ("k", "0", "1"),
        ("k", "2990", "9999"),
        ("k", "-9999", "9999"),
        ("k", "9999", "99999"),
        ("s", "-0.5", "30.5"),
        ("s", "-977", "48"),
    ] {
        for (at_least, below) in [(">=", "<"), (">", "<=")] {
            let asked = |column: &str| {
                format!(
                    "select count(*), count(k), sum(s) from z \
                     where {column} {at_least} {low} and {column} {below} {high}"
                )
            };
            // A sum is no column, so nothing is ruled out.
            let (pruned, whole) = (asked(column), asked(&format!("{column} + 0")));
            assert_eq!(world.rows(&pruned), world.rows(&whole), "{pruned}");
        }
    }
    let equal = |column: &str| world.rows(&format!("select count(*) from z where {column} = 5"));
    assert_eq!(equal("k"), equal("k + 0"));
}
