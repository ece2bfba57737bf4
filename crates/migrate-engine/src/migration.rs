//! A migration: its tables, and the four stages that they pass through.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use migrate_core::{
    Adoption, Error, ErrorKind, Event, Outcome, Result, Resume, RunContext, RunId, RunRequest,
    Sink, Snapshot, Source, StatusStore, TableHandle, TableId, TableRequest, TableState,
};
use tokio::time::Instant;

use crate::builder::MigrationBuilder;
use crate::deadline::until_deadline;
use crate::drain::Drain;
use crate::heartbeat::{HeldLeases, Pulse};
use crate::job::{SnapshotPolicy, TableJob};
use crate::plan_stage::{Found, PLANNED_AT_ONCE, Planned, Unplanned, find_plans, plan_tables};
use crate::report::RunReport;
use crate::retry::{Outage, steadily};
use crate::table::Table;
use crate::table_plan::{DefinedTable, Missing, Preview, TablePreview, define};

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
        let previews = self.find(cx).await;
        self.close().await;
        previews
    }

    async fn find(&self, cx: &RunContext) -> Result<Vec<TablePreview>> {
        self.check(cx).await?;
        let ledgers = self.ledgers(cx);
        let run = cx.unless_cancelled(self.preview(&ledgers)).await?;
        let pins = self.pins(cx).await?;
        let mut unplanned = self.unplanned(&ledgers, &run, &pins);
        for one in &mut unplanned {
            one.may_be_stored = one.table.resumes().is_some();
            one.missing = Missing::Imagine;
        }
        let planned = find_plans(unplanned, cx).await;
        let previews = planned.into_iter().map(|Planned { table, found }| TablePreview {
            source: table.job.from.clone(),
            target: table.job.to.clone(),
            resumes: table.resumes(),
            plan: match found {
                Found::Done => Ok(Preview::Done),
                Found::Stored(plan, _) => Ok(Preview::GoOn(plan)),
                Found::New(draft) => Ok(Preview::New(Box::new((*draft).into()))),
                Found::Refused(error) => Err(error),
            },
        });
        Ok(previews.collect())
    }

    /// The statements that would create every target table, whether it is there or not. Nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// When a source or sink cannot be reached at all; what is wrong with one table is in its
    /// definition.
    pub async fn define(&self, cx: &RunContext) -> Result<Vec<DefinedTable>> {
        self.check(cx).await?;
        let definitions = futures::stream::iter(&self.jobs)
            .map(|(job, parts)| async move {
                let statements = cx.unless_cancelled(async {
                    let source = parts.source.open(&job.from, None).await?;
                    parts.sink.definition(&define(job, source.as_ref()).await?)
                });
                DefinedTable {
                    source: job.from.clone(),
                    target: job.to.clone(),
                    statements: statements.await,
                }
            })
            .buffered(PLANNED_AT_ONCE)
            .collect()
            .await;
        Ok(definitions)
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
    /// Cancel through `cx`, or give it a [deadline](migrate_core::Deadline): running chunks are rolled
    /// back and given back, and the outcome is [`Outcome::Paused`]. Dropping the call loses no rows
    /// either, but leaves the chunks leased until their leases run out.
    pub async fn run(&self, cx: &RunContext) -> Result<RunReport> {
        let (cx, _alarm) = until_deadline(cx);
        let report = self.copy(&cx).await;
        self.close().await;
        report
    }

    async fn copy(&self, cx: &RunContext) -> Result<RunReport> {
        let started = Instant::now();
        self.check(cx).await?;
        let ledgers = self.ledgers(cx);
        let run = cx.unless_cancelled(self.begin(&ledgers)).await?;
        cx.emit(&Event::RunStarted {
            run: run.id,
            resumed: run.resumed,
            table_count: self.jobs.len(),
            worker_count: usize::try_from(self.workers.get()).unwrap_or(usize::MAX),
        });
        let pulse = run.pulse(&ledgers, self.lease);
        self.announce_left_aside(&ledgers, cx).await?;
        let pins = self.run_pins(&ledgers, &run, cx).await?;
        let tables = plan_tables(self.unplanned(&ledgers, &run, &pins), cx).await;
        self.work_off(tables, ledgers, &run, pulse, started, cx).await
    }

    /// Works with others until every table has ended, and reports.
    pub(crate) async fn work_off(
        &self,
        tables: Vec<Table>,
        ledgers: Vec<Arc<Ledger>>,
        run: &Run,
        pulse: Pulse,
        started: Instant,
        cx: &RunContext,
    ) -> Result<RunReport> {
        let standings = join_all(tables.iter().map(|table| table.standing(cx))).await;
        let drain = Arc::new(Drain::new(
            tables,
            &standings,
            ledgers,
            self.workers,
            self.memory_budget,
            self.lease,
            &self.invoked_by,
        ));
        drain.run(self.workers, cx).await;
        drop(pulse);
        let report = report(&drain, run, started).await?;
        cx.emit(&Event::RunFinished { run: report.run, outcome: report.outcome });
        Ok(report)
    }

    /// Nothing is left running in a source, whatever came of the run.
    pub(crate) async fn close(&self) {
        let sources = distinct(self.jobs.iter().map(|(_, parts)| &parts.source));
        join_all(sources.iter().map(|source| source.close())).await;
    }

    /// Every distinct source and sink answers.
    pub(crate) async fn check(&self, cx: &RunContext) -> Result<()> {
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

    pub(crate) fn ledgers(&self, cx: &RunContext) -> Vec<Arc<Ledger>> {
        let stores = distinct(self.jobs.iter().map(|(_, parts)| &parts.status));
        stores
            .into_iter()
            .map(|store| {
                let outage = Arc::new(Outage::new(self.lease, cx.cancel.clone()));
                Arc::new(Ledger { store: Arc::clone(store), leases: HeldLeases::default(), outage })
            })
            .collect()
    }

    /// One run in every ledger, under one id.
    async fn begin(&self, ledgers: &[Arc<Ledger>]) -> Result<Run> {
        for ledger in ledgers {
            ledger.store.install().await?;
        }
        let mut run = Run { id: RunId::random(), resumed: false, tables: Vec::new() };
        let joined = self.run_to_join(ledgers, run.id).await?;
        let mut tables = Vec::with_capacity(self.jobs.len());
        for ledger in ledgers {
            let (mine, request) = self.request(ledger, run.id, joined);
            let handle = ledger.store.begin_run(&request).await?;
            run.id = handle.run;
            run.resumed |= handle.resumed;
            tables.extend(mine.into_iter().zip(handle.tables));
        }
        run.with_tables(tables, self.jobs.len())
    }

    /// What [`begin`](Self::begin) would find, with made-up ids for new tables. Nothing is written.
    async fn preview(&self, ledgers: &[Arc<Ledger>]) -> Result<Run> {
        let run = Run { id: RunId::random(), resumed: false, tables: Vec::new() };
        let joined = self.run_to_join(ledgers, run.id).await?;
        let mut tables = Vec::with_capacity(self.jobs.len());
        for ledger in ledgers {
            let (mine, request) = self.request(ledger, run.id, joined);
            let adoptions = ledger.store.preview_run(&request).await?;
            let mut adopted = adoptions.map(|adoptions| adoptions.tables).unwrap_or_default();
            adopted.resize(mine.len(), Adoption::Start);
            tables.extend(mine.into_iter().zip(adopted).map(|(at, adoption)| {
                let made_up = TableId(-1 - i64::try_from(at).unwrap_or_default());
                let (id, run, state) = match adoption {
                    Adoption::Start => (made_up, run.id, TableState::New),
                    Adoption::Resume(id, run) => (id, run, TableState::Resumed),
                    Adoption::Done(id, run) => (id, run, TableState::Completed),
                };
                (at, TableHandle { id, run, state, notes: Vec::new(), has_leftovers: false })
            }));
        }
        run.with_tables(tables, self.jobs.len())
    }

    /// The run that goes on in one of several ledgers, so that the others take part in it.
    async fn run_to_join(&self, ledgers: &[Arc<Ledger>], new: RunId) -> Result<Option<RunId>> {
        if ledgers.len() < 2 {
            return Ok(None);
        }
        for ledger in ledgers {
            let (_, request) = self.request(ledger, new, None);
            let adoptions = match ledger.store.preview_run(&request).await {
                // A run that is asked for by its id may be known to another ledger.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                answer => answer?,
            };
            if let Some(adoptions) = adoptions.filter(|adoptions| adoptions.resumed) {
                return Ok(Some(adoptions.run));
            }
        }
        Ok(None)
    }

    /// The jobs whose ledger this is, and what it is asked for them.
    pub(crate) fn requests(&self, ledger: &Ledger) -> (Vec<usize>, Vec<TableRequest>) {
        let of_ledger = self
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, (_, parts))| same(&parts.status, &ledger.store));
        of_ledger.map(|(at, (job, _))| (at, job.request())).unzip()
    }

    /// What a ledger is asked, and which jobs it is asked about.
    fn request(
        &self,
        ledger: &Ledger,
        new: RunId,
        joined: Option<RunId>,
    ) -> (Vec<usize>, RunRequest) {
        let (mine, tables) = self.requests(ledger);
        let request = RunRequest::new(new, tables, self.invoked_by.clone())
            .with_resume(self.resume)
            .with_joined(joined);
        (mine, request)
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
                    let pinning = || ledger.store.pin_snapshot(run.id, &name, &candidate);
                    *moment = Some(steadily!(ledger.outage, pinning())?);
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
        let entries = self.jobs.iter().zip(&run.tables);
        entries
            .map(|((job, parts), handle)| Unplanned {
                table: Table::new(job, parts, handle, place_of(parts, ledgers)),
                job,
                parts,
                pinned: pins.of(&parts.source),
                may_be_stored: true,
                missing: Missing::Create,
                shares_target: self.jobs.iter().filter(|(other, _)| other.to == job.to).count() > 1,
            })
            .collect()
    }
}

/// The ledger of a job among those of the migration.
pub(crate) fn place_of(parts: &Parts, ledgers: &[Arc<Ledger>]) -> (usize, Arc<Outage>) {
    let mut ledgers = ledgers.iter().enumerate();
    let (at, ledger) = ledgers
        .find(|(_, one)| same(&one.store, &parts.status))
        .expect("invariant: `ledgers` has the store of every job");
    (at, Arc::clone(&ledger.outage))
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
            match steadily!(ledger.outage, ledger.store.finish_run(id)) {
                // The run stops here all the same; whoever goes on with it ends it.
                Err(error) if error.kind() == ErrorKind::Cancelled => {
                    tracing::warn!(error = %error.report(), "the end of the run was not recorded");
                }
                ended => {
                    ended?;
                }
            }
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
        effort: drain.tally.effort(),
    })
}

/// One status store and the leases that this process holds in it.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) store: Arc<dyn StatusStore>,
    pub(crate) leases: HeldLeases,
    /// How long it is waited for.
    pub(crate) outage: Arc<Outage>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) resumed: bool,
    /// In the order of the jobs.
    pub(crate) tables: Vec<TableHandle>,
}

impl Run {
    /// Shows it, and the earlier runs that its tables belong to, as alive.
    pub(crate) fn pulse(&self, ledgers: &[Arc<Ledger>], ttl: Duration) -> Pulse {
        let runs = self.tables.iter().map(|table| table.run).chain([self.id]).collect();
        Pulse::start(ledgers, &runs, ttl)
    }

    /// Takes the tables, each with the position of its job.
    pub(crate) fn with_tables(
        mut self,
        mut tables: Vec<(usize, TableHandle)>,
        count: usize,
    ) -> Result<Self> {
        tables.sort_unstable_by_key(|(at, _)| *at);
        self.tables = tables.into_iter().map(|(_, handle)| handle).collect();
        if self.tables.len() == count {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Internal, "The ledger did not answer for every table")
            .with_hint("report this: a status store does not keep its contract"))
    }
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
