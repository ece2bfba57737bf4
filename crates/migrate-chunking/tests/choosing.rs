//! What `auto` decides, what it says, and what is refused.

use std::sync::Arc;

use migrate_chunking::{
    Auto, ChunkPlan, ChunkingStrategy, DateRange, GroupedValues, HashBucket, NumericRange,
    PlanInput, RowGroups, Single,
};
use migrate_core::arrow::array::{
    ArrayRef, BinaryArray, Date32Array, StringArray, Time64NanosecondArray,
};
use migrate_core::{ColumnName, ErrorKind, Key, Predicate};

use crate::support::{integers, open, plan, table, true_counts, try_plan};

fn kinds(rows: i32) -> [(&'static str, ArrayRef); 4] {
    let texts = StringArray::from_iter_values((0..rows).map(|row| format!("{row:08}")));
    let bytes = BinaryArray::from_iter_values((0..rows).map(i32::to_be_bytes));
    [
        ("id", integers((0..rows).map(|row| Some(row.into())))),
        ("text", Arc::new(texts)),
        ("day", Arc::new(Date32Array::from_iter_values(0..rows))),
        ("bytes", Arc::new(bytes)),
    ]
}

#[tokio::test]
async fn the_column_decides() {
    let rows = table(kinds(20_000));
    for (key, strategy) in [
        (Key::column("id"), "numeric_range"),
        (Key::column("text"), "grouped_values"),
        (Key::number_in("text"), "numeric_range"),
        (Key::column("day"), "date_range"),
        (Key::column("bytes"), "single"),
    ] {
        let plan = plan(&Auto {}, &rows, std::slice::from_ref(&key), 5_000).await;
        assert_eq!(plan.strategy, strategy, "{key}");
        assert_eq!(true_counts(&plan, &rows).iter().sum::<u64>(), 20_000);
        let why =
            if strategy == "single" { "by which nothing is cut" } else { "its chunking columns" };
        assert!(plan.rationale.contains(why), "{}", plan.rationale);
    }
}

#[tokio::test]
async fn a_small_table_is_one_chunk_unless_smaller_ones_are_asked_for() {
    let rows = table(kinds(9_999));
    let whole = plan(&Auto {}, &rows, &["id".into()], 250_000).await;
    assert_eq!((whole.strategy.as_str(), true_counts(&whole, &rows)), ("single", vec![9_999]));
    assert!(whole.rationale.contains("it is small"), "{}", whole.rationale);
    assert_eq!(plan(&Auto {}, &rows, &["id".into()], 1_000).await.strategy, "numeric_range");
}

#[tokio::test]
async fn a_table_whose_filter_leaves_little_is_one_chunk() {
    let table = open(table(kinds(20_000))).await;
    let filter = Predicate::range("id", None, Some(30.into()));
    let keys = ["id".into()];
    let input = PlanInput::new(table.as_ref()).with_keys(&keys).with_filter(&filter);
    let plan = Auto {}.plan(input).await.expect("plans");
    assert_eq!(plan.chunks.len(), 1);
    assert_eq!(plan.chunks[0].expected_rows, Some(30));
}

#[tokio::test]
async fn without_columns_the_watermark_will_do() {
    let rows = table(kinds(20_000));
    let nothing = plan(&Auto {}, &rows, &[], 5_000).await;
    assert_eq!(nothing.strategy, "single");
    assert!(nothing.rationale.contains("set chunking_columns"), "{}", nothing.rationale);
    let table = open(rows).await;
    let watermark = ColumnName::from("day");
    let input = PlanInput::new(table.as_ref()).with_fallback(Some(&watermark));
    let plan = Auto {}.plan(input).await.expect("plans");
    assert_eq!(plan.strategy, "date_range");
    assert!(plan.rationale.contains("its watermark"), "{}", plan.rationale);
}

#[tokio::test]
async fn columns_that_a_strategy_cannot_use_are_refused_with_the_next_step() {
    let refused: [(&dyn ChunkingStrategy, &[Key]); 6] = [
        (&NumericRange {}, &["text".into()]),
        (&NumericRange {}, &[]),
        (&GroupedValues {}, &["id".into()]),
        (&DateRange {}, &["id".into()]),
        (&HashBucket {}, &["bytes".into()]),
        (&NumericRange {}, &["id".into(), "bytes".into()]),
    ];
    for (strategy, keys) in refused {
        let outcome =
            try_plan(strategy, table(kinds(200).map(|(name, array)| (name, array))), keys, 1).await;
        let error = outcome.expect_err(strategy.name());
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("chunking")), "{error}");
    }
    let error = try_plan(&RowGroups {}, table(kinds(1)), &[], 1).await.expect_err("no files");
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = try_plan(&NumericRange {}, table(kinds(1)), &["ID".into()], 1).await;
    assert!(error.expect_err("exact case").to_string().contains("did you mean \"id\"?"));
}

#[tokio::test]
async fn texts_without_a_number_are_counted_and_kept() {
    let texts =
        StringArray::from(vec![Some("1"), Some("n/a"), None, Some("10"), Some(" 9 "), Some("")]);
    let rows = table([("k", Arc::new(texts) as _)]);
    let plan = plan(&NumericRange {}, &rows, &[Key::number_in("k")], 1).await;
    assert_eq!(true_counts(&plan, &rows), [3, 1, 1, 1]);
    let note = plan.notes.iter().find(|note| note.contains("hold no number")).expect("a note");
    assert!(note.starts_with("2 row(s) hold no number in \"k\""), "{note}");
}

#[tokio::test]
async fn texts_without_a_number_are_told_of_where_nothing_is_cut_by_them() {
    let texts = StringArray::from(vec![Some("1"), Some("n/a"), None, Some("2")]);
    let rows = table([("id", integers((0..4).map(Some))), ("k", Arc::new(texts) as _)]);
    let number = Key::number_in("k");
    let found = |plan: ChunkPlan| plan.notes.into_iter().find(|note| note.contains("no number"));
    // A small table, one that is not to be cut, and a second column that has nothing to cut.
    let whole = plan(&Auto {}, &rows, std::slice::from_ref(&number), 100).await;
    let single = plan(&Single {}, &rows, std::slice::from_ref(&number), 1).await;
    let second = plan(&NumericRange {}, &rows, &["id".into(), number.clone()], 1).await;
    for plan in [whole, single, second] {
        let note = found(plan).expect("a note");
        assert!(note.starts_with("1 row(s) hold no number in \"k\""), "{note}");
    }
    let crowded = table([
        ("id", integers((0..4).map(|row| Some(row.min(2))))),
        ("k", Arc::new(StringArray::from(vec!["n/a", "1", "2", "n/a"])) as _),
    ]);
    let plan = plan(&NumericRange {}, &crowded, &["id".into(), number], 1).await;
    let note = found(plan).expect("a note");
    assert!(note.starts_with("1 row(s) of those that are cut by it hold no number"), "{note}");
}

#[tokio::test]
async fn a_word_that_makes_numbers_of_a_text_is_named_where_texts_are_wanted() {
    let rows = table(kinds(200));
    let error = try_plan(&GroupedValues {}, rows, &[Key::number_in("text")], 1).await;
    let error = error.expect_err("texts are wanted");
    assert!(error.to_string().contains("read as numbers"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("chunking_column_types")), "{error}");
}

#[tokio::test]
async fn times_of_day_are_cut_evenly() {
    let times = Time64NanosecondArray::from_iter_values((0..20_000).map(|row| row * 1_000_000));
    let rows = table([("at", Arc::new(times) as _), ("id", integers((0..20_000).map(Some)))]);
    let plan = plan(&Auto {}, &rows, &["at".into()], 5_000).await;
    assert_eq!((plan.strategy.as_str(), true_counts(&plan, &rows)), ("date_range", vec![5_000; 4]));
}
