//! Rows that are set aside: exactly the bad ones, in every write mode, for every reason, and every
//! other row written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, StringArray};
use migrate_core::value::rows_from_json;
use migrate_core::{
    BadRows, ColumnType, CommitDomain, CommitGuarantee, CommitRecord, Dialect, Error, ErrorKind,
    LoadPlan, RejectedRow, Result, RunContext, Scalar, SinkTable, SqlBuilder, SqlStatement,
    WriteMode, WriteSummary, code,
};
use migrate_postgres::sqlx;

use crate::support::{Given, Target, batch, batches, chunk, plan};

/// Key, version, text, number, parent, unique number, small number.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    k: Option<i64>,
    at: Option<i64>,
    v: Option<String>,
    n: i64,
    p: i64,
    u: i64,
    s: i64,
}

fn row(k: i64) -> Row {
    Row { k: Some(k), at: Some(1), v: Some(format!("v{k}")), n: 100, p: k % 3, u: k, s: 1 }
}

const TARGET: &str = "\
    create table rejected (number bigint primary key, key text, row json, reason text, \
        sqlstate text, code text, constraint_name text); \
    create table completed (inserted bigint, updated bigint, skipped bigint, rejected bigint); \
    create table parent (id bigint primary key); insert into parent values (0), (1), (2); \
    create sequence tries; \
    create table t (k bigint primary key, at bigint, v text not null, \
        n bigint constraint no_thirteen check (n <> 13), p bigint references parent, \
        u bigint unique, s smallint); \
    create function refuse() returns trigger language plpgsql as $$ begin \
        if new.n = 7 then raise exception 'the text % is refused', new.v; end if; \
        if new.n = 8 then return null; end if; \
        if new.n = 53 then raise exception 'disk full' using errcode = '53100'; end if; \
        return new; end $$; \
    create trigger refuse before insert or update on t for each row execute function refuse(); \
    create function count_try() returns trigger language plpgsql as $$ begin \
        perform nextval('tries'); return null; end $$; \
    create trigger count_try before insert on t for each statement execute function count_try()";

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Our encoder sees it.
    Client,
    Check,
    NotNull,
    ForeignKey,
    /// The unique number of the row before it.
    Unique,
    Trigger,
}

const FAULTS: [(Fault, &str); 6] = [
    (Fault::Client, ""),
    (Fault::Check, "23514"),
    (Fault::NotNull, "23502"),
    (Fault::ForeignKey, "23503"),
    (Fault::Unique, "23505"),
    (Fault::Trigger, "P0001"),
];

fn spoil(row: &mut Row, fault: Fault) {
    match fault {
        Fault::Client => row.s = 40_000,
        Fault::Check => row.n = 13,
        Fault::NotNull => row.v = None,
        Fault::ForeignKey => row.p = 99,
        Fault::Unique => row.u -= 1,
        Fault::Trigger => row.n = 7,
    }
}

fn given(rows: &[Row]) -> Vec<Given> {
    let numbers = |of: fn(&Row) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let texts: ArrayRef =
        Arc::new(rows.iter().map(|row| row.v.as_deref()).collect::<StringArray>());
    vec![
        Given("k", ColumnType::Int64, numbers(|row| row.k)),
        Given("at", ColumnType::Int64, numbers(|row| row.at)),
        Given("v", ColumnType::Text { max_chars: None }, texts),
        Given("n", ColumnType::Int64, numbers(|row| Some(row.n))),
        Given("p", ColumnType::Int64, numbers(|row| Some(row.p))),
        Given("u", ColumnType::Int64, numbers(|row| Some(row.u))),
        Given("s", ColumnType::Int64, numbers(|row| Some(row.s))),
    ]
}

fn upsert() -> WriteMode {
    WriteMode::Upsert { keys: vec!["k".into()], version: Some("at".into()) }
}

fn insert_only() -> WriteMode {
    WriteMode::InsertOnly { keys: vec!["k".into()], version: Some("at".into()) }
}

fn quarantined(mode: WriteMode, most_rows: u64) -> LoadPlan {
    let mut plan = plan(&given(&[]));
    plan.mode = mode;
    plan.bad_rows = BadRows::Quarantine { most_rows };
    plan
}

/// Keeps rows that are set aside in table `rejected`.
#[derive(Debug)]
struct Keeper(CommitDomain);

impl CommitRecord for Keeper {
    fn domain(&self) -> &CommitDomain {
        &self.0
    }

    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("insert into completed values (");
        let number = |value: u64| Scalar::Number(value.into());
        sql.value(&number(summary.rows_inserted)).text(", ");
        sql.value(&number(summary.rows_updated)).text(", ");
        sql.value(&number(summary.rows_skipped)).text(", ");
        sql.value(&number(summary.rows_rejected)).text(")");
        sql.finish()
    }

    fn keep(&self, rows: &[RejectedRow]) -> Option<SqlStatement> {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("insert into rejected select * from (select 0::bigint, null, null::json, null, ");
        sql.text("null, null, null where false");
        for row in rows {
            sql.text(" union all select ").value(&Scalar::Number(row.number.into()));
            let optional = |text: &Option<String>| Scalar::from(text.clone().unwrap_or_default());
            sql.text(", ").value(&optional(&row.key)).text("::text, ");
            sql.value(&Scalar::from(row.values.as_str())).text("::json, ");
            sql.value(&Scalar::from(row.reason.as_str())).text("::text, ");
            sql.value(&optional(&row.sqlstate)).text("::text, ");
            sql.value(&Scalar::from(row.code)).text("::text, ");
            sql.value(&optional(&row.constraint)).text("::text");
        }
        sql.text(") as r");
        Some(sql.finish())
    }
}

async fn write(target: &Target, plan: &LoadPlan, pieces: &[&[Row]]) -> Result<WriteSummary> {
    let table = target.table("t").await;
    write_into(target, &*table, plan, pieces).await
}

async fn write_into(
    target: &Target,
    table: &dyn SinkTable,
    plan: &LoadPlan,
    pieces: &[&[Row]],
) -> Result<WriteSummary> {
    let keeper = Keeper(target.database.domain().clone());
    let rows = pieces.iter().map(|rows| Ok(batch(given(rows)))).collect();
    table.write_chunk(plan, &chunk(), batches(rows), Some(&keeper), &RunContext::new()).await
}

async fn keys(target: &Target) -> Vec<i64> {
    sqlx::query_scalar("select k from t order by k").fetch_all(target.pool()).await.expect("keys")
}

/// Numbers and SQLSTATEs of the rows that were set aside.
async fn rejected(target: &Target) -> Vec<(i64, String)> {
    let sql = "select number, sqlstate from rejected order by number";
    sqlx::query_as(sql).fetch_all(target.pool()).await.expect("rejected")
}

/// Loads a chunk in a mode, from the target as it is to what readers see in the end.
async fn load(target: &Target, plan: &LoadPlan, pieces: &[&[Row]]) -> Result<WriteSummary> {
    let table = target.table("t").await;
    let cx = RunContext::new();
    table.prepare(plan, None, &cx).await?;
    let summary = write_into(target, &*table, plan, pieces).await?;
    table.publish(plan, None, &cx).await?;
    Ok(summary)
}

#[tokio::test]
async fn exactly_the_bad_rows_are_set_aside_in_every_mode_for_every_reason() {
    let replace = WriteMode::Replace { keys: vec!["k".into()] };
    for mode in [WriteMode::Copy, upsert(), insert_only(), replace] {
        // What a trigger refuses is seen when rows are shown, not before.
        let is_replaced = matches!(mode, WriteMode::Replace { .. });
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..600).map(row).collect();
        let mut expected = Vec::new();
        for (step, (fault, sqlstate)) in FAULTS.into_iter().enumerate() {
            if is_replaced && fault == Fault::Trigger {
                continue;
            }
            // One alone, two side by side, one beside a bad row of another kind.
            for at in [
                20 + step,
                100 + 10 * step,
                101 + 10 * step + usize::from(fault == Fault::Unique),
                599 - 3 * step,
            ] {
                if fault == Fault::Unique && at % 2 == 0 {
                    continue;
                }
                spoil(&mut rows[at], fault);
                expected.push((i64::try_from(at).expect("small") + 1, sqlstate.to_owned()));
            }
        }
        expected.sort();
        // A row whose unique number is that of a bad row is a good one.
        let bad: BTreeSet<usize> = expected
            .iter()
            .map(|(number, _)| usize::try_from(number - 1).expect("small"))
            .collect();
        for at in bad.iter().copied().filter(|at| rows[*at].u != rows[*at].k.expect("a key")) {
            assert!(!bad.contains(&(at - 1)), "the row before {at} must be good");
        }
        let plan = quarantined(mode.clone(), 100);
        let pieces = [&rows[..7], &rows[7..250], &rows[250..]];
        let summary = load(&target, &plan, &pieces)
            .await
            .unwrap_or_else(|error| panic!("{mode}: {}", error.report()));
        assert_eq!(rejected(&target).await, expected, "{mode}");
        let good: Vec<i64> =
            (0..600).filter(|k| !bad.contains(&usize::try_from(*k).expect("small"))).collect();
        assert_eq!(keys(&target).await, good, "{mode}");
        assert_eq!(summary.rows_read, 600, "{mode}");
        assert_eq!(summary.rows_inserted, good.len() as u64, "{mode}");
        assert_eq!(summary.rows_rejected, bad.len() as u64, "{mode}");
        assert!(summary.is_balanced(), "{mode}: {summary:?}");
        what_is_kept_is_the_row(&target, &plan, &rows).await;
    }
}

/// Values, keys and reasons.
async fn what_is_kept_is_the_row(target: &Target, plan: &LoadPlan, rows: &[Row]) {
    let sql = "select number, key, row::text, reason from rejected order by number";
    let kept: Vec<(i64, String, String, String)> =
        sqlx::query_as(sql).fetch_all(target.pool()).await.expect("kept");
    for (number, key, values, reason) in kept {
        let at = usize::try_from(number - 1).expect("small");
        let source = rows.get(at).expect("one of the rows");
        let back = rows_from_json(&plan.read_types(), [values.as_str()]).expect("reads");
        let expected = batch(given(std::slice::from_ref(source)));
        assert_eq!(back.columns(), expected.columns(), "{values}");
        assert_eq!(key, format!("\"k\"={}", source.k.expect("a key")));
        assert!(!reason.contains(source.v.as_deref().unwrap_or("v0")), "{reason}");
    }
}

#[tokio::test]
async fn a_chunk_of_bad_rows_alone_is_set_aside_as_a_whole() {
    for mode in [WriteMode::Copy, upsert(), insert_only()] {
        for (fault, sqlstate) in FAULTS {
            let target = Target::with(TARGET).await;
            let known = if fault == Fault::Unique { 1 } else { 1001 };
            target
                .execute(&format!(
                    "insert into t (k, v, u) select -k, '', k - 2 + {known} from generate_series(1, 40) k"
                ))
                .await;
            let mut rows: Vec<Row> = (1..=40).map(row).collect();
            for row in &mut rows {
                spoil(row, fault);
            }
            let summary = write(&target, &quarantined(mode.clone(), 40), &[&rows]).await;
            let summary = summary.unwrap_or_else(|error| panic!("{mode} {fault:?}: {error}"));
            assert_eq!((summary.rows_inserted, summary.rows_rejected), (0, 40), "{mode} {fault:?}");
            let expected: Vec<_> = (1..=40).map(|at| (at, sqlstate.to_owned())).collect();
            assert_eq!(rejected(&target).await, expected, "{mode} {fault:?}");
            assert_eq!(target.count("t").await, 40);
        }
    }
}

#[tokio::test]
async fn one_row_more_than_the_limit_fails_the_chunk_and_leaves_nothing() {
    for mode in [WriteMode::Copy, upsert()] {
        for fault in [Fault::Client, Fault::Check] {
            for limit in [0, 4] {
                let target = Target::with(TARGET).await;
                let mut rows: Vec<Row> = (0..100).map(row).collect();
                for row in rows.iter_mut().skip(10).take(usize::try_from(limit).expect("small") + 1)
                {
                    spoil(row, fault);
                }
                let error = write(&target, &quarantined(mode.clone(), limit), &[&rows]).await;
                let error = error.expect_err("one too many");
                assert_eq!(error.code(), code::TOO_MANY_BAD_ROWS, "{}", error.report());
                assert_eq!(error.context("table"), Some("public.t"));
                assert!(error.to_string().contains(&format!("the {limit} that may")), "{error}");
                assert!(error.hint().is_some_and(|hint| hint.contains("max_bad_rows")), "{error}");
                for table in ["t", "rejected", "completed"] {
                    assert_eq!(target.count(table).await, 0, "{table}");
                }
                rows[10] = row(10);
                let fits = write(&target, &quarantined(mode.clone(), limit), &[&rows]).await;
                assert_eq!(fits.expect("as many as may").rows_rejected, limit);
            }
        }
    }
}

#[tokio::test]
async fn few_bad_rows_among_many_cost_few_tries() {
    for (fault, most, mode) in [
        (Fault::Check, 10, WriteMode::Copy),
        (Fault::ForeignKey, 100, WriteMode::Copy),
        (Fault::Check, 100, upsert()),
        (Fault::Client, 1, upsert()),
    ] {
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..10_000).map(row).collect();
        for at in [17, 5000, 9999] {
            spoil(&mut rows[at], fault);
        }
        let summary = write(&target, &quarantined(mode.clone(), 3), &[&rows]).await.expect("fits");
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (9997, 3));
        let tries: i64 = target
            .text("select last_value::text from tries")
            .await
            .expect("a number")
            .parse()
            .expect("digits");
        assert!(tries <= most, "{mode} {fault:?}: {tries} tries");
    }
}

#[tokio::test]
async fn what_an_early_piece_has_set_aside_stays_when_a_later_one_is_taken_back() {
    for mode in [WriteMode::Copy, upsert()] {
        let target = Target::with(TARGET).await;
        // Pieces of four rows, cut within a batch and between batches.
        let wide = |k: i64| Row { v: Some(format!("{k}").repeat((1200 << 10) / 2)), ..row(k) };
        let mut rows: Vec<Row> = (10..30).map(wide).collect();
        for (at, fault) in [(0, Fault::Client), (1, Fault::Check), (6, Fault::ForeignKey)] {
            spoil(&mut rows[at], fault);
        }
        spoil(&mut rows[19], Fault::Check);
        let plan = quarantined(mode.clone(), 4);
        let summary = write(&target, &plan, &[&rows[..6], &rows[6..7], &rows[7..]]).await;
        let summary = summary.unwrap_or_else(|error| panic!("{mode}: {}", error.report()));
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (16, 4), "{mode}");
        let numbers: Vec<i64> = rejected(&target).await.into_iter().map(|row| row.0).collect();
        assert_eq!(numbers, [1, 2, 7, 20], "{mode}");
        what_is_kept_is_the_row(&target, &plan, &rows).await;
        let good = (10..30).filter(|k| ![10, 11, 16, 29].contains(k)).collect::<Vec<_>>();
        assert_eq!(keys(&target).await, good, "{mode}");
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_data_is_passed_on_at_once() {
    for mode in [WriteMode::Copy, upsert()] {
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..1000).map(row).collect();
        rows[500].n = 53;
        let error = write(&target, &quarantined(mode, 1000), &[&rows]).await.expect_err("full");
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert_eq!(target.text("select last_value::text from tries").await.as_deref(), Some("1"));
        assert_eq!(target.count("t").await + target.count("rejected").await, 0);
    }
}

#[tokio::test]
async fn a_row_that_a_trigger_drops_is_set_aside() {
    let target = Target::with(TARGET).await;
    let mut rows: Vec<Row> = (0..50).map(row).collect();
    rows[33].n = 8;
    let summary = write(&target, &quarantined(WriteMode::Copy, 1), &[&rows]).await.expect("fits");
    assert_eq!((summary.rows_inserted, summary.rows_rejected), (49, 1));
    let reason = target.text("select reason from rejected where number = 34").await;
    assert!(reason.is_some_and(|reason| reason.contains("drops the row")));
}

#[tokio::test]
async fn deferred_constraints_are_looked_at_in_time() {
    let target = Target::with(TARGET).await;
    target.execute("alter table t alter constraint t_p_fkey deferrable initially deferred").await;
    let mut rows: Vec<Row> = (0..50).map(row).collect();
    spoil(&mut rows[20], Fault::ForeignKey);
    for mode in [WriteMode::Copy, upsert()] {
        target.execute("truncate t, rejected").await;
        let summary = write(&target, &quarantined(mode, 1), &[&rows]).await.expect("commits");
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (49, 1));
        assert_eq!(rejected(&target).await, [(21, "23503".to_owned())]);
    }
}

#[tokio::test]
async fn a_row_may_reference_a_later_row_of_its_own_table() {
    for mode in [WriteMode::Copy, upsert()] {
        let target = Target::with(TARGET).await;
        target.execute("alter table t drop constraint t_p_fkey").await;
        target.execute("alter table t add foreign key (p) references t (k)").await;
        let mut rows: Vec<Row> = (0..50).map(row).collect();
        for row in &mut rows {
            // Each references the next one, the last itself.
            row.p = row.u + i64::from(row.u < 49);
        }
        // Nobody tells which row that is, so good rows are tried without those that they reference.
        spoil(&mut rows[10], Fault::ForeignKey);
        let summary = write(&target, &quarantined(mode.clone(), 50), &[&rows]).await;
        let summary = summary.unwrap_or_else(|error| panic!("{mode}: {}", error.report()));
        // Row 10 is bad, and those before it reference it, directly or not.
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (39, 11), "{mode}");
        assert_eq!(keys(&target).await, (11..50).collect::<Vec<_>>(), "{mode}");
    }
}

#[tokio::test]
async fn keys_that_say_nothing_are_set_aside_with_all_their_rows() {
    let target = Target::with(TARGET).await;
    for change in [
        "alter table t drop constraint t_pkey",
        "alter table t alter k drop not null",
        "create unique index on t (k)",
    ] {
        target.execute(change).await;
    }
    let at = |k: i64, at: i64, v: &str| Row {
        at: Some(at),
        v: Some(v.into()),
        u: 1000 + k * 10 + at,
        ..row(k)
    };
    let rows = [
        row(1),
        Row { k: None, ..row(2) },
        at(3, 1, "older"),
        at(3, 2, "a"),
        Row { u: 7, ..at(3, 2, "b") },
        at(4, 1, "older"),
        at(4, 2, "newer"),
    ];
    let summary = write(&target, &quarantined(upsert(), 10), &[&rows]).await.expect("fits");
    assert_eq!((summary.rows_inserted, summary.rows_skipped, summary.rows_rejected), (2, 1, 4));
    let codes = target
        .text("select string_agg(number || ' ' || code, ', ' order by number) from rejected")
        .await;
    assert_eq!(
        codes.as_deref(),
        Some("2 value_refused, 3 ambiguous_key, 4 ambiguous_key, 5 ambiguous_key")
    );
    assert_eq!(
        target.text("select string_agg(v, ' ' order by k) from t").await.as_deref(),
        Some("v1 newer")
    );
}

#[tokio::test]
async fn an_older_row_takes_the_place_of_a_newer_one_that_is_refused() {
    for (fault, mode) in
        [(Fault::Client, upsert()), (Fault::Check, upsert()), (Fault::Check, insert_only())]
    {
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..20).map(row).collect();
        rows.push(Row { at: Some(0), v: Some("oldest".into()), ..row(5) });
        let mut newest = Row { at: Some(9), v: Some("bad".into()), ..row(5) };
        spoil(&mut newest, fault);
        rows.push(newest);
        let summary = write(&target, &quarantined(mode, 1), &[&rows]).await.expect("fits");
        assert_eq!(
            (summary.rows_inserted, summary.rows_skipped, summary.rows_rejected),
            (20, 1, 1)
        );
        assert_eq!(target.text("select v from t where k = 5").await.as_deref(), Some("v5"));
        assert_eq!(target.text("select number::text from rejected").await.as_deref(), Some("22"));
    }
}

#[tokio::test]
async fn an_upsert_with_bad_rows_still_never_writes_an_older_row() {
    let target = Target::with(TARGET).await;
    target.execute("insert into t select k, case when k % 2 = 0 then 5 else 0 end, 'known', 1, 0, k, 1 from generate_series(0, 9) k").await;
    let mut rows: Vec<Row> = (0..12).map(row).collect();
    spoil(&mut rows[3], Fault::Check);
    spoil(&mut rows[4], Fault::Check);
    let summary = write(&target, &quarantined(upsert(), 9), &[&rows]).await.expect("fits");
    // 3 is refused; 4 would not be written, being older, and yet PostgreSQL checks it first.
    let counts =
        [summary.rows_inserted, summary.rows_updated, summary.rows_skipped, summary.rows_rejected];
    assert_eq!(counts, [2, 4, 4, 2]);
    assert_eq!(target.count("t where v = 'known' and k <> 3 and k % 2 = 1").await, 0);
    assert_eq!(target.count("t where v = 'known' and k % 2 = 0").await, 5);
}

#[tokio::test]
async fn what_postgresql_cannot_hold_is_kept_all_the_same() {
    let target = Target::with(TARGET).await;
    let mut rows: Vec<Row> = (0..3).map(row).collect();
    rows[1].v = Some("a\u{0}b é 🚀".into());
    let plan = quarantined(WriteMode::Copy, 1);
    write(&target, &plan, &[&rows]).await.expect("fits");
    what_is_kept_is_the_row(&target, &plan, &rows).await;
}

#[tokio::test]
async fn a_trigger_that_refuses_a_replacement_leaves_the_old_rows() {
    let target = Target::with(TARGET).await;
    target.execute("insert into t (k, v) values (-1, 'old')").await;
    let mut rows: Vec<Row> = (0..10).map(row).collect();
    spoil(&mut rows[4], Fault::Trigger);
    let plan = quarantined(WriteMode::Replace { keys: vec!["k".into()] }, 5);
    let error = load(&target, &plan, &[&rows]).await.expect_err("shown all or none");
    assert_eq!(error.code(), code::VALUE_REFUSED);
    assert_eq!(keys(&target).await, [-1]);
}

#[tokio::test]
async fn without_a_place_for_them_no_row_is_set_aside() {
    let target = Target::with(TARGET).await;
    let table = target.table("t").await;
    assert!(table.capabilities().quarantine);
    assert!(matches!(table.capabilities().commit, CommitGuarantee::Transactional(_)));
    let rows = batches(vec![Ok(batch(given(&[row(1)])))]);
    let plan = quarantined(WriteMode::Copy, 1);
    let error: Error = table
        .write_chunk(&plan, &chunk(), rows, None, &RunContext::new())
        .await
        .expect_err("nowhere to keep them");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Random chunks against a model that knows rows, not statements.
#[tokio::test]
async fn any_mixture_of_bad_rows_ends_as_the_model_says() {
    let target = Target::with(TARGET).await;
    let mut seed = 4711_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..24_u64 {
        target.execute("truncate t, rejected").await;
        let size = random(400);
        let density = 1 + random(30);
        let mut rows: Vec<Row> = (0..i64::try_from(size).expect("small")).map(row).collect();
        let mut bad: BTreeMap<i64, &str> = BTreeMap::new();
        for (at, row) in rows.iter_mut().enumerate() {
            if random(density) == 0 {
                // Unique numbers are told by the other test: here they would depend on each other.
                let (fault, sqlstate) = FAULTS[usize::try_from(random(4)).expect("small")];
                spoil(row, fault);
                bad.insert(i64::try_from(at).expect("small") + 1, sqlstate);
            }
        }
        let mode = [WriteMode::Copy, upsert(), insert_only()]
            [usize::try_from(round % 3).expect("small")]
        .clone();
        let cut = usize::try_from(random(size + 1)).expect("small");
        let pieces = [&rows[..cut], &rows[cut..]];
        let summary = write(&target, &quarantined(mode.clone(), 1000), &pieces).await;
        let summary = summary.unwrap_or_else(|error| panic!("{round} {mode}: {}", error.report()));
        assert_eq!(summary.rows_rejected, bad.len() as u64, "{round} {mode}");
        let found = rejected(&target).await;
        let expected: Vec<_> = bad.iter().map(|(at, state)| (*at, (*state).to_owned())).collect();
        assert_eq!(found, expected, "{round} {mode}");
        let good: Vec<i64> = (0..i64::try_from(size).expect("small"))
            .filter(|k| !bad.contains_key(&(k + 1)))
            .collect();
        assert_eq!(keys(&target).await, good, "{round} {mode}");
    }
}
