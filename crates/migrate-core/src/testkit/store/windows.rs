//! Incremental reads.

use super::{
    StoreFixture, TEN_ROWS, begin, complete_all, first, installed, lease, load, plan_of,
    planned_as, save, target, wanted,
};
use crate::status::{Outcome, StatusStore, TableId, TablePlan, WorkKind};
use crate::testkit::{Answer, Kept, found, same};
use crate::value::Scalar;
use crate::watermark::{WatermarkWindow, WindowRows};

fn window_to(high: i64) -> TablePlan {
    let mut window = WatermarkWindow::new("w".into(), "scope");
    window.high = Some(Scalar::from(high));
    window.rows_at_high = 2;
    window.reads = WindowRows::Closed;
    let mut plan = plan_of("t");
    plan.filter = window.predicate();
    plan.window = Some(window);
    plan
}

/// A window that was read completely.
async fn read_to(store: &dyn StatusStore, high: i64) -> Answer<TableId> {
    let run = begin(store, &[wanted("t", "f")]).await?;
    save(store, first(&run)?, window_to(high), 1).await?;
    load(store, first(&run)?, Outcome::Completed).await?;
    store.finish_run(run.run).await?;
    first(&run)
}

pub(super) async fn a_window_counts_once_its_table_is_completed(
    fixture: &dyn StoreFixture,
) -> Kept {
    let store = installed(fixture).await?;
    read_to(&*store, 5).await?;
    let table = planned_as(&*store, "t", "f", window_to(9), 1).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("while the next is at work", &last.high, &Scalar::from(5_i64))?;
    load(&*store, table, Outcome::Completed).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("the window", &(last.high, last.rows_at_high), &(Scalar::from(9_i64), Some(2)))?;
    same("whether it is the latest and void", &(last.is_latest, last.is_void), &(true, false))?;
    same("another series", &store.last_window(&target("t"), "other").await?, &None)?;
    same("another target", &store.last_window(&target("u"), "scope").await?, &None)
}

pub(super) async fn later_writes_make_a_window_older(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    read_to(&*store, 5).await?;
    let table = planned_as(&*store, "t", "other", plan_of("t"), 2).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("before a row is written, is the latest", &last.is_latest, &true)?;
    store.complete(&lease(&*store, table).await?, &TEN_ROWS).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("after a chunk, is the latest", &last.is_latest, &false)?;
    same("its bound", &last.high, &Scalar::from(5_i64))?;
    same("whether it is void", &last.is_void, &false)
}

pub(super) async fn an_emptied_target_voids_a_window(fixture: &dyn StoreFixture) -> Kept {
    let store = installed(fixture).await?;
    read_to(&*store, 5).await?;
    let mut plan = plan_of("t");
    plan.load.truncate = vec![target("t")];
    let table = planned_as(&*store, "t", "other", plan, 1).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("before it is emptied, is void", &last.is_void, &false)?;
    complete_all(&*store, table, WorkKind::Prepare).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("after it was emptied, is void", &last.is_void, &true)?;
    read_to(&*store, 7).await?;
    let last = found("window", store.last_window(&target("t"), "scope").await?)?;
    same("the next window, is void", &last.is_void, &false)
}
