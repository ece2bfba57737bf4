//! Rows that are set aside: exactly the bad ones, in every write mode, for every reason, and every
//! other row written.

mod keys;
mod limits;
mod which_rows;

use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, StringArray};
use migrate_core::value::rows_from_json;
use migrate_core::{
    BadRows, ColumnType, CommitDomain, CommitRecord, Dialect, LoadPlan, RejectedRow, Result,
    RunContext, Scalar, SinkTable, SqlBuilder, SqlStatement, WriteMode, WriteSummary,
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
pub(crate) struct Keeper(pub(crate) CommitDomain);

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
