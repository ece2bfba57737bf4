//! Dates, times, timestamps, zones.

use super::{World, check};

#[test]
fn casts_and_default_formats() {
    check(&[
        ("'2024-02-29'::date", "19782"),
        ("'0001-01-01'::date", "-719162"),
        ("'10:11:12.123456'::time(6)", "36672.123456"),
        ("'2024-01-01 10:11:12.123456789'::timestamp_ntz", "1704103872.123456789"),
        ("'2024-01-01 10:11:12 +05:30'::timestamp_ntz", "1704103872.000000000"),
        ("'2024-01-01 10:11:12 +05:30'::timestamp_ltz", "1704084072.000000000"),
        ("'2024-01-01 10:11:12 +05:30'::timestamp_tz", "1704084072.000000000 1770"),
        ("'2024-01-01 10:11:12'::timestamp_tz(3)", "1704103872.000 1440"),
        ("to_varchar('2024-02-29'::date)", "2024-02-29"),
        ("'2024-01-01 10:11:12.123456789'::timestamp_ntz::varchar", "2024-01-01 10:11:12.123"),
        ("'2024-01-01 10:11:12 +05:30'::timestamp_tz::varchar", "2024-01-01 10:11:12.000 +0530"),
        ("'2024-01-01 10:11:12 +05:30'::timestamp_ltz::varchar", "2024-01-01 04:41:12.000 +0000"),
        (
            "to_char('2024-01-01 10:11:12.5'::timestamp_ntz, 'YYYY-MM-DD\"T\"HH24:MI:SS.FF9')",
            "2024-01-01T10:11:12.500000000",
        ),
        ("'10:11:12.5'::time::varchar", "10:11:12"),
        ("to_date('2024-01-01 23:59:59')", "19723"),
        ("to_timestamp_ntz(1704103872)", "1704103872.000000000"),
        ("to_timestamp_ntz(1704103872123, 3)", "1704103872.123000000"),
        ("to_timestamp_ntz('2024-01-01 00:00:00 +05:00'::timestamp_tz)", "1704067200.000000000"),
        ("'2024-01-01 00:00:00 +05:00'::timestamp_tz::date", "19723"),
        ("'2024-01-01 00:00:00 +05:00'::timestamp_tz::timestamp_ltz::date", "19722"),
        ("try_cast('2023-02-29' as date)", "~"),
        ("try_to_timestamp('abc')", "~"),
    ]);
    let world = World::new();
    assert_eq!(world.failure("select '2023-02-29'::date").0, "100040");
    assert_eq!(world.failure("select 'abc'::timestamp_ntz").0, "100035");
    assert!(world.failure("select '01/02/2024'::date").1.contains("format"));
    assert!(world.failure("select try_cast('01/02/2024' as date)").1.contains("format"));
    assert!(
        world.failure("select '2024-01-01 00:00:00.123456'::timestamp_ntz(3)").1.contains("cut")
    );
}

#[test]
fn parts_and_arithmetic() {
    check(&[
        ("date_trunc('month', '2024-05-15'::date)", "19844"),
        ("date_trunc(hour, '2024-01-01 10:11:12'::timestamp_ntz)", "1704103200.000000000"),
        ("dateadd(month, 1, '2024-01-31'::date)", "19782"),
        ("dateadd('hour', 1, '2024-01-01'::date)", "1704070800.000000000"),
        ("datediff(day, '2024-01-01', '2024-03-01')", "60"),
        ("datediff('year', '2023-12-31'::date, '2024-01-01'::date)", "1"),
        ("year('2024-05-15'::date)", "2024"),
        ("month('2024-05-15'::date) * 100 + day('2024-05-15'::date)", "515"),
        ("hour('2024-01-01 10:11:12'::timestamp_ntz)", "10"),
        ("extract(epoch_second from '1970-01-02'::date)", "86400"),
        ("date_part(epoch_millisecond, '1970-01-01 00:00:01.5'::timestamp_ntz)", "1500"),
        ("date_part('epoch_nanosecond', '1969-12-31 23:59:59.5'::timestamp_ntz)", "-500000000"),
        ("'2024-01-01'::date + 31", "19754"),
        ("'2024-03-01'::date - '2024-02-01'::date", "29"),
        ("'2024-01-01'::timestamp_ntz + interval '1 day, 2 hours'", "1704160800.000000000"),
        ("'2024-01-01'::timestamp_ntz - interval '1 month'", "1701388800.000000000"),
    ]);
}

#[test]
fn the_clock_stands_still_within_a_statement() {
    check(&[
        ("current_timestamp()", "1710072000.000000000"),
        ("current_timestamp", "1710072000.000000000"),
        ("sysdate()", "1710072000.000000000"),
        ("current_date()", "19792"),
        ("current_timestamp() = current_timestamp()", "1"),
        ("convert_timezone('+05:30', current_timestamp())", "1710072000.000000000 1770"),
        (
            "convert_timezone('UTC', '2024-01-01 00:00:00 +05:00'::timestamp_tz)",
            "1704049200.000000000 1440",
        ),
        ("convert_timezone('UTC', '+01:00', '2024-01-01'::timestamp_ntz)", "1704070800.000000000"),
    ]);
}

#[test]
fn an_unknown_session_zone_is_refused_only_where_it_matters() {
    let mut world = World::new();
    world.session.parameters.remove("TIMEZONE");
    assert!(world.value("current_timestamp()").is_some());
    assert!(world.value("'2024-01-01 00:00:00 Z'::timestamp_ltz").is_some());
    assert!(world.value("convert_timezone('UTC', current_timestamp())").is_some());
    for sql in [
        "select '2024-01-01'::timestamp_ltz",
        "select to_timestamp_ntz(current_timestamp())",
        "select current_date()",
        "select current_timestamp()::varchar",
    ] {
        assert!(world.failure(sql).1.contains("America/Los_Angeles"), "{sql}");
    }
    world.session.parameters.insert("TIMEZONE".to_owned(), "-08:00".to_owned());
    assert_eq!(
        world.value("to_timestamp_ntz(current_timestamp())").as_deref(),
        Some("1710043200.000000000")
    );
}
