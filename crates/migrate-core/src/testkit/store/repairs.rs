//! What dead runs took away from targets.

use super::{
    StoreFixture, TEN_ROWS, begin, complete_all, failure, first, installed, lease, lease_of,
    plan_of, request, save, target, wanted,
};
use crate::set_aside::{Return, SetAside};
use crate::status::{Claim, Outcome, Resume, RunId, StatusStore, TableId, TablePlan, WorkKind};
use crate::testkit::{Answer, Kept, ensure, found, same};

fn index() -> SetAside {
    SetAside::new("index t_at", target("t"), Return::Rebuild, "drop index if exists t_at")
}

fn plan_without_index() -> TablePlan {
    let mut plan = plan_of("t");
    plan.load.set_aside = vec![index()];
    plan.load.restore = vec![index()];
    plan
}

/// A table whose index has been taken away.
async fn prepared(store: &dyn StatusStore) -> Answer<(RunId, TableId)> {
    let run = begin(store, &[wanted("t", "f")]).await?;
    let table = first(&run)?;
    save(store, table, plan_without_index(), 2).await?;
    ensure(store.left_aside(None, None).await?.is_empty(), "nothing has been taken away yet")?;
    complete_all(store, table, WorkKind::Prepare).await?;
    Ok((run.run, table))
}

pub(super) async fn what_a_dead_run_took_away_is_found_once(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let (run, table) = prepared(&*store).await?;
    let held = lease(&*store, table).await?;
    let left = store.left_aside(None, None).await?;
    same("things", &left.len(), &1)?;
    let one = found("thing", left.first())?;
    same("the entry", &(one.entry, one.number, &one.target), &(table, 0, &target("t")))?;
    same("the thing", &one.object, &index())?;
    same("who is at work", &one.holder.as_deref(), &Some("w1"))?;
    store.release(&held).await?;
    // A store may take a run for alive that holds no lease at the moment.
    store.finish_table(table, Outcome::Paused, None).await?;
    store.finish_run(run).await?;
    let left = store.left_aside(Some(&target("t")), None).await?;
    let one = found("thing of this target", left.first())?;
    same("who is at work", &one.holder, &None)?;
    ensure(store.left_aside(Some(&target("u")), None).await?.is_empty(), "of another target")?;
    let own = store.left_aside(Some(&target("t")), Some(table)).await?;
    ensure(own.is_empty(), "a run is told of what it took away itself")?;
    store.give_up_chunks(one).await?;
    store.brought_back(one).await?;
    ensure(store.left_aside(None, None).await?.is_empty(), "it is found though it is back")
}

pub(super) async fn a_later_plan_takes_over_what_is_missing(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    prepared(&*store).await?;
    let anew = request(&[wanted("t", "f")]).with_resume(Resume::Never);
    let run = store.begin_run(&anew).await?;
    let table = first(&run)?;
    let left = store.left_aside(Some(&target("t")), Some(table)).await?;
    same("things before the plan", &left.len(), &1)?;
    let mut missing = index();
    missing.is_missing = true;
    let mut plan = plan_of("t");
    plan.load.restore = vec![missing];
    save(&*store, table, plan, 1).await?;
    let left = store.left_aside(None, None).await?;
    let entries: Vec<_> = left.iter().map(|one| one.entry).collect();
    same("whose it is", &entries, &vec![table])?;
    lease_of(&*store, table, WorkKind::Rebuild).await.map(drop)
}

pub(super) async fn what_came_back_early_is_taken_away_again(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let (_, table) = prepared(&*store).await?;
    store.complete(&lease(&*store, table).await?, &TEN_ROWS).await?;
    store.fail(&lease(&*store, table).await?, &failure(None)).await?;
    same("brought back", &complete_all(&*store, table, WorkKind::Rebuild).await?, &1)?;
    begin(&*store, &[wanted("t", "f")]).await?;
    same("taken away", &complete_all(&*store, table, WorkKind::SetAside).await?, &1)?;
    match super::claim(&*store, table, WorkKind::Rebuild).await? {
        Claim::Leased(_) => Ok(()),
        other => ensure(false, format!("it does not come back: {other:?}")),
    }
}
