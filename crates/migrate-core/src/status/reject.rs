//! Rows that were set aside, and the way back for them.

use super::{RunId, TableId, TablePlan};

/// A table's part in a run that has rows set aside and not loaded since.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RejectedTable {
    /// Its run.
    pub run: RunId,
    /// Its id.
    pub table: TableId,
    /// The plan by which it was loaded.
    pub plan: TablePlan,
    /// How many rows are set aside.
    pub row_count: u64,
    /// Whether they can be loaded now.
    pub state: RejectState,
}

impl RejectedTable {
    /// Rows that can be loaded; see the fields for what to change.
    pub fn new(run: RunId, table: TableId, plan: TablePlan, row_count: u64) -> Self {
        Self { run, table, plan, row_count, state: RejectState::Due }
    }
}

/// Whether rows that were set aside can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectState {
    /// They can.
    Due,
    /// Their table is not loaded yet: its run comes first.
    Unfinished,
    /// This later run has read the whole table again, or emptied it. What it holds of these rows is
    /// newer.
    Outdated(RunId),
}

/// Some rows that were set aside, in the order in which they were.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectPage {
    /// Their ids.
    pub ids: Vec<i64>,
    /// Their values, as [`row_to_json`](crate::value::row_to_json) has written them.
    pub rows: Vec<String>,
}

impl RejectPage {
    /// Pairs of id and values.
    pub fn new(rows: impl IntoIterator<Item = (i64, String)>) -> Self {
        let (ids, rows) = rows.into_iter().unzip();
        Self { ids, rows }
    }
}

impl std::fmt::Debug for RejectPage {
    /// Without values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RejectPage").field("ids", &self.ids).finish_non_exhaustive()
    }
}
