//! What happens in a run, for progress displays, logs and metrics.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::chunk::ChunkId;
use crate::name::TableRef;
use crate::sink::WriteSummary;
use crate::status::{Outcome, RunId};

/// Listens to a run. Synchronous and infallible: it must not block, and may drop events under
/// load; rows never wait for it.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Called from any worker, in no particular order between tables.
    fn on_event(&self, event: &Event);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on_event(&self, _event: &Event) {}
}

/// One thing that happened. Tables are named by their target.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The run is registered.
    RunStarted {
        /// Its id.
        run: RunId,
        /// Whether it goes on where an earlier process stopped.
        resumed: bool,
        /// Number of tables.
        table_count: usize,
        /// Number of concurrent workers.
        worker_count: usize,
    },
    /// This process takes part in a run that another one has begun.
    RunJoined {
        /// Its id.
        run: RunId,
        /// Number of tables.
        table_count: usize,
        /// Number of concurrent workers of this process.
        worker_count: usize,
    },
    /// Something that the operator should know, but that stops nothing.
    Noted {
        /// The table it is about.
        table: TableRef,
        /// In words.
        note: String,
    },
    /// A table's plan is stored, by this process or by an earlier one.
    TablePlanned {
        /// The table.
        table: TableRef,
        /// How it is cut.
        strategy: String,
        /// Number of chunks.
        chunk_count: u64,
        /// Rows to read, if known.
        estimated_rows: Option<u64>,
    },
    /// Another process works on the only chunks that are left.
    LeaseAwaited {
        /// The table.
        table: TableRef,
        /// Who holds the lease.
        holder: String,
        /// How long it holds at the longest.
        at_most: Duration,
    },
    /// A statement on a table has waited for a lock that somebody else holds. Told anew while the
    /// wait lasts.
    LockAwaited {
        /// The table.
        table: TableRef,
        /// How long since it was told last.
        waited: Duration,
    },
    /// A chunk is being copied.
    ChunkStarted {
        /// The table.
        table: TableRef,
        /// The chunk.
        chunk: ChunkId,
        /// Which try this is, from 1.
        attempt: u32,
    },
    /// A chunk is committed.
    ChunkCompleted {
        /// The table.
        table: TableRef,
        /// The chunk.
        chunk: ChunkId,
        /// What was written.
        summary: WriteSummary,
        /// From claim to commit.
        elapsed: Duration,
    },
    /// A chunk failed and will be tried again.
    ChunkRetried {
        /// The table.
        table: TableRef,
        /// The chunk.
        chunk: ChunkId,
        /// Which try failed, from 1.
        attempt: u32,
        /// How long it rests.
        delay: Duration,
        /// Why it failed.
        reason: String,
    },
    /// A chunk failed for good in this run.
    ChunkFailed {
        /// The table.
        table: TableRef,
        /// The chunk.
        chunk: ChunkId,
        /// Why.
        reason: String,
    },
    /// A table has come to an end in this process.
    TableFinished {
        /// The table.
        table: TableRef,
        /// How.
        outcome: Outcome,
        /// Rows committed in this run so far, by all processes.
        rows: u64,
        /// Why, if it did not complete.
        reason: Option<String>,
    },
    /// The run has come to an end in this process.
    RunFinished {
        /// Its id.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
}
