//! The commands, one per file.

mod bound;
mod ddl;
#[cfg(feature = "demo")]
mod demo;
mod plan;
mod repair;
mod retry_rejects;
mod run;
mod validate;
mod worker;

use migrate_config::{Config, Environment, Severity};
use migrate_core::Result;
use migrate_engine::assembly::Registry;

use crate::args::{Common, RunArguments};

pub(crate) use ddl::ddl;
#[cfg(feature = "demo")]
pub(crate) use demo::demo;
pub(crate) use plan::plan;
pub(crate) use repair::repair;
pub(crate) use retry_rejects::retry_rejects;
pub(crate) use run::run;
pub(crate) use validate::validate;
pub(crate) use worker::worker;

/// What the user typed, and what a configuration may name.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) common: Common,
    pub(crate) run: RunArguments,
    pub(crate) registry: Registry,
}

impl Invocation {
    /// Reads and checks the configuration; says what is odd about it.
    pub(crate) fn config(&self) -> Result<Config> {
        let environment = match &self.common.env_file {
            Some(path) => Environment::process().with_env_file(path)?,
            None => Environment::process().with_default_env_file(".env")?,
        };
        let config = Config::load(&self.common.config, &environment)?;
        for notice in &config.notices {
            match notice.severity {
                Severity::Note => tracing::info!("{notice}"),
                _ => tracing::warn!("{notice}"),
            }
        }
        if self.common.sources.is_empty() {
            return Ok(config);
        }
        config.select(&self.common.sources)
    }
}
