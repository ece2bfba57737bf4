//! Loading rows again that were set aside, after whatever kept them out has been mended.
//!
//! The values are those that were kept, and they take the way of every chunk: the stored plan, the
//! same encoder, the same merge with its guard. What is settled is marked in the transaction that
//! loads it, so two processes at once, or one that dies, load no row twice.

use std::sync::Arc;

use futures::{StreamExt, stream};
use migrate_core::value::rows_from_json;
use migrate_core::{
    BadRows, Chunk, ChunkId, Error, ErrorKind, Extent, LoadPlan, Predicate, RejectPage,
    RejectState, RejectedTable, Result, RunContext, RunId, Sink, SinkTable, StatusStore, TableRef,
    WriteMode, WriteSummary,
};

use crate::migration::{Ledger, Migration};
use crate::retry::steadily;

/// How often a page is read again because another process was faster with some of its rows.
const MOST_OVERTAKEN: u32 = 100;

/// What became of the rows of one table of one run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetriedTable {
    /// The run that set them aside.
    pub run: RunId,
    /// Where they belong.
    pub target: TableRef,
    /// Rows that are in the target now, or were found there.
    pub resolved_rows: u64,
    /// Rows that are still set aside.
    pub refused_rows: u64,
    /// Why they were not all tried.
    pub outcome: Result<()>,
}

impl RetriedTable {
    /// Whether an error has kept rows from being tried; rows that are outdated are none.
    pub fn has_failed(&self) -> bool {
        self.outcome.as_ref().is_err_and(|error| error.kind() != ErrorKind::Conflict)
    }
}

impl Migration {
    /// Loads rows again that earlier runs have set aside, of one run or of all, into the targets of
    /// this migration.
    ///
    /// Rows of a table that a later run has read anew or emptied are left alone: what that run holds of
    /// them is newer. So are those of a table whose own run has not ended yet.
    ///
    /// # Errors
    ///
    /// When a ledger or a target cannot be reached; what is wrong with one table is in the answer.
    pub async fn retry_rejects(
        &self,
        run: Option<RunId>,
        cx: &RunContext,
    ) -> Result<Vec<RetriedTable>> {
        let mut retried = Vec::new();
        for ledger in self.ledgers(cx) {
            let store = &ledger.store;
            cx.unless_cancelled(store.install()).await?;
            for found in cx.unless_cancelled(store.rejected_tables(run)).await? {
                let is_ours = |to: &TableRef| {
                    (&to.schema, &to.name) == (&found.plan.target.schema, &found.plan.target.name)
                };
                let mut jobs = self.jobs.iter().filter(|(_, parts)| is_same(&parts.status, store));
                let Some((_, parts)) = jobs.find(|(job, _)| is_ours(&job.to)) else { continue };
                retried.push(retry_table(found, &parts.sink, &ledger, cx).await);
            }
        }
        Ok(retried)
    }
}

fn is_same(left: &Arc<dyn StatusStore>, right: &Arc<dyn StatusStore>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(left), Arc::as_ptr(right))
}

async fn retry_table(
    found: RejectedTable,
    sink: &Arc<dyn Sink>,
    ledger: &Ledger,
    cx: &RunContext,
) -> RetriedTable {
    let mut retried = RetriedTable {
        run: found.run,
        target: found.plan.target.clone(),
        resolved_rows: 0,
        refused_rows: found.row_count,
        outcome: ensure_due(&found),
    };
    if retried.outcome.is_ok() {
        (retried.resolved_rows, retried.refused_rows) = (0, 0);
        retried.outcome = load(&found, sink, ledger, cx, &mut retried).await;
    }
    retried
}

fn ensure_due(found: &RejectedTable) -> Result<()> {
    match found.state {
        RejectState::Due => Ok(()),
        RejectState::Unfinished => {
            Err(Error::new(ErrorKind::Conflict, "The run that set these rows aside has not ended")
                .with_hint("run the same `migrate run` again until the table is completed"))
        }
        RejectState::Outdated(run) => Err(Error::new(
            ErrorKind::Conflict,
            "A later run has loaded the whole table anew, and with it what has become of these rows",
        )
        .with("later_run", run)
        .with_hint(
            "nothing to do: rows that were bad again are set aside by that run; delete the older ones \
             from migration_status.rejected_rows when nobody needs them",
        )),
    }
}

async fn load(
    found: &RejectedTable,
    sink: &Arc<dyn Sink>,
    ledger: &Ledger,
    cx: &RunContext,
    retried: &mut RetriedTable,
) -> Result<()> {
    let table = cx.unless_cancelled(sink.open(&found.plan.target)).await?;
    let plan = plan_of_rows(&found.plan.load);
    let mut after = i64::MIN;
    let mut overtaken = 0;
    loop {
        let page = cx.unless_cancelled(ledger.store.rejected_rows(found.table, after)).await?;
        let Some(last) = page.ids.last().copied() else { return Ok(()) };
        match load_page(found, table.as_ref(), &plan, &page, &ledger.store, cx).await {
            Ok(summary) => {
                retried.resolved_rows += summary.rows_settled();
                retried.refused_rows += summary.rows_rejected;
                after = last;
            }
            // Somebody else has settled some of them: what is left is read again.
            Err(error) if error.kind() == ErrorKind::LeaseLost && overtaken < MOST_OVERTAKEN => {
                overtaken += 1;
                ensure_still_due(found, ledger).await?;
            }
            Err(error) => {
                retried.refused_rows += page.ids.len() as u64;
                return Err(error);
            }
        }
    }
}

/// A run may have begun to load the table anew since.
async fn ensure_still_due(found: &RejectedTable, ledger: &Ledger) -> Result<()> {
    let all = steadily!(ledger.outage, ledger.store.rejected_tables(Some(found.run)))?;
    all.iter().find(|one| one.table == found.table).map_or(Ok(()), ensure_due)
}

async fn load_page(
    found: &RejectedTable,
    table: &dyn SinkTable,
    plan: &LoadPlan,
    page: &RejectPage,
    store: &Arc<dyn StatusStore>,
    cx: &RunContext,
) -> Result<WriteSummary> {
    let record = store.retry_record(found.table, page).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "The status store cannot settle rows that were set aside",
        )
        .with_hint("keep the status tables in the target's database")
    })?;
    let batch = rows_from_json(&plan.read_types(), page.rows.iter().map(String::as_str))?;
    let rows = stream::iter([Ok(batch)]).boxed();
    let chunk = Chunk::new(ChunkId(0), Extent::Rows { predicate: Predicate::All });
    table.write_chunk(plan, &chunk, rows, Some(record.as_ref()), cx).await
}

/// The stored plan without what happens once per run. Rows that were to be shown with all others are
/// added to them.
fn plan_of_rows(stored: &LoadPlan) -> LoadPlan {
    let mut plan = LoadPlan::append(stored.columns.clone());
    plan.mode = match &stored.mode {
        WriteMode::Replace { .. } => WriteMode::Copy,
        other => other.clone(),
    };
    // As many as there are may stay bad.
    plan.bad_rows = BadRows::Quarantine { most_rows: u64::MAX };
    plan
}
