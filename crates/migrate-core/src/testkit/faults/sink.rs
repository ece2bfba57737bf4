//! A sink whose calls may fail.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Fault, Faulty, apply, cut};
use crate::chunk::Chunk;
use crate::column_match::ColumnPair;
use crate::commit::{CommitRecord, Fence};
use crate::context::RunContext;
use crate::error::Result;
use crate::greatest::TargetGreatest;
use crate::name::TableRef;
use crate::schema::{TableDefinition, TableSchema};
use crate::set_aside::SetAside;
use crate::sink::{
    Fidelity, LoadPlan, PlanFacts, SettledPlan, Sink, SinkCapabilities, SinkTable, WriteSummary,
};
use crate::source::BatchStream;

#[async_trait]
impl Sink for Faulty<dyn Sink> {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn check(&self) -> Result<()> {
        self.faults.around("check", None, self.inner.check()).await
    }

    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>> {
        let inner = self.faults.around("open", None, self.inner.open(table)).await?;
        Ok(Arc::new(Faulty::new(inner, self.faults.clone())))
    }

    fn definition(&self, wanted: &TableDefinition) -> Result<Vec<String>> {
        self.inner.definition(wanted)
    }

    async fn create(&self, wanted: &TableDefinition) -> Result<()> {
        self.faults.around("create", None, self.inner.create(wanted)).await
    }

    fn imagine(&self, wanted: &TableDefinition) -> Result<Arc<dyn SinkTable>> {
        self.inner.imagine(wanted)
    }
}

#[async_trait]
impl SinkTable for Faulty<dyn SinkTable> {
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
        self.faults.around("is_empty", None, self.inner.is_empty()).await
    }

    async fn greatest(&self, pair: &ColumnPair) -> Result<Option<TargetGreatest>> {
        self.faults.around("greatest", None, self.inner.greatest(pair)).await
    }

    fn write_memory_bytes(&self, plan: &LoadPlan, chunk: &Chunk) -> u64 {
        self.inner.write_memory_bytes(plan, chunk)
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        self.faults.around("referenced_by", None, self.inner.referenced_by()).await
    }

    async fn references(&self) -> Result<Vec<TableRef>> {
        self.faults.around("references", None, self.inner.references()).await
    }

    async fn settle_plan(&self, plan: LoadPlan, facts: PlanFacts) -> Result<SettledPlan> {
        self.faults.around("settle_plan", None, self.inner.settle_plan(plan, facts)).await
    }

    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        self.faults.around("prepare", Some(cx), self.inner.prepare(plan, record, cx)).await
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let call = "write_chunk";
        match self.faults.next(call) {
            Some(Fault::Disconnecting) => {
                let batches = cut(batches, call);
                self.inner.write_chunk(plan, chunk, batches, record, cx).await
            }
            fault => {
                let write = self.inner.write_chunk(plan, chunk, batches, record, cx);
                apply(fault, call, Some(cx), write).await
            }
        }
    }

    async fn publish(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        self.faults.around("publish", Some(cx), self.inner.publish(plan, record, cx)).await
    }

    async fn restore(
        &self,
        object: &SetAside,
        fence: Option<&dyn Fence>,
        cx: &RunContext,
    ) -> Result<()> {
        let restored = self.inner.restore(object, fence, cx);
        self.faults.around("restore", Some(cx), restored).await
    }

    async fn finish(&self, plan: &LoadPlan, cx: &RunContext) -> Result<()> {
        self.faults.around("finish", Some(cx), self.inner.finish(plan, cx)).await
    }
}
