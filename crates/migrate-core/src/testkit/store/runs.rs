//! Which work starts, goes on, or is taken over.

use std::time::Duration;

use futures::future::join;

use super::{
    LEASE, StoreFixture, begin, claim, complete_all, first, installed, lease, load, pass, plan_of,
    planned, progress, request, save, wanted,
};
use crate::code;
use crate::error::ErrorKind;
use crate::source::Snapshot;
use crate::status::{Adoption, Claim, Outcome, Resume, RunId, TableState, WorkKind};
use crate::testkit::{Kept, Unkept, ensure, found, refused, same};

const WEEK: Duration = Duration::from_hours(168);
const ALMOST_A_WEEK: Duration = Duration::from_hours(167);

pub(super) async fn a_store_that_is_not_installed_knows_nothing(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = fixture.store();
    if let Some(adoptions) = store.preview_run(&request(&[wanted("t", "f")])).await? {
        same("a preview", &adoptions.tables, &vec![Adoption::Start])?;
    }
    same("a last window", &store.last_window(&super::target("t"), "s").await?, &None)?;
    ensure(store.left_aside(None, None).await?.is_empty(), "something was left aside")
}

pub(super) async fn installing_again_keeps_what_is_there(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    store.install().await?;
    fixture.other_process().await?.install().await?;
    ensure(store.load_plan(table).await?.is_some(), "the plan is gone")
}

pub(super) async fn a_new_table_starts(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let request = request(&[wanted("t", "f")]);
    let run = store.begin_run(&request).await?;
    same("the run", &(run.run, run.resumed), &(request.new_run, false))?;
    let table = found("table", run.tables.first())?;
    same("the table", &(table.state, table.run), &(TableState::New, request.new_run))?;
    same("its plan", &store.load_plan(table.id).await?, &None)?;
    let progress = progress(&*store, table.id).await?;
    same("its outcome", &progress.outcome, &None)
}

pub(super) async fn tables_are_answered_in_the_order_of_the_request(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let names = ["c", "a", "b"];
    let tables: Vec<_> = names.iter().map(|name| wanted(name, "f")).collect();
    let run = begin(&*store, &tables).await?;
    same("tables", &run.tables.len(), &names.len())?;
    for (handle, name) in run.tables.iter().zip(names) {
        save(&*store, handle.id, plan_of(name), 1).await?;
    }
    let again = [wanted("b", "f"), wanted("c", "f"), wanted("a", "f")];
    let again = begin(&*store, &again).await?;
    let ids = |run: &crate::status::RunHandle| -> Vec<_> {
        run.tables.iter().map(|table| table.id).collect()
    };
    let mut moved = ids(&run);
    moved.rotate_right(1);
    same("ids", &ids(&again), &moved)?;
    let plan = found("plan", store.load_plan(found("table", again.tables.first())?.id).await?)?;
    same("the first table's target", &plan.target, &super::target("b"))
}

pub(super) async fn unfinished_work_goes_on(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let table = first(&run)?;
    save(&*store, table, plan_of("t"), 3).await?;
    store.complete(&lease(&*store, table).await?, &super::TEN_ROWS).await?;
    let other = fixture.other_process().await?;
    let again = begin(&*other, &[wanted("t", "f")]).await?;
    same("the run", &(again.run, again.resumed), &(run.run, true))?;
    let handle = found("table", again.tables.first())?;
    same("the table", &(handle.id, handle.state), &(table, TableState::Resumed))?;
    let left = complete_all(&*other, table, WorkKind::Chunk).await?;
    same("chunks that were left", &left, &2)
}

pub(super) async fn a_finished_table_is_done_while_its_run_goes_on(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let tables = [wanted("a", "f"), wanted("b", "f")];
    let run = begin(&*store, &tables).await?;
    for (handle, name) in run.tables.iter().zip(["a", "b"]) {
        save(&*store, handle.id, plan_of(name), 1).await?;
    }
    load(&*store, first(&run)?, Outcome::Completed).await?;
    let again = begin(&*store, &tables).await?;
    let states: Vec<_> = again.tables.iter().map(|table| table.state).collect();
    same("states", &states, &vec![TableState::Completed, TableState::Resumed])
}

pub(super) async fn a_finished_run_is_loaded_again(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    load(&*store, table, Outcome::Completed).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let handle = found("table", run.tables.first())?;
    same("the table", &handle.state, &TableState::New)?;
    ensure(handle.id > table, "a newer entry has no greater id")?;
    let earlier = progress(&*store, table).await?;
    same("the earlier outcome", &earlier.outcome, &Some(Outcome::Completed))
}

pub(super) async fn a_changed_configuration_takes_over_and_says_so(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let run = begin(&*store, &[wanted("t", "other")]).await?;
    let handle = found("table", run.tables.first())?;
    same("the table", &handle.state, &TableState::New)?;
    ensure(!handle.notes.is_empty(), "nothing says why it starts anew")?;
    let earlier = progress(&*store, table).await?;
    same("the earlier outcome", &earlier.outcome, &Some(Outcome::Superseded))?;
    match claim(&*store, table, WorkKind::Chunk).await? {
        Claim::Leased(_) => ensure(false, "work of the superseded table is handed out"),
        _ => Ok(()),
    }
}

pub(super) async fn rows_of_a_changed_table_are_told_to_its_run(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("a", "f"), wanted("b", "f")]).await?;
    for (handle, name) in run.tables.iter().zip(["a", "b"]) {
        save(&*store, handle.id, plan_of(name), 2).await?;
    }
    let first = first(&run)?;
    store.complete(&lease(&*store, first).await?, &super::TEN_ROWS).await?;
    let again = begin(&*store, &[wanted("a", "other"), wanted("b", "f")]).await?;
    same("the run", &again.run, &run.run)?;
    let leftovers: Vec<_> = again.tables.iter().map(|table| table.has_leftovers).collect();
    same("leftovers", &leftovers, &vec![true, false])
}

pub(super) async fn not_resuming_takes_over(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let anew = request(&[wanted("t", "f")]).with_resume(Resume::Never);
    let run = store.begin_run(&anew).await?;
    same("the run", &(run.run, run.resumed), &(anew.new_run, false))?;
    let earlier = progress(&*store, table).await?;
    same("the earlier outcome", &earlier.outcome, &Some(Outcome::Superseded))
}

pub(super) async fn a_run_is_resumed_by_its_id(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    save(&*store, first(&run)?, plan_of("t"), 1).await?;
    let by_id = request(&[wanted("t", "f")]).with_resume(Resume::Run(run.run));
    let again = store.begin_run(&by_id).await?;
    same("the table", &(again.run, first(&again)?), &(run.run, first(&run)?))
}

pub(super) async fn an_unknown_run_is_refused(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let by_id = request(&[wanted("t", "f")]).with_resume(Resume::Run(RunId::random()));
    let error = refused("an unknown run", store.begin_run(&by_id).await)?;
    same("the error", &error.kind(), &ErrorKind::NotFound)
}

pub(super) async fn old_work_is_not_resumed(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    planned(&*store, 1).await?;
    pass(fixture, WEEK + Duration::from_hours(1)).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let handle = found("table", run.tables.first())?;
    same("the table", &handle.state, &TableState::New)?;
    ensure(!handle.notes.is_empty(), "nothing says why it starts anew")
}

pub(super) async fn a_sign_of_life_keeps_work_young(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    pass(fixture, ALMOST_A_WEEK).await?;
    store.renew(&[held.token()], LEASE).await?;
    pass(fixture, Duration::from_hours(2)).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    same("the table", &found("table", run.tables.first())?.state, &TableState::Resumed)
}

pub(super) async fn a_target_under_work_is_not_taken_over(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let held = lease(&*store, table).await?;
    let error = refused(
        "a rival of living work",
        store.begin_run(&request(&[wanted("t", "other")])).await,
    )?;
    same("the error", &error.code(), &code::TARGET_BUSY)?;
    ensure(error.to_string().contains("w1"), "the error does not name the worker")?;
    ensure(error.hint().is_some(), "the error has no hint")?;
    store.release(&held).await?;
    begin(&*store, &[wanted("t", "other")]).await.map(drop)
}

pub(super) async fn a_refused_request_changes_nothing(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let idle = planned(&*store, 1).await?;
    let run = begin(&*store, &[wanted("u", "f")]).await?;
    let busy = first(&run)?;
    save(&*store, busy, plan_of("u"), 1).await?;
    let held = lease(&*store, busy).await?;
    let both = request(&[wanted("t", "other"), wanted("u", "other")]);
    refused("a rival of living work", store.begin_run(&both).await)?;
    for table in [idle, busy] {
        same("an outcome", &progress(&*store, table).await?.outcome, &None)?;
    }
    same("claimed", &complete_all(&*store, idle, WorkKind::Chunk).await?, &1)?;
    let settled = store.complete(&held, &super::TEN_ROWS).await?;
    same("the held lease", &settled, &crate::status::Settled::Applied)
}

pub(super) async fn one_of_two_requests_at_once_takes_over(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let other = fixture.other_process().await?;
    let requests = (request(&[wanted("t", "f")]), request(&[wanted("t", "g")]));
    let (left, right) = join(store.begin_run(&requests.0), other.begin_run(&requests.1)).await;
    let (left, right) = (first(&left?)?, first(&right?)?);
    let mut outcomes =
        vec![progress(&*store, left).await?.outcome, progress(&*store, right).await?.outcome];
    outcomes.sort_by_key(Option::is_some);
    same("outcomes", &outcomes, &vec![None, Some(Outcome::Superseded)])
}

pub(super) async fn a_run_may_be_joined(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let other = fixture.other_process().await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let table = first(&run)?;
    let joined = match other.join_run(run.run, &[wanted("t", "f")]).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return Err(Unkept::Skipped("it lets no process join a run"));
        }
        answer => answer?,
    };
    same("the entry", &(joined.run, first(&joined)?), &(run.run, table))?;
    let stranger = other.join_run(RunId::random(), &[wanted("t", "f")]).await;
    same("an unknown run", &refused("one", stranger)?.kind(), &ErrorKind::NotFound)?;
    let differs = other.join_run(run.run, &[wanted("t", "g")]).await;
    same("another job", &refused("it", differs)?.code(), &code::JOB_DIFFERS)?;
    save(&*store, table, plan_of("t"), 1).await?;
    load(&*other, table, Outcome::Completed).await?;
    let ended = other.join_run(run.run, &[wanted("t", "f")]).await;
    same("a run that is over", &refused("it", ended)?.kind(), &ErrorKind::Conflict)
}

pub(super) async fn a_preview_changes_nothing(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let preview = found("preview", store.preview_run(&request(&[wanted("t", "f")])).await?)?;
    ensure(
        matches!(preview.tables.as_slice(), [Adoption::Resume(id, _)] if *id == table),
        format!("the preview is {:?}", preview.tables),
    )?;
    let rival = found("preview", store.preview_run(&request(&[wanted("t", "g")])).await?)?;
    same("superseded", &rival.superseded, &vec![table])?;
    same("the outcome", &progress(&*store, table).await?.outcome, &None)
}

pub(super) async fn the_first_pinned_moment_holds(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?.run;
    let other = fixture.other_process().await?;
    let (mine, theirs) = (Snapshot::new("mine"), Snapshot::new("theirs"));
    let (left, right) =
        join(store.pin_snapshot(run, "s", &mine), other.pin_snapshot(run, "s", &theirs)).await;
    let (left, right) = (left?, right?);
    same("the moments", &left, &right)?;
    ensure(left == mine || left == theirs, format!("{left} was never pinned"))?;
    let another = store.pin_snapshot(run, "another source", &Snapshot::new("third")).await?;
    same("another source", &another, &Snapshot::new("third"))?;
    let second = begin(&*store, &[wanted("u", "f")]).await?.run;
    let own = store.pin_snapshot(second, "s", &Snapshot::new("fourth")).await?;
    same("another run", &own, &Snapshot::new("fourth"))
}

pub(super) async fn other_targets_are_left_alone(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 2).await?;
    let held = lease(&*store, table).await?;
    let run = begin(&*store, &[wanted("u", "f")]).await?;
    save(&*store, first(&run)?, plan_of("u"), 1).await?;
    load(&*store, first(&run)?, Outcome::Completed).await?;
    let anew = request(&[wanted("u", "g")]).with_resume(Resume::Never);
    store.begin_run(&anew).await?;
    let owned = store.renew(&[held.token()], LEASE).await?;
    same("the lease", &owned, &vec![held.token()])?;
    same("the outcome", &progress(&*store, table).await?.outcome, &None)?;
    same("failed chunks", &progress(&*store, table).await?.failed_chunk_count, &0)
}
