//! NUMBER and FLOAT: shapes, rounding, overflow, casts.

use super::{World, check};

#[test]
fn literals_and_operators_have_the_documented_types() {
    let world = World::new();
    for (expression, ty) in [
        ("1", "NUMBER(1,0)"),
        ("1e10", "NUMBER(11,0)"),
        ("10000", "NUMBER(5,0)"),
        ("1.50", "NUMBER(3,2)"),
        ("0.05", "NUMBER(2,2)"),
        ("1 + 10.5", "NUMBER(4,1)"),
        ("10.01 * 1.1", "NUMBER(6,3)"),
        ("1 / 3", "NUMBER(7,6)"),
        ("1::number(38,0) / 3::number(38,0)", "NUMBER(38,6)"),
        ("1 + 1::float", "FLOAT"),
        ("trunc(3.14, 1)", "NUMBER(4,1)"),
        ("trunc(33.33, -1)", "NUMBER(5,0)"),
        ("count(*)", "NUMBER(18,0)"),
        ("sum(1.5)", "NUMBER(38,1)"),
        ("coalesce(1.5, 100)", "NUMBER(4,1)"),
    ] {
        assert_eq!(world.ty(expression), ty, "{expression}");
    }
}

#[test]
fn arithmetic_is_exact() {
    check(&[
        ("10.01 * 1.1", "11.011"),
        ("10.001 * .001", "0.010001"),
        ("2 / 3", "0.666667"),
        ("-2 / 3", "-0.666667"),
        ("7 % 3", "1"),
        ("mod(-7, 3)", "-1"),
        ("mod(7.5, 2)", "1.5"),
        ("0.1 + 0.2", "0.3"),
        ("99999999999999999999999999999999999999 - 1", "99999999999999999999999999999999999998"),
        ("12345678901234567890123456789012345678 + 0", "12345678901234567890123456789012345678"),
        ("-5", "-5"),
        ("-(-5)", "5"),
        ("1 + null", "~"),
        ("abs(-1.50)", "1.50"),
        ("sign(-3)", "-1"),
        ("floor(-1.5)", "-2"),
        ("ceil(-1.5)", "-1"),
        ("ceil(1.21, 1)", "1.3"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(1.005, 2)", "1.01"),
        ("round(1234, -2)", "1200"),
        ("trunc(-1.99, 1)", "-1.9"),
        ("floor((7 - 1) * 4 / 10)", "2"),
    ]);
}

#[test]
fn overflow_and_division_by_zero_are_errors() {
    let world = World::new();
    let max = "99999999999999999999999999999999999999";
    assert_eq!(world.failure(&format!("select {max} + 1")).0, "100046");
    assert_eq!(world.failure(&format!("select {max} * 10")).0, "100046");
    assert_eq!(world.failure("select 1 / 0").0, "100051");
    assert_eq!(world.failure("select 1 / 0::float").0, "100051");
    assert_eq!(world.failure("select mod(1, 0)").0, "100051");
    let sum = format!("select sum(x) from (select {max} as x union all select {max})");
    assert_eq!(world.failure(&sum).0, "100058");
    assert_eq!(world.failure(&format!("select {max}9")).0, "000002");
}

#[test]
fn casts_round_half_away_from_zero_or_fail() {
    check(&[
        ("1.5::number", "2"),
        ("-1.5::number(10,0)", "-2"),
        ("'1.5'::number(10,1)", "1.5"),
        ("' -12e2 '::number", "-1200"),
        ("'1.4999999999999999999999999999999999999999999'::int", "1"),
        ("1::number(10,2)", "1.00"),
        ("true::number", "1"),
        ("1.5::float", "1.5"),
        ("0.1::float::number(10,1)", "0.1"),
        ("12345678901234567890123456789012345678::float", "1.23456789e37"),
        ("'inf'::float", "inf"),
        ("'NaN'::double", "NaN"),
        ("try_cast('x' as number)", "~"),
        ("try_cast('12' as number(1,0))", "~"),
        ("try_cast('1.25' as number(3,1))", "1.3"),
        ("try_to_number('9x', 10, 2)", "~"),
        ("to_number('9.999', 10, 2)", "10.00"),
        ("to_decimal(1.25, 3, 1)", "1.3"),
        ("to_number('ff', 'XX')", "255"),
        ("to_number('0000000a', 'XXXXXXXX')", "10"),
        ("try_to_double('abc')", "~"),
        ("to_double('1e3')", "1000"),
        ("1::boolean", "1"),
        ("0.00::boolean", "0"),
        ("1.50::varchar", "1.50"),
        ("(-0.0000000001)::varchar", "-0.0000000001"),
        ("to_varchar(12)", "12"),
        ("to_varchar('0.30000000000000004'::float, 'TME')", "3.0000000000000004E-1"),
        ("to_varchar('-1250'::float, 'tme')", "-1.25E3"),
        ("'-Infinity'::float::varchar", "-inf"),
    ]);
    let world = World::new();
    let failure = |expression: &str| world.failure(&format!("select {expression}"));
    assert_eq!(
        failure("'x'::number"),
        ("100038".into(), "Numeric value 'x' is not recognized".into())
    );
    assert_eq!(failure("''::number").0, "100038");
    assert_eq!(failure("100::number(2,0)").0, "100039");
    assert_eq!(failure("99.5::number(2,0)").0, "100039");
    assert_eq!(failure("to_number('fff', 'XX')").0, "100038");
    assert_eq!(failure("'NaN'::float::number").0, "100038");
    assert_eq!(failure("try_cast(1.5 as number)").0, "001065");
    assert!(failure("1.115::float::number(10,2)").1.contains("rounding"));
    assert!(failure("1.5::float::varchar").1.contains("FLOAT"));
    assert!(failure("to_varchar('inf'::float, 'TME')").1.contains("infinities"));
}
