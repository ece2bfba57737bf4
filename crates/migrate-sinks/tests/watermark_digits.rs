//! Watermarks of which the target keeps fewer digits than the source: which of two rows is newer, and
//! where the next window begins.

use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, StringArray};
use migrate_core::arrow::compute::concat;
use migrate_core::{
    BadRows, ColumnPair, ColumnType, CommitRecord, LoadPlan, OnFraction, PlanFacts, Result,
    RunContext, Scalar, SinkTable, WriteMode, WriteSummary, code,
};

use crate::quarantine::Keeper;
use crate::samples::array;
use crate::support::{Given, Target, batch, batches, chunk, plan};

/// Key, watermark, value.
type Row = (i64, Option<&'static str>, &'static str);

/// A table whose watermark has that type.
async fn target(pg_type: &str) -> Target {
    let target = Target::with(
        "create table rejected (number bigint primary key, key text, row json, reason text, \
            sqlstate text, code text, constraint_name text); \
         create table completed (inserted bigint, updated bigint, skipped bigint, rejected bigint)",
    )
    .await;
    let sql = format!("create table t (k bigint primary key, at {pg_type}, v text)");
    target.execute(&sql).await;
    target
}

fn given(column_type: &ColumnType, rows: &[Row]) -> Vec<Given> {
    let times: Vec<ArrayRef> = rows.iter().map(|row| array(column_type, row.1)).collect();
    let times: Vec<&dyn migrate_core::arrow::array::Array> =
        times.iter().map(AsRef::as_ref).collect();
    let keys = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let values = StringArray::from_iter_values(rows.iter().map(|row| row.2));
    vec![
        Given("k", ColumnType::Int64, Arc::new(keys)),
        Given("at", column_type.clone(), concat(&times).expect("one type")),
        Given("v", ColumnType::Text { max_chars: None }, Arc::new(values)),
    ]
}

fn upsert() -> WriteMode {
    WriteMode::Upsert { keys: vec!["k".into()], version: Some("at".into()) }
}

fn insert_only() -> WriteMode {
    WriteMode::InsertOnly { keys: vec!["k".into()], version: Some("at".into()) }
}

fn planned(mode: WriteMode, columns: &[Given], policy: Option<OnFraction>) -> LoadPlan {
    let mut plan = plan(columns);
    plan.mode = mode;
    for pair in &mut plan.columns {
        pair.policy.on_fraction = policy;
    }
    plan
}

async fn write(
    target: &Target,
    plan: &LoadPlan,
    column_type: &ColumnType,
    rows: &[Row],
) -> Result<WriteSummary> {
    let table = target.table("t").await;
    let keeper = Keeper(target.database.domain().clone());
    let record = plan.sets_bad_rows_aside().then_some(&keeper as &dyn CommitRecord);
    let rows = batches(vec![Ok(batch(given(column_type, rows)))]);
    table.write_chunk(plan, &chunk(), rows, record, &RunContext::new()).await
}

async fn values(target: &Target) -> String {
    let sql = "select string_agg(v, ' ' order by k) from t";
    target.text(sql).await.unwrap_or_default()
}

/// Source type, target type, an older and a newer time that are one in the target.
fn pairs() -> Vec<(ColumnType, &'static str, &'static str, &'static str, Option<OnFraction>)> {
    let (cut, round) = (Some(OnFraction::Truncate), Some(OnFraction::Round));
    let wall = || ColumnType::Timestamp { scale: 9 };
    let day = ("2024-02-29 10:11:12.1234561", "2024-02-29 10:11:12.1234564");
    let zoned = || ColumnType::OffsetTimestamp { scale: 9 };
    vec![
        (wall(), "timestamp", day.0, day.1, None),
        (wall(), "timestamp", day.0, day.1, cut),
        (wall(), "timestamp", day.0, day.1, round),
        // One is rounded up and the other down.
        (wall(), "timestamp", "2024-02-29 10:11:12.1234559", day.1, round),
        (
            wall(),
            "timestamp",
            "1969-12-31 23:59:59.999999001",
            "1969-12-31 23:59:59.999999002",
            cut,
        ),
        (wall(), "timestamp(3)", "0001-01-01 00:00:00.0010001", "0001-01-01 00:00:00.0019", cut),
        (wall(), "timestamp(0)", "9999-12-31 23:59:58.5", "9999-12-31 23:59:59.499999999", round),
        (
            ColumnType::Timestamp { scale: 6 },
            "timestamp(3)",
            "2024-02-29 10:11:12.123456",
            "2024-02-29 10:11:12.123457",
            cut,
        ),
        (ColumnType::Instant { scale: 9 }, "timestamptz", day.0, day.1, None),
        (zoned(), "timestamptz", day.0, day.1, round),
        (ColumnType::Time { scale: 9 }, "time", "10:11:12.000000001", "10:11:12.000000002", None),
        (ColumnType::Text { max_chars: None }, "timestamp", day.0, day.1, cut),
    ]
}

#[tokio::test]
async fn of_twins_that_are_one_in_the_target_the_newest_in_the_source_wins_in_either_order() {
    for (column_type, pg_type, older, newer, policy) in pairs() {
        let target = target(pg_type).await;
        let (old, new, none) =
            ((1, Some(older), "old"), (1, Some(newer), "new"), (1, None, "none"));
        for mode in [upsert(), insert_only()] {
            for bad_rows in [BadRows::Fail, BadRows::Quarantine { most_rows: 0 }] {
                for rows in [[old, new, none], [none, new, old], [new, new, old]] {
                    let said = format!("{column_type} {pg_type} {policy:?} {mode} {rows:?}");
                    target.execute("truncate t").await;
                    let mut plan = planned(mode.clone(), &given(&column_type, &rows), policy);
                    plan.bad_rows = bad_rows;
                    let written = write(&target, &plan, &column_type, &rows).await;
                    let written = written.unwrap_or_else(|e| panic!("{said}: {}", e.report()));
                    assert_eq!((written.rows_inserted, written.rows_skipped), (1, 2), "{said}");
                    assert_eq!(values(&target).await, "new", "{said}");
                }
            }
        }
        let rows = [new, (1, Some(newer), "other"), old];
        let plan = planned(upsert(), &given(&column_type, &rows), policy);
        let error = write(&target, &plan, &column_type, &rows).await.expect_err("which one?");
        assert_eq!(error.code(), code::AMBIGUOUS_KEY, "{column_type}: {}", error.report());
    }
}

/// The guard compares with what is stored, which knows nothing of finer digits.
#[tokio::test]
async fn of_rows_in_different_chunks_that_are_one_in_the_target_the_last_one_written_stands() {
    let column_type = ColumnType::Timestamp { scale: 9 };
    let (older, newer) = ("2024-02-29 10:11:12.1234561", "2024-02-29 10:11:12.1234564");
    for (policy, oldest) in [
        (Some(OnFraction::Truncate), "2024-02-29 10:11:12.1234559"),
        // Rounded, that one would be equal too.
        (Some(OnFraction::Round), "2024-02-29 10:11:12.1234554"),
    ] {
        let target = target("timestamp").await;
        let plan = planned(upsert(), &given(&column_type, &[(1, None, "")]), policy);
        for (time, value, stands) in [
            (newer, "new", "new"),
            (older, "old", "old"),
            (newer, "new again", "new again"),
            (oldest, "oldest", "new again"),
        ] {
            let written = write(&target, &plan, &column_type, &[(1, Some(time), value)]).await;
            written.expect("merges");
            assert_eq!(values(&target).await, stands, "{policy:?}");
        }
    }
}

#[tokio::test]
async fn the_bound_lies_below_every_time_that_may_have_become_the_greatest() {
    for (column_type, pg_type, time, policy, bound) in [
        (
            ColumnType::Timestamp { scale: 9 },
            "timestamp",
            "2024-02-29 10:11:12.1234567",
            Some(OnFraction::Round),
            "2024-02-29 10:11:12.123456",
        ),
        (
            ColumnType::Timestamp { scale: 9 },
            "timestamp",
            "2024-02-29 10:11:12.1234567",
            Some(OnFraction::Truncate),
            "2024-02-29 10:11:12.123455",
        ),
        (
            ColumnType::Timestamp { scale: 9 },
            "timestamp(3)",
            "2023-12-31 23:59:59.9995",
            Some(OnFraction::Round),
            "2023-12-31 23:59:59.999",
        ),
        (
            ColumnType::Timestamp { scale: 6 },
            "timestamp",
            "2024-02-29 10:11:12.123456",
            Some(OnFraction::Round),
            "2024-02-29 10:11:12.123456",
        ),
    ] {
        let target = target(pg_type).await;
        let rows = [(1, Some(time), "a")];
        let plan = planned(upsert(), &given(&column_type, &rows), policy);
        write(&target, &plan, &column_type, &rows).await.expect("writes");
        let pair = ColumnPair::new("at", "at", column_type.clone());
        let greatest = target.table("t").await.greatest(&pair).await.expect("asks");
        let greatest = greatest.expect("a row");
        assert_eq!(greatest.value, Scalar::Timestamp(bound.parse().expect("a time")), "{pg_type}");
        assert_eq!(greatest.is_exact, column_type == (ColumnType::Timestamp { scale: 6 }));
        let own = Scalar::Timestamp(time.parse().expect("a time"));
        assert_ne!(own.compare(&greatest.value), Some(std::cmp::Ordering::Less), "{pg_type}");
    }
}

#[tokio::test]
async fn a_target_that_orders_otherwise_than_the_source_has_no_bound() {
    let number = ColumnType::Number { precision: 18, scale: 0 };
    for (pg_type, column_type) in [
        ("text", number.clone()),
        ("varchar(40)", ColumnType::Int64),
        ("text", ColumnType::Timestamp { scale: 6 }),
        ("json", number),
    ] {
        let target = target(pg_type).await;
        let pair = ColumnPair::new("at", "at", column_type.clone());
        let error = target.table("t").await.greatest(&pair).await.expect_err(pg_type);
        assert_eq!(error.code(), code::TYPE_MISMATCH, "{column_type}: {}", error.report());
    }
}

#[tokio::test]
async fn the_greatest_text_is_that_of_its_bytes_also_where_case_does_not_count() {
    let target = Target::with(
        "create extension citext; create table t (at citext); insert into t values ('a'), ('B')",
    )
    .await;
    let pair = ColumnPair::new("at", "at", ColumnType::Text { max_chars: None });
    let greatest = target.table("t").await.greatest(&pair).await.expect("asks").expect("a row");
    assert_eq!(greatest.value, Scalar::Text("a".into()));
}

#[tokio::test]
async fn the_plan_says_where_the_target_keeps_less_and_only_there() {
    let settle = async |column_type: ColumnType, policy| {
        let target = target("timestamptz").await;
        let mut plan = planned(upsert(), &given(&column_type, &[(1, None, "")]), policy);
        plan.columns[1] = ColumnPair {
            policy: plan.columns[1].policy,
            ..ColumnPair::new("at", "at", column_type)
        };
        let table: Arc<dyn SinkTable> = target.table("t").await;
        table.settle_plan(plan, PlanFacts::default()).await.expect("a plan").notes
    };
    let nine = || ColumnType::OffsetTimestamp { scale: 9 };
    for (column_type, policy, is_said) in [
        (nine(), None, true),
        (nine(), Some(OnFraction::Round), true),
        (nine(), Some(OnFraction::Reject), false),
        (ColumnType::Instant { scale: 6 }, Some(OnFraction::Round), false),
    ] {
        let notes = settle(column_type, policy).await;
        let found = notes.iter().any(|note| note.contains("keeps 6 digits of a second"));
        assert_eq!(found, is_said, "{policy:?} {notes:?}");
    }
}
