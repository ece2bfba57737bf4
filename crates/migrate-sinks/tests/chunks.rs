//! A chunk is written as a whole, with its record, or not at all.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use migrate_core::arrow::array::{ArrayRef, Int64Array, StringArray};
use migrate_core::{
    BatchStream, Chunk, ChunkId, ColumnType, CommitDomain, CommitRecord, ErrorKind, Extent,
    Predicate, RunContext, Scalar, SqlStatement, WriteSummary, code,
};
use migrate_postgres::sqlx;

use crate::support::{Given, Ledger, Target, batch, batches, chunk, on_purpose, plan, write};

const TABLES: &str = "create table t (id bigint primary key); \
                      create table ledger (number bigint primary key, rows bigint); \
                      insert into ledger values (1)";

fn ids(ids: std::ops::Range<i64>) -> Vec<Given> {
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    vec![Given("id", ColumnType::Int64, array)]
}

#[tokio::test]
async fn rows_and_record_are_committed_together() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let record = Ledger { domain: target.database.domain().clone(), number: 1 };
    let rows = batches(vec![Ok(batch(ids(0..5))), Ok(batch(ids(5..9)))]);
    let plan = plan(&ids(0..0));
    let written = table.write_chunk(&plan, &chunk(), rows, Some(&record), &RunContext::new()).await;
    let summary = written.expect("commits");
    assert_eq!((summary.rows_read, summary.rows_inserted), (9, 9));
    assert_eq!(target.count("t").await, 9);
    assert_eq!(target.text("select rows::text from ledger").await.as_deref(), Some("9"));
}

#[tokio::test]
async fn a_lost_lease_rolls_the_rows_back() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let record = Ledger { domain: target.database.domain().clone(), number: 2 };
    let rows = batches(vec![Ok(batch(ids(0..5)))]);
    let plan = plan(&ids(0..0));
    let written = table.write_chunk(&plan, &chunk(), rows, Some(&record), &RunContext::new()).await;
    assert_eq!(written.expect_err("no such row in the ledger").kind(), ErrorKind::LeaseLost);
    assert_eq!(target.count("t").await, 0);
}

/// Notes how many rows were there when a chunk was entered.
#[derive(Debug)]
struct Entering {
    inner: Ledger,
    /// Whether the lease is still owned.
    is_owned: bool,
}

impl CommitRecord for Entering {
    fn domain(&self) -> &CommitDomain {
        self.inner.domain()
    }

    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        self.inner.statement(summary)
    }

    fn enter(&self) -> Option<SqlStatement> {
        let sql = "insert into entered select count(*) from t having $1 = 1";
        Some(SqlStatement { sql: sql.into(), params: vec![Scalar::from(i64::from(self.is_owned))] })
    }
}

#[tokio::test]
async fn the_transaction_of_a_chunk_begins_by_entering_it() {
    let target = Target::with(TABLES).await;
    target.execute("create table entered (rows bigint)").await;
    let table = target.table("t").await;
    let plan = plan(&ids(0..0));
    for is_owned in [true, false] {
        let inner = Ledger { domain: target.database.domain().clone(), number: 1 };
        let record = Entering { inner, is_owned };
        let rows = batches(vec![Ok(batch(if is_owned { ids(0..5) } else { ids(5..9) }))]);
        let cx = RunContext::new();
        let written = table.write_chunk(&plan, &chunk(), rows, Some(&record), &cx).await;
        match written {
            Ok(summary) => assert_eq!((is_owned, summary.rows_inserted), (true, 5)),
            Err(error) => assert_eq!((is_owned, error.kind()), (false, ErrorKind::LeaseLost)),
        }
        assert_eq!(target.count("t").await, 5);
    }
    let entered = "select string_agg(rows::text, ' ') from entered";
    assert_eq!(target.text(entered).await.as_deref(), Some("0"), "before its first row");
}

#[tokio::test]
async fn a_record_of_another_database_is_refused() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let record = Ledger { domain: CommitDomain::new("elsewhere"), number: 1 };
    let rows = batches(vec![Ok(batch(ids(0..5)))]);
    let plan = plan(&ids(0..0));
    let written = table.write_chunk(&plan, &chunk(), rows, Some(&record), &RunContext::new()).await;
    assert_eq!(written.expect_err("another domain").kind(), ErrorKind::Internal);
    assert_eq!(target.count("t").await, 0);
}

#[tokio::test]
async fn an_error_of_the_source_leaves_nothing_behind() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let rows = batches(vec![Ok(batch(ids(0..50_000))), Err(on_purpose())]);
    let plan = plan(&ids(0..0));
    let written = table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await;
    assert_eq!(written.expect_err("passed on").message(), "On purpose");
    assert_eq!(target.count("t").await, 0);
    write(table.as_ref(), ids(0..3)).await.expect("the pool is fine");
}

#[tokio::test]
async fn a_duplicate_key_refuses_the_whole_chunk() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    write(table.as_ref(), ids(5..6)).await.expect("one row");
    let error = write(table.as_ref(), ids(0..10)).await.expect_err("5 exists");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.context("sqlstate"), Some("23505"));
    assert!(!error.report().to_string().contains("(id)=(5)"), "no values: {}", error.report());
    assert_eq!(target.count("t").await, 1);
}

#[tokio::test]
async fn a_trigger_that_drops_rows_is_noticed() {
    let target = Target::with(
        "create table t (id bigint); \
         create function skip() returns trigger language plpgsql as \
            'begin if new.id = 3 then return null; end if; return new; end'; \
         create trigger skip before insert on t for each row execute function skip()",
    )
    .await;
    let table = target.table("t").await;
    let error = write(table.as_ref(), ids(0..10)).await.expect_err("one row is dropped");
    assert_eq!(error.code(), code::VALUE_REFUSED);
    assert!(error.to_string().contains("9 of 10"), "{error}");
    assert_eq!(target.count("t").await, 0);
}

#[tokio::test]
async fn cancelling_in_mid_copy_ends_the_session_on_the_server() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let cx = RunContext::new();
    let cancel = cx.cancel.clone();
    // The second batch never comes; the wish to stop does.
    let first = stream::iter(vec![Ok(batch(ids(0..50_000)))]);
    let never = stream::once(async move {
        cancel.cancel();
        std::future::pending().await
    });
    let rows: BatchStream = first.chain(never).boxed();
    let plan = plan(&ids(0..0));
    let written = table.write_chunk(&plan, &chunk(), rows, None, &cx).await;
    assert_eq!(written.expect_err("cancelled").kind(), ErrorKind::Cancelled);
    let copying = "select count(*)::text from pg_stat_activity \
                   where datname = current_database() and query like 'copy%' and state <> 'idle'";
    while target.text(copying).await.as_deref() != Some("0") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(target.count("t").await, 0);
}

#[tokio::test]
async fn a_session_that_is_ended_by_an_administrator_is_a_connection_error() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let database = target.database.clone();
    let first = stream::iter(vec![Ok(batch(ids(0..50_000)))]);
    let second = stream::once(async move {
        let ended = "select pg_terminate_backend(pid) from pg_stat_activity \
                     where datname = current_database() and query like 'copy%' and state <> 'idle'";
        sqlx::query(ended).execute(database.pool()).await.expect("ends it");
        Ok(batch(ids(50_000..200_000)))
    });
    let rows: BatchStream = first.chain(second).boxed();
    let plan = plan(&ids(0..0));
    let written = table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await;
    assert_eq!(written.expect_err("ended").kind(), ErrorKind::Connection);
    assert_eq!(target.count("t").await, 0);
    assert!(target.server.url().contains("postgres"));
}

/// Two rows: the second one is `bad`.
fn two_rows(bad: &str) -> Vec<Given> {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", bad]));
    vec![
        Given("id", ColumnType::Int64, ids),
        Given("v", ColumnType::Text { max_chars: None }, texts),
    ]
}

/// Refused by this side and by the server: the error always names column, row and key, and never
/// the value.
#[tokio::test]
async fn a_refused_value_is_named_by_its_row_and_key() {
    let target = Target::with(
        "create table short (id bigint primary key, v varchar(5)); \
         create table nul (id bigint primary key, v text); \
         create table js (id bigint primary key, v jsonb); \
         create table chk (id bigint primary key, v text check (v <> 'secret-4711')); \
         create domain dom as text check (value <> 'secret-4711'); \
         create table domt (id bigint primary key, v dom); \
         create type mood as enum ('a'); create table moods (id bigint primary key, v mood); \
         create table uniq (id bigint primary key, v text unique); \
         insert into uniq values (1, 'secret-4711')",
    )
    .await;
    for (name, bad) in [
        ("short", "secret-4711"),
        ("nul", "secret\0-4711"),
        ("js", "\"secret-4711"),
        ("chk", "secret-4711"),
        ("domt", "secret-4711"),
        ("moods", "secret-4711"),
        ("uniq", "secret-4711"),
    ] {
        let before = target.count(name).await;
        let mut rows = two_rows(bad);
        if name == "js" {
            rows[1].2 = Arc::new(StringArray::from(vec!["1", bad]));
        }
        let error = write(target.table(name).await.as_ref(), rows).await.expect_err(name);
        let said = error.report().to_string();
        assert_eq!(
            (error.context("row"), error.context("key")),
            (Some("2"), Some("\"id\"=8")),
            "{said}"
        );
        assert!(!said.contains("4711"), "no value: {said}");
        assert!(said.contains("; fix: "), "{said}");
        assert_eq!(target.count(name).await, before, "{name}");
        if !matches!(name, "uniq" | "chk") {
            assert_eq!(error.context("column"), Some("v"), "{said}");
        }
    }
}

#[tokio::test]
async fn null_in_not_null_and_rows_far_down_are_named_too() {
    let target = Target::with("create table t (id bigint primary key, v bigint not null)").await;
    let table = target.table("t").await;
    let rows = |range: std::ops::Range<i64>| {
        let values: Int64Array = range.clone().map(|id| (id != 150_000).then_some(id)).collect();
        let mut given = ids(range);
        given.push(Given("v", ColumnType::Int64, Arc::new(values)));
        given
    };
    let batches =
        batches((0..8).map(|at| Ok(batch(rows(at * 50_000..(at + 1) * 50_000)))).collect());
    let plan = plan(&rows(0..0));
    let written = table.write_chunk(&plan, &chunk(), batches, None, &RunContext::new()).await;
    let error = written.expect_err("NULL in NOT NULL");
    assert_eq!(error.context("sqlstate"), Some("23502"));
    assert_eq!(
        (error.context("row"), error.context("key"), error.context("column")),
        (Some("150001"), Some("\"id\"=150000"), Some("v")),
        "{}",
        error.report()
    );
}

/// The server tells of a bad row when all of a COPY have been sent: more keys than are kept meanwhile
/// are sent in several.
#[tokio::test]
async fn a_bad_row_among_any_number_of_keys_is_named() {
    let target = Target::with("create table t (key text, n bigint check (n <> 13))").await;
    let table = target.table("t").await;
    let given = |row: i64, n: i64| {
        let key: ArrayRef =
            Arc::new(StringArray::from(vec![format!("{row:02}{}", "x".repeat(1 << 20))]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![n]));
        vec![
            Given("key", ColumnType::Text { max_chars: None }, key),
            Given("n", ColumnType::Int64, number),
        ]
    };
    let by_key = Chunk::new(ChunkId(0), Extent::Rows { predicate: Predicate::is_null("key") });
    let plan = plan(&given(0, 0));
    let write = async |bad: Option<i64>| {
        let rows = (1..=40).map(|row| Ok(batch(given(row, if bad == Some(row) { 13 } else { 0 }))));
        let rows = batches(rows.collect());
        table.write_chunk(&plan, &by_key, rows, None, &RunContext::new()).await
    };
    for bad in [1, 16, 17, 20, 40] {
        let error = write(Some(bad)).await.expect_err("the check");
        assert_eq!(error.context("row"), Some(bad.to_string().as_str()), "{}", error.report());
        let key = error.context("key").expect("a key");
        assert!(key.starts_with(&format!("\"key\"='{bad:02}xxx")), "{bad}: {key}");
        assert_eq!(target.count("t").await, 0);
    }
    let summary = write(None).await.expect("fits");
    assert_eq!((summary.rows_read, summary.rows_inserted), (40, 40));
    assert_eq!(target.count("t").await, 40);
}
