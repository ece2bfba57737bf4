//! Emptying the target, once, and past sessions that were left behind.

use migrate_core::{ErrorKind, LoadPlan, PlanFacts, RunContext, TableRef, code};
use migrate_postgres::{PostgresSettings, sqlx};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{Ledger, Target};

const TABLES: &str = "create table t (id bigint); insert into t values (1), (2); \
                      create table ledger (number bigint primary key, rows bigint); \
                      insert into ledger values (1)";

fn emptying(tables: &[&str]) -> LoadPlan {
    let tables = tables.iter().map(|name| TableRef::in_schema("public", *name)).collect();
    LoadPlan::append(Vec::new()).with_truncate(tables)
}

/// A session with a name of its own that holds a lock as a writer does.
async fn writer(target: &Target, application: &'static str) -> PgConnection {
    let mut session = PgConnection::connect(target.server.url()).await.expect("connects");
    sqlx::query("select set_config('application_name', $1, false)")
        .bind(application)
        .execute(&mut session)
        .await
        .expect("names itself");
    session.execute("begin").await.expect("begins");
    session.execute("insert into t values (3)").await.expect("holds a lock");
    session
}

#[tokio::test]
async fn the_record_decides_whether_the_table_is_emptied() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let domain = target.database.domain().clone();
    let plan = emptying(&["t"]);
    let stale = Ledger { domain: domain.clone(), number: 2 };
    let error = table.prepare(&plan, Some(&stale), &RunContext::new()).await.expect_err("stale");
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert_eq!(target.count("t").await, 2, "a second caller empties nothing");
    let fresh = Ledger { domain, number: 1 };
    table.prepare(&plan, Some(&fresh), &RunContext::new()).await.expect("empties");
    assert_eq!(target.count("t").await, 0);
}

#[tokio::test]
async fn a_session_that_a_dead_run_left_is_ended() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let mut stale = writer(&target, migrate_postgres::APPLICATION_NAME).await;
    table.prepare(&emptying(&["t"]), None, &RunContext::new()).await.expect("empties");
    assert_eq!(target.count("t").await, 0);
    stale.execute("commit").await.expect_err("the stale session is gone");
}

/// Two tables, and the key that both do without.
#[tokio::test]
async fn one_preparation_at_a_time_takes_things_away() {
    let target = Target::with(
        "create table a (id bigint primary key); \
         create table b (a bigint constraint of_a references a); create index on b (a)",
    )
    .await;
    let (a, b) = (target.table("a").await, target.table("b").await);
    let mut facts = PlanFacts::default();
    facts.sets_aside = true;
    let mut plans = Vec::new();
    for (table, name) in [(&a, "a"), (&b, "b")] {
        plans.push(table.settle_plan(emptying(&[name]), facts.clone()).await.expect("plans").plan);
    }
    let shares_key = |plan: &LoadPlan| plan.set_aside.iter().any(|one| one.what.contains("of_a"));
    assert!(plans.iter().all(shares_key));
    let mut other = PgConnection::connect(target.server.url()).await.expect("connects");
    other.execute("select pg_advisory_lock(7883946363647714562)").await.expect("holds it");
    let cx = RunContext::new();
    let both =
        async { tokio::join!(a.prepare(&plans[0], None, &cx), b.prepare(&plans[1], None, &cx)) };
    let released = async {
        let waiting = "select (count(*) = 2)::text from pg_locks where locktype = 'advisory' \
                       and not granted and database = (select oid from pg_database \
                       where datname = current_database())";
        while target.text(waiting).await.as_deref() != Some("true") {
            tokio::task::yield_now().await;
        }
        let keys = "select count(*)::text from pg_constraint where conname = 'of_a'";
        assert_eq!(target.text(keys).await.as_deref(), Some("1"), "nothing was looked at yet");
        drop(other);
    };
    let (ended, ()) = tokio::join!(both, released);
    ended.0.expect("a");
    ended.1.expect("b");
    let left = "select count(*)::text from pg_constraint where conname = 'of_a'";
    assert_eq!(target.text(left).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn somebody_else_is_named_and_left_alone() {
    let target = Target::with(TABLES).await;
    let table = target.table("t").await;
    let mut other = writer(&target, "reporting").await;
    let error = table.prepare(&emptying(&["t"]), None, &RunContext::new()).await;
    let error = error.expect_err("held");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.hint().is_some_and(|hint| hint.contains("reporting")), "{error}");
    other.execute("commit").await.expect("still there");
    assert_eq!(target.count("t").await, 3);
}

#[tokio::test]
async fn referencing_tables_are_known_and_never_emptied_along() {
    let target = Target::with(
        "create table a (id bigint primary key); create table b (a bigint references a); \
         insert into a values (1); insert into b values (1)",
    )
    .await;
    let a = target.table("a").await;
    let b = a.referenced_by().await.expect("asks");
    assert_eq!(b, [TableRef::in_schema("public", "b")]);
    let error = a.prepare(&emptying(&["a"]), None, &RunContext::new()).await.expect_err("b");
    assert_eq!(error.code(), code::TRUNCATE_REFERENCED);
    assert_eq!(target.count("b").await, 1);
    a.prepare(&emptying(&["a", "b"]), None, &RunContext::new()).await.expect("together");
    assert_eq!((target.count("a").await, target.count("b").await), (0, 0));
}

#[tokio::test]
async fn the_same_database_is_recognised_by_other_names() {
    let target = Target::with(TABLES).await;
    let mut settings = PostgresSettings::from_url(target.server.url()).expect("url");
    settings.host = if settings.host == "127.0.0.1" { "localhost" } else { "127.0.0.1" }.into();
    let again = migrate_postgres::Database::connect(&settings, 1).await;
    // A server elsewhere may not answer by another name; ours does.
    if let Ok(again) = again {
        assert_eq!(again.domain(), target.database.domain());
        assert_ne!(again.address(), target.database.address());
    }
}
