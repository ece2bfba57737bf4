//! How large chunks come out.

use std::sync::Arc;

use migrate_chunking::{DateRange, GroupedValues, HashBucket, NumericRange};
use migrate_core::arrow::array::{StringArray, TimestampMicrosecondArray};

use crate::support::{integers, plan, predicates, table, true_counts};

/// 99 % of the rows in 2 % of the range, gaps and negatives.
fn skewed(rows: i64) -> impl Iterator<Item = Option<i64>> {
    (0..rows).map(move |row| {
        let span = rows * 5;
        Some(if row % 100 == 0 { row * 500 - span } else { row / 3 * 2 - rows })
    })
}

#[tokio::test]
async fn skewed_keys_give_even_chunks_and_no_empty_one() {
    let rows = table([("k", integers(skewed(100_000)))]);
    let plan = plan(&NumericRange {}, &rows, &["k".into()], 1_000).await;
    let counts = true_counts(&plan, &rows);
    assert!(counts.iter().all(|rows| (1..=1_000).contains(rows)), "{counts:?}");
    assert!(counts.len() <= 200, "{} chunks where 100 are aimed at", counts.len());
}

#[tokio::test]
async fn one_value_may_be_larger_and_is_then_alone() {
    let keys = (0..1_000).map(|row| Some(if row < 500 { 42 } else { row }));
    let rows = table([("k", integers(keys))]);
    let plan = plan(&NumericRange {}, &rows, &["k".into()], 100).await;
    let counts = true_counts(&plan, &rows);
    assert_eq!(counts.iter().filter(|rows| **rows > 100).collect::<Vec<_>>(), [&500]);
    assert!(
        plan.notes[0].contains("1 value(s) of \"k\" have more than 100 rows"),
        "{:?}",
        plan.notes
    );
    assert!(!plan.notes[0].contains("42"), "no values: {:?}", plan.notes);
}

#[tokio::test]
async fn empty_and_all_null_tables_are_one_chunk() {
    let rows = table([("k", integers([]))]);
    assert_eq!(true_counts(&plan(&NumericRange {}, &rows, &["k".into()], 10).await, &rows), [0]);
    let rows = table([("k", integers([None, None, None]))]);
    assert_eq!(true_counts(&plan(&NumericRange {}, &rows, &["k".into()], 1).await, &rows), [3]);
}

#[tokio::test]
async fn many_nulls_are_a_chunk_of_their_own() {
    let rows = table([("k", integers((0..30).map(|row| (row % 3 == 0).then_some(row))))]);
    let plan = plan(&NumericRange {}, &rows, &["k".into()], 5).await;
    assert_eq!(true_counts(&plan, &rows), [20, 5, 5]);
    assert_eq!(predicates(&plan)[0].to_string(), "\"k\" is null");
}

#[tokio::test]
async fn texts_are_grouped_in_the_order_of_their_bytes() {
    let texts = StringArray::from(vec!["a", "B", "é", "A", "b", "", "z", "🚀"]);
    let rows = table([("k", Arc::new(texts) as _)]);
    let plan = plan(&GroupedValues {}, &rows, &["k".into()], 4).await;
    assert_eq!(true_counts(&plan, &rows), [4, 4]);
    assert_eq!(predicates(&plan)[1].to_string(), "\"k\" >= 'b'");
}

#[tokio::test]
async fn a_hash_scatters_neighbours() {
    let rows = table([("k", integers((0..1_000).map(Some).chain([None])))]);
    let plan = plan(&HashBucket {}, &rows, &["k".into()], 100).await;
    let counts = true_counts(&plan, &rows);
    assert!(counts.len() >= 10 && counts.iter().all(|rows| (1..=100).contains(rows)), "{counts:?}");
}

#[tokio::test]
async fn stretches_begin_where_the_calendar_does() {
    // Two years of one row per day, and a crowded day with a crowded hour.
    const DAY: i64 = 86_400_000_000;
    let quiet = (0..731).map(|day| (day - 365) * DAY + 5_000_000);
    let crowded = (0..900).map(|row| 40 * DAY + 10 * 3_600_000_000 + row * 1_000_000);
    let times: TimestampMicrosecondArray = quiet.chain(crowded).map(Some).collect();
    let rows = table([("k", Arc::new(times) as _)]);
    let plan = plan(&DateRange {}, &rows, &["k".into()], 400).await;
    let counts = true_counts(&plan, &rows);
    assert!(counts.iter().all(|rows| (1..=400).contains(rows)), "{counts:?}");
    let texts: Vec<_> = predicates(&plan).iter().map(ToString::to_string).collect();
    assert!(texts[0].contains(" 00:00:00 or "), "{texts:?}");
    assert!(
        texts.iter().any(|text| text.contains("1970-02-10 10:0")),
        "cut in the hour: {texts:?}"
    );
    assert!(texts.last().is_some_and(|text| text.ends_with(" 00:00:00")), "{texts:?}");
}
