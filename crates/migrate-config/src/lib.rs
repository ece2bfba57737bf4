//! Reads and checks the configuration of a migration.
//!
//! One file, `config.json` (JSON with comments), says what is moved; `${VAR}` in its texts brings in
//! what differs between machines and what is secret. This crate turns the file into a [`Config`] in
//! which every default is filled in and every inherited value stands at its table, or into
//! [`ConfigErrors`] that list all mistakes at once, each with its place and the way to mend it. It
//! opens no connection.
//!
//! ```no_run
//! use migrate_config::{Config, Environment};
//!
//! let environment = Environment::process().with_default_env_file(".env")?;
//! let config = Config::load("config.json", &environment)?;
//! for notice in &config.notices {
//!     eprintln!("{}: {notice}", notice.severity);
//! }
//! for table in config.select(&["analytics"])?.tables() {
//!     println!("{} -> {} ({})", table.source, table.target, table.fingerprint());
//! }
//! # Ok::<(), migrate_core::Error>(())
//! ```
//!
//! Rules that hold for every key:
//!
//! - `null` and blank text mean that the key is not set.
//! - A number or a boolean may come as text, so that `"${PORT}"` works.
//! - `${NAME}` takes a variable, `${NAME:-default}` has a default, `${NAME:?message}` a message, and
//!   `$${` is a literal `${`. Values are replaced, keys are not, and disabled parts are left alone.
//! - Unknown keys and keys that stand twice are mistakes.
//!
//! Secrets are [`Secret`]s: `Debug` and `Serialize` of everything here print `***` for them, and so do
//! messages, also for each value that came through `${}`.
#![forbid(unsafe_code)]

pub mod defaults;
mod document;
mod env_file;
mod environment;
mod fingerprint;
mod interpolate;
mod issue;
mod load;
mod options;
mod private_key;
mod reader;
mod secret;
mod settings;
mod size;
mod validate;

pub use environment::Environment;
pub use fingerprint::Fingerprint;
pub use issue::{ConfigErrors, ConfigIssue, MASK, Severity};
pub use options::Options;
pub use secret::Secret;
pub use settings::{
    Chunking, ChunkingColumn, ColumnPolicy, Config, Connector, CreateTable, DeclaredType, Fidelity,
    LoadMode, OnBadRow, OnFraction, OnNonempty, OnNonjson, OnNul, PostgresSettings, Replace,
    RunSettings, SnapshotPolicy, SnowflakeAuth, SnowflakeSettings, SourceConfig, SourceKind,
    SslMode, TableConfig, TableSettings, ValueSettings, Watermark, WatermarkLow, WatermarkNulls,
};
pub use size::ByteSize;
