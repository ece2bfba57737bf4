//! Rows that were set aside: kept with their chunk, limited over all chunks, settled once.

use migrate_core::{
    BadRows, CommitRecord, Error, Outcome, PlanStore, RejectState, RejectedRow, RunStore, Settled,
    TableId, WorkQueue, WriteSummary, code,
};
use migrate_postgres::{execute, sqlx};
use sqlx::{Connection, PgConnection};

use crate::support::{Ledger, chunks, plan, table};

fn refused(numbers: impl IntoIterator<Item = u64>) -> Vec<RejectedRow> {
    let error = Error::new(code::VALUE_REFUSED, "Refused")
        .with("sqlstate", "23514")
        .with("constraint", "positive")
        .with_source("a check constraint does not hold");
    let row = |number: u64| {
        let values = format!(r#"{{"n":{{"number":"{number}"}},"t":{{"text":"a\u0000b"}}}}"#);
        RejectedRow::new(number, values, &error).with_key(Some(format!("n={number}\u{0}")))
    };
    numbers.into_iter().map(row).collect()
}

fn with_rejects(rows_rejected: u64) -> WriteSummary {
    WriteSummary {
        rows_read: 1000,
        rows_inserted: 1000 - rows_rejected,
        rows_rejected,
        ..WriteSummary::default()
    }
}

async fn number(ledger: &Ledger, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(ledger.pool()).await.expect(sql)
}

/// Runs the statements of a record as a sink does, and says whether all of them were content.
async fn apply(
    connection: &mut PgConnection,
    record: &dyn CommitRecord,
    rows: &[RejectedRow],
    limit: u64,
) -> bool {
    let kept = record.keep(rows).expect("keeps rows");
    let kept = execute(connection, &kept).await.expect("keeps");
    let summary = with_rejects(rows.len() as u64);
    let done = execute(connection, &record.statement(&summary)).await.expect("completes");
    let within = match record.within(limit) {
        Some(statement) => execute(connection, &statement).await.expect("counts"),
        None => 1,
    };
    (kept, done, within) == (rows.len() as u64, 1, 1)
}

/// A completed table with these rows set aside in its only chunk.
async fn completed_with(ledger: &Ledger, rows: &[RejectedRow]) -> TableId {
    let table = ledger.planned(1).await;
    let lease = ledger.lease(table).await;
    let record = ledger.store.commit_record(&lease).expect("shares transactions");
    let mut tx = ledger.pool().begin().await.expect("begins");
    assert!(apply(&mut tx, record.as_ref(), rows, 1000).await);
    tx.commit().await.expect("commits");
    settle_steps(ledger).await;
    ledger.store.finish_table(table, Outcome::CompletedWithRejects, None).await.expect("ends");
    table
}

async fn settle_steps(ledger: &Ledger) {
    sqlx::query("update migration_status.migration_work_items set status = 'completed' where kind <> 'chunk'")
        .execute(ledger.pool())
        .await
        .expect("settles");
}

#[tokio::test]
async fn they_are_kept_with_what_a_fix_needs_and_counted_apart() {
    let ledger = Ledger::installed().await;
    let table = completed_with(&ledger, &refused(1..=500)).await;
    let facts = "select count(*) from migration_status.v_rejected_rows \
                 where target_table = 't' and chunk_id = 0 and error_code = 'value_refused' \
                   and sqlstate = '23514' and constraint_name = 'positive' \
                   and reason = 'a check constraint does not hold' and column_name is null";
    assert_eq!(number(&ledger, facts).await, 500);
    let progress = ledger.store.progress(&[table]).await.expect("progress").remove(0);
    assert_eq!(progress.outcome, Some(Outcome::CompletedWithRejects));
    assert_eq!(progress.counts.rows_rejected, 500);
    let shown = "select count(*) from migration_status.v_table_progress \
                 where rejected_rows = 500 and unresolved_rows = 500";
    assert_eq!(number(&ledger, shown).await, 1);
}

#[tokio::test]
async fn a_table_with_rejects_is_never_called_completed() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(1).await;
    let lease = ledger.lease(table).await;
    let settled = ledger.store.complete(&lease, &with_rejects(1)).await.expect("completes");
    assert_eq!(settled, Settled::Applied);
    settle_steps(&ledger).await;
    ledger.store.finish_table(table, Outcome::Completed, None).await.expect_err("it has one");
    ledger.store.finish_table(table, Outcome::CompletedWithRejects, None).await.expect("it has");
}

#[tokio::test]
async fn two_chunks_at_once_do_not_pass_the_limit_together() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(2).await;
    let (first, second) = (ledger.lease(table).await, ledger.lease(table).await);
    let record = |lease| ledger.store.commit_record(lease).expect("shares transactions");
    let (first, second) = (record(&first), record(&second));
    let mut one = ledger.pool().begin().await.expect("begins");
    assert!(apply(&mut one, first.as_ref(), &refused(1..=3), 5).await, "three of five");
    let late = async {
        let mut two = ledger.pool().begin().await.expect("begins");
        let is_content = apply(&mut two, second.as_ref(), &refused(1..=3), 5).await;
        two.rollback().await.expect("rolls back");
        is_content
    };
    let commit = async {
        // The second waits for the row of the table, which the first has locked.
        loop {
            let waits = "select count(*) from pg_locks where not granted";
            if number(&ledger, waits).await > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        one.commit().await.expect("commits");
    };
    let (is_content, ()) = tokio::join!(late, commit);
    assert!(!is_content, "three more are one too many");
    assert_eq!(number(&ledger, "select count(*) from migration_status.rejected_rows").await, 3);
}

#[tokio::test]
async fn a_retry_settles_what_is_in_and_renews_the_reason_of_the_rest() {
    let ledger = Ledger::installed().await;
    let table = completed_with(&ledger, &refused(1..=3)).await;
    let found = ledger.store.rejected_tables(None).await.expect("finds");
    assert_eq!((found[0].table, found[0].row_count, found[0].state), (table, 3, RejectState::Due));
    let page = ledger.store.rejected_rows(table, i64::MIN).await.expect("reads");
    assert_eq!(page.ids.len(), 3);
    assert!(page.rows[0].contains("\\u0000"), "{}", page.rows[0]);
    let record = ledger.store.retry_record(table, &page).expect("settles");
    let twin = ledger.store.retry_record(table, &page).expect("settles");

    let mut connection = ledger.pool().acquire().await.expect("connects");
    let mut tx = connection.begin().await.expect("begins");
    assert!(apply(&mut tx, record.as_ref(), &refused([2]), 1000).await);
    tx.commit().await.expect("commits");
    let left = "select max(row_number) from migration_status.rejected_rows \
                where resolved_at is null and retry_count = 1 having count(*) = 1";
    assert_eq!(number(&ledger, left).await, 2);

    let mut tx = connection.begin().await.expect("begins");
    assert!(!apply(&mut tx, twin.as_ref(), &[], 1000).await, "two of its rows are settled");
    tx.rollback().await.expect("rolls back");
    let page = ledger.store.rejected_rows(table, i64::MIN).await.expect("reads");
    assert_eq!(page.ids.len(), 1);
    let last = page.ids[0];
    assert!(ledger.store.rejected_rows(table, last).await.expect("reads").ids.is_empty());
}

#[tokio::test]
async fn what_a_later_run_has_read_anew_is_outdated() {
    let ledger = Ledger::installed().await;
    let earlier = completed_with(&ledger, &refused([1])).await;
    let page = ledger.store.rejected_rows(earlier, i64::MIN).await.expect("reads");
    let record = ledger.store.retry_record(earlier, &page).expect("settles");
    let later = ledger.begin(&[table("t", "f")]).await;
    let state = || async { ledger.store.rejected_tables(None).await.expect("finds")[0].state };
    assert_eq!(state().await, RejectState::Due, "it may come to nothing");
    ledger.save(later.tables[0].id, &plan("t"), &chunks(1)).await;
    assert_eq!(state().await, RejectState::Outdated(later.run));
    let mut tx = ledger.pool().begin().await.expect("begins");
    assert!(!apply(&mut tx, record.as_ref(), &[], 1000).await, "it came in between");
}

#[tokio::test]
async fn rows_of_a_table_that_is_still_loaded_wait_for_its_end() {
    let ledger = Ledger::installed().await;
    let table = ledger.planned(2).await;
    let lease = ledger.lease(table).await;
    let record = ledger.store.commit_record(&lease).expect("shares transactions");
    let mut tx = ledger.pool().begin().await.expect("begins");
    assert!(apply(&mut tx, record.as_ref(), &refused([1]), 1).await);
    tx.commit().await.expect("commits");
    let found = ledger.store.rejected_tables(None).await.expect("finds");
    assert_eq!(found[0].state, RejectState::Unfinished);
}

#[tokio::test]
async fn the_policy_of_a_stored_plan_can_be_changed_and_nothing_else() {
    let ledger = Ledger::installed().await;
    let id = ledger.planned(1).await;
    let quarantine: BadRows =
        serde_json::from_str(r#"{"on_bad_row":"quarantine","most_rows":7}"#).expect("reads");
    let mut expected = ledger.store.load_plan(id).await.expect("loads").expect("a plan");
    for policy in [quarantine, BadRows::Fail] {
        ledger.store.change_bad_rows(id, policy).await.expect("changes");
        expected.load.bad_rows = policy;
        assert_eq!(ledger.store.load_plan(id).await.expect("loads"), Some(expected.clone()));
    }
}
