//! Three-valued logic, comparisons, membership.

use super::{World, check};
use crate::sql::Binds;

#[test]
fn and_or_not_follow_three_valued_logic() {
    let values = ["true", "false", "null::boolean"];
    let shown = |value: Option<bool>| value.map_or("~", |value| if value { "1" } else { "0" });
    let truth = |text: &str| match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    let world = World::new();
    for a in values {
        let not = world.value(&format!("not {a}")).unwrap_or_else(|| "~".to_owned());
        assert_eq!(not, shown(truth(a).map(|a| !a)));
        for b in values {
            let (x, y) = (truth(a), truth(b));
            let and = match (x, y) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (x, y) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            for (op, expected) in [("and", and), ("or", or)] {
                let got = world.value(&format!("{a} {op} {b}")).unwrap_or_else(|| "~".to_owned());
                assert_eq!(got, shown(expected), "{a} {op} {b}");
            }
        }
    }
}

#[test]
fn comparisons_are_null_with_a_null_and_null_safe_ones_never() {
    check(&[
        ("1 = null", "~"),
        ("null <> null", "~"),
        ("null is null", "1"),
        ("1 is not null", "1"),
        ("null is distinct from 1", "1"),
        ("null is not distinct from null", "1"),
        ("equal_null(null, null)", "1"),
        ("equal_null(1, null)", "0"),
        ("2 between 1 and 3", "1"),
        ("2 not between 1 and null", "~"),
        ("4 between 1 and 3", "0"),
        ("4 between null and 3", "0"),
        ("true is true", "1"),
        ("null::boolean is not true", "1"),
        ("null::boolean is false", "0"),
        ("1.0 = 1", "1"),
        ("1.50 = 1.5", "1"),
        ("1::float = 1", "1"),
        ("'a' < 'B'", "0"),
        ("'' = ' '", "0"),
        ("date '2024-01-01' = '2024-01-01'", "1"),
        ("'2024-01-01'::date < '2024-01-01 00:00:01'::timestamp_ntz", "1"),
        (
            "'2024-01-01 00:00:00 +01:00'::timestamp_tz = '2023-12-31 23:00:00 Z'::timestamp_ltz",
            "1",
        ),
        ("'NaN'::float = 'NaN'::float", "1"),
        ("'NaN'::float > 'inf'::float", "1"),
        ("'-0.0'::float = 0::float", "1"),
        ("5 = '5'", "1"),
        ("'true' = true", "1"),
    ]);
}

#[test]
fn membership_follows_three_valued_logic() {
    check(&[
        ("1 in (1, 2)", "1"),
        ("3 in (1, 2)", "0"),
        ("3 in (1, null)", "~"),
        ("1 in (1, null)", "1"),
        ("null in (1, 2)", "~"),
        ("1 not in (2, null)", "~"),
        ("1.0 in (1, 2)", "1"),
        ("'a' in ('A', 'a')", "1"),
        ("1 in (select 1 where false)", "0"),
        ("null in (select 1 where false)", "0"),
        ("2 in (select n from n)", "1"),
        ("99 in (select n from n)", "~"),
        ("exists (select 1 from n where k > 9)", "1"),
        ("(select max(k) from n)", "10"),
    ]);
}

#[test]
fn where_keeps_only_rows_that_are_true() {
    let world = World::new();
    assert_eq!(world.column("select k from n where n = 2 order by k"), "4 5");
    assert_eq!(world.column("select k from n where not n = 2 and k < 5 order by k"), "1 2");
    assert_eq!(world.column("select k from n where n is null order by k"), "3 7");
    assert_eq!(world.column("select k from n where null"), "");
    assert_eq!(
        world.column("select k from n where g = 'odd' and k in (1, 2, 3) order by k"),
        "1 3"
    );
}

#[test]
fn guards_guard_the_right_side() {
    let world = World::new();
    assert_eq!(world.column("select k from n where k <> 5 and 10 / (k - 5) > 4 order by k"), "6 7");
    assert_eq!(world.column("select k from n where k = 5 or 10 / (k - 5) > 4 order by k"), "5 6 7");
    let guarded =
        "select iff(k = 5, null, floor(10 / (k - 5))) from n where k between 4 and 6 order by k";
    assert_eq!(world.column(guarded), "-10 ~ 10");
    assert_eq!(world.failure("select 10 / (k - 5) from n").0, "100051");
}

#[test]
fn choices_take_the_first_that_fits() {
    check(&[
        ("case when false then 1 when true then 2 else 3 end", "2"),
        ("case 5 when 1 then 'one' when 5 then 'five' end", "five"),
        ("case null when null then 1 else 2 end", "2"),
        ("iff(null, 1, 2)", "2"),
        ("coalesce(null, null, 3)", "3"),
        ("coalesce(null, 1.5, 3)", "1.5"),
        ("nvl(null, 'x')", "x"),
        ("nvl2(null, 1, 2)", "2"),
        ("nullif(1, 1)", "~"),
        ("nullif(1, 2)", "1"),
        ("zeroifnull(null)", "0"),
        ("nullifzero(0)", "~"),
        ("greatest(1, 2.5, 2)", "2.5"),
        ("least('b', 'a')", "a"),
        ("greatest(1, null)", "~"),
    ]);
}

#[test]
fn binds_are_taken_by_position() {
    let mut world = World::new();
    world.binds = Binds::of(&[
        ("1", "FIXED", Some("3")),
        ("2", "TEXT", Some("odd")),
        ("3", "TIMESTAMP_NTZ", None),
    ]);
    assert_eq!(world.column("select k from n where k > ? and g = ? order by k"), "5 7 9");
    assert_eq!(world.rows("select ?, ?, ?"), [[Some("3".into()), Some("odd".into()), None]]);
    assert_eq!(world.failure("select ?, ?, ?, ?").0, "002049");
}
