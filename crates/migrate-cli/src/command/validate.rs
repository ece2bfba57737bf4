//! `migrate validate`: the configuration alone.

use migrate_core::Result;
use migrate_engine::assembly::Assembly;

use super::Invocation;
use crate::exit::Exit;
use crate::output::{count, print};

pub(crate) fn validate(invocation: &Invocation) -> Result<Exit> {
    let config = invocation.config()?;
    Assembly::new(&config, &invocation.registry).check()?;
    print(&format!(
        "{} is valid: {}, {}\n",
        invocation.common.config.display(),
        count(config.sources.len() as u64, "source"),
        count(config.tables().count() as u64, "table"),
    ));
    Ok(Exit::Completed)
}
