//! The first stage: every table of a run gets a plan, stored before a row moves.

use std::collections::BTreeMap;

use futures::StreamExt;
use migrate_core::{
    CommitGuarantee, Error, ErrorKind, NewPlan, Result, RunContext, SetAside, Snapshot, TableId,
    TablePlan, TableRef,
};

use crate::group::{Truncation, group};
use crate::job::TableJob;
use crate::migration::Parts;
use crate::retry::steadily;
use crate::table::Table;
use crate::table_plan::{Draft, Ends, Missing, check_bad_rows, open, plan_table};

/// Tables that are planned at the same time. Planning waits for the source, not for this machine.
pub(crate) const PLANNED_AT_ONCE: usize = 8;

/// A table that is to be planned.
#[derive(Debug)]
pub(crate) struct Unplanned<'a> {
    pub(crate) table: Table,
    pub(crate) job: &'a TableJob,
    pub(crate) parts: &'a Parts,
    /// The moment at which its source is read.
    pub(crate) pinned: Option<&'a Snapshot>,
    /// Whether the ledger may hold a plan of it.
    pub(crate) may_be_stored: bool,
    /// What becomes of a target that is missing.
    pub(crate) missing: Missing,
    /// Whether another entry has the same target.
    pub(crate) shares_target: bool,
}

/// A table with what planning came to.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) table: Table,
    pub(crate) found: Found,
}

/// What planning came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing is to be done: it was completed before.
    Done,
    /// A plan that this or another process has stored.
    Stored(Box<TablePlan>, Ends),
    /// A plan that is not stored yet.
    New(Box<Draft>),
    /// There is no plan, for this reason.
    Refused(Error),
}

/// Loads or makes every plan, and stores the new ones. A table that cannot be planned has ended.
pub(crate) async fn plan_tables(unplanned: Vec<Unplanned<'_>>, cx: &RunContext) -> Vec<Table> {
    for one in &unplanned {
        one.table.announce_notes(cx);
    }
    let mut planned = find_plans(unplanned, cx).await;
    save_plans(&mut planned).await;
    let tables: Vec<Table> = planned.into_iter().map(Planned::settled).collect();
    for table in &tables {
        table.announce_plan(cx);
    }
    tables
}

/// Loads or makes every plan. Nothing is written.
pub(crate) async fn find_plans(unplanned: Vec<Unplanned<'_>>, cx: &RunContext) -> Vec<Planned> {
    let loaded: Vec<(Unplanned<'_>, Option<Found>)> = futures::stream::iter(unplanned)
        .map(|one| async {
            let found = cx.unless_cancelled(one.load()).await;
            let found = found.unwrap_or_else(|error| Some(Found::Refused(error)));
            (one, found)
        })
        .buffered(PLANNED_AT_ONCE)
        .collect()
        .await;
    // Rows in a target are no surprise while an entry of the same run has loaded them.
    let filled: Vec<(usize, TableRef)> = loaded
        .iter()
        .filter(|(_, found)| matches!(found, Some(Found::Done | Found::Stored(..))))
        .map(|(one, _)| (one.table.ledger(), one.job.to.clone()))
        .collect();
    let mut planned: Vec<Planned> = futures::stream::iter(loaded)
        .map(|(one, found)| {
            let is_filled = filled.contains(&(one.table.ledger(), one.job.to.clone()));
            let has_own_rows = is_filled && !one.table.has_leftovers();
            async move {
                let found = match found {
                    Some(found) => found,
                    None => match cx.unless_cancelled(one.draft(has_own_rows, cx)).await {
                        Ok(draft) => Found::New(Box::new(draft)),
                        Err(error) => one.stored_meanwhile(error, cx).await,
                    },
                };
                Planned { table: one.table, found }
            }
        })
        .buffered(PLANNED_AT_ONCE)
        .collect()
        .await;
    settle_groups(&mut planned);
    planned
}

impl Unplanned<'_> {
    async fn load(&self) -> Result<Option<Found>> {
        let Self { table, job, parts, .. } = self;
        if table.was_completed_before() {
            return Ok(Some(Found::Done));
        }
        if !self.may_be_stored {
            return Ok(None);
        }
        let Some(stored) = steadily!(table.outage, parts.status.load_plan(table.id()))? else {
            return Ok(None);
        };
        let ends = open(job, parts, stored.snapshot.as_ref(), self.missing).await?;
        let stored = self.with_present_bad_rows(stored, &ends).await?;
        Ok(Some(Found::Stored(Box::new(stored), ends)))
    }

    /// Another process of the run may have been faster: its rows are in the target by now, where a plan
    /// of our own is refused.
    async fn stored_meanwhile(&self, error: Error, cx: &RunContext) -> Found {
        match cx.unless_cancelled(self.load()).await {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => Found::Refused(error),
        }
    }

    /// What happens to bad rows is asked anew by every process: it says when to stop, and a table that
    /// has stopped at a bad row shall go on.
    async fn with_present_bad_rows(&self, mut stored: TablePlan, ends: &Ends) -> Result<TablePlan> {
        let present = self.job.bad_rows.settled(stored.estimated_rows);
        if present == stored.load.bad_rows {
            return Ok(stored);
        }
        check_bad_rows(self.job, self.parts, ends)?;
        stored.load.bad_rows = present;
        if self.missing == Missing::Create {
            let id = self.table.id();
            steadily!(self.table.outage, self.parts.status.change_bad_rows(id, present))?;
        }
        Ok(stored)
    }

    async fn draft(&self, has_own_rows: bool, cx: &RunContext) -> Result<Draft> {
        let entry = (self.missing == Missing::Create).then(|| self.table.id());
        let draft = plan_table(self.job, self.parts, self.pinned, has_own_rows, entry, cx).await?;
        check_guarantee(self.parts, &draft, self.shares_target)?;
        Ok(draft)
    }
}

impl Planned {
    fn draft(&self) -> Option<&Draft> {
        match &self.found {
            Found::New(draft) => Some(draft),
            _ => None,
        }
    }

    fn settled(mut self) -> Table {
        match self.found {
            Found::Stored(plan, ends) => self.table.take_plan(*plan, ends),
            Found::Refused(error) => self.table.fail(&error),
            Found::Done | Found::New(_) => {}
        }
        self.table
    }
}

/// Puts tables that reference each other into one statement; refuses references from outside.
fn settle_groups(planned: &mut [Planned]) {
    // Ids are unique within a ledger only, and so are references between tables.
    let ledgers: Vec<usize> = planned.iter().map(|one| one.table.ledger()).collect();
    for ledger in 0..=ledgers.into_iter().max().unwrap_or_default() {
        let mut of_ledger: Vec<&mut Planned> =
            planned.iter_mut().filter(|one| one.table.ledger() == ledger).collect();
        let truncations: Vec<_> = of_ledger
            .iter()
            .filter_map(|one| {
                let draft = one.draft()?;
                let is_emptied = !draft.plan.load.truncate.is_empty();
                is_emptied.then_some(Truncation {
                    id: one.table.id(),
                    table: &draft.plan.target,
                    referenced_by: &draft.referenced_by,
                })
            })
            .collect();
        let mut grouped = group(&truncations);
        for one in &mut of_ledger {
            match (grouped.remove(&one.table.id()), &mut one.found) {
                (Some(Ok(emptying)), Found::New(draft)) => {
                    draft.plan.load.truncate = emptying.tables;
                    draft.plan.prepared_by = emptying.prepared_by;
                }
                (Some(Err(error)), found) => *found = Found::Refused(error),
                _ => {}
            }
        }
        share_set_aside(&mut of_ledger);
    }
}

/// Whichever table of a group gets to prepare it takes away what all of them do without.
fn share_set_aside(of_ledger: &mut [&mut Planned]) {
    let leader =
        |one: &Planned| one.draft().map(|draft| draft.plan.prepared_by.unwrap_or(one.table.id()));
    let mut shared: BTreeMap<TableId, Vec<SetAside>> = BTreeMap::new();
    for one in of_ledger.iter() {
        if let (Some(leader), Some(draft)) = (leader(one), one.draft()) {
            shared.entry(leader).or_default().extend(draft.plan.load.set_aside.iter().cloned());
        }
    }
    for one in of_ledger.iter_mut() {
        let all = leader(one).and_then(|leader| shared.get(&leader));
        if let (Some(all), Found::New(draft)) = (all, &mut one.found) {
            draft.plan.load.set_aside.clone_from(all);
        }
    }
}

/// Stores the new plans; tables that are prepared together are stored together.
async fn save_plans(planned: &mut [Planned]) {
    let mut sets: BTreeMap<(usize, TableId), Vec<&mut Planned>> = BTreeMap::new();
    for one in planned.iter_mut() {
        if let Some(draft) = one.draft() {
            let leader = draft.plan.prepared_by.unwrap_or(one.table.id());
            sets.entry((one.table.ledger(), leader)).or_default().push(one);
        }
    }
    futures::stream::iter(sets.into_values()).for_each_concurrent(PLANNED_AT_ONCE, save_set).await;
}

async fn save_set(set: Vec<&mut Planned>) {
    let stored = store(&set).await;
    for (at, one) in set.into_iter().enumerate() {
        match &stored {
            Ok(plans) => {
                let Found::New(draft) = std::mem::replace(&mut one.found, Found::Done) else {
                    continue;
                };
                let plan = plans.get(at).cloned().unwrap_or(draft.plan);
                one.found = Found::Stored(Box::new(plan), draft.ends);
            }
            Err(error) => one.table.fail(error),
        }
    }
}

async fn store(set: &[&mut Planned]) -> Result<Vec<TablePlan>> {
    let new: Vec<NewPlan<'_>> = set
        .iter()
        .filter_map(|one| {
            let draft = one.draft()?;
            Some(NewPlan { table: one.table.id(), plan: &draft.plan, chunks: &draft.chunks })
        })
        .collect();
    match set.first() {
        Some(one) => {
            steadily!(one.table.outage, one.table.status.save_plans(&new))
        }
        None => Ok(Vec::new()),
    }
}

/// Data and completion must be able to share a transaction, or writing twice must do no harm.
fn check_guarantee(parts: &Parts, draft: &Draft, shares_target: bool) -> Result<()> {
    match draft.ends.sink.capabilities().commit {
        CommitGuarantee::Transactional(domain) if parts.status.commit_domain() == Some(&domain) => {
            Ok(())
        }
        // What is replaced is known by its chunk's number alone.
        CommitGuarantee::IdempotentPerChunk if shares_target => Err(Error::new(
            ErrorKind::Unsupported,
            "Two entries cannot fill one target that keeps rows chunk by chunk",
        )
        .with("table", &draft.plan.target)
        .with_hint("give each entry a target of its own")),
        CommitGuarantee::IdempotentPerChunk => Ok(()),
        CommitGuarantee::Transactional(_) => Err(Error::new(
            ErrorKind::Config,
            "The status tables are in another database than the target",
        )
        .with("table", &draft.plan.target)
        .with_hint("keep the status tables in the target's database: a chunk could load twice")),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "The target cannot tell whether a chunk was written, so a retry could double its rows",
        )
        .with("table", &draft.plan.target)
        .with_hint("use a sink that commits chunks or replaces them")),
    }
}
