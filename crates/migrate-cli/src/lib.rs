//! The command line of the migration engine, as a library: another program with its own strategies,
//! sources or sinks gets all commands with a three-line `main`.
//!
//! ```no_run
//! use async_trait::async_trait;
//! use migrate_core::{ChunkPlan, ChunkingStrategy, PlanInput, Predicate, Result};
//!
//! #[derive(Debug, serde::Deserialize)]
//! struct Whole {}
//!
//! #[async_trait]
//! impl ChunkingStrategy for Whole {
//!     fn name(&self) -> &'static str {
//!         "whole"
//!     }
//!
//!     async fn plan(&self, _input: PlanInput<'_>) -> Result<ChunkPlan> {
//!         Ok(ChunkPlan::from_predicates(self.name(), "as asked", [Predicate::All]))
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     migrate_cli::Cli::new().strategy::<Whole>("whole").run()
//! }
//! ```
#![forbid(unsafe_code)]

mod args;
mod cli;
mod command;
mod exit;
mod logging;
mod narrate;
mod output;
mod signal;

pub use cli::Cli;
pub use migrate_engine as engine;
