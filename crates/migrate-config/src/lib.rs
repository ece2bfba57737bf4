//! Reads and checks the configuration of a migration.
#![forbid(unsafe_code)]

mod issue;
mod secret;
mod size;
pub use issue::{ConfigErrors, ConfigIssue, MASK, Severity};
pub use secret::Secret;
pub use size::ByteSize;
