//! Reads and checks the configuration of a migration.
#![forbid(unsafe_code)]

mod document;
mod env_file;
mod environment;
mod interpolate;
mod issue;
mod options;
mod private_key;
mod reader;
mod secret;
mod size;

pub use environment::Environment;
pub use issue::{ConfigErrors, ConfigIssue, MASK, Severity};
pub use options::Options;
pub use secret::Secret;
pub use size::ByteSize;
