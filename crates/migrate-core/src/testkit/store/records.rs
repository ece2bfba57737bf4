//! Completion in a sink's transaction, and rows that were set aside.

use std::sync::Arc;

use super::{
    Ending, LEASE, StoreFixture, TEN_ROWS, begin, complete_all, failure, first, installed, lease,
    pass, plan_of, planned, progress, save, transact, wanted,
};
use crate::code;
use crate::commit::CommitRecord;
use crate::error::{Error, Result};
use crate::reject::{BadRows, RejectedRow};
use crate::sink::WriteSummary;
use crate::status::{
    Lease, Outcome, RejectPage, RejectState, RejectedTable, Settled, StatusStore, TableId, WorkKind,
};
use crate::testkit::{Answer, Kept, Unkept, ensure, found, same};

/// The record of a lease, or skips the rule.
fn record_of(store: &dyn StatusStore, lease: &Lease) -> Answer<Arc<dyn CommitRecord>> {
    store.commit_record(lease).ok_or(Unkept::Skipped("the store shares no transaction"))
}

pub(super) async fn a_record_names_the_domain_of_its_store(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    let record = store.commit_record(&held);
    let domain = record.as_ref().map(|record| record.domain().clone());
    same("the domain", &domain, &store.commit_domain().cloned())
}

pub(super) async fn a_record_completes_its_chunk_once(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 2).await?;
    let held = lease(&*store, table).await?;
    let record = record_of(&*store, &held)?;
    let statement = [record.statement(&TEN_ROWS)];
    same("first", &transact(fixture, &statement, Ending::Commit).await?, &vec![1])?;
    same("again", &transact(fixture, &statement, Ending::Commit).await?, &vec![0])?;
    let answer = store.complete(&held, &TEN_ROWS).await?;
    same("whoever asks", &answer, &Settled::AlreadyCompleted)?;
    let answer = store.fail(&held, &failure(None)).await?;
    same("whoever lost the answer", &answer, &Settled::AlreadyCompleted)?;
    let progress = progress(&*store, table).await?;
    same("counts", &progress.counts, &TEN_ROWS)?;
    same("chunks", &(progress.completed_chunk_count, progress.failed_chunk_count), &(1, 0))
}

pub(super) async fn a_record_that_is_rolled_back_has_not_happened(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    let record = record_of(&*store, &held)?;
    let statement = [record.statement(&TEN_ROWS)];
    same("changed", &transact(fixture, &statement, Ending::RollBack).await?, &vec![1])?;
    same("completed", &progress(&*store, table).await?.completed_chunk_count, &0)?;
    same("the lease", &store.renew(&[held.token()], LEASE).await?, &vec![held.token()])?;
    same("settled", &store.complete(&held, &TEN_ROWS).await?, &Settled::Applied)
}

pub(super) async fn a_record_of_a_lost_lease_changes_no_row(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let late = lease(&*store, table).await?;
    let statement = [record_of(&*store, &late)?.statement(&TEN_ROWS)];
    pass(fixture, LEASE * 2).await?;
    let held = lease(&*store, table).await?;
    let changed = transact(fixture, &statement, Ending::Commit).await?;
    same("while another owns the chunk", &changed, &vec![0])?;
    store.release(&held).await?;
    let changed = transact(fixture, &statement, Ending::Commit).await?;
    same("after it was given back", &changed, &vec![0])?;
    begin(&*store, &[wanted("t", "g")]).await?;
    let changed = transact(fixture, &statement, Ending::Commit).await?;
    same("after the table was superseded", &changed, &vec![0])?;
    same("completed", &progress(&*store, table).await?.completed_chunk_count, &0)
}

fn rejected(numbers: &[u64]) -> Vec<RejectedRow> {
    let error = Error::new(code::VALUE_REFUSED, "A value does not fit").with("column", "v");
    let row = |number: &u64| {
        let values = format!(r#"{{"id":{{"number":"{number}"}}}}"#);
        RejectedRow::new(*number, values, &error).with_key(Some(format!("id={number}")))
    };
    numbers.iter().map(row).collect()
}

fn summary_with(rows_rejected: u64) -> WriteSummary {
    WriteSummary { rows_read: TEN_ROWS.rows_read + rows_rejected, rows_rejected, ..TEN_ROWS }
}

/// A chunk whose record has set two rows aside, of a table that may set two aside.
async fn with_two_aside(fixture: &dyn StoreFixture, store: &dyn StatusStore) -> Answer<TableId> {
    let run = begin(store, &[wanted("t", "f")]).await?;
    let mut plan = plan_of("t");
    plan.load.bad_rows = BadRows::Quarantine { most_rows: 2 };
    save(store, first(&run)?, plan, 2).await?;
    let held = lease(store, first(&run)?).await?;
    let record = record_of(store, &held)?;
    let keep = record.keep(&rejected(&[3, 8]));
    let keep = keep.ok_or(Unkept::Skipped("the store keeps no rows"))?;
    let limit = found("limit", record.within(2))?;
    let statements = [keep, record.statement(&summary_with(2)), limit];
    let changed = transact(fixture, &statements, Ending::Commit).await?;
    same("rows that were kept, completed and within", &changed, &vec![2, 1, 1])?;
    first(&run)
}

pub(super) async fn rows_that_are_set_aside_stay_within_their_limit(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let table = with_two_aside(fixture, &*store).await?;
    let held = lease(&*store, table).await?;
    let record = record_of(&*store, &held)?;
    let keep = found("statement", record.keep(&rejected(&[1])))?;
    let limit = found("limit", record.within(2))?;
    let statements = [keep, record.statement(&summary_with(1)), limit];
    let changed = transact(fixture, &statements, Ending::RollBack).await?;
    same("rows that were kept, completed and within", &changed, &vec![1, 1, 0])?;
    same("aside", &progress(&*store, table).await?.counts.rows_rejected, &2)
}

async fn aside(store: &dyn StatusStore) -> Result<Option<RejectedTable>> {
    Ok(store.rejected_tables(None).await?.into_iter().next())
}

pub(super) async fn rows_that_were_set_aside_are_loaded_once(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = with_two_aside(fixture, &*store).await?;
    let listed = found("table with rows aside", aside(&*store).await?)?;
    same("the table", &(listed.table, listed.row_count), &(table, 2))?;
    same("its state", &listed.state, &RejectState::Unfinished)?;
    complete_all(&*store, table, WorkKind::Prepare).await?;
    complete_all(&*store, table, WorkKind::Chunk).await?;
    complete_all(&*store, table, WorkKind::Finish).await?;
    store.finish_table(table, Outcome::CompletedWithRejects, None).await?;
    store.finish_run(listed.run).await?;
    let listed = found("table with rows aside", aside(&*store).await?)?;
    same("its state", &listed.state, &RejectState::Due)?;
    let page = store.rejected_rows(table, i64::MIN).await?;
    same("rows", &page.rows.len(), &2)?;
    let kept = page.rows.iter().zip(["\"3\"", "\"8\""]).all(|(row, id)| row.contains(id));
    ensure(kept, "the values are not those that were kept")?;

    // The second is refused again.
    let record = found("record to try again", store.retry_record(table, &page))?;
    let again = found("statement", record.keep(&rejected(&[2])))?;
    let statements = [again, record.statement(&summary_with(1))];
    let changed = transact(fixture, &statements, Ending::Commit).await?;
    same("rows that stay, and found", &changed, &vec![1, 1])?;
    same("aside", &aside(&*store).await?.map(|listed| listed.row_count), &Some(1))?;
    let stale = [record.statement(&summary_with(0))];
    let changed = transact(fixture, &stale, Ending::RollBack).await?;
    same("found by a second process with the same page", &changed, &vec![0])?;
    let left = store.rejected_rows(table, i64::MIN).await?;
    same("the page of the rest", &left.ids.as_slice(), &page.ids.get(1..).unwrap_or_default())?;

    // A later run empties the target: what was set aside is older than what it holds now.
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let mut plan = plan_of("t");
    plan.load.truncate = vec![super::target("t")];
    save(&*store, first(&run)?, plan, 1).await?;
    let listed = found("table with rows aside", aside(&*store).await?)?;
    same("its state", &listed.state, &RejectState::Outdated(run.run))?;
    let record = found("record", store.retry_record(table, &RejectPage::new([])))?;
    same("its domain", &Some(record.domain()), &store.commit_domain())
}
