//! The sources against real files, and against Snowflake's protocol as the double speaks it.

mod conformance;
#[cfg(all(feature = "parquet", feature = "snowflake"))]
mod memory;
#[cfg(feature = "parquet")]
mod parquet_files;
#[cfg(feature = "snowflake")]
mod snowflake_faults;
#[cfg(feature = "snowflake")]
mod snowflake_histograms;
#[cfg(feature = "snowflake")]
mod snowflake_matrix;
#[cfg(feature = "snowflake")]
mod snowflake_recovery;
#[cfg(feature = "snowflake")]
mod snowflake_rows;
#[cfg(feature = "snowflake")]
mod snowflake_sessions;
#[cfg(feature = "snowflake")]
mod snowflake_support;
