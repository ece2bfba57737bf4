//! The rules of a status store.
//!
//! | file | rules about |
//! |---|---|
//! | `runs` | which work starts, goes on, or is taken over |
//! | `plans` | what is decided before a row moves |
//! | `claims` | handing out work |
//! | `settling` | taking work back |
//! | `records` | completion in a sink's transaction, and rows that were set aside |
//! | `endings` | outcomes of tables and runs |
//! | `windows` | incremental reads |
//! | `repairs` | what dead runs took away from targets |

mod claims;
mod endings;
mod memory;
mod plans;
mod records;
mod repairs;
mod runs;
mod settling;
mod windows;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;

use super::{Answer, Report, Testkit, Unkept, rules};
use crate::chunk::{Chunk, ChunkId, Extent};
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;
use crate::predicate::Predicate;
use crate::sink::{LoadPlan, WriteSummary};
use crate::sql::SqlStatement;
use crate::status::{
    Claim, Failure, Lease, NewPlan, Outcome, RunHandle, RunId, RunRequest, StatusStore, TableId,
    TablePlan, TableProgress, TableRequest, WorkKind, WorkerId,
};
pub use memory::MemoryLedger;

/// One empty ledger, and what a test may do to it.
#[async_trait]
pub trait StoreFixture: fmt::Debug + Send + Sync {
    /// The store. It need not be installed.
    fn store(&self) -> Arc<dyn StatusStore>;

    /// The same ledger as another process sees it.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    async fn other_process(&self) -> Result<Arc<dyn StatusStore>> {
        Ok(self.store())
    }

    /// Lets this much time pass for the ledger: leases run out, rests end, signs of life get older.
    ///
    /// # Errors
    ///
    /// `Unsupported` where that cannot be shown; rules about time are skipped then.
    async fn pass(&self, _time: Duration) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "Time cannot pass in this fixture"))
    }

    /// Runs statements of a commit record in one transaction of its domain, and answers how many
    /// rows each of them changed or found.
    ///
    /// # Errors
    ///
    /// `Unsupported` where a store has no domain; whatever the database answers.
    async fn transact(&self, _statements: &[SqlStatement], _end: Ending) -> Result<Vec<u64>> {
        Err(Error::new(ErrorKind::Unsupported, "This fixture has no transactions"))
    }
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is kept.
    Commit,
    /// It is undone.
    RollBack,
}

rules! {
    dyn StoreFixture:
    runs::a_store_that_is_not_installed_knows_nothing,
    runs::installing_again_keeps_what_is_there,
    runs::a_new_table_starts,
    runs::tables_are_answered_in_the_order_of_the_request,
    runs::unfinished_work_goes_on,
    runs::a_finished_table_is_done_while_its_run_goes_on,
    runs::a_finished_run_is_loaded_again,
    runs::a_changed_configuration_takes_over_and_says_so,
    runs::rows_of_a_changed_table_are_told_to_its_run,
    runs::not_resuming_takes_over,
    runs::a_run_is_resumed_by_its_id,
    runs::an_unknown_run_is_refused,
    runs::old_work_is_not_resumed,
    runs::a_sign_of_life_keeps_work_young,
    runs::a_target_under_work_is_not_taken_over,
    runs::a_refused_request_changes_nothing,
    runs::one_of_two_requests_at_once_takes_over,
    runs::a_run_may_be_joined,
    runs::a_preview_changes_nothing,
    runs::the_first_pinned_moment_holds,
    runs::other_targets_are_left_alone,
    plans::a_plan_survives_as_it_was_stored,
    plans::the_first_writer_of_a_plan_wins,
    plans::plans_are_stored_together_or_not_at_all,
    plans::a_superseded_table_takes_no_plan,
    plans::chunks_survive_as_they_were_stored,
    plans::each_step_is_handed_out_once,
    plans::a_plan_can_change_what_happens_to_bad_rows,
    claims::a_chunk_is_never_handed_out_twice,
    claims::whoever_waits_hears_who_holds_the_lease,
    claims::a_lease_that_runs_out_goes_to_another,
    claims::a_renewed_lease_lasts,
    claims::a_lost_lease_is_not_renewed,
    claims::a_lease_whose_work_is_completed_is_not_lost,
    claims::a_chunk_that_kills_its_workers_is_given_up,
    claims::leases_of_one_process_hold_in_another,
    settling::completed_counts_add_up,
    settling::a_completion_may_be_repeated,
    settling::a_late_token_changes_nothing,
    settling::a_superseded_token_changes_nothing,
    settling::a_failed_chunk_rests_in_the_store,
    settling::a_chunk_that_is_given_up_is_handed_out_no_more,
    settling::a_resumed_table_tries_its_failed_chunks_anew,
    settling::work_that_is_given_back_has_not_been_tried,
    settling::work_that_outgrows_every_budget_is_given_up,
    settling::other_tables_keep_their_counts,
    records::a_record_names_the_domain_of_its_store,
    records::a_record_completes_its_chunk_once,
    records::a_record_that_is_rolled_back_has_not_happened,
    records::a_record_of_a_lost_lease_changes_no_row,
    records::rows_that_are_set_aside_stay_within_their_limit,
    records::rows_that_were_set_aside_are_loaded_once,
    endings::only_complete_work_is_completed,
    endings::rejected_rows_are_not_forgotten_at_the_end,
    endings::a_completed_table_stays_completed,
    endings::a_superseded_table_cannot_end,
    endings::a_pause_does_not_end_the_work_of_others,
    endings::a_failure_does_not_end_the_work_of_others,
    endings::a_run_ends_with_its_last_table,
    endings::a_run_whose_tables_are_complete_is_over,
    endings::a_table_without_chunks_can_complete,
    windows::a_window_counts_once_its_table_is_completed,
    windows::later_writes_make_a_window_older,
    windows::an_emptied_target_voids_a_window,
    repairs::what_a_dead_run_took_away_is_found_once,
    repairs::a_later_plan_takes_over_what_is_missing,
    repairs::what_came_back_early_is_taken_away_again,
}

impl Testkit {
    /// Tries every rule of a status store, each on a fresh and empty ledger.
    pub async fn store<Fresh, Made, Fixture>(&self, fresh: Fresh) -> Report
    where
        Fresh: Fn() -> Made + Send + Sync,
        Made: Future<Output = Result<Fixture>> + Send + 'static,
        Fixture: StoreFixture + 'static,
    {
        let fresh = || {
            let made = fresh();
            async { Ok(Box::new(made.await?) as Box<dyn StoreFixture>) }.boxed()
        };
        self.run("status store", RULES, fresh).await
    }
}

const LEASE: Duration = Duration::from_secs(30);

const TEN_ROWS: WriteSummary = WriteSummary {
    rows_read: 10,
    rows_inserted: 5,
    rows_updated: 3,
    rows_skipped: 2,
    rows_rejected: 0,
    bytes: 100,
};

fn target(name: &str) -> TableRef {
    TableRef::qualified("sales", "public", name)
}

fn wanted(name: &str, fingerprint: &str) -> TableRequest {
    TableRequest {
        source_name: "analytics".into(),
        source: TableRef::qualified("DB", "BI", name.to_uppercase()),
        target: target(name),
        fingerprint: fingerprint.into(),
    }
}

fn request(tables: &[TableRequest]) -> RunRequest {
    RunRequest::new(RunId::random(), tables.to_vec(), "testkit")
}

fn plan_of(name: &str) -> TablePlan {
    let wanted = wanted(name, "");
    TablePlan::new(wanted.source, wanted.target, LoadPlan::append(Vec::new()))
}

fn chunks(count: u32) -> Vec<Chunk> {
    let chunk = |id| {
        let predicate = Predicate::range("id", Some(i64::from(id).into()), None);
        Chunk::new(ChunkId(id), Extent::Rows { predicate })
            .with_rows(Some(10), Some(u64::from(id) + 1))
    };
    (0..count).map(chunk).collect()
}

/// An installed store.
async fn installed(fixture: &dyn StoreFixture) -> Answer<Arc<dyn StatusStore>> {
    let store = fixture.store();
    store.install().await?;
    Ok(store)
}

async fn begin(store: &dyn StatusStore, tables: &[TableRequest]) -> Answer<RunHandle> {
    Ok(store.begin_run(&request(tables)).await?)
}

/// The first table of a run.
fn first(run: &RunHandle) -> Answer<TableId> {
    super::found("table in the run", run.tables.first().map(|table| table.id))
}

/// Stores a plan with this many chunks.
async fn save(
    store: &dyn StatusStore,
    table: TableId,
    mut plan: TablePlan,
    chunk_count: u32,
) -> Answer<TablePlan> {
    plan.chunk_count = chunk_count.into();
    let chunks = chunks(chunk_count);
    let stored = store.save_plans(&[NewPlan { table, plan: &plan, chunks: &chunks }]).await?;
    super::found("stored plan", stored.into_iter().next())
}

/// A table `t` of a run, planned with this many chunks.
async fn planned(store: &dyn StatusStore, chunk_count: u32) -> Answer<TableId> {
    planned_as(store, "t", "f", plan_of("t"), chunk_count).await
}

async fn planned_as(
    store: &dyn StatusStore,
    name: &str,
    fingerprint: &str,
    plan: TablePlan,
    chunk_count: u32,
) -> Answer<TableId> {
    let run = begin(store, &[wanted(name, fingerprint)]).await?;
    let table = first(&run)?;
    save(store, table, plan, chunk_count).await?;
    Ok(table)
}

async fn claim(store: &dyn StatusStore, table: TableId, kind: WorkKind) -> Result<Claim> {
    store.claim(table, kind, &WorkerId("w1".into()), LEASE).await
}

/// A lease of this kind of work.
async fn lease_of(store: &dyn StatusStore, table: TableId, kind: WorkKind) -> Answer<Lease> {
    match claim(store, table, kind).await? {
        Claim::Leased(lease) => Ok(*lease),
        other => Err(Unkept::Broken(format!("no {kind} was handed out: {other:?}"))),
    }
}

async fn lease(store: &dyn StatusStore, table: TableId) -> Answer<Lease> {
    lease_of(store, table, WorkKind::Chunk).await
}

/// Claims and completes everything of one kind.
async fn complete_all(store: &dyn StatusStore, table: TableId, kind: WorkKind) -> Answer<u64> {
    let mut count = 0;
    loop {
        match claim(store, table, kind).await? {
            Claim::Leased(lease) => {
                let summary =
                    if kind == WorkKind::Chunk { TEN_ROWS } else { WriteSummary::default() };
                let settled = store.complete(&lease, &summary).await?;
                super::same("completing", &settled, &crate::status::Settled::Applied)?;
                count += 1;
            }
            Claim::Drained { .. } => return Ok(count),
            Claim::NotYet { .. } => {
                return Err(Unkept::Broken(format!("a {kind} is held, yet nobody works")));
            }
        }
    }
}

/// Takes a table through all of its steps.
async fn load(store: &dyn StatusStore, table: TableId, outcome: Outcome) -> Answer<()> {
    for kind in WorkKind::IN_ORDER {
        complete_all(store, table, kind).await?;
    }
    Ok(store.finish_table(table, outcome, None).await?)
}

async fn progress(store: &dyn StatusStore, table: TableId) -> Answer<TableProgress> {
    super::found("progress", store.progress(&[table]).await?.into_iter().next())
}

fn failure(retry_in: Option<Duration>) -> Failure {
    Failure { code: "connection", reason: "Connection reset".into(), retry_in }
}

/// Lets time pass, or skips the rule.
async fn pass(fixture: &dyn StoreFixture, time: Duration) -> Answer<()> {
    match fixture.pass(time).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            Err(Unkept::Skipped("no time passes in the fixture"))
        }
        answer => Ok(answer?),
    }
}

/// Runs statements in a transaction, or skips the rule.
async fn transact(
    fixture: &dyn StoreFixture,
    statements: &[SqlStatement],
    end: Ending,
) -> Answer<Vec<u64>> {
    match fixture.transact(statements, end).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            Err(Unkept::Skipped("the fixture has no transactions"))
        }
        answer => Ok(answer?),
    }
}
