//! The first stage: every table of a run gets a plan, stored before a row moves.

use std::collections::BTreeMap;

use futures::StreamExt;
use migrate_core::{
    CommitGuarantee, Error, ErrorKind, NewPlan, Result, RunContext, SetAside, Snapshot, TableId,
    TablePlan,
};

use crate::group::{Truncation, group};
use crate::job::TableJob;
use crate::migration::Parts;
use crate::retry::steadily;
use crate::table::Table;
use crate::table_plan::{Draft, Ends, open, plan_table};

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
    /// Whether another table of the run fills the same target.
    pub(crate) shares_target: bool,
}

/// A table with its new plan, if it needed one and could be given one.
#[derive(Debug)]
struct Planned {
    table: Table,
    draft: Option<Draft>,
}

/// Loads or makes every plan, and stores the new ones. A table that cannot be planned has ended.
pub(crate) async fn plan_tables(unplanned: Vec<Unplanned<'_>>, cx: &RunContext) -> Vec<Table> {
    let mut planned: Vec<Planned> = futures::stream::iter(unplanned)
        .map(|one| one.plan(cx))
        .buffered(PLANNED_AT_ONCE)
        .collect()
        .await;
    settle_groups(&mut planned);
    save_plans(&mut planned).await;
    let tables: Vec<Table> = planned.into_iter().map(|one| one.table).collect();
    for table in &tables {
        table.announce_plan(cx);
    }
    tables
}

impl Unplanned<'_> {
    async fn plan(mut self, cx: &RunContext) -> Planned {
        self.table.announce_notes(cx);
        if self.table.was_completed_before() {
            return Planned { table: self.table, draft: None };
        }
        match cx.unless_cancelled(self.load_or_draft()).await {
            Ok(Found::Stored(plan, ends)) => {
                self.table.take_plan(*plan, ends);
                Planned { table: self.table, draft: None }
            }
            Ok(Found::New(draft)) => Planned { table: self.table, draft: Some(*draft) },
            Err(error) => {
                self.table.fail(&error);
                Planned { table: self.table, draft: None }
            }
        }
    }

    async fn load_or_draft(&self) -> Result<Found> {
        let Self { table, job, parts, .. } = self;
        if let Some(stored) = parts.status.load_plan(table.id()).await? {
            let ends = open(job, parts, stored.snapshot.as_ref()).await?;
            return Ok(Found::Stored(Box::new(stored), ends));
        }
        let entry = Some(table.id());
        let draft = plan_table(job, parts, self.pinned, self.shares_target, entry).await?;
        check_guarantee(parts, &draft)?;
        Ok(Found::New(Box::new(draft)))
    }
}

enum Found {
    Stored(Box<TablePlan>, Ends),
    New(Box<Draft>),
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
                let draft = one.draft.as_ref()?;
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
            match (grouped.remove(&one.table.id()), one.draft.as_mut()) {
                (Some(Ok(emptying)), Some(draft)) => {
                    draft.plan.load.truncate = emptying.tables;
                    draft.plan.prepared_by = emptying.prepared_by;
                }
                (Some(Err(error)), _) => {
                    one.table.fail(&error);
                    one.draft = None;
                }
                _ => {}
            }
        }
        share_set_aside(&mut of_ledger);
    }
}

/// Whichever table of a group gets to prepare it takes away what all of them do without.
fn share_set_aside(of_ledger: &mut [&mut Planned]) {
    let leader = |one: &Planned| {
        one.draft.as_ref().map(|draft| draft.plan.prepared_by.unwrap_or(one.table.id()))
    };
    let mut shared: BTreeMap<TableId, Vec<SetAside>> = BTreeMap::new();
    for one in of_ledger.iter() {
        if let (Some(leader), Some(draft)) = (leader(one), &one.draft) {
            shared.entry(leader).or_default().extend(draft.plan.load.set_aside.iter().cloned());
        }
    }
    for one in of_ledger.iter_mut() {
        let all = leader(one).and_then(|leader| shared.get(&leader));
        if let (Some(all), Some(draft)) = (all, one.draft.as_mut()) {
            draft.plan.load.set_aside.clone_from(all);
        }
    }
}

/// Stores the new plans; tables that are prepared together are stored together.
async fn save_plans(planned: &mut [Planned]) {
    let mut sets: BTreeMap<(usize, TableId), Vec<&mut Planned>> = BTreeMap::new();
    for one in planned.iter_mut() {
        if let Some(draft) = &one.draft {
            let leader = draft.plan.prepared_by.unwrap_or(one.table.id());
            sets.entry((one.table.ledger(), leader)).or_default().push(one);
        }
    }
    futures::stream::iter(sets.into_values()).for_each_concurrent(PLANNED_AT_ONCE, save_set).await;
}

async fn save_set(set: Vec<&mut Planned>) {
    let stored = store(&set).await;
    for (at, one) in set.into_iter().enumerate() {
        let Some(draft) = one.draft.take() else { continue };
        match &stored {
            Ok(plans) => {
                let plan = plans.get(at).cloned().unwrap_or(draft.plan);
                one.table.take_plan(plan, draft.ends);
            }
            Err(error) => one.table.fail(error),
        }
    }
}

async fn store(set: &[&mut Planned]) -> Result<Vec<TablePlan>> {
    let new: Vec<NewPlan<'_>> = set
        .iter()
        .filter_map(|one| {
            let draft = one.draft.as_ref()?;
            Some(NewPlan { table: one.table.id(), plan: &draft.plan, chunks: &draft.chunks })
        })
        .collect();
    match set.first() {
        Some(one) => {
            steadily!(one.table.status.save_plans(&new))
        }
        None => Ok(Vec::new()),
    }
}

/// Data and completion must be able to share a transaction, or writing twice must do no harm.
fn check_guarantee(parts: &Parts, draft: &Draft) -> Result<()> {
    match draft.ends.sink.capabilities().commit {
        CommitGuarantee::Transactional(domain) if parts.status.commit_domain() == Some(&domain) => {
            Ok(())
        }
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
