//! One open target table.

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::{
    BatchStream, Chunk, ColumnPair, CommitGuarantee, CommitRecord, Dialect, Error, ErrorKind,
    Fidelity, LoadPlan, Result, RunContext, SinkCapabilities, SinkTable, SqlBuilder, TableRef,
    TableSchema, WriteMode, WriteSummary, code,
};
use migrate_postgres::{Database, bound, classify, execute, sqlx};
use sqlx::Row;

use super::catalog::{LoadedTable, catalog};
use super::copy_binary::{EncodedColumn, RowEncoder, choose};
use super::row_keys::RowKeys;
use super::session::Session;
use super::{prepare, write};

/// A target table with its types.
#[derive(Debug)]
pub(super) struct PgSinkTable {
    database: Database,
    loaded: LoadedTable,
}

impl PgSinkTable {
    pub(super) fn new(database: Database, loaded: LoadedTable) -> Self {
        Self { database, loaded }
    }

    fn name(&self) -> &TableRef {
        &self.loaded.schema.table
    }

    /// The encoder for the planned columns.
    fn encoder(&self, plan: &LoadPlan) -> Result<RowEncoder> {
        let read = plan.read_columns();
        let columns = plan.columns.iter().map(|pair| {
            let pg_type = self.loaded.type_of(&pair.target)?;
            let (codec, _) = choose(pair, pg_type).map_err(|why| {
                Error::new(code::TYPE_MISMATCH, format!("Column cannot be written: {why}"))
                    .with("column", &pair.target)
                    .with("table", self.name())
                    .with_hint("the target has changed; plan the table again with --no-resume")
            })?;
            let position = read.iter().position(|name| *name == pair.source).unwrap_or_default();
            Ok(EncodedColumn { name: pair.target.as_str().to_owned(), position, codec })
        });
        columns.collect::<Result<_>>().map(RowEncoder::new)
    }
}

/// What every table of the database can do.
pub(super) fn capabilities(database: &Database) -> SinkCapabilities {
    let mut capabilities = SinkCapabilities::default();
    capabilities.truncate = true;
    capabilities.commit = CommitGuarantee::Transactional(database.domain().clone());
    capabilities
}

/// The statement that takes the rows.
fn copy_statement(table: &TableRef, columns: &[ColumnPair]) -> String {
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("copy ").table(table).text(" (");
    sql.names(columns.iter().map(|pair| pair.target.as_str()));
    sql.text(") from stdin (format binary)");
    sql.finish().sql
}

#[async_trait]
impl SinkTable for PgSinkTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.loaded.schema
    }

    fn capabilities(&self) -> SinkCapabilities {
        capabilities(&self.database)
    }

    fn assess(&self, pair: &ColumnPair) -> Fidelity {
        self.loaded.assess(pair)
    }

    async fn is_empty(&self) -> Result<bool> {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select not exists (select from ").table(self.name()).text(") as empty");
        let failed =
            |cause| classify("Cannot look into the target table", cause).with("table", self.name());
        bound(&sql.finish())
            .fetch_one(self.database.pool())
            .await
            .and_then(|row| row.try_get("empty"))
            .map_err(failed)
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        let rows = sqlx::query(
            "select distinct n.nspname, c.relname from pg_constraint k \
             join pg_class c on c.oid = k.conrelid \
             join pg_namespace n on n.oid = c.relnamespace \
             where k.contype = 'f' and k.confrelid = $1::oid and k.conrelid <> k.confrelid \
               and k.conparentid = 0",
        )
        .bind(self.loaded.oid)
        .fetch_all(self.database.pool())
        .await
        .map_err(|cause| catalog(cause, self.name()))?;
        rows.iter()
            .map(|row| {
                Ok(TableRef {
                    database: self.name().database.clone(),
                    schema: Some(row.try_get("nspname")?),
                    name: row.try_get("relname")?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|cause| catalog(cause, self.name()))
    }

    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        cx.unless_cancelled(prepare::prepare(&self.database, self.name(), plan, record)).await
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        if plan.mode != WriteMode::Copy {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("The write mode {} is not available", plan.mode),
            )
            .with("table", self.name())
            .with_hint("remove `uniqueness_columns` and load with `truncate_onstart`"));
        }
        let transfer = write::Transfer {
            table: self.name(),
            domain: self.database.domain(),
            copy_statement: copy_statement(self.name(), &plan.columns),
            encoder: self.encoder(plan)?,
            keys: RowKeys::new(plan, &self.loaded.primary_key, chunk),
            record,
        };
        let mut session = Session::open(&self.database).await?;
        // Leaving early drops the session, which closes its connection: the server rolls back.
        let summary = cx.unless_cancelled(transfer.run(&mut session, batches)).await?;
        session.give_back();
        Ok(summary)
    }

    async fn finish(&self, _plan: &LoadPlan, cx: &RunContext) -> Result<()> {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("analyze ").table(self.name());
        let statement = sql.finish();
        let mut session = Session::open(&self.database).await?;
        cx.unless_cancelled(async {
            execute(&mut session, &statement).await.map_err(|cause| {
                classify("Cannot refresh the planner's statistics", cause)
                    .with("table", self.name())
            })
        })
        .await?;
        session.give_back();
        Ok(())
    }
}
