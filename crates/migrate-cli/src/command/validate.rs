//! `migrate validate`: the configuration alone.

use migrate_core::Result;

use super::Invocation;
use crate::exit::Exit;
use crate::output::{count, print};

pub(crate) fn validate(invocation: &Invocation) -> Result<Exit> {
    let config = invocation.config()?;
    print(&format!(
        "{} is valid: {}, {}\n",
        invocation.common.config.display(),
        count(config.sources.len() as u64, "source"),
        count(config.tables().count() as u64, "table"),
    ));
    Ok(Exit::Completed)
}
