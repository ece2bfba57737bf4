//! Handing out work.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;

use super::{LEASE, StoreFixture, TEN_ROWS, claim, installed, lease, pass, planned, progress};
use crate::status::{Claim, Settled, WorkItem, WorkKind, WorkerId};
use crate::testkit::{Kept, Unkept, ensure, found, same};

pub(super) async fn a_chunk_is_never_handed_out_twice(fixture: &dyn StoreFixture) -> Kept {
    const CHUNKS: u32 = 60;
    let store = installed(fixture).await?;
    let table = planned(&*store, CHUNKS).await?;
    let other = fixture.other_process().await?;
    let worker = |number: usize| {
        let store = if number.is_multiple_of(2) { &store } else { &other };
        async move {
            let name = WorkerId(format!("w{number}"));
            let mut mine = Vec::new();
            loop {
                match store.claim(table, WorkKind::Chunk, &name, LEASE).await? {
                    Claim::Leased(lease) => {
                        let WorkItem::Chunk(chunk) = lease.item() else {
                            return Err(Unkept::Broken("a chunk was asked for".into()));
                        };
                        mine.push((chunk.id, lease.token().0));
                        same(
                            "settled",
                            &store.complete(&lease, &TEN_ROWS).await?,
                            &Settled::Applied,
                        )?;
                    }
                    Claim::NotYet { .. } => {}
                    Claim::Drained { .. } => return Ok(mine),
                }
            }
        }
    };
    let mut claimed = Vec::new();
    for mine in join_all((0..6).map(worker)).await {
        claimed.extend(mine?);
    }
    same("chunks that were handed out", &claimed.len(), &(CHUNKS as usize))?;
    let chunks: BTreeSet<_> = claimed.iter().map(|(chunk, _)| *chunk).collect();
    same("different ones", &chunks.len(), &(CHUNKS as usize))?;
    let tokens: BTreeSet<_> = claimed.iter().map(|(_, token)| *token).collect();
    same("different tokens", &tokens.len(), &(CHUNKS as usize))?;
    let completed = progress(&*store, table).await?.completed_chunk_count;
    same("completed", &completed, &u64::from(CHUNKS))
}

pub(super) async fn whoever_waits_hears_who_holds_the_lease(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let _held = lease(&*store, table).await?;
    match claim(&*store, table, WorkKind::Chunk).await? {
        Claim::NotYet { holder: Some(holder), retry_in } => {
            same("the holder", &holder.worker.0.as_str(), &"w1")?;
            ensure(holder.expires_in <= LEASE, "the lease is longer than it was asked for")?;
            ensure(!retry_in.is_zero(), "whoever waits is to ask again at once, for ever")
        }
        other => ensure(false, format!("the answer was {other:?}")),
    }
}

pub(super) async fn a_lease_that_runs_out_goes_to_another(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let first = lease(&*store, table).await?;
    pass(fixture, LEASE / 2).await?;
    let early = claim(&*store, table, WorkKind::Chunk).await?;
    ensure(!matches!(early, Claim::Leased(_)), "a lease was taken away before it ran out")?;
    pass(fixture, LEASE).await?;
    let second = lease(&*store, table).await?;
    ensure(first.token() != second.token(), "both have one token")?;
    same("its attempt, because a crash is none", &second.attempt(), &1)
}

pub(super) async fn a_renewed_lease_lasts(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    for _ in 0..3 {
        pass(fixture, LEASE * 2 / 3).await?;
        let owned = store.renew(&[held.token()], LEASE).await?;
        same("renewed", &owned, &vec![held.token()])?;
        let rival = claim(&*store, table, WorkKind::Chunk).await?;
        ensure(!matches!(rival, Claim::Leased(_)), "a renewed lease was taken away")?;
    }
    same("settled", &store.complete(&held, &TEN_ROWS).await?, &Settled::Applied)
}

pub(super) async fn a_lost_lease_is_not_renewed(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let lost = lease(&*store, table).await?;
    pass(fixture, LEASE * 2).await?;
    let held = lease(&*store, table).await?;
    let owned = store.renew(&[lost.token(), held.token()], LEASE).await?;
    same("renewed", &owned, &vec![held.token()])
}

/// Its worker may ask before it hears that its commit has landed.
pub(super) async fn a_lease_whose_work_is_completed_is_not_lost(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    store.complete(&held, &TEN_ROWS).await?;
    let owned = store.renew(&[held.token()], LEASE).await?;
    same("renewed", &owned, &vec![held.token()])?;
    let again = claim(&*store, table, WorkKind::Chunk).await?;
    ensure(!matches!(again, Claim::Leased(_)), "and so it is handed out again")
}

pub(super) async fn a_chunk_that_kills_its_workers_is_given_up(fixture: &dyn StoreFixture) -> Kept {
    const MANY: u32 = 50;
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    for _ in 0..MANY {
        match claim(&*store, table, WorkKind::Chunk).await? {
            Claim::Leased(_) => pass(fixture, LEASE * 2).await?,
            Claim::NotYet { .. } => pass(fixture, Duration::from_secs(1)).await?,
            Claim::Drained { .. } => {
                let progress = progress(&*store, table).await?;
                same("failed chunks", &progress.failed_chunk_count, &1)?;
                return found("reason", progress.first_failure).map(drop);
            }
        }
    }
    ensure(false, format!("it is handed out after {MANY} crashes"))
}

pub(super) async fn leases_of_one_process_hold_in_another(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 2).await?;
    let mine = lease(&*store, table).await?;
    let other = fixture.other_process().await?;
    // The same configuration: both share the run.
    super::begin(&*other, &[super::wanted("t", "f")]).await?;
    let theirs = lease(&*other, table).await?;
    ensure(mine.item() != theirs.item(), "both have one chunk")?;
    same("mine", &store.complete(&mine, &TEN_ROWS).await?, &Settled::Applied)?;
    same("theirs", &other.complete(&theirs, &TEN_ROWS).await?, &Settled::Applied)
}
