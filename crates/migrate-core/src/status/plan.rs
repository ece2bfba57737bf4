//! Plans: decided once, stored before the first row moves, obeyed by every process.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{TableId, WorkItem, WorkKind};
use crate::chunk::Chunk;
use crate::commit::Fence;
use crate::error::{Error, ErrorKind, Result};
use crate::guarantee::Guarantee;
use crate::name::{ColumnName, TableRef};
use crate::predicate::Predicate;
use crate::reject::BadRows;
use crate::set_aside::{LeftAside, Return};
use crate::sink::{LoadPlan, WriteMode};
use crate::source::Snapshot;
use crate::watermark::{LastWindow, WatermarkWindow};

/// Keeps plans.
#[async_trait]
pub trait PlanStore: fmt::Debug + Send + Sync {
    /// The stored plan of a table.
    ///
    /// # Errors
    ///
    /// [`PLAN_UNREADABLE`](crate::code::PLAN_UNREADABLE), `Connection`, `Timeout`.
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>>;

    /// The last window of a series into a target that was read completely. Answers `None` as well
    /// where the store is not installed yet.
    ///
    /// # Errors
    ///
    /// [`PLAN_UNREADABLE`](crate::code::PLAN_UNREADABLE), `Connection`, `Timeout`.
    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>>;

    /// What runs took away from targets and have not brought back, oldest first: of one target
    /// without the run of `entry`, whose plan is about to take it over, or of all targets. Answers
    /// nothing as well where the store is not installed yet.
    ///
    /// # Errors
    ///
    /// [`PLAN_UNREADABLE`](crate::code::PLAN_UNREADABLE), `Connection`, `Timeout`.
    async fn left_aside(
        &self,
        _target: Option<&TableRef>,
        _entry: Option<TableId>,
    ) -> Result<Vec<LeftAside>> {
        Ok(Vec::new())
    }

    /// Gives up the chunks that a dead run has left, before a repair brings something of
    /// [`left_aside`](Self::left_aside) back: a process that was only frozen does not go on under what has
    /// come back. Who resumes the run goes on with them.
    ///
    /// # Errors
    ///
    /// `Conflict` when a run is at work on the table, `Connection`, `Timeout`.
    async fn give_up_chunks(&self, _left: &LeftAside) -> Result<()> {
        Ok(())
    }

    /// Holds the statements that bring something of [`left_aside`](Self::left_aside) back to moments in
    /// which they disturb nobody: while the plan of `entry` asks for it, until another run takes the
    /// target over; and for a repair, which has no entry, while no run is at work on the table. `None`
    /// where sinks cannot take part.
    fn return_fence(&self, _left: &LeftAside, _entry: Option<TableId>) -> Option<Arc<dyn Fence>> {
        None
    }

    /// Records that something of [`left_aside`](Self::left_aside) is back.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`.
    async fn brought_back(&self, _left: &LeftAside) -> Result<()> {
        Ok(())
    }

    /// Stores plans and all their steps, all or none: tables that are prepared together are planned
    /// together. A plan takes over what earlier runs of its target have left aside. The first writer of a table wins; everybody receives the plans that are stored.
    ///
    /// # Errors
    ///
    /// `LeaseLost` when a table has been superseded, `Connection`, `Timeout`.
    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>>;

    /// Changes what happens to bad rows in a stored plan, because a resumed run was asked for that.
    ///
    /// # Errors
    ///
    /// `Unsupported` where plans cannot be changed, `Connection`, `Timeout`.
    async fn change_bad_rows(&self, table: TableId, _bad_rows: BadRows) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "This status store cannot change a stored plan")
            .with("table", table)
            .with_hint("set `on_bad_row` and its limits back, or start anew with --no-resume"))
    }
}

/// A plan to store.
#[derive(Debug, Clone, Copy)]
pub struct NewPlan<'a> {
    /// The table's part in its run.
    pub table: TableId,
    /// The plan.
    pub plan: &'a TablePlan,
    /// Its chunks.
    pub chunks: &'a [Chunk],
}

/// Everything that is decided before a table's first row moves, except the list of its chunks.
///
/// One serde value: a field that a later version adds has a default, so that older plans load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TablePlan {
    /// Where rows come from.
    pub source: TableRef,
    /// Where they go.
    pub target: TableRef,
    /// Columns, mode and preparation.
    pub load: LoadPlan,
    /// Which rows.
    pub filter: Predicate,
    /// Columns by whose values the rows of a chunk arrive in order; none for any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<ColumnName>,
    /// The moment of the source that all chunks read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// Which of them are new, where only those are read; part of the filter already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WatermarkWindow>,
    /// Name of the chunking strategy.
    pub strategy: String,
    /// Why the table is cut like this.
    pub rationale: String,
    /// Number of chunks.
    pub chunk_count: u64,
    /// Rows to read, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
    /// Tables with the rows that foreign keys of this one refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<TableRef>,
    /// The table whose preparation also prepares this one: they are emptied in one statement, so
    /// every member's plan lists the same tables, and only this member has the step to lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared_by: Option<TableId>,
    /// What becomes of a chunk when the process dies in the middle of it; unknown in older plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Guarantee>,
    /// What the operator should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl TablePlan {
    /// The steps beside chunks: which there are, with their numbers.
    pub fn steps(&self) -> Vec<WorkItem> {
        let prepare = self.prepared_by.is_none().then_some(WorkItem::Prepare);
        let is_replaced = matches!(self.load.mode, WriteMode::Replace { .. });
        let restore = (0..).zip(&self.load.restore).map(|(number, object)| match object.returns {
            Return::Rebuild => WorkItem::Rebuild(number),
            Return::Relink => WorkItem::Relink(number),
        });
        let set_aside = (!self.load.restore.is_empty()).then_some(WorkItem::SetAside);
        prepare
            .into_iter()
            .chain(set_aside)
            .chain(is_replaced.then_some(WorkItem::Publish))
            .chain(restore)
            .chain([WorkItem::Finish])
            .collect()
    }

    /// How many items of a kind there are, for this table and the one that prepares it.
    pub fn item_count(&self, kind: WorkKind) -> u64 {
        match kind {
            WorkKind::Chunk => self.chunk_count,
            WorkKind::Prepare => 1,
            other => self.steps().iter().filter(|item| item.kind() == other).count() as u64,
        }
    }

    /// A plan of everything in the table, uncut and unfrozen; see the fields for what to add.
    pub fn new(source: TableRef, target: TableRef, load: LoadPlan) -> Self {
        Self {
            source,
            target,
            load,
            filter: Predicate::All,
            order: Vec::new(),
            snapshot: None,
            window: None,
            strategy: "single".into(),
            rationale: String::new(),
            chunk_count: 0,
            estimated_rows: None,
            references: Vec::new(),
            prepared_by: None,
            guarantee: None,
            notes: Vec::new(),
        }
    }
}
