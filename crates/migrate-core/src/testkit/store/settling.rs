//! Taking work back.

use std::time::Duration;

use super::{
    LEASE, StoreFixture, TEN_ROWS, begin, claim, complete_all, failure, first, installed, lease,
    pass, plan_of, planned, progress, request, save, wanted,
};
use crate::sink::WriteSummary;
use crate::status::{Claim, Resume, Settled, WorkKind};
use crate::testkit::{Kept, Unkept, ensure, same};

pub(super) async fn completed_counts_add_up(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 3).await?;
    complete_all(&*store, table, WorkKind::Chunk).await?;
    let mut sum = WriteSummary::default();
    for _ in 0..3 {
        sum += TEN_ROWS;
    }
    let progress = progress(&*store, table).await?;
    same("counts", &progress.counts, &sum)?;
    let chunks =
        (progress.chunk_count, progress.completed_chunk_count, progress.failed_chunk_count);
    same("chunks", &chunks, &(3, 3, 0))
}

pub(super) async fn a_completion_may_be_repeated(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    same("first", &store.complete(&held, &TEN_ROWS).await?, &Settled::Applied)?;
    same("again", &store.complete(&held, &TEN_ROWS).await?, &Settled::AlreadyCompleted)?;
    // Whoever lost the answer may take it for a failure.
    let failed = store.fail(&held, &failure(Some(Duration::ZERO))).await?;
    same("failed", &failed, &Settled::AlreadyCompleted)?;
    same("given back", &store.release(&held).await?, &Settled::AlreadyCompleted)?;
    let progress = progress(&*store, table).await?;
    same("counts", &progress.counts, &TEN_ROWS)?;
    same("completed", &progress.completed_chunk_count, &1)
}

pub(super) async fn a_late_token_changes_nothing(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let late = lease(&*store, table).await?;
    pass(fixture, LEASE * 2).await?;
    let held = lease(&*store, table).await?;
    for is_done in [false, true] {
        if is_done {
            same("the owner", &store.complete(&held, &TEN_ROWS).await?, &Settled::Applied)?;
        }
        let more = WriteSummary { rows_read: 99, rows_inserted: 99, ..TEN_ROWS };
        same("completed late", &store.complete(&late, &more).await?, &Settled::LeaseLost)?;
        let failed = store.fail(&late, &failure(None)).await?;
        same("failed late", &failed, &Settled::LeaseLost)?;
        same("given back late", &store.release(&late).await?, &Settled::LeaseLost)?;
    }
    let progress = progress(&*store, table).await?;
    same("counts", &progress.counts, &TEN_ROWS)?;
    same("failed chunks", &progress.failed_chunk_count, &0)
}

pub(super) async fn a_superseded_token_changes_nothing(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let late = lease(&*store, table).await?;
    pass(fixture, LEASE * 2).await?;
    store.begin_run(&request(&[wanted("t", "f")]).with_resume(Resume::Never)).await?;
    same("renewed late", &store.renew(&[late.token()], LEASE).await?, &Vec::new())?;
    same("completed late", &store.complete(&late, &TEN_ROWS).await?, &Settled::LeaseLost)?;
    same("failed late", &store.fail(&late, &failure(None)).await?, &Settled::LeaseLost)?;
    same("given back late", &store.release(&late).await?, &Settled::LeaseLost)?;
    let progress = progress(&*store, table).await?;
    let chunks = (progress.completed_chunk_count, progress.failed_chunk_count);
    same("chunks", &chunks, &(0, 0))?;
    let again = claim(&*store, table, WorkKind::Chunk).await?;
    ensure(!matches!(again, Claim::Leased(_)), "it is handed out")
}

pub(super) async fn a_failed_chunk_rests_in_the_store(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    let rest = Duration::from_mins(10);
    same("failed", &store.fail(&held, &failure(Some(rest))).await?, &Settled::Applied)?;
    let other = fixture.other_process().await?;
    match claim(&*other, table, WorkKind::Chunk).await? {
        Claim::NotYet { holder: None, retry_in } => {
            ensure(retry_in <= rest, "it rests longer than it was asked to")?;
        }
        answer => ensure(false, format!("while it rests the answer is {answer:?}"))?,
    }
    pass(fixture, rest + Duration::from_secs(1)).await?;
    same("its attempt", &lease(&*other, table).await?.attempt(), &2)?;
    same("failed chunks", &progress(&*store, table).await?.failed_chunk_count, &0)
}

pub(super) async fn a_chunk_that_is_given_up_is_handed_out_no_more(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 2).await?;
    store.fail(&lease(&*store, table).await?, &failure(None)).await?;
    complete_all(&*store, table, WorkKind::Chunk).await?;
    match claim(&*store, table, WorkKind::Chunk).await? {
        Claim::Drained { completed: 1, failed: 1 } => {}
        other => ensure(false, format!("the answer is {other:?}"))?,
    }
    let progress = progress(&*store, table).await?;
    same("failed chunks", &progress.failed_chunk_count, &1)?;
    same("the reason", &progress.first_failure.as_deref(), &Some("Connection reset"))
}

pub(super) async fn a_resumed_table_tries_its_failed_chunks_anew(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 2).await?;
    store.fail(&lease(&*store, table).await?, &failure(None)).await?;
    let rest = Some(Duration::from_hours(1));
    store.fail(&lease(&*store, table).await?, &failure(rest)).await?;
    begin(&*store, &[wanted("t", "f")]).await?;
    for _ in 0..2 {
        same("its attempt", &lease(&*store, table).await?.attempt(), &1)?;
    }
    let progress = progress(&*store, table).await?;
    same("failed chunks", &progress.failed_chunk_count, &0)?;
    same("the reason", &progress.first_failure, &None)
}

pub(super) async fn work_that_is_given_back_has_not_been_tried(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    same("given back", &store.release(&held).await?, &Settled::Applied)?;
    let again = lease(&*store, table).await?;
    same("its attempt", &again.attempt(), &1)?;
    ensure(again.token() != held.token(), "the token is the same")?;
    let late = store.complete(&held, &TEN_ROWS).await?;
    same("completed after it was given back", &late, &Settled::LeaseLost)
}

/// Or it is given back for ever, by a store that does not count.
pub(super) async fn work_that_outgrows_every_budget_is_given_up(
    fixture: &dyn StoreFixture,
) -> Kept {
    const MOST: u32 = 3;
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    for number in 1..=MOST {
        let held = lease(&*store, table).await?;
        same("its attempt", &held.attempt(), &1)?;
        let settled = store.overrun(&held, MOST, &failure(None)).await?;
        same(&format!("overrun {number}"), &settled, &Settled::Applied)?;
        let late = store.complete(&held, &TEN_ROWS).await?;
        same("completed late", &late, &Settled::LeaseLost)?;
    }
    match claim(&*store, table, WorkKind::Chunk).await? {
        Claim::Drained { completed: 0, failed: 1 } => {
            let progress = progress(&*store, table).await?;
            same("failed chunks", &progress.failed_chunk_count, &1)
        }
        Claim::Leased(_) => Err(Unkept::Skipped("it does not count overruns")),
        other => ensure(false, format!("the answer is {other:?}")),
    }
}

pub(super) async fn other_tables_keep_their_counts(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("a", "f"), wanted("b", "f")]).await?;
    for (handle, name) in run.tables.iter().zip(["a", "b"]) {
        save(&*store, handle.id, plan_of(name), 2).await?;
    }
    let table = first(&run)?;
    store.complete(&lease(&*store, table).await?, &TEN_ROWS).await?;
    store.fail(&lease(&*store, table).await?, &failure(None)).await?;
    for handle in run.tables.iter().skip(1) {
        let progress = progress(&*store, handle.id).await?;
        let chunks =
            (progress.chunk_count, progress.completed_chunk_count, progress.failed_chunk_count);
        same("chunks of the other table", &chunks, &(2, 0, 0))?;
        same("its counts", &progress.counts, &WriteSummary::default())?;
        complete_all(&*store, handle.id, WorkKind::Chunk).await?;
    }
    same("its own counts", &progress(&*store, table).await?.counts, &TEN_ROWS)
}
