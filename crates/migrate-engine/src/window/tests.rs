use super::*;

fn watermark() -> Watermark {
    Watermark {
        source: "W".into(),
        target: "w".into(),
        low: WatermarkLow::LastWindow,
        nulls: WatermarkNulls::Never,
        overlap: Duration::ZERO,
    }
}

fn last(high: i64, rows: Option<u64>) -> LastWindow {
    LastWindow { high: high.into(), rows_at_high: rows, is_latest: true, is_void: false }
}

/// The predicate of a window and the greatest watermark that it leaves.
fn decided(
    has_keys: bool,
    last: impl Into<Option<LastWindow>>,
    high: Option<(i64, u64)>,
) -> (String, Option<Scalar>) {
    let watermark = watermark();
    let rule = Rule { watermark: &watermark, has_keys };
    let high = high.map(|(high, rows)| (Scalar::from(high), rows));
    let window = rule.decide(String::new(), last.into(), high, &mut Vec::new()).expect("one kind");
    (window.predicate().to_string(), window.high)
}

#[test]
fn with_keys_ties_at_the_boundary_are_read_again_unless_nothing_has_changed() {
    let nothing = "\"W\" in ()";
    assert_eq!(decided(true, None, Some((9, 2))).0, "\"W\" <= 9");
    assert_eq!(decided(true, last(5, Some(2)), Some((9, 1))).0, "(\"W\" >= 5 and \"W\" <= 9)");
    assert_eq!(decided(true, last(5, Some(2)), Some((5, 2))), (nothing.into(), Some(5.into())));
    assert_eq!(decided(true, last(5, Some(2)), Some((5, 3))).0, "(\"W\" >= 5 and \"W\" <= 5)");
    assert_eq!(decided(true, last(5, None), Some((5, 2))).0, "(\"W\" >= 5 and \"W\" <= 5)");
    assert_eq!(decided(true, last(5, Some(2)), None).0, nothing);
}

#[test]
fn with_keys_a_greatest_watermark_that_went_back_is_followed() {
    let (read, high) = decided(true, last(5, Some(2)), Some((3, 1)));
    assert_eq!((read.as_str(), high), ("(\"W\" >= 3 and \"W\" <= 3)", Some(3.into())));
}

#[test]
fn without_keys_no_row_is_read_twice() {
    let nothing = "\"W\" in ()";
    assert_eq!(decided(false, last(5, Some(2)), Some((9, 1))).0, "(\"W\" > 5 and \"W\" <= 9)");
    for high in [(5, 2), (5, 3), (3, 1)] {
        let kept = (nothing.into(), Some(5.into()));
        assert_eq!(decided(false, last(5, Some(2)), Some(high)), kept);
    }
}

#[test]
fn rows_without_a_watermark_follow_their_policy() {
    let reads = |nulls, last| {
        let watermark = Watermark { nulls, ..watermark() };
        let rule = Rule { watermark: &watermark, has_keys: true };
        rule.decide(String::new(), last, None, &mut Vec::new()).expect("decides").reads_nulls
    };
    assert!(
        reads(WatermarkNulls::Always, Some(last(5, None))) && reads(WatermarkNulls::Always, None)
    );
    assert!(!reads(WatermarkNulls::FirstLoad, Some(last(5, None))));
    assert!(reads(WatermarkNulls::FirstLoad, None));
    assert!(!reads(WatermarkNulls::Never, None));
}

#[test]
fn an_overlap_moves_the_low_bound_and_always_reads() {
    let watermark = Watermark { overlap: Duration::from_hours(25), ..watermark() };
    let rule = Rule { watermark: &watermark, has_keys: true };
    let at = |text: &str| Scalar::Instant(text.parse().expect("a time"));
    let high = at("2024-03-02 01:30:00.000000001");
    let known =
        LastWindow { high: high.clone(), rows_at_high: Some(1), is_latest: true, is_void: false };
    let window = rule.decide(String::new(), Some(known), Some((high, 1)), &mut Vec::new());
    let window = window.expect("one kind");
    assert_eq!(window.low, Some(at("2024-03-01 00:30:00.000000001")));
    assert_eq!(window.reads, WindowRows::Closed);
    let day = Scalar::Date("2024-03-02".parse().expect("a day"));
    let earlier = earlier(day, Duration::from_hours(25));
    assert_eq!(
        earlier,
        Scalar::Date("2024-02-29".parse().expect("a day")),
        "whole days, rounded up"
    );
}

#[test]
fn what_would_double_rows_or_cannot_be_ordered_is_refused() {
    let check = |watermark: &Watermark, has_keys, column_type: &ColumnType| {
        Rule { watermark, has_keys }.check(column_type)
    };
    let number = ColumnType::Int64;
    let time = ColumnType::Instant { scale: 9 };
    check(&watermark(), false, &number).expect("numbers have an order");
    for refused in [ColumnType::Float64, ColumnType::Boolean, ColumnType::Json, ColumnType::Binary]
    {
        let error = check(&watermark(), true, &refused).expect_err("no order");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let overlapping = Watermark { overlap: Duration::from_secs(1), ..watermark() };
    check(&overlapping, true, &time).expect("with keys");
    check(&overlapping, true, &number).expect_err("seconds of a number");
    check(&overlapping, false, &time).expect_err("doubles");
    let always = Watermark { nulls: WatermarkNulls::Always, ..watermark() };
    check(&always, true, &time).expect("with keys");
    check(&always, false, &time).expect_err("doubles");
}
