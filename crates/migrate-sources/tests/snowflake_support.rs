//! A double with tables, and the source that reads it.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use migrate_core::arrow::array::RecordBatch;
use migrate_core::{
    ColumnName, Extent, Predicate, Result, RunContext, ScanRequest, Source, SourceTable, TableRef,
};
use migrate_sources::{SnowflakeAuth, SnowflakeSettings, SnowflakeSource};
use snowflake_double::{Double, DoubleBuilder, Table, Type, User, Value};

pub(crate) const CANARY: &str = "canary-4711";

pub(crate) fn table(name: &str) -> TableRef {
    TableRef::qualified("DB", "PUBLIC", name)
}

/// `ORDERS`: ids 0 to 999, every tenth NULL, with a text.
pub(crate) fn orders() -> Table {
    let rows = (0..1000_i64).map(|id| {
        let key = if id % 10 == 0 { Value::Null } else { Value::from(id) };
        [key, Value::from(format!("order {id}").as_str())]
    });
    Table::new("DB.PUBLIC.ORDERS")
        .column("ID", Type::number(38, 0))
        .column("Name", Type::varchar())
        .rows(rows)
}

pub(crate) fn double() -> DoubleBuilder {
    Double::builder().account("ACME").warehouse("WH").user(User::password("MOVER", CANARY))
}

pub(crate) fn settings(double: &Double) -> SnowflakeSettings {
    let auth = SnowflakeAuth::Password(CANARY.into());
    let mut settings = SnowflakeSettings::new("ACME", "MOVER", auth, "WH");
    settings.base_url = Some(double.base_url().parse().expect("a URL"));
    settings.login_timeout = Duration::from_secs(5);
    settings.partition_timeout = Duration::from_millis(300);
    settings
}

pub(crate) fn source(double: &Double) -> SnowflakeSource {
    SnowflakeSource::new(settings(double)).expect("valid settings")
}

pub(crate) async fn open(double: &Double, name: &str) -> Arc<dyn SourceTable> {
    source(double).open(&table(name), None).await.expect("opens")
}

pub(crate) fn everything(columns: &[&str]) -> ScanRequest {
    let columns = columns.iter().map(|name| ColumnName::from(*name)).collect();
    ScanRequest::new(columns, Extent::Rows { predicate: Predicate::All })
}

pub(crate) async fn read(
    table: &dyn SourceTable,
    request: ScanRequest,
) -> Result<Vec<RecordBatch>> {
    table.scan(request, &RunContext::new()).await?.try_collect().await
}

pub(crate) fn row_count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}
