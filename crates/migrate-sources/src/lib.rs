//! Sources of the migration engine.
//!
//! | source | reads | frozen by |
//! |---|---|---|
//! | [`SnowflakeSource`] | tables and views over Snowflake's own protocol | time travel |
//! | [`ParquetSource`] | files, row group by row group | the files' identity |
#![forbid(unsafe_code)]

#[cfg(feature = "internals")]
pub mod internals;
#[cfg(feature = "parquet")]
mod parquet;
mod room;
#[cfg(feature = "snowflake")]
mod snowflake;
mod task_stream;

pub use migrate_core::{Source, SourceTable};

#[cfg(feature = "parquet")]
pub use crate::parquet::ParquetSource;
#[cfg(feature = "snowflake")]
pub use crate::snowflake::{SnowflakeAuth, SnowflakeSettings, SnowflakeSource};
