//! Tables in memory, and components that fail when they are told to.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use migrate_chunking::NumericRange;
use migrate_core::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use migrate_core::arrow::datatypes::Int64Type;
use migrate_core::memory::{MemorySink, MemorySource, MemoryStore};
use migrate_core::{
    BatchStream, Chunk, Column, ColumnPair, ColumnType, CommitRecord, Error, Event, Fidelity,
    LoadPlan, Observer, Result, RunContext, Sink, SinkCapabilities, SinkTable, TableRef,
    TableRequest, TableSchema, WriteSummary,
};
use migrate_engine::{Migration, MigrationBuilder, TableJob};

pub(crate) fn from() -> TableRef {
    TableRef::bare("from")
}

pub(crate) fn to() -> TableRef {
    TableRef::bare("to")
}

pub(crate) fn rows(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter([("id", ids)]).expect("one column")
}

pub(crate) fn schema(table: TableRef) -> TableSchema {
    TableSchema::new(table, vec![Column::new("id", ColumnType::Int64, "int64")])
}

pub(crate) fn sink() -> MemorySink {
    MemorySink::new().with_table(schema(to()))
}

/// The ids that have arrived, in order.
pub(crate) fn arrived(sink: &MemorySink) -> Vec<i64> {
    let Some(rows) = sink.rows(&to()).expect("one schema") else { return Vec::new() };
    let mut ids: Vec<i64> = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids
}

/// Cut into chunks of ten rows.
pub(crate) fn job() -> TableJob {
    let mut job = TableJob::copy(from(), to())
        .with_chunking(Arc::new(NumericRange {}), ["id".into()])
        .with_chunk_rows(NonZeroU64::new(10).expect("not zero"));
    job.fingerprint = Some("the job".into());
    job
}

/// What the ledger is asked for that job.
pub(crate) fn request() -> TableRequest {
    TableRequest {
        source_name: "default".into(),
        source: from(),
        target: to(),
        fingerprint: "the job".into(),
    }
}

/// A migration of one table of a hundred rows.
pub(crate) fn builder<S: Sink + 'static>(
    sink: &Arc<S>,
    store: &Arc<MemoryStore>,
) -> MigrationBuilder {
    let source = MemorySource::new().with_table(from(), rows(0..100));
    Migration::builder()
        .source(Arc::new(source))
        .sink(Arc::clone(sink) as Arc<dyn Sink>)
        .status(Arc::clone(store) as Arc<dyn migrate_core::StatusStore>)
        .workers(NonZeroU32::new(3).expect("not zero"))
}

/// Remembers every event.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Event>>);

impl Observer for Recorder {
    fn on_event(&self, event: &Event) {
        self.0.lock().expect("not poisoned").push(event.clone());
    }
}

impl Recorder {
    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().expect("not poisoned").iter().filter(|event| wanted(event)).count()
    }
}

pub(crate) fn watched() -> (RunContext, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    (RunContext::new().with_observer(Arc::clone(&recorder) as Arc<dyn Observer>), recorder)
}

type Fault = dyn Fn(&Chunk, u32) -> Option<Error> + Send + Sync;
type Answer = dyn Fn(&Chunk, u32, WriteSummary) -> Result<WriteSummary> + Send + Sync;

/// Wraps a memory sink; a fault may fail a write by its chunk and the number of the write, or change
/// what is said of it.
#[derive(Clone)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<MemorySink>,
    before: Arc<Fault>,
    after: Arc<Answer>,
    writes: Arc<AtomicU32>,
    written: Arc<Mutex<Vec<u32>>>,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    /// Fails before anything is written.
    pub(crate) fn before(
        fault: impl Fn(&Chunk, u32) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Arc::new(fault), Arc::new(|_, _, summary| Ok(summary)))
    }

    /// Fails after the rows are committed: the answer is lost.
    pub(crate) fn after(
        fault: impl Fn(&Chunk, u32) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        Self::saying(move |chunk, write, summary| fault(chunk, write).map_or(Ok(summary), Err))
    }

    /// Says something else of what it has committed.
    pub(crate) fn saying(
        answer: impl Fn(&Chunk, u32, WriteSummary) -> Result<WriteSummary> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Arc::new(|_, _| None), Arc::new(answer))
    }

    fn new(before: Arc<Fault>, after: Arc<Answer>) -> Self {
        Self {
            inner: Arc::new(sink()),
            before,
            after,
            writes: Arc::default(),
            written: Arc::default(),
        }
    }

    /// The chunks of all writes in their order, failed ones included.
    pub(crate) fn written(&self) -> Vec<u32> {
        self.written.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl Sink for Faulty {
    fn name(&self) -> String {
        "faulty".into()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>> {
        let inner = self.inner.open(table).await?;
        Ok(Arc::new(FaultyTable { inner, faults: self.clone() }))
    }
}

#[derive(Debug)]
struct FaultyTable {
    inner: Arc<dyn SinkTable>,
    faults: Faulty,
}

#[async_trait]
impl SinkTable for FaultyTable {
    fn schema(&self) -> &Arc<TableSchema> {
        self.inner.schema()
    }

    fn capabilities(&self) -> SinkCapabilities {
        self.inner.capabilities()
    }

    fn assess(&self, pair: &ColumnPair) -> Fidelity {
        self.inner.assess(pair)
    }

    async fn is_empty(&self) -> Result<bool> {
        self.inner.is_empty().await
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        self.inner.referenced_by().await
    }

    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        self.inner.prepare(plan, record, cx).await
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let write = self.faults.writes.fetch_add(1, Ordering::SeqCst);
        self.faults.written.lock().expect("not poisoned").push(chunk.id.0);
        if let Some(error) = (self.faults.before)(chunk, write) {
            return Err(error);
        }
        let summary = self.inner.write_chunk(plan, chunk, batches, record, cx).await?;
        (self.faults.after)(chunk, write, summary)
    }

    async fn finish(&self, plan: &LoadPlan, cx: &RunContext) -> Result<()> {
        self.inner.finish(plan, cx).await
    }
}
