//! Rows that may be known already: what becomes of them, and what is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, StringArray};
use migrate_core::{
    ColumnType, ErrorKind, LoadPlan, PlanFacts, Result, RunContext, SinkTable, WriteMode,
    WriteSummary, code,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Given, Target, batch, batches, chunk, plan};

/// Key, version, value.
type Row = (i64, Option<i64>, Option<&'static str>);

const TABLE: &str = "create table t (k bigint primary key, at bigint, v text)";

fn given(rows: &[Row]) -> Vec<Given> {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let versions: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
    let values: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>());
    vec![
        Given("k", ColumnType::Int64, keys),
        Given("at", ColumnType::Int64, versions),
        Given("v", ColumnType::Text { max_chars: None }, values),
    ]
}

fn upsert(version: Option<&str>) -> WriteMode {
    WriteMode::Upsert { keys: vec!["k".into()], version: version.map(Into::into) }
}

fn insert_only() -> WriteMode {
    WriteMode::InsertOnly { keys: vec!["k".into()], version: None }
}

fn planned(mode: WriteMode, columns: &[Given]) -> LoadPlan {
    let mut plan = plan(columns);
    plan.mode = mode;
    plan
}

async fn merge(table: &dyn SinkTable, mode: WriteMode, rows: &[Row]) -> Result<WriteSummary> {
    merge_columns(table, mode, given(rows)).await
}

async fn merge_columns(
    table: &dyn SinkTable,
    mode: WriteMode,
    columns: Vec<Given>,
) -> Result<WriteSummary> {
    let plan = planned(mode, &columns);
    let rows = batches(vec![Ok(batch(columns))]);
    table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await
}

/// Read, inserted, updated, skipped.
fn counts(summary: Result<WriteSummary>) -> (u64, u64, u64, u64) {
    let summary = summary.expect("merges");
    (summary.rows_read, summary.rows_inserted, summary.rows_updated, summary.rows_skipped)
}

async fn rows_of(target: &Target) -> String {
    let sql =
        "select string_agg(concat_ws(':', k, coalesce(at::text, '-'), v), ' ' order by k) from t";
    target.text(sql).await.unwrap_or_default()
}

#[tokio::test]
async fn an_upsert_inserts_updates_and_skips_and_counts_each() {
    let target = Target::with(TABLE).await;
    let table = target.table("t").await;
    let first = [(1, Some(10), Some("a")), (2, Some(10), Some("b")), (3, None, Some("c"))];
    assert_eq!(counts(merge(&*table, upsert(Some("at")), &first).await), (3, 3, 0, 0));
    let places = "select string_agg(ctid::text, ' ' order by k) from t where k = 1";
    let before = target.text(places).await;
    let second = [
        (1, Some(10), Some("a")),
        (2, Some(9), Some("older")),
        (3, Some(1), Some("known without a version")),
        (4, None, Some("new")),
    ];
    assert_eq!(counts(merge(&*table, upsert(Some("at")), &second).await), (4, 1, 1, 2));
    assert_eq!(rows_of(&target).await, "1:10:a 2:10:b 3:1:known without a version 4:-:new");
    assert_eq!(target.text(places).await, before, "an unchanged row is not written again");
    let third = [(2, None, Some("no version")), (4, Some(5), None)];
    assert_eq!(counts(merge(&*table, upsert(Some("at")), &third).await), (2, 0, 2, 0));
    assert_eq!(rows_of(&target).await, "1:10:a 2:-:no version 3:1:known without a version 4:5");
}

#[tokio::test]
async fn without_a_version_the_last_one_written_stands() {
    let target = Target::with(TABLE).await;
    let table = target.table("t").await;
    merge(&*table, upsert(None), &[(1, Some(10), Some("a"))]).await.expect("inserts");
    let older = merge(&*table, upsert(None), &[(1, Some(1), Some("b"))]).await;
    assert_eq!(counts(older), (1, 0, 1, 0));
    assert_eq!(rows_of(&target).await, "1:1:b");
}

#[tokio::test]
async fn twins_in_a_chunk_are_told_apart_or_refused() {
    let target = Target::with(TABLE).await;
    let table = target.table("t").await;
    let newest = [
        (1, Some(1), Some("old")),
        (1, Some(3), Some("new")),
        (1, None, Some("unknown")),
        (1, Some(3), Some("new")),
    ];
    assert_eq!(counts(merge(&*table, upsert(Some("at")), &newest).await), (4, 1, 0, 3));
    assert_eq!(rows_of(&target).await, "1:3:new");
    let equal = [(2, Some(1), None), (2, Some(1), None)];
    assert_eq!(counts(merge(&*table, upsert(None), &equal).await), (2, 1, 0, 1));

    let contradicting = [(3, Some(7), Some("a")), (3, Some(7), Some("b"))];
    for mode in [upsert(Some("at")), upsert(None), insert_only()] {
        let error = merge(&*table, mode, &contradicting).await.expect_err("which one?");
        assert_eq!(error.code(), code::AMBIGUOUS_KEY);
        assert_eq!(error.kind(), ErrorKind::DataInvalid);
        assert_eq!(error.context("key"), Some("\"k\"=3"));
    }
    assert_eq!(rows_of(&target).await, "1:3:new 2:1", "nothing of a refused chunk is written");
}

#[tokio::test]
async fn insert_only_brings_the_new_ones_in_row_by_row() {
    let target = Target::with(
        "create table t (k bigint primary key, at bigint, v text); \
         insert into t select k, 0, 'old' from generate_series(0, 949) k",
    )
    .await;
    let table = target.table("t").await;
    let rows: Vec<Row> = (0..1000).map(|k| (k, Some(1), Some("new"))).collect();
    assert_eq!(counts(merge(&*table, insert_only(), &rows).await), (1000, 50, 0, 950));
    assert_eq!(counts(merge(&*table, insert_only(), &rows).await), (1000, 0, 0, 1000));
    assert_eq!(target.count("t where v = 'old'").await, 950);
    assert_eq!(target.count("t").await, 1000);
}

#[tokio::test]
async fn types_without_equality_and_equal_values_that_differ_are_noticed() {
    let target = Target::with("create table t (k bigint primary key, j json, n numeric)").await;
    let table = target.table("t").await;
    let row = |json: &str, number: &str| {
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let json: ArrayRef = Arc::new(StringArray::from(vec![json]));
        let scale = u8::try_from(number.len() - number.find('.').unwrap_or(0) - 1).expect("small");
        let unscaled = number.replace('.', "").parse::<i128>().expect("digits");
        let numbers = migrate_core::arrow::array::Decimal128Array::from(vec![unscaled])
            .with_precision_and_scale(10, i8::try_from(scale).expect("small"))
            .expect("fits");
        vec![
            Given("k", ColumnType::Int64, keys),
            Given("j", ColumnType::Json, json),
            Given("n", ColumnType::Number { precision: 10, scale }, Arc::new(numbers)),
        ]
    };
    let write =
        async |json, number| counts(merge_columns(&*table, upsert(None), row(json, number)).await);
    assert_eq!(write("{}", "1.0").await, (1, 1, 0, 0));
    assert_eq!(write("{}", "1.0").await, (1, 0, 0, 1));
    assert_eq!(write("{ }", "1.0").await, (1, 0, 1, 0));
    assert_eq!(write("{ }", "1.00").await, (1, 0, 1, 0));
    assert_eq!(target.text("select n::text from t").await.as_deref(), Some("1.00"));
}

#[tokio::test]
async fn columns_that_are_no_key_are_refused_with_the_statement_that_mends_it() {
    let target = Target::with(
        "create table t (k bigint not null, at bigint, v text); \
         create unique index part on t (k) where at > 0; \
         create unique index low on t (lower(v)); \
         alter table t add constraint late unique (k) deferrable",
    )
    .await;
    let settle = async |mode| {
        let table = target.table("t").await;
        table.settle_plan(planned(mode, &given(&[])), PlanFacts::default()).await
    };
    let error = settle(upsert(None)).await.expect_err("partial and deferrable only");
    assert_eq!(error.code(), code::KEY_NOT_UNIQUE);
    let hint = error.hint().expect("a next step");
    let statement = r#"create unique index on "public"."t" ("k")"#;
    assert!(hint.contains(statement), "{hint}");
    assert!(error.to_string().contains("\"late\" belongs to a deferrable"), "{error}");
    target.execute(statement).await;
    let error = settle(insert_only()).await.expect_err("PostgreSQL would refuse each chunk");
    let hint = error.hint().expect("a next step");
    let mended = r#"alter table "public"."t" drop constraint "late""#;
    assert!(hint.starts_with(mended), "{hint}");
    target.execute(mended).await;
    let settled = settle(insert_only()).await.expect("a key now");
    assert!(settled.notes.is_empty(), "{:?}", settled.notes);
    let table = target.table("t").await;
    assert_eq!(counts(merge(&*table, upsert(None), &[(1, None, None)]).await), (1, 1, 0, 0));
    assert_eq!(counts(merge(&*table, upsert(None), &[(1, None, Some("b"))]).await), (1, 0, 1, 0));

    target.execute("alter table t alter k drop not null").await;
    let settled = settle(upsert(None)).await.expect("NULL is refused row by row");
    assert!(settled.notes[0].contains("NULL in \"k\""), "{:?}", settled.notes);
    target.execute("alter table t add id bigint generated always as identity").await;
    let mut plan = planned(upsert(None), &given(&[]));
    plan.columns.push(migrate_core::ColumnPair::new("id", "id", ColumnType::Int64));
    let error =
        target.table("t").await.settle_plan(plan, PlanFacts::default()).await.expect_err("fixed");
    assert!(error.to_string().contains("set generated by default"), "{error}");
}

#[tokio::test]
async fn a_key_with_null_is_refused_where_it_would_never_be_recognised() {
    let target = Target::with("create table t (k bigint unique, at bigint, v text)").await;
    let table = target.table("t").await;
    let columns = || {
        let mut columns = given(&[(1, None, None), (2, None, None)]);
        columns[0].2 = Arc::new(Int64Array::from(vec![Some(1), None]));
        columns
    };
    let error = merge_columns(&*table, upsert(None), columns()).await.expect_err("NULL");
    assert_eq!(error.code(), code::VALUE_REFUSED);
    assert_eq!(error.context("column"), Some("\"k\""));
    assert_eq!(target.count("t").await, 0);
    let version = target.text("select current_setting('server_version_num')").await;
    if version.is_some_and(|version| version.as_str() < "150000") {
        return;
    }
    target.execute("alter table t drop constraint t_k_key").await;
    target.execute("create unique index on t (k) nulls not distinct").await;
    let table = target.table("t").await;
    assert_eq!(counts(merge_columns(&*table, upsert(None), columns()).await), (2, 2, 0, 0));
    assert_eq!(counts(merge_columns(&*table, upsert(None), columns()).await), (2, 0, 0, 2));
}

#[tokio::test]
async fn a_row_that_breaks_a_condition_is_named_in_each_mode() {
    let target = Target::with(
        "create table parent (id bigint primary key); insert into parent values (50), (3); \
         create table t (k bigint primary key, at bigint unique check (at < 100), v text not null, \
            p bigint generated always as (case when v = 'orphan' then 99 else 3 end) stored \
                references parent); \
         create function refuse() returns trigger language plpgsql as $$ begin \
            if new.v = 'raise' then raise exception 'no'; end if; return new; end $$; \
         create trigger refuse before insert on t for each row execute function refuse(); \
         insert into t values (0, 50, 'there')",
    )
    .await;
    let table = target.table("t").await;
    let good = |k: i64| (k, Some(k), Some("good"));
    for (bad, state) in [
        ((77, Some(1077), None), "23502"),
        ((77, Some(100), Some("above")), "23514"),
        ((77, Some(50), Some("of another key")), "23505"),
        ((77, Some(3), Some("of a row before")), "23505"),
        ((77, Some(77), Some("orphan")), "23503"),
        ((77, Some(77), Some("raise")), "P0001"),
    ] {
        for mode in [upsert(None), insert_only()] {
            let mut rows: Vec<Row> =
                (1..40).map(good).chain((200..220).map(|k| (k, None, Some("")))).collect();
            rows.insert(5, bad);
            let error = merge(&*table, mode, &rows).await.expect_err(state);
            assert_eq!(error.context("sqlstate"), Some(state), "{}", error.report());
            assert_eq!(error.context("key"), Some("\"k\"=77"), "{}", error.report());
            assert!(!error.hint().unwrap_or_default().contains("set `uniqueness"), "{error}");
            assert_eq!(rows_of(&target).await, "0:50:there", "the chunk is rolled back whole");
        }
    }
}

#[tokio::test]
async fn texts_are_newer_by_their_bytes_whatever_the_columns_collation() {
    let target = Target::with(
        "create collation by_letters (provider = icu, locale = 'en'); \
         create table t (k bigint primary key, at text collate by_letters, v text)",
    )
    .await;
    let table = target.table("t").await;
    let row = |rows: &[(i64, &str, &str)]| {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
        let text = |of: fn(&(i64, &str, &str)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
        };
        let text_type = || ColumnType::Text { max_chars: None };
        vec![
            Given("k", ColumnType::Int64, keys),
            Given("at", text_type(), text(|row| row.1.to_owned())),
            Given("v", text_type(), text(|row| row.2.to_owned())),
        ]
    };
    // By letters, "a" comes before "B"; by bytes after it.
    let write = async |rows: &[(i64, &str, &str)]| {
        counts(merge_columns(&*table, upsert(Some("at")), row(rows)).await)
    };
    assert_eq!(write(&[(1, "a", "newer")]).await, (1, 1, 0, 0));
    assert_eq!(write(&[(1, "B", "older")]).await, (1, 0, 0, 1));
    assert_eq!(write(&[(2, "B", "older"), (2, "a", "newer")]).await, (2, 1, 0, 1));
    assert_eq!(rows_of(&target).await, "1:a:newer 2:a:newer");
}

#[tokio::test]
async fn a_version_that_the_target_orders_otherwise_is_refused_in_the_plan() {
    let settle = async |pg_type: &str, column_type: ColumnType| {
        let target = Target::with("create table t (k bigint primary key, at bigint, v text)").await;
        target.execute(&format!("alter table t alter at type {pg_type} using null")).await;
        let mut plan = planned(upsert(Some("at")), &given(&[]));
        plan.columns[1] = migrate_core::ColumnPair::new("at", "at", column_type);
        target.table("t").await.settle_plan(plan, PlanFacts::default()).await
    };
    let text = || ColumnType::Text { max_chars: None };
    for (pg_type, column_type) in [
        ("text", ColumnType::Int64),
        ("varchar(40)", ColumnType::OffsetTimestamp { scale: 9 }),
        ("json", ColumnType::Int64),
        ("char(20)", text()),
        ("bigint", text()),
    ] {
        let error = settle(pg_type, column_type).await.expect_err(pg_type);
        assert_eq!(error.code(), code::TYPE_MISMATCH);
        assert!(error.hint().is_some_and(|hint| hint.contains("target_watermark")), "{error}");
    }
    for (pg_type, column_type) in [
        ("text", text()),
        ("numeric", ColumnType::Int64),
        ("timestamptz", ColumnType::OffsetTimestamp { scale: 9 }),
    ] {
        let settled = settle(pg_type, column_type).await.expect(pg_type);
        let is_coarser = settled.notes.iter().any(|note| note.contains("6 digits of a second"));
        assert_eq!(is_coarser, pg_type == "timestamptz", "{:?}", settled.notes);
    }
}

#[tokio::test]
async fn a_partitioned_target_counts_as_well() {
    let target = Target::with(
        "create table t (k bigint primary key, at bigint, v text) partition by range (k); \
         create table low partition of t for values from (0) to (10); \
         create table high partition of t for values from (10) to (100)",
    )
    .await;
    let table = target.table("t").await;
    let first = [(1, None, Some("a")), (11, None, Some("b")), (11, None, Some("b"))];
    assert_eq!(counts(merge(&*table, upsert(None), &first).await), (3, 2, 0, 1));
    let second = [(1, None, Some("a")), (11, None, Some("c")), (12, None, Some("d"))];
    assert_eq!(counts(merge(&*table, upsert(None), &second).await), (3, 1, 1, 1));
    assert_eq!(rows_of(&target).await, "1:-:a 11:-:c 12:-:d");
}

#[tokio::test]
async fn thousands_of_chunks_leave_nothing_in_the_catalog() {
    let target = Target::with(TABLE).await;
    let table = target.table("t").await;
    // Each connection has its own, of three entries.
    let temporary = "select max(n)::text from (select count(*) as n from pg_class \
                     where relpersistence = 't' group by relnamespace) per_connection";
    merge(&*table, upsert(None), &[(0, None, None)]).await.expect("makes the table");
    let once = target.text(temporary).await.expect("there is a staging table");
    for key in 0..20 {
        merge(&*table, upsert(None), &[(key, None, None)]).await.expect("uses it");
    }
    assert_eq!(target.text(temporary).await, Some(once));
}

#[derive(Debug, Clone)]
struct Known {
    version: Option<i64>,
    value: Option<&'static str>,
}

/// What the decisions say, without SQL.
fn model(known: &mut BTreeMap<i64, Known>, chunk: &[Row]) -> bool {
    let mut newest: BTreeMap<i64, Row> = BTreeMap::new();
    for row in chunk {
        let best = newest.entry(row.0).or_insert(*row);
        if row.1 > best.1 {
            *best = *row;
        }
    }
    let contradicts =
        |row: &Row| newest.get(&row.0).is_some_and(|best| best.1 == row.1 && best.2 != row.2);
    if chunk.iter().any(contradicts) {
        return false;
    }
    for (key, version, value) in newest.into_values() {
        let wins = known.get(&key).is_none_or(|old| match (old.version, version) {
            (Some(old), Some(new)) => new >= old,
            _ => true,
        });
        if wins {
            known.insert(key, Known { version, value });
        }
    }
    true
}

#[test]
fn any_sequence_of_chunks_ends_as_the_model_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let target = runtime.block_on(Target::with(TABLE));
    let value = option::of(prop_oneof![Just("a"), Just("b")]);
    let chunks = vec(vec((0..6_i64, option::of(0..4_i64), value), 0..6), 1..6);
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&chunks, |chunks| {
            runtime.block_on(async {
                target.execute("truncate t").await;
                let table = target.table("t").await;
                let mut known = BTreeMap::new();
                for chunk in &chunks {
                    let accepted = model(&mut known, chunk);
                    let outcome = merge(&*table, upsert(Some("at")), chunk).await;
                    prop_assert_eq!(outcome.is_ok(), accepted, "{:?}", outcome);
                    if let Ok(counted) = outcome {
                        prop_assert_eq!(counted.rows_settled(), chunk.len() as u64);
                    }
                }
                let expected: Vec<String> = known
                    .iter()
                    .map(|(key, row)| {
                        let version = row.version.map_or("-".into(), |at| at.to_string());
                        let parts =
                            [Some(key.to_string()), Some(version), row.value.map(Into::into)];
                        parts.into_iter().flatten().collect::<Vec<_>>().join(":")
                    })
                    .collect();
                prop_assert_eq!(rows_of(&target).await, expected.join(" "));
                Ok(())
            })
        })
        .expect("as the model says");
}
