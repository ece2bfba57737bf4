//! A configuration after validation: complete, typed, with every default filled in.

mod connection;
mod policy;
mod source;
mod table;
mod word;

use std::num::NonZeroU16;
use std::time::Duration;

use migrate_core::{Error, ErrorKind, Result, closest};
use serde::{Serialize, Serializer};

pub use connection::{Connector, PostgresSettings, SnowflakeAuth, SnowflakeSettings};
pub use policy::{
    CreateTable, DeclaredType, Fidelity, OnBadRow, OnFraction, OnNonempty, OnNonjson, OnNul,
    Replace, SnapshotPolicy, SslMode, WatermarkLow, WatermarkNulls,
};
pub use source::{SourceConfig, SourceKind};
pub use table::{
    Chunking, ChunkingColumn, ColumnPolicy, LoadMode, TableConfig, TableSettings, ValueSettings,
    Watermark,
};

use crate::issue::ConfigIssue;
use crate::size::ByteSize;

/// A checked configuration. `Debug` and `Serialize` show everything but secrets.
///
/// Made by [`Config::load`] and [`Config::parse`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Config {
    /// How Snowflake is reached; `None` if no enabled source needs it.
    pub snowflake: Option<SnowflakeSettings>,
    /// How PostgreSQL is reached; `None` if neither target nor status need it.
    pub postgres: Option<PostgresSettings>,
    /// Where rows go.
    pub target: Connector,
    /// Where the state of runs is kept.
    pub status: Connector,
    /// Settings of the whole process.
    pub run: RunSettings,
    /// The enabled sources, in the order of the file.
    pub sources: Vec<SourceConfig>,
    /// Names of the disabled sources, as far as they have one.
    pub disabled_sources: Vec<String>,
    /// Warnings and notes, in the order of the file.
    pub notices: Vec<ConfigIssue>,
}

/// Settings of the whole process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunSettings {
    /// Workers of the process; `None` for automatic. See [`Config::workers`].
    pub parallel_threads: Option<NonZeroU16>,
    /// Most bytes of rows in flight over all workers.
    pub memory_budget: ByteSize,
    /// How long a worker owns a chunk without a sign of life.
    #[serde(rename = "lease_seconds", serialize_with = "seconds")]
    pub lease: Duration,
    /// A Lambda invocation stops taking work this long before its end.
    #[serde(rename = "lambda_timeout_buffer_seconds", serialize_with = "seconds")]
    pub lambda_timeout_buffer: Duration,
    /// The database whose status tables summaries are read from; `None` for the targets' own.
    pub status_tracking_database: Option<String>,
}

impl Config {
    /// All enabled tables, source by source.
    pub fn tables(&self) -> impl Iterator<Item = &TableConfig> {
        self.sources.iter().flat_map(|source| &source.tables)
    }

    /// The same configuration with only the named sources, in the order of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a name that no enabled source has.
    pub fn select(&self, names: &[impl AsRef<str>]) -> Result<Self> {
        for name in names {
            self.check_name(name.as_ref())?;
        }
        let mut selected = self.clone();
        selected.sources.retain(|source| names.iter().any(|name| name.as_ref() == source.name));
        Ok(selected)
    }

    /// Workers of the process: the global `parallel_threads` or, where it is absent, `automatic`;
    /// more if a table asks for more. The value of a table also caps that table.
    pub fn workers(&self, automatic: NonZeroU16) -> NonZeroU16 {
        let global = self.run.parallel_threads.unwrap_or(automatic);
        self.tables().filter_map(|table| table.settings.parallel_threads).fold(global, Ord::max)
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if self.sources.iter().any(|source| source.name == name) {
            return Ok(());
        }
        if self.disabled_sources.iter().any(|disabled| disabled == name) {
            return Err(Error::new(ErrorKind::Config, format!("Source \"{name}\" is disabled"))
                .with_hint("set \"enabled\": true at that source"));
        }
        let known: Vec<_> = self.sources.iter().map(|source| source.name.as_str()).collect();
        let list = known.join(", ");
        let hint = match closest(name, known) {
            Some(near) => format!("did you mean \"{near}\"? Known sources: {list}"),
            None => format!("known sources: {list}"),
        };
        Err(Error::new(ErrorKind::Config, format!("Unknown source \"{name}\"")).with_hint(hint))
    }
}

/// Durations are dumped the way they are written: as whole seconds.
fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
