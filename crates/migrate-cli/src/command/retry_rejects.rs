//! `migrate retry-rejects`: load rows again that were set aside.

use migrate_core::{Result, RunContext, RunId};
use migrate_engine::RetriedTable;
use migrate_engine::assembly::Assembly;

use super::Invocation;
use crate::args::RetryArguments;
use crate::exit::Exit;
use crate::output::{Columns, Page, grouped, print};

pub(crate) async fn retry_rejects(
    invocation: &Invocation,
    arguments: &RetryArguments,
    cx: &RunContext,
) -> Result<Exit> {
    let config = invocation.config()?;
    let assembly = Assembly::new(&config, &invocation.registry);
    let migration = cx.unless_cancelled(assembly.build()).await?;
    let run = arguments.run.map(RunId);
    let retried = Box::pin(migration.retry_rejects(run, cx)).await?;
    let mut page = Page::default();
    if retried.is_empty() {
        page.line("No rows of these tables are set aside.");
        print(page.render());
        return Ok(Exit::Completed);
    }
    let mut tables = Columns::new(&["table", "resolved", "still refused", "run"]);
    for one in &retried {
        let counts = [one.resolved_rows, one.refused_rows].map(grouped);
        let [resolved, refused] = counts;
        tables.row([one.target.to_string(), resolved, refused, one.run.to_string()]);
    }
    page.line(&tables.render());
    for one in &retried {
        if let Err(error) = &one.outcome {
            page.line(&format!("{}: {}", one.target, error.report()));
        }
    }
    let left: u64 = retried.iter().map(|one| one.refused_rows).sum();
    if left > 0 {
        page.line("Look at what is left with: select * from migration_status.v_rejected_rows;");
    }
    print(page.render());
    let has_failed = retried.iter().any(RetriedTable::has_failed);
    Ok(match (has_failed, left) {
        (true, _) => Exit::Failed,
        (false, 0) => Exit::Completed,
        (false, _) => Exit::CompletedWithRejects,
    })
}
