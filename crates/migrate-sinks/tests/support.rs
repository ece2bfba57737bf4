//! A sink in a database of its own, and batches to write into it.

use std::sync::Arc;

use futures::{StreamExt, stream};
use migrate_core::arrow::array::{ArrayRef, RecordBatch};
use migrate_core::arrow::datatypes::{Field, Schema};
use migrate_core::{
    BatchStream, Chunk, ChunkId, ColumnPair, ColumnType, CommitDomain, CommitRecord, Error, Extent,
    LoadPlan, Predicate, Result, RunContext, Scalar, Sink, SinkTable, SqlStatement, TableRef,
    WriteSummary,
};
use migrate_postgres::{Database, PostgresSettings, sqlx};
use migrate_sinks::PgSink;
use postgres_sandbox::TestDatabase;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row};

pub(crate) struct Target {
    pub(crate) database: Database,
    pub(crate) sink: PgSink,
    pub(crate) server: TestDatabase,
}

impl Target {
    /// A database with these tables.
    pub(crate) async fn with(sql: &'static str) -> Self {
        let server = TestDatabase::create().await;
        let settings = PostgresSettings::from_url(server.url()).expect("url");
        let database = Database::connect(&settings, 4).await.expect("connects");
        sqlx::raw_sql(sql).execute(database.pool()).await.expect(sql);
        Self { sink: PgSink::new(database.clone()), database, server }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn table(&self, name: &str) -> Arc<dyn SinkTable> {
        self.sink.open(&TableRef::in_schema("public", name)).await.expect(name)
    }

    /// The one value of a query, as text.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        made_up(sql).fetch_one(self.pool()).await.expect(sql).try_get(0).expect("a text")
    }

    /// Runs a statement that the test has put together.
    pub(crate) async fn execute(&self, sql: &str) {
        made_up(sql).execute(self.pool()).await.expect(sql);
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("select count(*)::text from {table}");
        self.text(&sql).await.and_then(|text| text.parse().ok()).expect("a count")
    }
}

#[expect(clippy::disallowed_methods, reason = "statements of tests")]
fn made_up(sql: &str) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(sql))
}

/// One column of a batch: its name on both sides, its type, its values.
pub(crate) struct Given(pub(crate) &'static str, pub(crate) ColumnType, pub(crate) ArrayRef);

pub(crate) fn plan(columns: &[Given]) -> LoadPlan {
    let pairs = columns
        .iter()
        .map(|Given(name, column_type, _)| ColumnPair::new(*name, *name, column_type.clone()));
    LoadPlan::append(pairs.collect())
}

pub(crate) fn batch(columns: Vec<Given>) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .map(|Given(name, _, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|Given(_, _, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("a batch")
}

pub(crate) fn batches(items: Vec<Result<RecordBatch>>) -> BatchStream {
    stream::iter(items).boxed()
}

pub(crate) fn chunk() -> Chunk {
    Chunk::new(ChunkId(0), Extent::Rows { predicate: Predicate::All })
}

/// Writes one chunk of one batch.
pub(crate) async fn write(table: &dyn SinkTable, columns: Vec<Given>) -> Result<WriteSummary> {
    let plan = plan(&columns);
    let rows = batches(vec![Ok(batch(columns))]);
    table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await
}

/// A record that changes the rows of table `ledger` with this number.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) domain: CommitDomain,
    pub(crate) number: i64,
}

impl CommitRecord for Ledger {
    fn domain(&self) -> &CommitDomain {
        &self.domain
    }

    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        let rows = i64::try_from(summary.rows_inserted).expect("small");
        SqlStatement {
            sql: "update ledger set rows = $1 where number = $2".into(),
            params: vec![Scalar::from(rows), Scalar::from(self.number)],
        }
    }
}

pub(crate) fn on_purpose() -> Error {
    Error::new(migrate_core::ErrorKind::Connection, "On purpose")
}
