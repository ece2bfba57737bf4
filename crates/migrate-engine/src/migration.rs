//! A migration: its tables, and the four stages that they pass through.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use migrate_core::{
    Error, ErrorKind, Event, Outcome, Result, Resume, RunContext, RunHandle, RunId, RunRequest,
    Sink, Snapshot, Source, StatusStore, TableHandle, TableState,
};
use tokio::time::Instant;

use crate::builder::MigrationBuilder;
use crate::drain::Drain;
use crate::heartbeat::HeldLeases;
use crate::job::{SnapshotPolicy, TableJob};
use crate::plan_stage::{PLANNED_AT_ONCE, Unplanned, plan_tables};
use crate::report::RunReport;
use crate::retry::steadily;
use crate::table::Table;
use crate::table_plan::{TablePreview, plan_table};

/// The components of one table.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) status: Arc<dyn StatusStore>,
}

/// A set of tables to copy. Made by [`Migration::builder`].
#[derive(Debug)]
pub struct Migration {
    pub(crate) jobs: Vec<(TableJob, Parts)>,
    pub(crate) workers: NonZeroU32,
    pub(crate) memory_budget: NonZeroU64,
    pub(crate) lease: Duration,
    pub(crate) resume: Resume,
    pub(crate) invoked_by: String,
}

impl Migration {
    /// Starts with defaults: 4 workers, 256 MiB, leases of 30 seconds, resuming.
    pub fn builder() -> MigrationBuilder {
        MigrationBuilder::new()
    }

    /// How many workers there are.
    pub fn workers(&self) -> NonZeroU32 {
        self.workers
    }

    /// Plans every table and writes nothing, neither rows nor status.
    ///
    /// # Errors
    ///
    /// When a source or sink cannot be reached at all; what is wrong with one table is in its
    /// preview.
    pub async fn plan(&self, cx: &RunContext) -> Result<Vec<TablePreview>> {
        self.check(cx).await?;
        let pins = self.pins(cx).await?;
        let previews = futures::stream::iter(self.jobs.iter().enumerate())
            .map(|(at, (job, parts))| {
                let pinned = pins.of(&parts.source);
                let shared = self.shares_target(at);
                async move {
                    let plan =
                        cx.unless_cancelled(plan_table(job, parts, pinned, shared, None)).await;
                    TablePreview {
                        source: job.from.clone(),
                        target: job.to.clone(),
                        plan: plan.map(Into::into),
                    }
                }
            })
            .buffered(PLANNED_AT_ONCE)
            .collect()
            .await;
        Ok(previews)
    }

    /// Copies all tables, going on where an earlier run stopped.
    ///
    /// # Errors
    ///
    /// When the run cannot start: a component that cannot be reached, a target that another run is
    /// at work on. What happens to one table is in the report.
    ///
    /// # Cancellation safety
    ///
    /// Cancel through `cx`: running chunks are rolled back and given back, and the outcome is
    /// [`Outcome::Paused`]. Dropping the call loses no rows either, but leaves the chunks leased
    /// until their leases run out.
    pub async fn run(&self, cx: &RunContext) -> Result<RunReport> {
        let started = Instant::now();
        self.check(cx).await?;
        let ledgers = self.ledgers();
        let run = cx.unless_cancelled(self.begin(&ledgers)).await?;
        cx.emit(&Event::RunStarted {
            run: run.id,
            resumed: run.resumed,
            table_count: self.jobs.len(),
            worker_count: usize::try_from(self.workers.get()).unwrap_or(usize::MAX),
        });
        self.announce_left_aside(&ledgers, cx).await?;
        let pins = self.run_pins(&ledgers, &run, cx).await?;
        let tables = plan_tables(self.unplanned(&ledgers, &run, &pins), cx).await;
        let drain = Arc::new(Drain::new(
            tables,
            ledgers,
            self.workers,
            self.memory_budget,
            self.lease,
            self.invoked_by.clone(),
        ));
        drain.run(self.workers, cx).await;
        let report = report(&drain, &run, started).await?;
        cx.emit(&Event::RunFinished { run: report.run, outcome: report.outcome });
        Ok(report)
    }

    /// Every distinct source and sink answers.
    async fn check(&self, cx: &RunContext) -> Result<()> {
        let sources = distinct(self.jobs.iter().map(|(_, parts)| &parts.source));
        let sinks = distinct(self.jobs.iter().map(|(_, parts)| &parts.sink));
        let checks = async {
            let (sources, sinks) = futures::future::join(
                join_all(sources.iter().map(|source| source.check())),
                join_all(sinks.iter().map(|sink| sink.check())),
            )
            .await;
            sources.into_iter().chain(sinks).collect::<Result<()>>()
        };
        cx.unless_cancelled(checks).await
    }

    fn shares_target(&self, at: usize) -> bool {
        let target = self.jobs.get(at).map(|(job, _)| &job.to);
        self.jobs.iter().enumerate().any(|(other, (job, _))| other != at && Some(&job.to) == target)
    }

    pub(crate) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        let stores = distinct(self.jobs.iter().map(|(_, parts)| &parts.status));
        stores
            .into_iter()
            .map(|store| {
                Arc::new(Ledger { store: Arc::clone(store), leases: HeldLeases::default() })
            })
            .collect()
    }

    /// One run in every ledger, under one id.
    async fn begin(&self, ledgers: &[Arc<Ledger>]) -> Result<Run> {
        let mut run = Run { id: RunId::random(), resumed: false, tables: Vec::new() };
        let mut handles: Vec<Option<TableHandle>> = vec![None; self.jobs.len()];
        for ledger in ledgers {
            ledger.store.install().await?;
            let mine: Vec<usize> = self
                .jobs
                .iter()
                .enumerate()
                .filter(|(_, (_, parts))| same(&parts.status, &ledger.store))
                .map(|(at, _)| at)
                .collect();
            let requests =
                mine.iter().filter_map(|at| self.jobs.get(*at)).map(|(job, _)| job.request());
            let request = RunRequest::new(run.id, requests.collect(), self.invoked_by.clone())
                .with_resume(self.resume);
            let RunHandle { run: id, resumed, tables } = ledger.store.begin_run(&request).await?;
            // The first ledger that resumes decides the id for those after it.
            run.id = id;
            run.resumed |= resumed;
            for (at, handle) in mine.into_iter().zip(tables) {
                if let Some(slot) = handles.get_mut(at) {
                    *slot = Some(handle);
                }
            }
        }
        run.tables = handles.into_iter().flatten().collect();
        if run.tables.len() == self.jobs.len() {
            return Ok(run);
        }
        Err(Error::new(ErrorKind::Internal, "The ledger did not answer for every table")
            .with_hint("report this: a status store does not keep its contract"))
    }

    /// The present moment of every source that a table wants frozen.
    async fn pins(&self, cx: &RunContext) -> Result<Pins> {
        let wanted = self.jobs.iter().filter(|(job, _)| job.snapshot != SnapshotPolicy::Off);
        let sources = distinct(wanted.map(|(_, parts)| &parts.source));
        let pins = sources
            .into_iter()
            .map(|source| async { Ok((Arc::clone(source), source.pin().await?)) });
        let pins =
            cx.unless_cancelled(async { join_all(pins).await.into_iter().collect() }).await?;
        Ok(Pins(pins))
    }

    /// The moments that this run reads, whoever pinned them first.
    async fn run_pins(&self, ledgers: &[Arc<Ledger>], run: &Run, cx: &RunContext) -> Result<Pins> {
        if run.tables.iter().all(|table| table.state == TableState::Completed) {
            return Ok(Pins(Vec::new()));
        }
        let mut pins = self.pins(cx).await?;
        for (source, moment) in &mut pins.0 {
            let name = source.name();
            for ledger in ledgers {
                if let Some(candidate) = moment.take() {
                    *moment = Some(ledger.store.pin_snapshot(run.id, &name, &candidate).await?);
                }
            }
        }
        Ok(pins)
    }

    fn unplanned<'a>(
        &'a self,
        ledgers: &[Arc<Ledger>],
        run: &Run,
        pins: &'a Pins,
    ) -> Vec<Unplanned<'a>> {
        let entries = self.jobs.iter().zip(&run.tables).enumerate();
        entries
            .map(|(at, ((job, parts), handle))| {
                let ledger = ledgers.iter().position(|one| same(&one.store, &parts.status));
                Unplanned {
                    table: Table::new(job, parts, handle, ledger.unwrap_or_default()),
                    job,
                    parts,
                    pinned: pins.of(&parts.source),
                    shares_target: self.shares_target(at),
                }
            })
            .collect()
    }
}

/// Ends every table and every run in the ledger.
async fn report(drain: &Drain, run: &Run, started: Instant) -> Result<RunReport> {
    let tables = join_all(drain.tables.iter().map(Table::report)).await;
    let mut runs: Vec<(usize, RunId)> =
        drain.tables.iter().map(|table| (table.ledger(), table.run())).collect();
    runs.sort_unstable_by_key(|(ledger, run)| (*ledger, run.0));
    runs.dedup();
    for (ledger, id) in runs {
        if let Some(ledger) = drain.ledgers.get(ledger) {
            steadily!(ledger.store.finish_run(id))?;
        }
    }
    Ok(RunReport {
        run: run.id,
        resumed: run.resumed,
        outcome: Outcome::of_run(tables.iter().map(|table| table.outcome)),
        tables,
        elapsed: started.elapsed(),
        committed_rows: drain.committed_rows(),
        committed_bytes: drain.committed_bytes(),
    })
}

/// One status store and the leases that this process holds in it.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) store: Arc<dyn StatusStore>,
    pub(crate) leases: HeldLeases,
}

#[derive(Debug)]
struct Run {
    id: RunId,
    resumed: bool,
    /// In the order of the jobs.
    tables: Vec<TableHandle>,
}

/// The moment of each source.
#[derive(Debug)]
struct Pins(Vec<(Arc<dyn Source>, Option<Snapshot>)>);

impl Pins {
    fn of(&self, source: &Arc<dyn Source>) -> Option<&Snapshot> {
        self.0.iter().find(|(known, _)| same(known, source)).and_then(|(_, moment)| moment.as_ref())
    }
}

/// Whether two handles are of one component.
fn same<T: ?Sized>(left: &Arc<T>, right: &Arc<T>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(left), Arc::as_ptr(right))
}

fn distinct<'a, T: ?Sized>(all: impl Iterator<Item = &'a Arc<T>>) -> Vec<&'a Arc<T>> {
    let mut distinct: Vec<&Arc<T>> = Vec::new();
    for one in all {
        if !distinct.iter().any(|known| same(known, one)) {
            distinct.push(one);
        }
    }
    distinct
}
