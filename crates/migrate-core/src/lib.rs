//! Vocabulary, traits and errors of the migration engine.
//!
//! Whoever writes a source, a sink, a chunking strategy or a status store depends on this crate and
//! nothing else of the workspace. It does no I/O, knows no driver and starts no runtime.
//!
//! | to | implement |
//! |---|---|
//! | read from another system | [`Source`] and [`SourceTable`] |
//! | write to another system | [`Sink`] and [`SinkTable`] |
//! | cut tables differently | [`ChunkingStrategy`] |
//! | keep the ledger elsewhere | [`RunStore`], [`PlanStore`], [`WorkQueue`] |
//! | watch a run | [`Observer`] |
//! | prove that yours keeps its promises | `testkit::Testkit`, with feature `testkit` |
//!
//! Rows travel as Arrow [`RecordBatch`](arrow::array::RecordBatch)es, each column in the one
//! [Arrow form](ColumnType::arrow) of its type. What a chunk covers is a [`Predicate`] or a part of
//! an immutable object, never SQL text.
#![forbid(unsafe_code)]

mod arrow_form;
mod chunk;
mod chunking;
pub mod code;
mod column_match;
mod column_type;
mod commit;
mod context;
mod dialect;
mod error;
mod event;
mod filter;
mod greatest;
mod guarantee;
mod histogram;
mod key;
#[cfg(feature = "memory")]
pub mod memory;
mod memory_budget;
mod name;
mod predicate;
mod reject;
mod schema;
mod set_aside;
mod sink;
mod source;
mod sql;
mod status;
mod suggest;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod value;
mod value_policy;
mod watermark;

pub use arrow;
pub use async_trait::async_trait;

pub use arrow_form::to_arrow_form;
pub use chunk::{Chunk, ChunkId, ChunkPlan, Extent};
pub use chunking::{ChunkingStrategy, PlanInput};
pub use code::ErrorCode;
pub use column_match::{ColumnChoices, ColumnMatch, ColumnPair};
pub use column_type::{ColumnType, MICRO_SCALE};
pub use commit::{CommitDomain, CommitRecord, Fence, LEASE_LOST_SQLSTATE};
pub use context::{Deadline, RunContext};
pub use dialect::Dialect;
pub use error::{BoxError, Error, ErrorKind, Report, Result, Retry};
pub use event::{Event, Observer, Silent};
pub use filter::check_filter;
pub use greatest::{Greatest, TargetGreatest};
pub use guarantee::Guarantee;
pub use histogram::{Buckets, HistogramRequest, KeyBucket, KeyHistogram, RowCounter};
pub use key::{Canonical, Key, Reading};
pub use memory_budget::{MemoryBudget, MemoryShare, Reservation};
pub use name::{ColumnName, TableRef};
pub use predicate::Predicate;
pub use reject::{BadRows, RejectedRow};
pub use schema::{Annotations, Column, Fill, TableDefinition, TableSchema};
pub use set_aside::{Existing, LeftAside, RestoreStep, Return, SetAside};
pub use sink::{
    CommitGuarantee, Fidelity, LoadPlan, PlanFacts, SettledPlan, Sink, SinkCapabilities, SinkTable,
    WriteMode, WriteSummary,
};
pub use source::{
    BatchStream, DeclaredKeys, ObjectStat, Pushdown, ScanRequest, Snapshot, Source, SourceTable,
    TableSize,
};
pub use sql::{SqlBuilder, SqlStatement};
pub use status::{
    Adoption, Adoptions, Claim, Failure, Holder, JoinedRun, KnownTable, Lease, LeaseToken, NewPlan,
    Outcome, PlanStore, RejectPage, RejectState, RejectedTable, Resume, RunEntry, RunHandle, RunId,
    RunRequest, RunStore, Settled, SharedEmptying, StatusStore, TableHandle, TableId, TablePlan,
    TableProgress, TableRequest, TableState, WorkItem, WorkKind, WorkQueue, WorkerId, adopt, join,
};
pub use suggest::closest;
pub use value::{CalendarUnit, Decimal, Float, Scalar};
pub use value_policy::{OnFraction, OnNonjson, OnNul, ValuePart, ValuePolicy};
pub use watermark::{LastWindow, WatermarkWindow, WindowRows};

// Compile-time guards: every extension point stays dyn-compatible.
const _: Option<(&dyn Source, &dyn SourceTable)> = None;
const _: Option<(&dyn Sink, &dyn SinkTable)> = None;
const _: Option<(&dyn ChunkingStrategy, &dyn CommitRecord, &dyn Fence)> = None;
const _: Option<(&dyn StatusStore, &dyn Observer)> = None;
