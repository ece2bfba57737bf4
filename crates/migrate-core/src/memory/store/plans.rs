//! Plans, windows, and what dead runs left aside.

use async_trait::async_trait;

use super::{Item, MemoryStore, State, Status, Table, lock, taken_over};
use crate::error::Result;
use crate::name::TableRef;
use crate::reject::BadRows;
use crate::set_aside::LeftAside;
use crate::status::{NewPlan, Outcome, PlanStore, TableId, TablePlan, WorkItem, WorkKind};
use crate::watermark::LastWindow;

#[async_trait]
impl PlanStore for MemoryStore {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        Ok(lock(&self.state).table(table).ok().and_then(|entry| entry.plan.clone()))
    }

    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>> {
        let state = lock(&self.state);
        let last = state.of_target(target).rev().filter(|entry| entry.is_complete());
        let mut last = last.filter_map(|entry| {
            let window = entry.plan.as_ref()?.window.as_ref()?;
            let high = window.high.clone().filter(|_| window.scope == scope)?;
            Some((entry, high, window.rows_at_high))
        });
        Ok(last.next().map(|(entry, high, rows)| {
            let later = || state.of_target(target).filter(|other| other.id > entry.id);
            let mut written = later()
                .filter(|other| other.request.source == entry.request.source)
                .filter(|other| other.of_kind(WorkKind::Chunk).any(Item::is_done));
            LastWindow {
                high,
                rows_at_high: Some(rows),
                is_latest: written.next().is_none(),
                is_void: later().any(|other| state.has_emptied(other)),
            }
        }))
    }

    async fn left_aside(
        &self,
        target: Option<&TableRef>,
        entry: Option<TableId>,
    ) -> Result<Vec<LeftAside>> {
        let state = lock(&self.state);
        let run = entry.and_then(|entry| state.table(entry).ok()).map(|entry| entry.run);
        let of_target = |table: &&Table| target.is_none_or(|one| *one == table.request.target);
        let of_others =
            |table: &&Table| table.outcome == Some(Outcome::Superseded) || run != Some(table.run);
        let tables = state.tables.iter().filter(of_target).filter(of_others);
        let now = state.now();
        let away = tables.flat_map(|table| {
            let holder = table.live_holder(now).map(|holder| holder.worker.0);
            state.away(table).into_iter().filter_map(move |number| {
                let at = usize::try_from(number).ok()?;
                Some(LeftAside {
                    entry: table.id,
                    number,
                    target: table.request.target.clone(),
                    object: table.plan.as_ref()?.load.restore.get(at)?.clone(),
                    holder: holder.clone(),
                })
            })
        });
        Ok(away.collect())
    }

    async fn brought_back(&self, left: &LeftAside) -> Result<()> {
        let mut state = lock(&self.state);
        let now = state.now();
        let table = state.table_mut(left.entry)?;
        for item in table.items.iter_mut().filter(|item| restored_by(item) == Some(left.number)) {
            if item.live_holder(now).is_none() {
                item.status = Status::Completed(None);
                item.failure = None;
            }
        }
        Ok(())
    }

    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>> {
        let mut state = lock(&self.state);
        // All or none: refused before the first change.
        for new in plans {
            let entry = state.table(new.table)?;
            if entry.plan.is_none() && entry.outcome == Some(Outcome::Superseded) {
                return Err(taken_over());
            }
        }
        plans.iter().map(|new| state.save(new)).collect()
    }

    async fn change_bad_rows(&self, table: TableId, bad_rows: BadRows) -> Result<()> {
        let mut state = lock(&self.state);
        if let Some(plan) = &mut state.table_mut(table)?.plan {
            plan.load.bad_rows = bad_rows;
        }
        Ok(())
    }
}

impl State {
    fn save(&mut self, new: &NewPlan<'_>) -> Result<TablePlan> {
        let now = self.now();
        if let Some(stored) = &self.table(new.table)?.plan {
            return Ok(stored.clone());
        }
        self.take_over(new.table)?;
        let entry = self.table_mut(new.table)?;
        let chunks = new.chunks.iter().cloned().map(WorkItem::Chunk);
        let work = new.plan.steps().into_iter().chain(chunks);
        entry.items = work.map(|work| Item::pending(work, now)).collect();
        for item in entry.items.iter_mut().filter(|item| item.work == WorkItem::SetAside) {
            item.status = Status::Completed(None);
        }
        entry.plan = Some(new.plan.clone());
        Ok(new.plan.clone())
    }

    /// Whether the rows that were in its target before are gone.
    fn has_emptied(&self, table: &Table) -> bool {
        let empties = table.plan.as_ref().is_some_and(|plan| !plan.load.truncate.is_empty());
        (empties && self.is_prepared(table)) || table.has_done(&WorkItem::Publish)
    }

    /// Numbers of the things that a table has taken away and not brought back.
    fn away(&self, table: &Table) -> Vec<u32> {
        let Some(plan) = &table.plan else { return Vec::new() };
        if table.of_kind(WorkKind::SetAside).any(|item| !item.is_done()) {
            return Vec::new();
        }
        let is_prepared = self.is_prepared(table);
        let is_missing = |number: u32| {
            let at = usize::try_from(number).ok();
            at.and_then(|at| plan.load.restore.get(at)).is_some_and(|object| object.is_missing)
        };
        let open = |item: &&Item| !item.is_done() && item.status != Status::HandedOver;
        let open = table.items.iter().filter(open).filter_map(restored_by);
        open.filter(|number| is_prepared || is_missing(*number)).collect()
    }

    /// The plan of this entry brings back what earlier runs of its target left; their steps are
    /// done.
    fn take_over(&mut self, entry: TableId) -> Result<()> {
        let (run, target) = {
            let entry = self.table(entry)?;
            (entry.run, entry.request.target.clone())
        };
        let of_others = self.of_target(&target).filter(|table| {
            table.id != entry && (table.outcome == Some(Outcome::Superseded) || table.run != run)
        });
        let away: Vec<_> = of_others.map(|table| (table.id, self.away(table))).collect();
        for (table, numbers) in away {
            for item in &mut self.table_mut(table)?.items {
                if restored_by(item).is_some_and(|number| numbers.contains(&number)) {
                    item.status = Status::HandedOver;
                }
            }
        }
        Ok(())
    }
}

/// The number of what a step brings back.
fn restored_by(item: &Item) -> Option<u32> {
    match item.work {
        WorkItem::Rebuild(number) | WorkItem::Relink(number) => Some(number),
        _ => None,
    }
}
