//! The migration engine: plans tables, copies their chunks, proves and finishes them.
//!
//! It works on trait objects: any [`Source`](migrate_core::Source), [`Sink`](migrate_core::Sink),
//! [`ChunkingStrategy`](migrate_core::ChunkingStrategy) and
//! [`StatusStore`](migrate_core::StatusStore). A run passes through four stages:
//!
//! 1. **plan** every table: columns, verdicts, chunks; stored before a row moves;
//! 2. **prepare** each target once;
//! 3. **drain** the chunks with one pool of workers over all tables, each chunk under a lease;
//! 4. **finish** each table whose chunks are all committed.
//!
//! ```
//! use std::sync::Arc;
//!
//! use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
//! use migrate_core::memory::{MemorySink, MemorySource, MemoryStore};
//! use migrate_core::{Column, ColumnType, Outcome, RunContext, TableRef, TableSchema};
//! use migrate_engine::{Migration, TableJob};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> migrate_core::Result<()> {
//! let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
//! let rows = RecordBatch::try_from_iter([("id", ids)]).expect("one column");
//! let source = MemorySource::new().with_table(TableRef::bare("from"), rows);
//! let schema = TableSchema::new(
//!     TableRef::bare("to"),
//!     vec![Column::new("id", ColumnType::Int64, "int64")],
//! );
//!
//! let migration = Migration::builder()
//!     .source(Arc::new(source))
//!     .sink(Arc::new(MemorySink::new().with_table(schema)))
//!     .status(Arc::new(MemoryStore::new()))
//!     .table(TableJob::copy(TableRef::bare("from"), TableRef::bare("to")))
//!     .build()?;
//! let report = migration.run(&RunContext::new()).await?;
//! assert_eq!((report.outcome, report.row_count()), (Outcome::Completed, 3));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "assembly")]
pub mod assembly;
mod builder;
mod chunk_column;
mod chunk_memory;
mod cut;
mod deadline;
mod drain;
mod effort;
mod group;
mod heartbeat;
mod job;
mod join;
mod left_aside;
mod migration;
mod order;
mod plan_stage;
mod repair;
mod report;
mod retry;
mod retry_rejects;
mod schedule;
mod steps;
mod table;
mod table_plan;
mod verify;
mod window;
mod work;

pub use builder::MigrationBuilder;
pub use chunk_column::{ChunkColumn, DeclaredKind};
pub use effort::{Bound, Effort};
pub use job::{
    BadRowPolicy, CreationPolicy, FidelityPolicy, NonemptyPolicy, SnapshotPolicy, TableJob,
};
pub use migrate_core as core;
pub use migration::Migration;
pub use repair::Repaired;
pub use report::{RunReport, TableReport};
pub use retry_rejects::RetriedTable;
pub use table_plan::{ColumnPlan, DefinedTable, PlannedTable, Preview, TablePreview};
pub use window::{Watermark, WatermarkLow, WatermarkNulls};
