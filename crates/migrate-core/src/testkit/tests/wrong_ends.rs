//! Sinks, sources and strategies that break one promise each.

use std::num::NonZeroU64;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use super::memory::{MemoryTables, MemoryTarget};
use crate::chunk::{Chunk, ChunkPlan};
use crate::chunking::{ChunkingStrategy, PlanInput};
use crate::column_match::ColumnPair;
use crate::commit::CommitRecord;
use crate::context::RunContext;
use crate::error::Result;
use crate::histogram::{HistogramRequest, KeyHistogram};
use crate::key::Key;
use crate::name::TableRef;
use crate::predicate::Predicate;
use crate::schema::TableSchema;
use crate::sink::{
    CommitGuarantee, Fidelity, LoadPlan, Sink, SinkCapabilities, SinkTable, WriteSummary,
};
use crate::source::{
    BatchStream, ObjectStat, Pushdown, ScanRequest, Snapshot, Source, SourceTable,
};
use crate::testkit::chunking::StrategyFixture;
use crate::testkit::sink::{Row, SinkFixture};
use crate::testkit::source::SourceFixture;
use crate::testkit::{Report, Testkit};

fn found(report: &Report, rule: &str, wrong: impl std::fmt::Debug) {
    assert!(report.broken().contains(&rule), "{wrong:?}: {report}");
    assert!(report.broken().len() < report.rules().len(), "not all promises: {report}");
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum WrongSink {
    KeepsBrokenChunks,
    IgnoresCancel,
    CountsWrong,
    DropsRecords,
    EmptiesUnasked,
    AppendsWhenAskedToMerge,
    KeepsEmptiedChunks,
}

#[derive(Debug)]
struct WrongTarget(MemoryTarget, WrongSink);

#[derive(Debug)]
struct WrongSinkOf(Arc<dyn Sink>, WrongSink);

#[derive(Debug)]
struct WrongSinkTable(Arc<dyn SinkTable>, WrongSink);

#[async_trait]
impl SinkFixture for WrongTarget {
    fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(WrongSinkOf(self.0.sink(), self.1))
    }

    fn table(&self) -> TableRef {
        self.0.table()
    }

    async fn rows(&self) -> Result<Vec<Row>> {
        self.0.rows().await
    }
}

#[async_trait]
impl Sink for WrongSinkOf {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn check(&self) -> Result<()> {
        self.0.check().await
    }

    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>> {
        Ok(Arc::new(WrongSinkTable(self.0.open(table).await?, self.1)))
    }
}

#[async_trait]
impl SinkTable for WrongSinkTable {
    fn schema(&self) -> &Arc<TableSchema> {
        self.0.schema()
    }

    fn capabilities(&self) -> SinkCapabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.truncate = self.1 != WrongSink::EmptiesUnasked;
        capabilities.commit = CommitGuarantee::IdempotentPerChunk;
        capabilities
    }

    fn assess(&self, pair: &ColumnPair) -> Fidelity {
        self.0.assess(pair)
    }

    async fn is_empty(&self) -> Result<bool> {
        self.0.is_empty().await
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        self.0.referenced_by().await
    }

    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        let record = record.filter(|_| self.1 != WrongSink::DropsRecords);
        self.0.prepare(plan, record, cx).await
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let (mut plan, mut batches, mut cx) = (plan.clone(), batches, cx.clone());
        let record = record.filter(|_| self.1 != WrongSink::DropsRecords);
        match self.1 {
            WrongSink::KeepsBrokenChunks => {
                batches = batches.take_while(|batch| std::future::ready(batch.is_ok())).boxed();
            }
            WrongSink::IgnoresCancel => cx = RunContext::new(),
            WrongSink::AppendsWhenAskedToMerge => plan.mode = crate::WriteMode::Copy,
            WrongSink::KeepsEmptiedChunks => {
                let all: Vec<_> = batches.try_collect().await?;
                if all.iter().all(|batch| batch.num_rows() == 0) {
                    return Ok(WriteSummary::default());
                }
                batches = stream::iter(all.into_iter().map(Ok)).boxed();
            }
            _ => {}
        }
        let mut summary = self.0.write_chunk(&plan, chunk, batches, record, &cx).await?;
        if self.1 == WrongSink::CountsWrong {
            summary.rows_read += 1;
        }
        Ok(summary)
    }

    async fn finish(&self, plan: &LoadPlan, cx: &RunContext) -> Result<()> {
        self.0.finish(plan, cx).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_finds_each_broken_promise_of_a_sink() {
    let kit =
        Testkit::new().with_patience(|| tokio::time::sleep(std::time::Duration::from_mins(1)));
    for (wrong, rule) in [
        (WrongSink::KeepsBrokenChunks, "a_broken_stream_writes_nothing"),
        (WrongSink::IgnoresCancel, "a_cancelled_chunk_writes_nothing"),
        (WrongSink::CountsWrong, "counts_are_balanced"),
        (WrongSink::DropsRecords, "a_record_is_refused_where_none_is_declared"),
        (WrongSink::EmptiesUnasked, "emptying_is_done_or_refused"),
        (WrongSink::AppendsWhenAskedToMerge, "known_keys_are_updated_or_it_is_refused"),
        (WrongSink::KeepsEmptiedChunks, "a_chunk_written_again_replaces_what_it_wrote"),
    ] {
        let fresh = move || async move { Ok(WrongTarget(MemoryTarget::new(), wrong)) };
        found(&kit.sink(fresh).await, rule, wrong);
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum WrongSource {
    LosesTheLastBatch,
    IgnoresTheFilter,
    IgnoresTheColumns,
    IgnoresTheOrder,
    IgnoresTheLimits,
    ReadsThePresent,
    EstimatesHistograms,
    ClaimsEveryPredicate,
    IgnoresCancel,
}

#[derive(Debug)]
struct WrongTables(MemoryTables, WrongSource);

#[derive(Debug)]
struct WrongSourceOf(Arc<dyn Source>, WrongSource);

#[derive(Debug)]
struct WrongSourceTable(Arc<dyn SourceTable>, WrongSource, Option<Snapshot>);

#[async_trait]
impl SourceFixture for WrongTables {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(WrongSourceOf(self.0.source(), self.1))
    }

    fn table(&self) -> TableRef {
        self.0.table()
    }

    async fn shrink(&self) -> Result<()> {
        self.0.shrink().await
    }
}

#[async_trait]
impl Source for WrongSourceOf {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn check(&self) -> Result<()> {
        self.0.check().await
    }

    async fn pin(&self) -> Result<Option<Snapshot>> {
        self.0.pin().await
    }

    async fn open(
        &self,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Arc<dyn SourceTable>> {
        let moment = snapshot.filter(|_| self.1 != WrongSource::ReadsThePresent);
        let inner = self.0.open(table, moment).await?;
        Ok(Arc::new(WrongSourceTable(inner, self.1, snapshot.cloned())))
    }
}

#[async_trait]
impl SourceTable for WrongSourceTable {
    fn schema(&self) -> &Arc<TableSchema> {
        self.0.schema()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.2.as_ref()
    }

    fn pushdown(&self, predicate: &Predicate) -> Pushdown {
        match self.1 {
            WrongSource::ClaimsEveryPredicate => Pushdown::Unsupported,
            _ => self.0.pushdown(predicate),
        }
    }

    fn scan_memory_bytes(&self, request: &ScanRequest) -> u64 {
        self.0.scan_memory_bytes(request)
    }

    async fn count(&self, filter: &Predicate) -> Result<u64> {
        self.0.count(filter).await
    }

    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>> {
        let mut found = self.0.histograms(request).await?;
        if self.1 == WrongSource::EstimatesHistograms {
            for bucket in found.iter_mut().flat_map(|one| &mut one.buckets) {
                bucket.rows = bucket.rows.next_multiple_of(10);
            }
        }
        Ok(found)
    }

    fn can_sort(&self) -> bool {
        self.0.can_sort()
    }

    async fn objects(&self) -> Result<Vec<ObjectStat>> {
        self.0.objects().await
    }

    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream> {
        let (mut request, mut cx) = (request, cx.clone());
        match self.1 {
            WrongSource::IgnoresTheFilter => request.filter = Predicate::All,
            WrongSource::IgnoresTheColumns => request.columns.sort(),
            WrongSource::IgnoresTheOrder => request.order.clear(),
            WrongSource::IgnoresTheLimits => {
                request.batch_rows = NonZeroU64::MAX;
            }
            WrongSource::IgnoresCancel => cx = RunContext::new(),
            _ => {}
        }
        let batches = self.0.scan(request, &cx).await?;
        if self.1 == WrongSource::LosesTheLastBatch {
            let mut all: Vec<_> = batches.try_collect().await?;
            all.pop();
            return Ok(stream::iter(all.into_iter().map(Ok)).boxed());
        }
        if self.1 == WrongSource::IgnoresCancel {
            return Ok(batches.take(3).boxed());
        }
        Ok(batches)
    }
}

#[tokio::test]
async fn the_suite_finds_each_broken_promise_of_a_source() {
    for (wrong, rule) in [
        (WrongSource::LosesTheLastBatch, "a_count_is_the_number_of_rows_streamed"),
        (WrongSource::LosesTheLastBatch, "parts_of_a_key_hold_each_row_once"),
        (WrongSource::IgnoresTheFilter, "a_filter_and_an_extent_both_apply"),
        (WrongSource::IgnoresTheColumns, "columns_come_in_the_order_and_form_that_were_asked_for"),
        (WrongSource::IgnoresTheOrder, "rows_come_in_the_order_that_was_asked_for"),
        (WrongSource::IgnoresTheLimits, "batches_keep_their_limits"),
        (WrongSource::ReadsThePresent, "a_frozen_moment_does_not_move"),
        (WrongSource::EstimatesHistograms, "a_histogram_is_exact"),
        (WrongSource::ClaimsEveryPredicate, "a_predicate_is_applied_or_refused"),
        (WrongSource::IgnoresCancel, "a_cancelled_scan_does_not_look_complete"),
    ] {
        let fresh = move || async move { Ok(WrongTables(MemoryTables::new()?, wrong)) };
        found(&Testkit::new().source(fresh).await, rule, wrong);
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum WrongStrategy {
    ForgetsNulls,
    SharesBounds,
    IgnoresTheFilter,
    CountsWrong,
    CutsEmptyChunks,
    IgnoresTheSize,
    NumbersTwice,
}

/// Cuts at every second key, in one way or another wrongly.
#[derive(Debug)]
struct Cutter(WrongStrategy);

#[async_trait]
impl ChunkingStrategy for Cutter {
    fn name(&self) -> &'static str {
        "cutter"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        let key = Key::column("number");
        let everything = &Predicate::All;
        let filter =
            if self.0 == WrongStrategy::IgnoresTheFilter { everything } else { input.filter };
        let request = HistogramRequest::new(&key, input.chunk_rows).with_filter(filter);
        let found = input.table.histograms(&request).await?;
        let mut cuts: Vec<_> = found.iter().flat_map(|one| &one.buckets).skip(1).collect();
        if self.0 == WrongStrategy::IgnoresTheSize {
            cuts.clear();
        }
        let mut cuts: Vec<_> = cuts.into_iter().map(|bucket| bucket.first.clone()).collect();
        if self.0 == WrongStrategy::CutsEmptyChunks {
            cuts.push(i64::MAX.into());
        }
        let mut parts = Predicate::partition(key.clone(), &cuts);
        match self.0 {
            WrongStrategy::ForgetsNulls => {
                parts = Predicate::partition_nulls_apart(key, &cuts).split_off(1);
            }
            WrongStrategy::SharesBounds => {
                let shared = |cut: &crate::Scalar| Predicate::In {
                    column: "number".into(),
                    values: vec![cut.clone()],
                };
                let twice: Vec<_> = cuts.first().map(shared).into_iter().collect();
                parts.extend(twice);
            }
            _ => {}
        }
        let mut plan = ChunkPlan::from_predicates(self.name(), "on purpose", parts);
        for chunk in &mut plan.chunks {
            match self.0 {
                WrongStrategy::CountsWrong | WrongStrategy::IgnoresTheFilter => {
                    chunk.expected_rows = Some(1);
                }
                WrongStrategy::NumbersTwice => chunk.id = crate::ChunkId(7),
                _ => {}
            }
        }
        Ok(plan)
    }
}

#[derive(Debug, Clone, Copy)]
struct WrongCut(WrongStrategy);

impl StrategyFixture for WrongCut {
    fn strategy(&self) -> Arc<dyn ChunkingStrategy> {
        Arc::new(Cutter(self.0))
    }

    fn keys(&self) -> Vec<Key> {
        vec!["number".into()]
    }
}

#[tokio::test]
async fn the_suite_finds_each_broken_promise_of_a_strategy() {
    for (wrong, rule) in [
        (WrongStrategy::ForgetsNulls, "each_row_is_in_one_chunk"),
        (WrongStrategy::ForgetsNulls, "rows_without_a_key_have_a_home"),
        (WrongStrategy::SharesBounds, "each_row_is_in_one_chunk"),
        (WrongStrategy::IgnoresTheFilter, "counts_are_true"),
        (WrongStrategy::CountsWrong, "counts_are_true"),
        (WrongStrategy::CutsEmptyChunks, "no_chunk_is_empty"),
        (WrongStrategy::IgnoresTheSize, "chunks_keep_their_size"),
        (WrongStrategy::NumbersTwice, "chunks_are_numbered_from_zero"),
    ] {
        let report = Testkit::new().strategy(move || async move { Ok(WrongCut(wrong)) }).await;
        found(&report, rule, wrong);
    }
}
