//! Sinks of the migration engine.
//!
//! [`PgSink`] writes each chunk with `COPY … (format binary)` in one transaction together with the
//! chunk's completion.
#![forbid(unsafe_code)]

#[cfg(feature = "postgres")]
mod postgres;

pub use migrate_core::{Sink, SinkTable};
#[cfg(feature = "internals")]
pub use postgres::internals;
#[cfg(feature = "postgres")]
pub use postgres::{CopyEncoder, PgSink};
