//! Joining a run, and what keeps a process that was overtaken from changing anything.

use std::time::Duration;

use migrate_core::{
    Claim, ErrorKind, Failure, Lease, LoadPlan, Outcome, Return, RunId, RunStore, SetAside,
    Settled, TableId, WorkKind, WorkQueue, WorkerId, WriteSummary, code,
};
use migrate_postgres::{execute, execute_together, sqlstate, sqlx};
use sqlx::Connection;

use crate::support::{Ledger, chunks, plan, table};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_run_is_joined_by_its_id_while_it_lives() {
    let ledger = Ledger::installed().await;
    let tables = [table("a", "f"), table("b", "f")];
    let run = ledger.begin(&tables).await;
    let joined = ledger.store.join_run(run.run, &tables).await.expect("joins");
    let ids = |tables: &[migrate_core::TableHandle]| -> Vec<TableId> {
        tables.iter().map(|table| table.id).collect()
    };
    assert_eq!((joined.run, joined.resumed), (run.run, true));
    assert_eq!(ids(&joined.tables), ids(&run.tables));

    let differs = ledger.store.join_run(run.run, &[table("a", "f"), table("b", "g")]).await;
    let differs = differs.expect_err("another job");
    assert_eq!(differs.code(), code::JOB_DIFFERS);
    assert_eq!(differs.context("entry"), Some(run.tables[1].id.to_string().as_str()));
    let fewer = ledger.store.join_run(run.run, &tables[..1]).await.expect_err("not all");
    assert_eq!(fewer.code(), code::JOB_DIFFERS);
    let unknown = ledger.store.join_run(RunId::random(), &tables).await.expect_err("unknown");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_run_is_not_joined_before_there_are_status_tables() {
    let ledger = Ledger::empty().await;
    let unknown = ledger.store.join_run(RunId::random(), &[table("a", "f")]).await;
    assert_eq!(unknown.expect_err("nothing there").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_process_that_pauses_leaves_the_run_to_those_who_are_at_work() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(2).await;
    let run = ledger.begin(&[table("t", "f")]).await.run;
    let lease = ledger.lease(id).await;
    let pause = || async {
        ledger.store.finish_table(id, Outcome::Paused, None).await.expect("pauses");
        ledger.store.finish_run(run).await.expect("ends")
    };
    assert_eq!(pause().await, None, "somebody is at work");
    ledger.store.join_run(run, &[table("t", "f")]).await.expect("joins");
    ledger.store.release(&lease).await.expect("releases");
    assert_eq!(pause().await, Some(Outcome::Paused));
    let ended = ledger.store.join_run(run, &[table("t", "f")]).await.expect_err("ended");
    assert_eq!(ended.kind(), ErrorKind::Conflict);
    assert!(ended.hint().is_some_and(|hint| hint.contains("--resume-run-id")), "{ended}");

    // Whoever holds a lease is at work, whatever others have said.
    let lease = ledger.lease(id).await;
    ledger.store.join_run(run, &[table("t", "f")]).await.expect("joins");
    ledger.store.renew(&[lease.token()], MINUTE).await.expect("renews");
    let status = sqlx::query_scalar("select status from migration_status.migration_runs");
    let status: String = status.fetch_one(ledger.pool()).await.expect("a run");
    assert_eq!(status, "running");
}

#[tokio::test]
async fn a_lease_whose_work_was_just_completed_is_not_lost() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(1).await;
    let lease = ledger.lease(id).await;
    ledger.store.complete(&lease, &WriteSummary::default()).await.expect("completes");
    let owned = ledger.store.renew(&[lease.token()], MINUTE).await.expect("renews");
    assert_eq!(owned, [lease.token()]);
}

#[tokio::test]
async fn a_chunk_that_never_fits_into_a_time_budget_is_given_up() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(1).await;
    let failure = Failure {
        code: "deadline_exceeded",
        reason: "The chunk does not fit".into(),
        retry_in: None,
    };
    for _ in 0..3 {
        let lease = ledger.lease(id).await;
        assert_eq!(lease.attempt(), 1, "a time budget is no failed try");
        let settled = ledger.store.overrun(&lease, 3, &failure).await.expect("gives back");
        assert_eq!(settled, Settled::Applied);
    }
    assert!(matches!(ledger.claim(id).await, Claim::Drained { failed: 1, .. }));
    let progress = ledger.store.progress(&[id]).await.expect("progress");
    assert_eq!(progress[0].failed_chunk_count, 1);
    assert_eq!(progress[0].first_failure.as_deref(), Some("The chunk does not fit"));
    // A later run tries again.
    ledger.begin(&[table("t", "f")]).await;
    let lease = ledger.lease(id).await;
    ledger.store.overrun(&lease, 3, &failure).await.expect("gives back");
    assert!(matches!(ledger.claim(id).await, Claim::Leased(_)));
}

/// A lease of the step that brings the first thing of a plan back.
async fn restoring(ledger: &Ledger) -> (TableId, Lease) {
    let run = ledger.begin(&[table("t", "f")]).await;
    let id = run.tables[0].id;
    let mut plan = plan("t");
    plan.load = LoadPlan::append(Vec::new());
    let index = SetAside::new("index i", plan.target.clone(), Return::Rebuild, "select 1");
    plan.load.restore.push(index);
    ledger.save(id, &plan, &chunks(1)).await;
    (id, rebuild(ledger, id).await)
}

async fn rebuild(ledger: &Ledger, id: TableId) -> Lease {
    let worker = WorkerId("w1".into());
    match ledger.store.claim(id, WorkKind::Rebuild, &worker, MINUTE).await.expect("claims") {
        Claim::Leased(lease) => *lease,
        other => panic!("nothing to be had: {other:?}"),
    }
}

#[tokio::test]
async fn a_fence_lets_nothing_through_before_or_after_the_lease_is_gone() {
    let ledger = Ledger::installed().await;
    let (id, lease) = restoring(&ledger).await;
    let fence = ledger.store.fence(&lease).expect("a database store has fences");
    assert_eq!(Some(fence.domain()), ledger.store.commit_domain());
    let mut connection = ledger.database.acquire().await.expect("connects");
    let (before, after) = (fence.before(), fence.after());
    execute_together(&mut connection, [&before, &after]).await.expect("owned");

    let refused = |outcome: Result<(), sqlx::Error>| {
        let cause = outcome.expect_err("refused");
        assert_eq!(sqlstate(&cause).as_deref(), Some(migrate_core::LEASE_LOST_SQLSTATE), "{cause}");
    };
    // Another worker of the run has it: it waits for a statement that is at work, and none begins.
    ledger.expire_leases().await;
    let next = rebuild(&ledger, id).await;
    refused(execute_together(&mut connection, [&before]).await);
    execute_together(&mut connection, [&after]).await.expect("at work");
    ledger.store.complete(&next, &WriteSummary::default()).await.expect("completes");
    refused(execute_together(&mut connection, [&after]).await);
}

#[tokio::test]
async fn what_a_later_run_has_taken_over_is_undone_with_its_fence() {
    let ledger = Ledger::installed().await;
    let (id, lease) = restoring(&ledger).await;
    let fence = ledger.store.fence(&lease).expect("a fence");
    sqlx::query("update migration_status.migration_work_items set status = 'superseded', lease_token = null")
        .execute(ledger.pool())
        .await
        .expect("supersedes");
    let made = migrate_core::SqlStatement {
        sql: "create table public.made (id int)".into(),
        params: Vec::new(),
    };
    let mut connection = ledger.database.acquire().await.expect("connects");
    let late = execute_together(&mut connection, [&made, &fence.after()]).await;
    assert!(late.is_err(), "the message is one transaction");
    let is_there: bool = sqlx::query_scalar("select to_regclass('public.made') is not null")
        .fetch_one(ledger.pool())
        .await
        .expect("looks");
    assert!(!is_there, "entry {id}");
}

#[tokio::test]
async fn whoever_takes_a_chunk_over_ends_the_session_of_the_former_holder() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(2).await;
    let [first, other] = [ledger.lease(id).await, ledger.lease(id).await];
    let enter = |lease: &Lease| {
        ledger.store.commit_record(lease).and_then(|record| record.enter()).expect("a statement")
    };
    let mut sleeping = ledger.database.acquire().await.expect("connects");
    let mut sleeping = sleeping.begin().await.expect("begins");
    assert_eq!(execute(&mut sleeping, &enter(&first)).await.expect("enters"), 1);
    let mut working = ledger.database.acquire().await.expect("connects");
    let mut working = working.begin().await.expect("begins");
    assert_eq!(execute(&mut working, &enter(&other)).await.expect("enters"), 1);

    ledger.expire_leases().await;
    let next = ledger.lease(id).await;
    assert_eq!(next.item(), first.item());
    let mut third = ledger.database.acquire().await.expect("connects");
    let mut third = third.begin().await.expect("begins");
    assert_eq!(
        execute(&mut third, &enter(&first)).await.expect("looks"),
        0,
        "not its own any more"
    );
    sqlx::query("select 1").execute(&mut *sleeping).await.expect("nobody was ended by that");
    assert_eq!(execute(&mut third, &enter(&next)).await.expect("enters"), 1);
    sqlx::query("select 1").execute(&mut *sleeping).await.expect_err("ended");
    sqlx::query("select 1").execute(&mut *working).await.expect("another chunk's");
}
