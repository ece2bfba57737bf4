//! Claims, fencing, and what a crash leaves behind.

use std::collections::BTreeSet;
use std::time::Duration;

use migrate_core::{Claim, Failure, RunStore, Settled, WorkItem, WorkQueue, WriteSummary};
use migrate_postgres::{execute, sqlx};
use sqlx::Connection;

use crate::support::Ledger;

const ONE_ROW: WriteSummary = WriteSummary {
    rows_read: 1,
    rows_inserted: 1,
    rows_updated: 0,
    rows_skipped: 0,
    rows_rejected: 0,
    bytes: 9,
};

fn failure(retry_in: Option<Duration>) -> Failure {
    Failure { code: "connection", reason: "Connection reset".into(), retry_in }
}

#[tokio::test]
async fn every_chunk_is_claimed_once() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(200).await;
    let worker = || async {
        let mut mine = Vec::new();
        while let Claim::Leased(lease) = ledger.claim(table).await {
            let WorkItem::Chunk(chunk) = lease.item().clone() else { panic!("a chunk") };
            mine.push(chunk.id);
            assert_eq!(chunk.expected_rows, Some(10));
            let settled = ledger.store.complete(&lease, &ONE_ROW).await.expect("completes");
            assert_eq!(settled, Settled::Applied);
        }
        mine
    };
    let claimed = futures::future::join_all((0..8).map(|_| worker())).await;
    let claimed: Vec<_> = claimed.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 200);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>().len(), 200);
    let progress = ledger.store.progress(&[table]).await.expect("progress");
    assert_eq!((progress[0].completed_chunk_count, progress[0].counts.rows_settled()), (200, 200));
}

#[tokio::test]
async fn an_expired_lease_goes_to_another_worker_and_fences_the_first() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let first = ledger.lease(table).await;
    match ledger.claim(table).await {
        Claim::NotYet { holder: Some(holder), .. } => assert_eq!(holder.worker.0, "w1"),
        other => panic!("the chunk is held: {other:?}"),
    }
    ledger.expire_leases().await;
    let second = ledger.lease(table).await;
    assert_ne!(first.token(), second.token());
    assert_eq!(second.attempt(), 1, "a crash is not an attempt");

    let owned = ledger.store.renew(&[first.token(), second.token()], Duration::from_secs(5)).await;
    assert_eq!(owned.expect("renews"), [second.token()]);
    let late = ledger.store.complete(&first, &ONE_ROW).await.expect("answers");
    assert_eq!(late, Settled::LeaseLost);
    let right = ledger.store.complete(&second, &ONE_ROW).await.expect("answers");
    assert_eq!(right, Settled::Applied);
    assert!(matches!(ledger.claim(table).await, Claim::Drained { .. }));
}

#[tokio::test]
async fn a_record_commits_with_its_transaction_or_not_at_all() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let lease = ledger.lease(table).await;
    let record = ledger.store.commit_record(&lease).expect("a database store has records");

    let mut connection = ledger.database.acquire().await.expect("connects");
    let mut tx = connection.begin().await.expect("begins");
    let changed = execute(&mut tx, &record.statement(&ONE_ROW)).await.expect("runs");
    assert_eq!(changed, 1);
    tx.rollback().await.expect("rolls back");
    let progress = ledger.store.progress(&[table]).await.expect("progress");
    assert_eq!(progress[0].completed_chunk_count, 0);

    let mut tx = connection.begin().await.expect("begins");
    assert_eq!(execute(&mut tx, &record.statement(&ONE_ROW)).await.expect("runs"), 1);
    tx.commit().await.expect("commits");
    // The worker never saw the answer to COMMIT and reports a failure.
    let settled = ledger.store.fail(&lease, &failure(Some(Duration::ZERO))).await.expect("answers");
    assert_eq!(settled, Settled::AlreadyCompleted);
    let progress = ledger.store.progress(&[table]).await.expect("progress");
    assert_eq!((progress[0].completed_chunk_count, progress[0].counts.rows_settled()), (1, 1));
}

#[tokio::test]
async fn a_stale_record_changes_no_row() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let stale = ledger.lease(table).await;
    let record = ledger.store.commit_record(&stale).expect("record");
    ledger.expire_leases().await;
    let fresh = ledger.lease(table).await;
    let mut connection = ledger.database.acquire().await.expect("connects");
    let changed = execute(&mut connection, &record.statement(&ONE_ROW)).await.expect("runs");
    assert_eq!(changed, 0, "the token is another worker's");
    ledger.store.release(&fresh).await.expect("releases");
    let changed = execute(&mut connection, &record.statement(&ONE_ROW)).await.expect("runs");
    assert_eq!(changed, 0, "and a released chunk has none");
}

#[tokio::test]
async fn a_failed_chunk_rests_then_counts_its_tries_and_ends_failed() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let lease = ledger.lease(table).await;
    let rest = Duration::from_hours(1);
    let settled = ledger.store.fail(&lease, &failure(Some(rest))).await.expect("fails");
    assert_eq!(settled, Settled::Applied);
    match ledger.claim(table).await {
        Claim::NotYet { holder: None, .. } => {}
        other => panic!("it rests: {other:?}"),
    }
    sqlx::query("update migration_status.migration_work_items set not_before = now()")
        .execute(ledger.pool())
        .await
        .expect("rested");
    let lease = ledger.lease(table).await;
    assert_eq!(lease.attempt(), 2);
    ledger.store.fail(&lease, &failure(None)).await.expect("fails");
    assert!(matches!(ledger.claim(table).await, Claim::Drained { .. }));
    let progress = ledger.store.progress(&[table]).await.expect("progress");
    assert_eq!(progress[0].failed_chunk_count, 1);
    assert_eq!(progress[0].first_failure.as_deref(), Some("Connection reset"));
}

#[tokio::test]
async fn a_released_chunk_has_not_used_up_a_try() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let lease = ledger.lease(table).await;
    ledger.store.release(&lease).await.expect("releases");
    assert_eq!(ledger.lease(table).await.attempt(), 1);
}

#[tokio::test]
async fn a_chunk_that_kills_its_workers_is_given_up() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    for _ in 0..10 {
        let _crashed = ledger.lease(table).await;
        ledger.expire_leases().await;
    }
    assert!(matches!(ledger.claim(table).await, Claim::NotYet { .. }));
    assert!(matches!(ledger.claim(table).await, Claim::Drained { .. }));
    let progress = ledger.store.progress(&[table]).await.expect("progress");
    assert_eq!(progress[0].failed_chunk_count, 1);
    assert!(progress[0].first_failure.as_ref().is_some_and(|why| why.contains("died ten times")));
}

#[tokio::test]
async fn leases_expire_by_the_clock_of_the_database() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let Claim::Leased(_lost) = ledger.claim_for(table, Duration::from_millis(1)).await else {
        panic!("leased");
    };
    // Whatever the server needs for one more statement is longer than a millisecond in the end.
    loop {
        if let Claim::Leased(lease) = ledger.claim(table).await {
            assert_eq!(lease.attempt(), 1);
            break;
        }
    }
}
