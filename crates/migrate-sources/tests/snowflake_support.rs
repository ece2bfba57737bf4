//! A double with tables, and the source that reads it.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use migrate_core::arrow::array::{AsArray, RecordBatch};
use migrate_core::arrow::datatypes::Decimal128Type;
use migrate_core::{
    ColumnName, Extent, Predicate, Result, RunContext, ScanRequest, Source, SourceTable, TableRef,
};
use migrate_sources::{SnowflakeAuth, SnowflakeSettings, SnowflakeSource};
use snowflake_double::{Double, DoubleBuilder, Table, Type, User, Value};
use tokio::task::JoinSet;

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

pub(crate) async fn open_with(settings: SnowflakeSettings, name: &str) -> Arc<dyn SourceTable> {
    let source = SnowflakeSource::new(settings).expect("valid settings");
    source.open(&table(name), None).await.expect("opens")
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

/// The ids of `ORDERS` as they arrived; NULL is -1.
pub(crate) fn ids(batches: &[RecordBatch]) -> Vec<i128> {
    let all = batches.iter().flat_map(|batch| {
        let ids = batch.column_by_name("ID").expect("ID").as_primitive::<Decimal128Type>();
        ids.iter().map(|id| id.unwrap_or(-1))
    });
    all.collect()
}

/// Whether these are the rows of `ORDERS`, each once, in any order.
pub(crate) fn are_all_orders(batches: &[RecordBatch]) -> bool {
    let mut found = ids(batches);
    found.sort_unstable();
    let mut expected: Vec<i128> = (0..1000).map(|id| if id % 10 == 0 { -1 } else { id }).collect();
    expected.sort_unstable();
    found == expected
}

/// How often the statement of a scan of `ORDERS` ran.
pub(crate) fn scans(double: &Double) -> usize {
    double.count_statements(|sql| sql.starts_with("SELECT \"ID\""))
}

/// Lets the time of this runtime pass `scale` times faster than that of the double, which has a
/// runtime of its own. Ends when it is dropped.
pub(crate) fn fast_time(scale: u32) -> JoinSet<()> {
    const STEP: Duration = Duration::from_millis(1);
    let mut clock = JoinSet::new();
    tokio::time::pause();
    clock.spawn(async move {
        loop {
            // While a blocking task runs, paused time does not move by itself.
            let step = tokio::task::spawn_blocking(|| std::thread::sleep(STEP));
            step.await.expect("sleeps");
            tokio::time::advance(STEP * scale).await;
        }
    });
    clock
}

/// Limits of minutes, for tests in fast time.
pub(crate) fn patient(double: &Double) -> SnowflakeSettings {
    let mut settings = settings(double);
    settings.login_timeout = Duration::from_mins(5);
    settings.answer_timeout = Duration::from_mins(5);
    settings.partition_timeout = Duration::from_mins(5);
    settings
}
