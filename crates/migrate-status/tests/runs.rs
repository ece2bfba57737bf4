//! Starting, resuming and ending runs.

use std::time::{Duration, Instant};

use migrate_core::{
    ErrorKind, Failure, Outcome, PlanStore, Resume, RunId, RunRequest, RunStore, Snapshot,
    TableState, WorkKind, WorkQueue, WorkerId, WriteSummary, code,
};
use migrate_postgres::sqlx;

use crate::support::{Ledger, chunks, plan, table};

#[tokio::test]
async fn an_unfinished_run_is_resumed_and_a_changed_table_starts_anew() {
    let ledger = Ledger::installed().await;
    let first = ledger.begin(&[table("a", "f"), table("b", "f")]).await;
    assert!(!first.resumed);
    let second = ledger.begin(&[table("a", "f"), table("b", "changed"), table("c", "f")]).await;
    assert_eq!((second.run, second.resumed), (first.run, true));
    let states: Vec<_> = second.tables.iter().map(|table| table.state).collect();
    assert_eq!(states, [TableState::Resumed, TableState::New, TableState::New]);
    assert_eq!(second.tables[0].id, first.tables[0].id);
    assert!(second.tables[1].notes[0].contains("configuration has changed"));
}

#[tokio::test]
async fn two_processes_that_start_at_once_share_one_run() {
    let ledger = Ledger::installed().await;
    let tables: Vec<_> = ["a", "b", "c"].map(|name| table(name, "f")).into();
    let starts = (0..8).map(|_| ledger.begin(&tables));
    let handles = futures::future::join_all(starts).await;
    let first = &handles[0];
    for handle in &handles {
        assert_eq!(handle.run, first.run);
        let ids = |handle: &migrate_core::RunHandle| -> Vec<_> {
            handle.tables.iter().map(|table| table.id).collect()
        };
        assert_eq!(ids(handle), ids(first));
    }
}

/// Another process goes on with the table while a chunk of it is failing.
#[tokio::test]
async fn a_chunk_that_fails_while_its_table_is_opened_again_stays_counted() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(3).await;
    let failure = || Failure { code: "internal", reason: "on purpose".into(), retry_in: None };
    let failed = ledger.lease(id).await;
    ledger.store.fail(&failed, &failure()).await.expect("fails");
    let failing = ledger.lease(id).await;

    let mut holder = ledger.pool().begin().await.expect("begins");
    sqlx::query("select from migration_status.migration_table_status for update")
        .execute(&mut *holder)
        .await
        .expect("locks");
    let release = async {
        ledger.until_waiting(2).await;
        holder.commit().await.expect("commits");
    };
    let failing = async { ledger.store.fail(&failing, &failure()).await.expect("fails") };
    let opening = async {
        ledger.until_waiting(1).await;
        ledger.begin(&[table("t", "f")]).await
    };
    tokio::join!(failing, opening, release);

    let progress = ledger.store.progress(&[id]).await.expect("answers").remove(0);
    assert_eq!(progress.failed_chunk_count, 1, "one is opened again, the other has failed since");
}

#[tokio::test]
async fn age_counts_from_the_last_heartbeat() {
    let ledger = Ledger::installed().await;
    let first = ledger.begin(&[table("a", "f")]).await;
    sqlx::query(
        "update migration_status.migration_runs \
         set started_at = now() - interval '300 hours', heartbeat_at = now() - interval '100 hours'",
    )
    .execute(ledger.pool())
    .await
    .expect("ages");
    assert_eq!(ledger.begin(&[table("a", "f")]).await.run, first.run, "100 hours are young");

    sqlx::query(
        "update migration_status.migration_runs set heartbeat_at = now() - interval '169 hours'",
    )
    .execute(ledger.pool())
    .await
    .expect("ages");
    assert_ne!(ledger.begin(&[table("a", "f")]).await.run, first.run, "169 hours are not");
}

#[tokio::test]
async fn a_run_at_work_is_not_superseded() {
    let ledger = Ledger::installed().await;
    let table_id = ledger.planned(1).await;
    let lease = ledger.lease(table_id).await;
    let anew =
        RunRequest::new(RunId::random(), vec![table("t", "f")], "other").with_resume(Resume::Never);
    let error = ledger.store.begin_run(&anew).await.expect_err("busy");
    assert_eq!(error.code(), code::TARGET_BUSY);
    assert_eq!(error.context("worker"), Some("w1"));

    ledger.expire_leases().await;
    let handle = ledger.store.begin_run(&anew).await.expect("the lease has run out");
    assert_ne!(handle.tables[0].id, table_id);
    let summary = WriteSummary::default();
    let settled = ledger.store.complete(&lease, &summary).await.expect("answers");
    assert_eq!(settled, migrate_core::Settled::LeaseLost, "the old worker can complete nothing");
    let again = ledger.store.finish_table(table_id, Outcome::Completed, None).await;
    assert_eq!(again.expect_err("superseded").kind(), ErrorKind::LeaseLost);
}

#[tokio::test]
async fn the_first_plan_wins() {
    let ledger = Ledger::installed().await;
    let run = ledger.begin(&[table("t", "f")]).await;
    let id = run.tables[0].id;
    assert_eq!(ledger.store.load_plan(id).await.expect("loads"), None);
    let mut other = plan("t");
    other.rationale = "second".into();
    let mine = plan("t");
    let (one, two) = futures::future::join(
        ledger.save(id, &mine, &chunks(3)),
        ledger.save(id, &other, &chunks(5)),
    )
    .await;
    assert_eq!(one, two);
    assert_eq!(ledger.store.load_plan(id).await.expect("loads"), Some(one));
    let stored: i64 =
        sqlx::query_scalar("select count(*) from migration_status.migration_chunk_status")
            .fetch_one(ledger.pool())
            .await
            .expect("counts");
    assert!(stored == 3 || stored == 5, "the chunks of one plan: {stored}");
}

#[tokio::test]
async fn a_table_with_open_chunks_is_never_completed() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(2).await;
    let early = ledger.store.finish_table(id, Outcome::Completed, None).await;
    assert_eq!(early.expect_err("open chunks").kind(), ErrorKind::Internal);
    let worker = WorkerId("w".into());
    for kind in [WorkKind::Prepare, WorkKind::Chunk, WorkKind::Chunk, WorkKind::Finish] {
        let claim = ledger.store.claim(id, kind, &worker, Duration::from_secs(9)).await;
        let migrate_core::Claim::Leased(lease) = claim.expect("claims") else { panic!("{kind}") };
        let summary = WriteSummary { rows_read: 10, rows_inserted: 10, ..WriteSummary::default() };
        let summary = if kind == WorkKind::Chunk { summary } else { WriteSummary::default() };
        ledger.store.complete(&lease, &summary).await.expect("completes");
    }
    ledger.store.finish_table(id, Outcome::Completed, None).await.expect("all is done");
    let progress = ledger.store.progress(&[id]).await.expect("progress");
    assert_eq!(progress[0].outcome, Some(Outcome::Completed));
    assert_eq!((progress[0].completed_chunk_count, progress[0].counts.rows_settled()), (2, 20));
}

#[tokio::test]
async fn a_run_ends_with_the_outcome_of_its_tables() {
    let ledger = Ledger::installed().await;
    let run = ledger.begin(&[table("a", "f"), table("b", "f")]).await;
    let finish =
        |at: usize, outcome| ledger.store.finish_table(run.tables[at].id, outcome, Some("why"));
    finish(0, Outcome::Failed).await.expect("ends");
    assert_eq!(ledger.store.finish_run(run.run).await.expect("answers"), None, "b is at work");
    finish(1, Outcome::Paused).await.expect("ends");
    let outcome = ledger.store.finish_run(run.run).await.expect("ends");
    assert_eq!(outcome, Some(Outcome::Partial));

    let resumed = ledger.begin(&[table("a", "f"), table("b", "f")]).await;
    assert_eq!(resumed.run, run.run);
    assert!(resumed.tables.iter().all(|table| table.state == TableState::Resumed));
}

#[tokio::test]
async fn the_first_pin_of_a_source_holds_for_the_run() {
    let ledger = Ledger::installed().await;
    let run = ledger.begin(&[table("a", "f")]).await.run;
    let (early, late) = (Snapshot::new("10:00"), Snapshot::new("11:00"));
    let pinned = ledger.store.pin_snapshot(run, "analytics", &early).await.expect("pins");
    assert_eq!(pinned, early);
    let pinned = ledger.store.pin_snapshot(run, "analytics", &late).await.expect("pins");
    assert_eq!(pinned, early);
    let other = ledger.store.pin_snapshot(run, "other", &late).await.expect("pins");
    assert_eq!(other, late);
}

#[tokio::test]
async fn a_plan_of_many_chunks_is_stored_in_one_go() {
    let ledger = Ledger::installed().await;
    let run = ledger.begin(&[table("t", "f")]).await;
    let started = Instant::now();
    let id = run.tables[0].id;
    ledger.save(id, &plan("t"), &chunks(11_000)).await;
    println!("11,000 chunks stored in {:?}", started.elapsed());
    let progress = ledger.store.progress(&[id]).await.expect("progress");
    assert_eq!(progress[0].chunk_count, 11_000);
}
