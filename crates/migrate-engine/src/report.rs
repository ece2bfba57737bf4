//! What a run came to.

use std::time::Duration;

use migrate_core::{Guarantee, Outcome, RunId, TableRef, WriteSummary};

use crate::effort::Effort;

/// The end of a run, as this process saw it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunReport {
    /// Its id.
    pub run: RunId,
    /// Whether it went on where an earlier process had stopped.
    pub resumed: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// One entry per table, in the order of the jobs.
    pub tables: Vec<TableReport>,
    /// From start to end of this process's part.
    pub elapsed: Duration,
    /// Rows that this process committed.
    pub committed_rows: u64,
    /// Bytes that this process sent to the sink.
    pub committed_bytes: u64,
    /// Where the time of this process's workers went.
    pub effort: Effort,
}

/// The end of one table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableReport {
    /// Where rows came from.
    pub source: TableRef,
    /// Where they went.
    pub target: TableRef,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows that the run has read and committed so far, by all processes.
    pub counts: WriteSummary,
    /// Chunks in all.
    pub chunk_count: u64,
    /// Chunks committed.
    pub completed_chunk_count: u64,
    /// What becomes of a chunk when the process dies in the middle of it; unknown for tables that
    /// were not planned.
    pub guarantee: Option<Guarantee>,
    /// Why it did not complete: one line, with the next step.
    pub reason: Option<String>,
}

impl RunReport {
    /// Rows of all tables that the run has committed so far, by all processes.
    pub fn row_count(&self) -> u64 {
        self.tables.iter().map(|table| table.counts.rows_settled()).sum()
    }

    /// Rows of all tables that were set aside.
    pub fn rejected_row_count(&self) -> u64 {
        self.tables.iter().map(|table| table.counts.rows_rejected).sum()
    }

    /// Tables that ended in a certain way.
    pub fn tables_that(&self, ended: impl Fn(Outcome) -> bool) -> usize {
        self.tables.iter().filter(|table| ended(table.outcome)).count()
    }
}
