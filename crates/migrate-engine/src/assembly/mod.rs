//! From a checked configuration to a migration that can run.
//!
//! ```no_run
//! use migrate_config::{Config, Environment};
//! use migrate_core::RunContext;
//! use migrate_engine::assembly::{Assembly, Registry};
//!
//! # async fn run() -> migrate_core::Result<()> {
//! let config = Config::load("config.json", &Environment::process())?;
//! let migration = Assembly::new(&config, &Registry::with_builtins()).build().await?;
//! let report = migration.run(&RunContext::new()).await?;
//! # Ok(())
//! # }
//! ```

mod registry;
mod source;
mod table;
mod target;

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::sync::Arc;

use migrate_config::Config;
use migrate_core::{Error, ErrorKind, Result, Resume};

use crate::migration::Migration;
pub use registry::Registry;
use source::Sources;
pub use source::snowflake_source;
use target::Targets;

/// A configuration, the components that it may name, and the choices of one invocation.
#[derive(Debug)]
#[must_use]
pub struct Assembly<'a> {
    config: &'a Config,
    registry: &'a Registry,
    resume: Resume,
    invoked_by: Option<String>,
}

impl<'a> Assembly<'a> {
    /// Builds what this configuration says, resuming what can be resumed.
    pub fn new(config: &'a Config, registry: &'a Registry) -> Self {
        Self { config, registry, resume: Resume::default(), invoked_by: None }
    }

    /// Sets which earlier work may be continued.
    pub fn resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// Sets who runs this, for the ledger: host and process.
    pub fn invoked_by(mut self, who: impl Into<String>) -> Self {
        self.invoked_by = Some(who.into());
        self
    }

    /// Workers of this process, by the configuration and this machine.
    pub fn workers(&self) -> NonZeroU32 {
        self.config.workers(automatic_workers()).into()
    }

    /// Looks whether everything that the configuration names is known, without connecting.
    ///
    /// # Errors
    ///
    /// `Config` for a chunking strategy that nobody registered, and for wrong options of one.
    pub fn check(&self) -> Result<()> {
        for table in self.config.tables() {
            table::strategy(table, self.registry)?;
        }
        Ok(())
    }

    /// Connects to every target database and puts the migration together. Sources log in when they
    /// are first used.
    ///
    /// # Errors
    ///
    /// `Config` for names that nobody registered, and whatever a target answers.
    pub async fn build(self) -> Result<Migration> {
        self.check()?;
        let workers = self.workers();
        let mut sources = Sources::new(self.config, self.registry);
        let targets = Targets::connect(self.config, self.registry, workers).await?;
        let memory =
            NonZeroU64::new(self.config.run.memory_budget.as_bytes()).ok_or_else(|| {
                Error::new(ErrorKind::Config, "The memory budget is zero")
                    .with_hint("set `memory_budget` to a size such as \"256MiB\"")
            })?;
        let mut builder = Migration::builder()
            .workers(workers)
            .memory_budget(memory)
            .lease(self.config.run.lease)
            .resume(self.resume);
        if let Some(who) = self.invoked_by {
            builder = builder.invoked_by(who);
        }
        for source in &self.config.sources {
            for table in &source.tables {
                let mut job = table::job(table, self.registry)?;
                job.source = Some(sources.of(source)?);
                let target = targets.of(table)?;
                job.sink = Some(Arc::clone(&target.sink));
                job.status = Some(Arc::clone(&target.status));
                builder = builder.table(job);
            }
        }
        builder.build()
    }
}

/// Where the user did not say: one per core and one that waits meanwhile, and at most eight, which one
/// PostgreSQL server takes without tuning. More were no faster when measured, and took more memory.
fn automatic_workers() -> NonZeroU16 {
    const ONE: NonZeroU16 = NonZeroU16::MIN;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from((cores + 1).min(8)).ok().and_then(NonZeroU16::new).unwrap_or(ONE)
}

/// Components by name, each made once.
type ByName<T> = BTreeMap<String, T>;
