//! Outcomes of tables and runs.

use super::{
    StoreFixture, TEN_ROWS, begin, complete_all, first, installed, lease, load, plan_of, planned,
    progress, save, wanted,
};
use crate::error::ErrorKind;
use crate::sink::WriteSummary;
use crate::status::{Outcome, StatusStore, TableId, TableState, WorkKind};
use crate::testkit::{Kept, refused, same};

async fn is_refused(store: &dyn StatusStore, table: TableId, why: &str) -> Kept {
    let ended = store.finish_table(table, Outcome::Completed, None).await;
    refused(&format!("completing a table {why}"), ended)?;
    same("its outcome", &progress(store, table).await?.outcome, &None)
}

pub(super) async fn only_complete_work_is_completed(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let table = first(&run)?;
    is_refused(&*store, table, "without a plan").await?;
    save(&*store, table, plan_of("t"), 2).await?;
    complete_all(&*store, table, WorkKind::Prepare).await?;
    store.complete(&lease(&*store, table).await?, &TEN_ROWS).await?;
    is_refused(&*store, table, "with an open chunk").await?;
    let held = lease(&*store, table).await?;
    is_refused(&*store, table, "with a chunk at work").await?;
    store.fail(&held, &super::failure(None)).await?;
    is_refused(&*store, table, "with a failed chunk").await?;
    begin(&*store, &[wanted("t", "f")]).await?;
    complete_all(&*store, table, WorkKind::Chunk).await?;
    is_refused(&*store, table, "that is not finished").await?;
    complete_all(&*store, table, WorkKind::Finish).await?;
    store.finish_table(table, Outcome::Completed, None).await?;
    same("its outcome", &progress(&*store, table).await?.outcome, &Some(Outcome::Completed))
}

pub(super) async fn rejected_rows_are_not_forgotten_at_the_end(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let summary = WriteSummary { rows_read: 11, rows_rejected: 1, ..TEN_ROWS };
    store.complete(&lease(&*store, table).await?, &summary).await?;
    complete_all(&*store, table, WorkKind::Prepare).await?;
    complete_all(&*store, table, WorkKind::Finish).await?;
    is_refused(&*store, table, "with rejected rows").await?;
    store.finish_table(table, Outcome::CompletedWithRejects, None).await?;
    let outcome = progress(&*store, table).await?.outcome;
    same("its outcome", &outcome, &Some(Outcome::CompletedWithRejects))?;
    let clean = super::planned_as(&*store, "u", "f", plan_of("u"), 1).await?;
    for kind in [WorkKind::Prepare, WorkKind::Chunk, WorkKind::Finish] {
        complete_all(&*store, clean, kind).await?;
    }
    let ended = store.finish_table(clean, Outcome::CompletedWithRejects, None).await;
    let error = refused("rejects of a table that has none", ended)?;
    same("the error", &error.kind(), &ErrorKind::Internal)
}

pub(super) async fn a_completed_table_stays_completed(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    load(&*store, table, Outcome::Completed).await?;
    let other = fixture.other_process().await?;
    other.finish_table(table, Outcome::Completed, None).await?;
    // Whether that is an error does not matter.
    drop(other.finish_table(table, Outcome::Failed, Some("late")).await);
    same("its outcome", &progress(&*store, table).await?.outcome, &Some(Outcome::Completed))
}

pub(super) async fn a_superseded_table_cannot_end(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    begin(&*store, &[wanted("t", "g")]).await?;
    for outcome in [Outcome::Completed, Outcome::Failed, Outcome::Paused] {
        let ended = store.finish_table(table, outcome, None).await;
        let error = refused("an end of a superseded table", ended)?;
        same("the error", &error.kind(), &ErrorKind::LeaseLost)?;
    }
    same("its outcome", &progress(&*store, table).await?.outcome, &Some(Outcome::Superseded))
}

pub(super) async fn a_pause_does_not_end_the_work_of_others(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 2).await?;
    let held = lease(&*store, table).await?;
    let other = fixture.other_process().await?;
    other.finish_table(table, Outcome::Paused, None).await?;
    same("its outcome", &progress(&*store, table).await?.outcome, &None)?;
    store.release(&held).await?;
    other.finish_table(table, Outcome::Paused, None).await?;
    same("its outcome", &progress(&*store, table).await?.outcome, &Some(Outcome::Paused))
}

/// Nor does what keeps one process from going on, or the chunks that it has seen fail.
pub(super) async fn a_failure_does_not_end_the_work_of_others(fixture: &dyn StoreFixture) -> Kept {
    for outcome in [Outcome::Failed, Outcome::Partial] {
        let store = installed(fixture).await?;
        let name = outcome.as_str();
        let table = super::planned_as(&*store, name, "f", plan_of(name), 2).await?;
        let held = lease(&*store, table).await?;
        let other = fixture.other_process().await?;
        other.finish_table(table, outcome, Some("on purpose")).await?;
        same("its outcome", &progress(&*store, table).await?.outcome, &None)?;
        store.release(&held).await?;
        other.finish_table(table, outcome, Some("on purpose")).await?;
        same("its outcome", &progress(&*store, table).await?.outcome, &Some(outcome))?;
    }
    Ok(())
}

pub(super) async fn a_run_ends_with_its_last_table(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("a", "f"), wanted("b", "f")]).await?;
    for (handle, name) in run.tables.iter().zip(["a", "b"]) {
        save(&*store, handle.id, plan_of(name), 1).await?;
    }
    load(&*store, first(&run)?, Outcome::Completed).await?;
    same("with an open table", &store.finish_run(run.run).await?, &None)?;
    for handle in run.tables.iter().skip(1) {
        store.finish_table(handle.id, Outcome::Failed, Some("on purpose")).await?;
    }
    same("with its last table", &store.finish_run(run.run).await?, &Some(Outcome::Partial))
}

/// Also where the process died before it could end the run: nothing is left to do in it.
pub(super) async fn a_run_whose_tables_are_complete_is_over(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    load(&*store, table, Outcome::Completed).await?;
    let run = begin(&*store, &[wanted("t", "f"), wanted("u", "f")]).await?;
    let states: Vec<_> = run.tables.iter().map(|table| table.state).collect();
    same("the next request", &(run.resumed, states), &(false, vec![TableState::New; 2]))
}

pub(super) async fn a_table_without_chunks_can_complete(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 0).await?;
    same("chunks", &complete_all(&*store, table, WorkKind::Chunk).await?, &0)?;
    load(&*store, table, Outcome::Completed).await?;
    same("its outcome", &progress(&*store, table).await?.outcome, &Some(Outcome::Completed))
}
