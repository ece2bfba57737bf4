//! `migrate run`: copy everything, or go on where an earlier run stopped.

use std::collections::BTreeSet;

use migrate_config::Config;
use migrate_core::{Guarantee, Outcome, Result, RunContext};
use migrate_engine::RunReport;
use migrate_engine::assembly::Assembly;

use super::{Invocation, bound};
use crate::exit::Exit;
use crate::output::{Columns, Page, count, duration, grouped, print, rate};

pub(crate) async fn run(invocation: &Invocation, cx: &RunContext) -> Result<Exit> {
    let config = invocation.config()?;
    let report = execute(invocation, &config, cx).await?;
    print(&summary(&report));
    Ok(Exit::from(report.outcome))
}

/// The run itself, shared with the demo.
pub(super) async fn execute(
    invocation: &Invocation,
    config: &Config,
    cx: &RunContext,
) -> Result<RunReport> {
    let assembly = Assembly::new(config, &invocation.registry)
        .resume(invocation.run.resume())
        .invoked_by(invoked_by());
    let migration = cx.unless_cancelled(assembly.build()).await?;
    Box::pin(migration.run(cx)).await
}

/// Host and process, so that an operator finds who holds a lease.
pub(super) fn invoked_by() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "this host",
        name => name,
    };
    format!("{host} pid {}", std::process::id())
}

pub(super) fn summary(report: &RunReport) -> String {
    let mut tables = Columns::new(&[
        "table", "outcome", "rows", "inserted", "updated", "skipped", "rejected", "chunks",
    ]);
    for table in &report.tables {
        tables.row([
            table.target.to_string(),
            table.outcome.to_string(),
            grouped(table.counts.rows_read),
            grouped(table.counts.rows_inserted),
            grouped(table.counts.rows_updated),
            grouped(table.counts.rows_skipped),
            grouped(table.counts.rows_rejected),
            format!("{} of {}", table.completed_chunk_count, table.chunk_count),
        ]);
    }
    let is_complete =
        |outcome| matches!(outcome, Outcome::Completed | Outcome::CompletedWithRejects);
    let completed = report.tables_that(is_complete);
    let mut page = Page::default();
    page.line("").line(&tables.render());
    let resumed = if report.resumed { " (resumed)" } else { "" };
    page.field("Run", &format!("{}{resumed}", report.run))
        .field("Outcome", report.outcome.as_str())
        .field("Duration", &duration(report.elapsed))
        .field("Tables", &format!("{completed} of {} completed", report.tables.len()))
        .field("Rows", &grouped(report.row_count()))
        .field("Rate", &rate(report.committed_rows, report.elapsed));
    if let Some((what, next)) = bound::described(&report.effort) {
        page.field("Bound by", &what).field("", next);
    }
    let guarantees: BTreeSet<Guarantee> =
        report.tables.iter().filter_map(|table| table.guarantee).collect();
    for guarantee in guarantees {
        page.field("Guarantee", &guarantee.to_string());
    }
    for table in &report.tables {
        if let Some(reason) = &table.reason {
            page.field(table.outcome.as_str(), &format!("{}: {reason}", table.target));
        }
    }
    if report.rejected_row_count() > 0 {
        page.field("Rejected", &count(report.rejected_row_count(), "row"));
        page.line(&format!(
            "Look at them with: select * from migration_status.v_rejected_rows where run_id = '{}';",
            report.run
        ));
        page.line("Mend the target, then load them again with: migrate retry-rejects");
    }
    if report.outcome == Outcome::Paused {
        page.line("Run the same command again to go on.");
    }
    page.render().to_owned()
}
