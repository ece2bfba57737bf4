//! What is decided before a row moves.

use futures::future::join;

use super::{
    StoreFixture, begin, chunks, claim, first, installed, lease, plan_of, planned, progress,
    request, save, wanted,
};
use crate::error::ErrorKind;
use crate::predicate::Predicate;
use crate::reject::BadRows;
use crate::set_aside::{Return, SetAside};
use crate::sink::WriteMode;
use crate::source::Snapshot;
use crate::status::{Claim, NewPlan, Resume, TableId, TablePlan, WorkItem, WorkKind};
use crate::testkit::{Kept, ensure, found, refused, same};

/// A plan in which nothing has its default.
fn rich_plan() -> TablePlan {
    let mut plan = plan_of("t");
    plan.load.mode = WriteMode::Replace { keys: vec!["Key \"k\"".into()] };
    let object = SetAside::new("index i", super::target("t"), Return::Rebuild, "drop index i");
    let link = SetAside::new("foreign key f", super::target("t"), Return::Relink, "drop f");
    plan.load.set_aside = vec![object.clone(), link.clone()];
    plan.load.restore = vec![object, link];
    plan.load.bad_rows = BadRows::Quarantine { most_rows: 7 };
    plan.filter = Predicate::range("k", Some("ä\u{1f600}'".into()), Some(9_i64.into()));
    plan.order = vec!["k".into()];
    plan.snapshot = Some(Snapshot::new("moment 1"));
    plan.rationale = "because".into();
    plan.estimated_rows = Some(1 << 40);
    plan.notes = vec!["a note".into()];
    plan
}

pub(super) async fn a_plan_survives_as_it_was_stored(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let stored = save(&*store, first(&run)?, rich_plan(), 1).await?;
    let mut plan = rich_plan();
    plan.chunk_count = 1;
    same("the answer", &stored, &plan)?;
    let other = fixture.other_process().await?;
    same("the stored plan", &other.load_plan(first(&run)?).await?, &Some(plan))
}

pub(super) async fn the_first_writer_of_a_plan_wins(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let other = fixture.other_process().await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let table = first(&run)?;
    let of_strategy = |strategy: &str| TablePlan { strategy: strategy.into(), ..plan_of("t") };
    let (mine, theirs) = join(
        save(&*store, table, of_strategy("mine"), 2),
        save(&*other, table, of_strategy("theirs"), 3),
    )
    .await;
    let (mine, theirs) = (mine?, theirs?);
    same("the answers", &mine, &theirs)?;
    same("the stored plan", &store.load_plan(table).await?, &Some(mine.clone()))?;
    let chunk_count = if mine.strategy == "mine" { 2 } else { 3 };
    same("chunks", &progress(&*store, table).await?.chunk_count, &chunk_count)?;
    let late = save(&*store, table, of_strategy("late"), 5).await?;
    same("the answer to a late one", &late, &mine)?;
    same("chunks", &progress(&*store, table).await?.chunk_count, &chunk_count)
}

pub(super) async fn plans_are_stored_together_or_not_at_all(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("a", "f"), wanted("b", "f")]).await?;
    let tables: Vec<TableId> = run.tables.iter().map(|table| table.id).collect();
    // The second of them is not ours any more.
    let rival = request(&[wanted("b", "g")]).with_resume(Resume::Never);
    store.begin_run(&rival).await?;
    let (plan, chunks) = (plan_of("a"), chunks(1));
    let new = |table: &TableId| NewPlan { table: *table, plan: &plan, chunks: &chunks };
    let plans: Vec<NewPlan<'_>> = tables.iter().map(new).collect();
    let error = refused("a plan of a superseded table", store.save_plans(&plans).await)?;
    same("the error", &error.kind(), &ErrorKind::LeaseLost)?;
    let table = first(&run)?;
    same("the first table's plan", &store.load_plan(table).await?, &None)?;
    match claim(&*store, table, WorkKind::Chunk).await? {
        Claim::Leased(_) => ensure(false, "a chunk of a plan that was refused is handed out"),
        _ => Ok(()),
    }
}

pub(super) async fn a_superseded_table_takes_no_plan(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    begin(&*store, &[wanted("t", "g")]).await?;
    let (plan, chunks) = (plan_of("t"), chunks(1));
    let new = NewPlan { table: first(&run)?, plan: &plan, chunks: &chunks };
    let error = refused("a plan of a superseded table", store.save_plans(&[new]).await)?;
    same("the error", &error.kind(), &ErrorKind::LeaseLost)
}

pub(super) async fn chunks_survive_as_they_were_stored(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 5).await?;
    let mut handed_out = Vec::new();
    for _ in 0..5 {
        let lease = lease(&*store, table).await?;
        same("the table of a lease", &lease.table(), &table)?;
        if let WorkItem::Chunk(chunk) = lease.item() {
            handed_out.push(chunk.clone());
        }
    }
    handed_out.sort_by_key(|chunk| chunk.id);
    same("chunks", &handed_out, &chunks(5))
}

pub(super) async fn each_step_is_handed_out_once(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let run = begin(&*store, &[wanted("t", "f")]).await?;
    let table = first(&run)?;
    let plan = save(&*store, table, rich_plan(), 1).await?;
    for kind in [
        WorkKind::Prepare,
        WorkKind::Chunk,
        WorkKind::Publish,
        WorkKind::Rebuild,
        WorkKind::Relink,
        WorkKind::Finish,
    ] {
        let count = plan.item_count(kind);
        let mut handed_out = Vec::new();
        while let Claim::Leased(lease) = claim(&*store, table, kind).await? {
            let is_new = !handed_out.contains(lease.item());
            ensure(is_new, format!("{:?} was handed out twice", lease.item()))?;
            handed_out.push(lease.item().clone());
        }
        same(&format!("steps to {kind}"), &(handed_out.len() as u64), &count)?;
    }
    // Done by the preparation, until something came back too early.
    match claim(&*store, table, WorkKind::SetAside).await? {
        Claim::Drained { completed: 1, failed: 0 } => Ok(()),
        other => ensure(false, format!("the step to set aside answers {other:?}")),
    }
}

pub(super) async fn a_plan_can_change_what_happens_to_bad_rows(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    let table = planned(&*store, 1).await?;
    let bad_rows = BadRows::Quarantine { most_rows: 3 };
    match store.change_bad_rows(table, bad_rows).await {
        Err(error) => same("the error", &error.kind(), &ErrorKind::Unsupported),
        Ok(()) => {
            let plan = found("plan", store.load_plan(table).await?)?;
            same("bad rows", &plan.load.bad_rows, &bad_rows)?;
            let mut unchanged = plan_of("t");
            unchanged.chunk_count = 1;
            unchanged.load.bad_rows = bad_rows;
            same("the rest of the plan", &plan, &unchanged)
        }
    }
}
