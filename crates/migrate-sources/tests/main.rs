//! The sources against real files and real servers.

#[cfg(feature = "parquet")]
mod parquet_files;
