//! A source whose calls may fail.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Fault, Faulty, apply, cut};
use crate::context::RunContext;
use crate::error::Result;
use crate::greatest::Greatest;
use crate::histogram::{HistogramRequest, KeyHistogram};
use crate::name::{ColumnName, TableRef};
use crate::predicate::Predicate;
use crate::schema::{Annotations, TableSchema};
use crate::source::{
    BatchStream, DeclaredKeys, ObjectStat, Pushdown, ScanRequest, Snapshot, Source, SourceTable,
    TableSize,
};

#[async_trait]
impl Source for Faulty<dyn Source> {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn check(&self) -> Result<()> {
        self.faults.around("check", None, self.inner.check()).await
    }

    async fn pin(&self) -> Result<Option<Snapshot>> {
        self.faults.around("pin", None, self.inner.pin()).await
    }

    async fn open(
        &self,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Arc<dyn SourceTable>> {
        let inner = self.faults.around("open", None, self.inner.open(table, snapshot)).await?;
        Ok(Arc::new(Faulty::new(inner, self.faults.clone())))
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl SourceTable for Faulty<dyn SourceTable> {
    fn schema(&self) -> &Arc<TableSchema> {
        self.inner.schema()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.inner.snapshot()
    }

    fn pushdown(&self, predicate: &Predicate) -> Pushdown {
        self.inner.pushdown(predicate)
    }

    fn scan_memory_bytes(&self, request: &ScanRequest) -> u64 {
        self.inner.scan_memory_bytes(request)
    }

    async fn count(&self, filter: &Predicate) -> Result<u64> {
        self.faults.around("count", None, self.inner.count(filter)).await
    }

    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>> {
        self.faults.around("histograms", None, self.inner.histograms(request)).await
    }

    async fn size(&self) -> Result<TableSize> {
        self.faults.around("size", None, self.inner.size()).await
    }

    async fn declared_keys(&self) -> Result<DeclaredKeys> {
        self.faults.around("declared_keys", None, self.inner.declared_keys()).await
    }

    fn can_sort(&self) -> bool {
        self.inner.can_sort()
    }

    fn statement_to_see(&self, column: &ColumnName, rows: &Predicate) -> Option<String> {
        self.inner.statement_to_see(column, rows)
    }

    async fn annotations(&self) -> Result<Annotations> {
        self.faults.around("annotations", None, self.inner.annotations()).await
    }

    async fn greatest(&self, column: &ColumnName, filter: &Predicate) -> Result<Greatest> {
        self.faults.around("greatest", None, self.inner.greatest(column, filter)).await
    }

    async fn objects(&self) -> Result<Vec<ObjectStat>> {
        self.faults.around("objects", None, self.inner.objects()).await
    }

    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream> {
        match self.faults.next("scan") {
            Some(Fault::Disconnecting) => Ok(cut(self.inner.scan(request, cx).await?, "scan")),
            fault => apply(fault, "scan", Some(cx), self.inner.scan(request, cx)).await,
        }
    }
}
