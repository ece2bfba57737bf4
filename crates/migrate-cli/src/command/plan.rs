//! `migrate plan`: connect, check, and show what a run would do.

use migrate_config::ByteSize;
use migrate_core::{
    BadRows, Chunk, ColumnName, Fidelity, Predicate, Result, RunContext, RunId, Scalar, Snapshot,
    TablePlan, WatermarkWindow, WindowRows,
};
use migrate_engine::assembly::Assembly;
use migrate_engine::{PlannedTable, Preview};

use super::Invocation;
use crate::args::PlanArguments;
use crate::exit::Exit;
use crate::output::{Page, count, print};

/// Chunks that are shown unless all are asked for.
const CHUNKS_SHOWN: usize = 12;

pub(crate) async fn plan(
    invocation: &Invocation,
    arguments: &PlanArguments,
    cx: &RunContext,
) -> Result<Exit> {
    let config = invocation.config()?;
    let assembly = Assembly::new(&config, &invocation.registry);
    let workers = assembly.workers();
    let migration = cx.unless_cancelled(assembly.build()).await?;
    let previews = Box::pin(migration.plan(cx)).await?;
    let shown = if arguments.all_chunks { usize::MAX } else { CHUNKS_SHOWN };
    let mut page = Page::default();
    page.line(&format!(
        "{}, {} connections per target database, memory budget {}",
        count(workers.get().into(), "worker"),
        workers.get() + 2,
        config.run.memory_budget,
    ));
    for preview in &previews {
        page.line("").line(&format!("{} -> {}", preview.source, preview.target));
        match &preview.plan {
            Ok(Preview::New(planned)) => {
                render(&mut page, planned, config.run.memory_budget, shown);
            }
            Ok(Preview::GoOn(plan)) => render_stored(&mut page, plan, preview.resumes),
            Ok(Preview::Done) => {
                page.field("done", "completed by the run that goes on; it is not copied again");
            }
            Err(error) => {
                page.field("error", &error.report().to_string());
            }
        }
    }
    let failed = previews.iter().filter(|preview| preview.plan.is_err()).count();
    let tables = count(previews.len() as u64, "table");
    page.line("").line(&match failed {
        0 => format!("{tables} can be copied. Nothing was written."),
        failed => format!("{failed} of {tables} cannot be copied. Nothing was written."),
    });
    print(page.render());
    Ok(if failed == 0 { Exit::Completed } else { Exit::Failed })
}

/// A plan that is obeyed as it is stored.
fn render_stored(page: &mut Page, plan: &TablePlan, run: Option<RunId>) {
    if let Some(run) = run {
        page.field("goes on", &format!("with run {run}, by the plan that it stored"));
    }
    render_plan(page, plan);
    for note in &plan.notes {
        page.field("note", note);
    }
}

fn render_plan(page: &mut Page, plan: &TablePlan) {
    page.field("mode", &mode(plan));
    if plan.load.truncate.len() > 1 {
        page.field("emptied", &format!("together: {}", listed(&plan.load.truncate)));
    }
    if let BadRows::Quarantine { most_rows } = plan.load.bad_rows {
        page.field("bad rows", &format!("set aside, at most {}", count(most_rows, "row")));
    }
    if let Some(window) = &plan.window {
        page.field("window", &window_line(window));
    }
    if plan.filter != Predicate::All {
        page.field("filter", &plan.filter.to_string());
    }
    let moment = plan.snapshot.as_ref().map_or("each chunk's own moment", Snapshot::as_str);
    page.field("as of", moment);
    page.field("strategy", &format!("{}: {}", plan.strategy, plan.rationale));
    if let Some(guarantee) = plan.guarantee {
        page.field("guarantee", &guarantee.to_string());
    }
    if !plan.order.is_empty() {
        page.field("order", &format!("rows of a chunk by {}", listed(&plan.order)));
    }
    let rows = plan
        .estimated_rows
        .map_or_else(|| "an unknown number of rows".to_owned(), |rows| count(rows, "row"));
    page.field("rows", &format!("{rows} in {}", count(plan.chunk_count, "chunk")));
}

fn render(page: &mut Page, planned: &PlannedTable, budget: ByteSize, chunks_shown: usize) {
    render_plan(page, &planned.plan);
    if !planned.chunks.is_empty() {
        page.field("memory", &memory_line(planned.chunk_memory_bytes, budget.as_bytes()));
    }
    render_columns(page, planned);
    for note in &planned.plan.notes {
        page.field("note", note);
    }
    for chunk in planned.chunks.iter().take(chunks_shown) {
        page.field(&format!("chunk {}", chunk.id), &chunk_line(chunk));
    }
    if let Some(more) = planned.chunks.len().checked_sub(chunks_shown).filter(|more| *more > 0) {
        page.field("", &format!("and {}; all with --all-chunks", count(more as u64, "more chunk")));
    }
}

/// Keys, emptying, and what is away meanwhile.
fn mode(plan: &TablePlan) -> String {
    let by = |columns: &[ColumnName], word: &str| match columns {
        [] => String::new(),
        columns => format!("{word} {}", listed(columns)),
    };
    let mode = &plan.load.mode;
    let keys = by(mode.keys(), " by");
    let newest =
        by(mode.version().map(std::slice::from_ref).unwrap_or_default(), ", the newest by");
    let emptied = if plan.load.truncate.is_empty() { "" } else { ", after emptying the target" };
    format!("{mode}{keys}{newest}{emptied}")
}

fn window_line(window: &WatermarkWindow) -> String {
    let bound = |bound: &Option<Scalar>, none: &str| {
        bound.as_ref().map_or_else(|| none.to_owned(), ToString::to_string)
    };
    let low = bound(&window.low, "the first");
    let high = bound(&window.high, "none");
    let values = match window.reads {
        WindowRows::Closed => format!("from {low} to {high}"),
        WindowRows::AboveLow => format!("after {low}, to {high}"),
        WindowRows::Nothing => format!("nothing new since {low}"),
    };
    let nulls = if window.reads_nulls { ", and rows without a watermark" } else { "" };
    format!("{} {values}{nulls}", window.column)
}

fn render_columns(page: &mut Page, planned: &PlannedTable) {
    page.field("columns", &count(planned.columns.len() as u64, "column"));
    for column in &planned.columns {
        if matches!(column.fidelity, Fidelity::Exact | Fidelity::Widened) {
            continue;
        }
        let types = format!(
            "{} {} to {} {}: {}",
            column.source, column.source_type, column.target, column.target_type, column.fidelity
        );
        page.field("", &types);
    }
    if !planned.dropped.is_empty() {
        page.field("dropped", &listed(&planned.dropped));
    }
    if !planned.unfilled.is_empty() {
        page.field("unfilled", &listed(&planned.unfilled));
    }
}

/// How many chunks run at once within the budget.
fn memory_line(chunk_bytes: u64, budget_bytes: u64) -> String {
    let mib = chunk_bytes.div_ceil(1 << 20);
    if chunk_bytes > budget_bytes {
        return format!("{mib} MiB a chunk, more than the budget: one at a time, and beyond it");
    }
    format!("{mib} MiB a chunk, so at most {} at once", budget_bytes / chunk_bytes.max(1))
}

fn chunk_line(chunk: &Chunk) -> String {
    let rows = match (chunk.expected_rows, chunk.estimated_rows) {
        (Some(rows), _) => count(rows, "row"),
        (None, Some(rows)) => format!("about {}", count(rows, "row")),
        (None, None) => "an unknown number of rows".to_owned(),
    };
    format!("{rows}: {}", chunk.extent)
}

fn listed(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
