//! Helping with a run that another process has begun: its plans are obeyed, none is made.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use migrate_core::{
    Error, ErrorKind, Event, Result, RunContext, RunId, TableId, TablePlan, TableState, WriteMode,
    code,
};
use tokio::time::Instant;

use crate::deadline::until_deadline;
use crate::job::TableJob;
use crate::migration::{Ledger, Migration, Parts, Run, place_of};
use crate::plan_stage::PLANNED_AT_ONCE;
use crate::report::RunReport;
use crate::retry::steadily;
use crate::table::Table;
use crate::table_plan::{Missing, open};

/// How often it is looked whether the first process has stored its plans.
const POLL: Duration = Duration::from_secs(1);

impl Migration {
    /// Takes part in a run that another process, anywhere, has begun with the same tables. Work is
    /// claimed piece by piece by whoever is free; this process ends when nothing is left, or when it is
    /// [stopped](Self::run), which leaves the others at work.
    ///
    /// Nothing is planned: tables that are not planned yet are waited for, and what has failed is not
    /// tried again.
    ///
    /// # Errors
    ///
    /// `NotFound` for a run that is unknown, `Conflict` for one that has ended,
    /// [`JOB_DIFFERS`](code::JOB_DIFFERS) for one of other tables, and as [`run`](Self::run).
    pub async fn join(&self, run: RunId, cx: &RunContext) -> Result<RunReport> {
        let (cx, _alarm) = until_deadline(cx);
        let report = self.help(run, &cx).await;
        self.close().await;
        report
    }

    async fn help(&self, run: RunId, cx: &RunContext) -> Result<RunReport> {
        let started = Instant::now();
        self.check(cx).await?;
        let ledgers = self.ledgers(cx);
        let run = cx.unless_cancelled(self.find_run(run, &ledgers)).await?;
        cx.emit(&Event::RunJoined {
            run: run.id,
            table_count: self.jobs.len(),
            worker_count: usize::try_from(self.workers.get()).unwrap_or(usize::MAX),
        });
        let pulse = run.pulse(&ledgers, self.lease);
        let tables = self.planned_by_others(&ledgers, &run, cx).await;
        self.work_off(tables, ledgers, &run, pulse, started, cx).await
    }

    /// The run in every ledger.
    async fn find_run(&self, id: RunId, ledgers: &[Arc<Ledger>]) -> Result<Run> {
        let mut tables = Vec::with_capacity(self.jobs.len());
        for ledger in ledgers {
            let (mine, requests) = self.requests(ledger);
            let handle = match ledger.store.join_run(id, &requests).await {
                Ok(handle) => handle,
                Err(error) if error.code() == code::JOB_DIFFERS => {
                    return Err(self.with_difference(error, ledger).await);
                }
                Err(error) => return Err(error),
            };
            // Only now, so that a mistyped run creates nothing; an older one is brought up to date.
            ledger.store.install().await?;
            tables.extend(mine.into_iter().zip(handle.tables));
        }
        Run { id, resumed: true, tables: Vec::new() }.with_tables(tables, self.jobs.len())
    }

    /// Says in which way the run loads a table otherwise.
    async fn with_difference(&self, error: Error, ledger: &Ledger) -> Error {
        let entry = error.context("entry").and_then(|entry| entry.parse().ok()).map(TableId);
        let Some(entry) = entry else { return error };
        let plan = match ledger.store.load_plan(entry).await {
            Ok(Some(plan)) => plan,
            // The refusal counts; what differs is only said where it can be told.
            Ok(None) => return error,
            Err(cause) => {
                tracing::debug!(error = %cause.report(), "cannot say what differs");
                return error;
            }
        };
        let job = self.jobs.iter().find(|(job, _)| job.to == plan.target);
        match job {
            Some((job, _)) => error.with("differs", difference(job, &plan)),
            None => error,
        }
    }

    /// Every table with the plan that the first process has stored, or stores yet.
    async fn planned_by_others(
        &self,
        ledgers: &[Arc<Ledger>],
        run: &Run,
        cx: &RunContext,
    ) -> Vec<Table> {
        let tables = self.jobs.iter().zip(&run.tables).map(|((job, parts), handle)| {
            let table = Table::new(job, parts, handle, place_of(parts, ledgers)).joined();
            (table, job, parts, handle.state)
        });
        let tables: Vec<Table> = stream::iter(tables)
            .map(|(table, job, parts, state)| async move {
                match state {
                    TableState::Completed => table,
                    _ => planned(table, job, parts, cx).await,
                }
            })
            .buffered(PLANNED_AT_ONCE)
            .collect()
            .await;
        for table in &tables {
            table.announce_plan(cx);
        }
        tables
    }
}

async fn planned(mut table: Table, job: &TableJob, parts: &Parts, cx: &RunContext) -> Table {
    let planned = async {
        let plan = stored_plan(&table, cx).await?;
        let ends = open(job, parts, plan.snapshot.as_ref(), Missing::Create).await?;
        Ok((plan, ends))
    };
    match cx.unless_cancelled(planned).await {
        Ok((plan, ends)) => table.take_plan(plan, ends),
        Err(error) => table.fail(&error),
    }
    table
}

/// Waits for a plan for as long as somebody may make it.
async fn stored_plan(table: &Table, cx: &RunContext) -> Result<TablePlan> {
    let mut has_told = false;
    loop {
        if let Some(plan) = steadily!(table.outage, table.status.load_plan(table.id()))? {
            return Ok(plan);
        }
        if let Some(outcome) = table.progress().await?.outcome {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("The first process of the run has not planned the table: {outcome}"),
            )
            .with("table", &table.job.to)
            .with_hint("look into its log, or at error_message in the status tables"));
        }
        if !has_told {
            has_told = true;
            let note = format!(
                "waits for the plan, which the first process of the run makes; if that has died: \
                 migrate run --resume-run-id {}",
                table.run()
            );
            cx.emit(&Event::Noted { table: table.job.to.clone(), note });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What two configurations of a table do not have in common, as far as the stored plan tells.
fn difference(job: &TableJob, plan: &TablePlan) -> String {
    let keys = |mode: &WriteMode| match mode {
        // Found in the target, whatever the configuration.
        WriteMode::Replace { .. } => String::new(),
        other => other.keys().iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let first = |is_emptied: bool| if is_emptied { "emptied" } else { "not emptied" }.to_owned();
    let aspects = [
        ("source", plan.source.to_string(), job.from.to_string()),
        ("mode", plan.load.mode.to_string(), job.mode.to_string()),
        ("keys", keys(&plan.load.mode), keys(&job.mode)),
        ("target", first(!plan.load.truncate.is_empty()), first(job.truncate)),
    ];
    let mut told: Vec<String> = aspects
        .into_iter()
        .filter(|(_, there, here)| there != here)
        .map(|(what, there, here)| format!("{what} {there} there, {here} here"))
        .collect();
    if plan.filter.raw_part() != job.filter.raw_part() {
        told.push("source_filter".into());
    }
    if told.is_empty() {
        return "columns, watermark, fidelity or what becomes of values".into();
    }
    told.join("; ")
}
