//! Sources of the migration engine.
//!
//! [`ParquetSource`] reads files, row group by row group.
#![forbid(unsafe_code)]

#[cfg(feature = "parquet")]
mod parquet;
mod task_stream;

pub use migrate_core::{Source, SourceTable};

#[cfg(feature = "parquet")]
pub use crate::parquet::ParquetSource;
