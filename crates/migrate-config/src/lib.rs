//! Reads and checks the configuration of a migration.
#![forbid(unsafe_code)]

mod env_file;
mod environment;
mod interpolate;
mod issue;
mod secret;
mod size;

pub use environment::Environment;
pub use issue::{ConfigErrors, ConfigIssue, MASK, Severity};
pub use secret::Secret;
pub use size::ByteSize;
