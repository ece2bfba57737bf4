//! `migrate worker`: help with a run that another process has begun.

use migrate_core::{Result, RunContext, RunId};
use migrate_engine::assembly::Assembly;

use super::Invocation;
use super::run::{invoked_by, summary};
use crate::args::WorkerArguments;
use crate::exit::Exit;
use crate::output::print;

pub(crate) async fn worker(
    invocation: &Invocation,
    arguments: &WorkerArguments,
    cx: &RunContext,
) -> Result<Exit> {
    let config = invocation.config()?;
    let assembly = Assembly::new(&config, &invocation.registry).invoked_by(invoked_by());
    let migration = cx.unless_cancelled(assembly.build()).await?;
    let report = Box::pin(migration.join(RunId(arguments.run), cx)).await?;
    print(&summary(&report));
    Ok(Exit::from(report.outcome))
}
