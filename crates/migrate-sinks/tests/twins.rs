//! Keys that differ in the source and would be one in the target.

use std::sync::Arc;

use migrate_core::arrow::array::{Array as _, ArrayRef, StringArray};
use migrate_core::arrow::compute::concat;
use migrate_core::{
    ColumnPair, ColumnType, LoadPlan, OnFraction, OnNonjson, OnNul, PlanFacts, Result, RunContext,
    SettledPlan, ValuePolicy, WriteMode, code,
};

use crate::samples::array;
use crate::support::{Given, Target, batch, batches, chunk, plan};

fn text() -> ColumnType {
    ColumnType::Text { max_chars: None }
}

fn modes() -> [WriteMode; 2] {
    let keys = vec!["k".into()];
    [
        WriteMode::Upsert { keys: keys.clone(), version: None },
        WriteMode::InsertOnly { keys, version: None },
    ]
}

fn planned(mode: WriteMode, column_type: &ColumnType, policy: ValuePolicy) -> LoadPlan {
    let mut key = ColumnPair::new("k", "k", column_type.clone());
    key.policy = policy;
    let mut plan = LoadPlan::append(vec![key, ColumnPair::new("v", "v", text())]);
    plan.mode = mode;
    plan
}

/// What the plan of a table with this key says, in both modes.
async fn settled(
    target: &Target,
    pg_type: &str,
    column_type: &ColumnType,
    policy: ValuePolicy,
) -> Result<SettledPlan> {
    target.execute("drop table if exists t").await;
    target.execute(&format!("create table t (k {pg_type} primary key, v text)")).await;
    let table = target.table("t").await;
    let [upsert, insert_only] = modes();
    let first = table.settle_plan(planned(upsert, column_type, policy), PlanFacts::default()).await;
    let second =
        table.settle_plan(planned(insert_only, column_type, policy), PlanFacts::default()).await;
    assert_eq!(first.is_ok(), second.is_ok(), "{pg_type} {column_type}");
    first
}

async fn world() -> Target {
    Target::with(
        "create extension citext; \
         create collation any_case (provider = icu, locale = 'und-u-ks-level2', \
            deterministic = false); \
         create domain mail as citext",
    )
    .await
}

fn fraction(choice: OnFraction) -> ValuePolicy {
    let mut policy = ValuePolicy::default();
    policy.on_fraction = Some(choice);
    policy
}

#[tokio::test]
async fn a_key_in_which_different_rows_would_be_one_is_refused_in_the_plan() {
    let mut no_nul = ValuePolicy::default();
    no_nul.on_nul = OnNul::Remove;
    let mut nulls = ValuePolicy::default();
    nulls.on_nonjson = OnNonjson::Null;
    let plain = ValuePolicy::default();
    let target = world().await;
    let wall = |scale| ColumnType::Timestamp { scale };
    for (pg_type, column_type, policy, hint) in [
        ("timestamp", wall(9), plain, "\"on_fraction\": \"reject\""),
        ("timestamp(3)", wall(6), fraction(OnFraction::Round), "\"on_fraction\": \"reject\""),
        ("timestamptz", ColumnType::OffsetTimestamp { scale: 9 }, plain, "on_fraction"),
        ("time", ColumnType::Time { scale: 9 }, fraction(OnFraction::Truncate), "on_fraction"),
        ("interval", ColumnType::Time { scale: 9 }, plain, "on_fraction"),
        ("text", text(), no_nul, "\"on_nul\": \"reject\""),
        ("jsonb", ColumnType::Json, nulls, "\"on_nonjson\": \"reject\""),
        ("jsonb", ColumnType::Float64, nulls, "\"on_nonjson\": \"reject\""),
        ("jsonb", text(), plain, "text"),
        ("bigint", text(), plain, "view of the source"),
        ("numeric", text(), plain, "view of the source"),
        ("double precision", text(), plain, "view of the source"),
        ("boolean", text(), plain, "view of the source"),
        ("date", text(), plain, "view of the source"),
        ("time", text(), plain, "view of the source"),
        ("timestamp", text(), fraction(OnFraction::Reject), "view of the source"),
        ("timestamptz", text(), plain, "view of the source"),
        ("citext", text(), plain, "deterministic collation"),
        ("mail", text(), plain, "deterministic collation"),
        ("text collate any_case", text(), plain, "deterministic collation"),
    ] {
        let said = format!("{column_type} to {pg_type}");
        let error = settled(&target, pg_type, &column_type, policy).await.expect_err(&said);
        assert_eq!(error.code(), code::KEY_NOT_UNIQUE, "{said}: {}", error.report());
        assert!(error.to_string().contains("are one in \"k\""), "{said}: {}", error.report());
        assert!(error.hint().is_some_and(|found| found.contains(hint)), "{}", error.report());
    }
}

#[tokio::test]
async fn a_key_that_keeps_every_difference_or_refuses_it_is_taken() {
    let plain = ValuePolicy::default();
    let target = world().await;
    for (pg_type, column_type, policy) in [
        ("timestamp", ColumnType::Timestamp { scale: 9 }, fraction(OnFraction::Reject)),
        ("timestamp", ColumnType::Timestamp { scale: 6 }, fraction(OnFraction::Round)),
        ("timestamp(3)", ColumnType::Timestamp { scale: 6 }, plain),
        ("text", ColumnType::Timestamp { scale: 9 }, plain),
        ("date", ColumnType::Timestamp { scale: 9 }, plain),
        ("real", ColumnType::Float64, plain),
        ("smallint", ColumnType::Number { precision: 38, scale: 10 }, plain),
        ("numeric", ColumnType::DecFloat, plain),
        ("double precision", ColumnType::DecFloat, plain),
        ("char(5)", text(), plain),
        ("varchar(5)", text(), plain),
        ("text collate \"en-x-icu\"", text(), plain),
        ("jsonb", ColumnType::Json, plain),
    ] {
        let settled = settled(&target, pg_type, &column_type, policy).await;
        let settled = settled.unwrap_or_else(|e| panic!("{column_type} {pg_type}: {}", e.report()));
        assert!(settled.notes.is_empty(), "{:?}", settled.notes);
    }
    let notes = settled(&target, "uuid", &text(), plain).await.expect("taken").notes;
    assert!(notes.iter().any(|note| note.contains("are one key in \"k\"")), "{notes:?}");
}

/// Two keys that differ in nanoseconds only are never one row: not in one chunk, and not in two.
#[tokio::test]
async fn keys_that_differ_in_nanoseconds_lose_no_row() {
    let column_type = ColumnType::Timestamp { scale: 9 };
    let times = ["2024-02-29 10:11:12.123456001", "2024-02-29 10:11:12.123456002"];
    let rows = |times: &[&str]| {
        let keys: Vec<ArrayRef> =
            times.iter().map(|time| array(&column_type, Some(time))).collect();
        let keys: Vec<_> = keys.iter().map(AsRef::as_ref).collect();
        let keys = concat(&keys).expect("one type");
        let values: ArrayRef = Arc::new(StringArray::from(vec!["same"; keys.len()]));
        vec![Given("k", column_type.clone(), keys), Given("v", text(), values)]
    };
    for (pg_type, policy, is_kept) in [
        ("timestamp", ValuePolicy::default(), None),
        ("timestamp", fraction(OnFraction::Round), None),
        ("timestamp", fraction(OnFraction::Reject), Some(false)),
        ("text", ValuePolicy::default(), Some(true)),
    ] {
        for mode in modes() {
            for chunks in [vec![&times[..]], vec![&times[..1], &times[1..]]] {
                let target = Target::with("select").await;
                target.execute(&format!("create table t (k {pg_type} primary key, v text)")).await;
                let table = target.table("t").await;
                let mut wanted = plan(&rows(&times));
                wanted.mode = mode.clone();
                wanted.columns[0].policy = policy;
                let settled = table.settle_plan(wanted, PlanFacts::default()).await;
                let Some(is_kept) = is_kept else {
                    assert_eq!(settled.expect_err("one key").code(), code::KEY_NOT_UNIQUE);
                    continue;
                };
                let settled = settled.expect("a plan").plan;
                let mut inserted = 0;
                for times in chunks {
                    let rows = batches(vec![Ok(batch(rows(times)))]);
                    let context = RunContext::new();
                    match table.write_chunk(&settled, &chunk(), rows, None, &context).await {
                        Ok(summary) => inserted += summary.rows_inserted,
                        Err(error) => assert_eq!(error.code(), code::VALUE_REFUSED),
                    }
                }
                assert_eq!(inserted, if is_kept { 2 } else { 0 }, "{pg_type} {mode}");
            }
        }
    }
}
