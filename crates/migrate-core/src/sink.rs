//! Where rows go.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::chunk::Chunk;
use crate::column_match::ColumnPair;
use crate::column_type::ColumnType;
use crate::commit::{CommitDomain, CommitRecord, Fence};
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::greatest::TargetGreatest;
use crate::name::{ColumnName, TableRef};
use crate::reject::BadRows;
use crate::schema::{TableDefinition, TableSchema};
use crate::set_aside::SetAside;
use crate::source::BatchStream;

/// A system that takes tables.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// What it is, for messages: `PostgreSQL db1:5432/sales`. No secrets.
    fn name(&self) -> String;

    /// The cheapest proof that address and credentials work.
    ///
    /// # Errors
    ///
    /// `Auth`, `Connection`, `Timeout` or `NotFound`, with the next step.
    async fn check(&self) -> Result<()>;

    /// Loads what is known of a table.
    ///
    /// # Errors
    ///
    /// [`TARGET_TABLE_MISSING`](crate::code::TARGET_TABLE_MISSING), or as [`check`](Self::check).
    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>>;

    /// The statements that create a table. Pure.
    ///
    /// # Errors
    ///
    /// `Unsupported` where tables cannot be created; `Config` for names that the system would cut.
    fn definition(&self, wanted: &TableDefinition) -> Result<Vec<String>> {
        Err(Error::new(ErrorKind::Unsupported, "This target cannot create tables")
            .with("table", &wanted.table)
            .with_hint("create the table, and remove `create_table`"))
    }

    /// Creates a table, unless there is one of that name.
    ///
    /// # Errors
    ///
    /// As [`definition`](Self::definition), and whatever the database answers; then nothing has
    /// changed.
    async fn create(&self, wanted: &TableDefinition) -> Result<()> {
        self.definition(wanted).map(drop)
    }

    /// The table that [`create`](Self::create) would make, for plans that must write nothing. It can
    /// be looked at, not written.
    ///
    /// # Errors
    ///
    /// As [`definition`](Self::definition).
    fn imagine(&self, wanted: &TableDefinition) -> Result<Arc<dyn SinkTable>> {
        Err(Error::new(ErrorKind::Unsupported, "This target cannot create tables")
            .with("table", &wanted.table)
            .with_hint("create the table, and remove `create_table`"))
    }
}

/// One open table.
#[async_trait]
pub trait SinkTable: fmt::Debug + Send + Sync {
    /// Columns and types.
    fn schema(&self) -> &Arc<TableSchema>;

    /// What this table can do.
    fn capabilities(&self) -> SinkCapabilities;

    /// What becomes of a source column's values in its target column. Pure.
    fn assess(&self, pair: &ColumnPair) -> Fidelity;

    /// Whether the table has no row.
    ///
    /// # Errors
    ///
    /// As [`Sink::check`].
    async fn is_empty(&self) -> Result<bool>;

    /// The greatest value of the target column of `pair`, as a lower bound for its source column.
    /// Where the target keeps fewer digits, the bound lies below every value that may have become
    /// it, so that no row is missed above.
    ///
    /// # Errors
    ///
    /// As [`Sink::check`]; `Unsupported` where values of this type cannot be ordered.
    async fn greatest(&self, pair: &ColumnPair) -> Result<Option<TargetGreatest>> {
        Err(Error::new(ErrorKind::Unsupported, "This target cannot tell its greatest watermark")
            .with("column", &pair.target)
            .with_hint("set \"watermark_low\": \"last_window\""))
    }

    /// Other tables with a foreign key to this one.
    ///
    /// # Errors
    ///
    /// As [`Sink::check`].
    async fn referenced_by(&self) -> Result<Vec<TableRef>>;

    /// Other tables that foreign keys of this one refer to: their rows have to come first.
    ///
    /// # Errors
    ///
    /// As [`Sink::check`].
    async fn references(&self) -> Result<Vec<TableRef>> {
        Ok(Vec::new())
    }

    /// Holds a plan against what only the sink knows, and completes it: keys that cannot decide which
    /// rows are known are refused here, before a row moves, and what is to be set aside is listed.
    ///
    /// # Errors
    ///
    /// [`KEY_NOT_UNIQUE`](crate::code::KEY_NOT_UNIQUE) with the statement that mends it, or as
    /// [`Sink::check`].
    async fn settle_plan(&self, plan: LoadPlan, _facts: PlanFacts) -> Result<SettledPlan> {
        Ok(SettledPlan { plan, notes: Vec::new() })
    }

    /// Makes the table ready, once per run: takes `plan.set_aside` away, empties `plan.truncate`, and
    /// makes the place beside the table where one is needed. `record` runs first and shares the
    /// transaction, so that a second caller neither waits for nor repeats it.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) when the record finds its lease gone, and whatever
    /// the database answers; then nothing has changed.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the call rolls back.
    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()>;

    /// The least bytes that writing such a chunk takes on this side, beside the batch that it was given
    /// last: buffers, rows that are kept for a second look, keys for messages. 1 MiB unless a sink says
    /// otherwise.
    fn write_memory_bytes(&self, _plan: &LoadPlan, _chunk: &Chunk) -> u64 {
        1 << 20
    }

    /// Writes one whole chunk. `Ok` means committed. `Err` means rolled back, or a COMMIT whose
    /// answer was lost: settling the lease tells which.
    ///
    /// # Errors
    ///
    /// Those of the stream, [`LeaseLost`](crate::ErrorKind::LeaseLost) when the record finds its
    /// lease gone, and whatever the database answers.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the call rolls back.
    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary>;

    /// Shows the rows that were loaded beside the table, all at once: readers see the old rows or the
    /// new ones. Only for [`WriteMode::Replace`]. `record` shares the transaction.
    ///
    /// # Errors
    ///
    /// As [`write_chunk`](Self::write_chunk); then readers still see the old rows.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the call rolls back.
    async fn publish(
        &self,
        _plan: &LoadPlan,
        _record: Option<&dyn CommitRecord>,
        _cx: &RunContext,
    ) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "This target cannot replace a table at once")
            .with_hint("set \"replace\": \"off\" and \"truncate_onstart\": true"))
    }

    /// Brings back one thing that was set aside, within `fence` where there is one. Safe to call again,
    /// also while a statement of a process that has died is still at work on it.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) when the fence says so, and whatever the database
    /// answers; what other calls brought back stays.
    async fn restore(
        &self,
        object: &SetAside,
        _fence: Option<&dyn Fence>,
        _cx: &RunContext,
    ) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "This target sets nothing aside")
            .with("missing", &object.what)
            .with_hint("create it by hand"))
    }

    /// Leaves the table in good shape after the last chunk: fresh planner statistics. Safe to call
    /// again.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn finish(&self, plan: &LoadPlan, cx: &RunContext) -> Result<()>;
}

/// How rows enter the table. Decided once and stored with the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteMode {
    /// Appended; a duplicate key is an error.
    Copy,
    /// Only rows whose `keys` are new.
    InsertOnly {
        /// The unique key in the target.
        keys: Vec<ColumnName>,
        /// The column that tells which of two rows of the source is newer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<ColumnName>,
    },
    /// New rows are inserted, known ones updated, never by an older version.
    Upsert {
        /// The unique key in the target.
        keys: Vec<ColumnName>,
        /// The column that tells which of two rows is newer.
        version: Option<ColumnName>,
    },
    /// All rows are loaded beside the table and shown at once.
    Replace {
        /// A unique key of the target, by which only what differs is written; none where the target
        /// has none.
        keys: Vec<ColumnName>,
    },
}

impl fmt::Display for WriteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copy",
            Self::InsertOnly { .. } => "insert-only",
            Self::Upsert { .. } => "upsert",
            Self::Replace { .. } => "atomic replace",
        })
    }
}

impl WriteMode {
    /// The unique key by which rows are known; none where rows are only added.
    pub fn keys(&self) -> &[ColumnName] {
        match self {
            Self::Copy => &[],
            Self::InsertOnly { keys, .. } | Self::Upsert { keys, .. } | Self::Replace { keys } => {
                keys
            }
        }
    }

    /// The column that tells which of two rows is newer.
    pub fn version(&self) -> Option<&ColumnName> {
        match self {
            Self::Copy | Self::Replace { .. } => None,
            Self::InsertOnly { version, .. } | Self::Upsert { version, .. } => version.as_ref(),
        }
    }
}

/// What a sink is asked to do with a table. Stored with the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadPlan {
    /// How rows enter the table.
    #[serde(flatten)]
    pub mode: WriteMode,
    /// The columns that are written. Batches have [`read_columns`](Self::read_columns).
    pub columns: Vec<ColumnPair>,
    /// Tables to empty in one statement before the first row; usually this one or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncate: Vec<TableRef>,
    /// What is taken away before the first row, for all tables that are prepared together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// What comes back after the last row; its position is the number of its step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore: Vec<SetAside>,
    /// What happens to rows that the target refuses.
    #[serde(default, skip_serializing_if = "BadRows::is_fail")]
    pub bad_rows: BadRows,
}

impl LoadPlan {
    /// Appends to the table.
    pub fn append(columns: Vec<ColumnPair>) -> Self {
        Self {
            mode: WriteMode::Copy,
            columns,
            truncate: Vec::new(),
            set_aside: Vec::new(),
            restore: Vec::new(),
            bad_rows: BadRows::Fail,
        }
    }

    /// Whether refused rows are set aside.
    pub const fn sets_bad_rows_aside(&self) -> bool {
        self.bad_rows.is_quarantine()
    }

    /// The columns of every batch with their types, in batch order.
    pub fn read_types(&self) -> Vec<(ColumnName, ColumnType)> {
        let mut seen = BTreeSet::new();
        let pairs = self.columns.iter().filter(|pair| seen.insert(&pair.source));
        pairs.map(|pair| (pair.source.clone(), pair.column_type.clone())).collect()
    }

    /// The source columns of every batch, in batch order. A column that fills several columns of the
    /// target is read once.
    pub fn read_columns(&self) -> Vec<ColumnName> {
        let mut seen = BTreeSet::new();
        let sources = self.columns.iter().map(|pair| &pair.source);
        sources.filter(|name| seen.insert(*name)).cloned().collect()
    }

    /// Sets the tables to empty first.
    #[must_use]
    pub fn with_truncate(mut self, tables: Vec<TableRef>) -> Self {
        self.truncate = tables;
        self
    }
}

/// What a sink has to know to settle a plan.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PlanFacts {
    /// Rows that will be read, if known.
    pub expected_rows: Option<u64>,
    /// Whether indexes, constraints and triggers are to be set aside for the load.
    pub sets_aside: bool,
    /// What earlier runs took away from this table and have not brought back.
    pub missing: Vec<SetAside>,
}

/// A plan that the sink agrees to.
#[derive(Debug, Clone)]
pub struct SettledPlan {
    /// The plan, completed.
    pub plan: LoadPlan,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// What a sink's table can do; asked at plan time.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each ability stands for itself")]
pub struct SinkCapabilities {
    /// Whether it can be emptied.
    pub truncate: bool,
    /// Whether it takes [`WriteMode::InsertOnly`].
    pub insert_only: bool,
    /// Whether it takes [`WriteMode::Upsert`].
    pub upsert: bool,
    /// Whether it takes [`WriteMode::Replace`].
    pub replace: bool,
    /// Whether indexes, constraints and triggers can be set aside.
    pub set_aside: bool,
    /// Whether refused rows can be set aside, [kept](CommitRecord::keep) in the data transaction.
    pub quarantine: bool,
    /// What `Ok` from [`SinkTable::write_chunk`] is worth when the process dies right after it.
    pub commit: CommitGuarantee,
}

/// What a committed chunk is worth when the process dies right after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitGuarantee {
    /// Applies a [`CommitRecord`] of the same domain in the data transaction: exactly once.
    Transactional(CommitDomain),
    /// Writing the same chunk again replaces the earlier result.
    IdempotentPerChunk,
    /// At least once: a chunk may be written twice.
    #[default]
    None,
}

/// Counts of one written chunk, from the server where it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WriteSummary {
    /// Rows that the source delivered.
    pub rows_read: u64,
    /// Rows inserted.
    pub rows_inserted: u64,
    /// Rows updated.
    pub rows_updated: u64,
    /// Rows that were there already.
    pub rows_skipped: u64,
    /// Rows that were refused and set aside.
    #[serde(default)]
    pub rows_rejected: u64,
    /// Bytes sent to the sink.
    pub bytes: u64,
}

impl AddAssign for WriteSummary {
    fn add_assign(&mut self, other: Self) {
        self.rows_read += other.rows_read;
        self.rows_inserted += other.rows_inserted;
        self.rows_updated += other.rows_updated;
        self.rows_skipped += other.rows_skipped;
        self.rows_rejected += other.rows_rejected;
        self.bytes += other.bytes;
    }
}

impl WriteSummary {
    /// Rows that are accounted for in the target: inserted, updated and skipped.
    pub const fn rows_settled(&self) -> u64 {
        self.rows_inserted + self.rows_updated + self.rows_skipped
    }

    /// Whether every row that was read is accounted for, in the target or among those set aside.
    pub const fn is_balanced(&self) -> bool {
        self.rows_read == self.rows_settled() + self.rows_rejected
    }
}

/// What becomes of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fidelity {
    /// The same values in a type of the same range.
    Exact,
    /// The same values in a wider type.
    Widened,
    /// The target is narrower by type; every value is tested, and a misfit stops its chunk.
    Checked,
    /// Values change in a known way.
    Lossy {
        /// How.
        why: String,
        /// Whether a [policy](crate::ValuePolicy) asks for exactly that.
        by_choice: bool,
    },
    /// No value could be stored.
    Impossible {
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Widened => f.write_str("widened"),
            Self::Checked => f.write_str("checked"),
            Self::Lossy { why, by_choice: true } => write!(f, "lossy by choice: {why}"),
            Self::Lossy { why, by_choice: false } => write!(f, "lossy: {why}"),
            Self::Impossible { why } => write!(f, "impossible: {why}"),
        }
    }
}
