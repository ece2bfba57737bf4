//! One open target table.

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::{
    BadRows, BatchStream, Chunk, ColumnName, ColumnPair, CommitGuarantee, CommitRecord, Dialect,
    Error, Fence, Fidelity, LoadPlan, PlanFacts, Result, RunContext, SetAside, SettledPlan,
    SinkCapabilities, SinkTable, SqlBuilder, TableRef, TableSchema, TargetGreatest, ValuePart,
    WriteMode, WriteSummary, code,
};
use migrate_postgres::{Database, classify, execute, sqlx};
use sqlx::Row;

use super::beside::Beside;
use super::catalog::{LoadedTable, catalog};
use super::copy_binary::{EncodedColumn, RowEncoder, choose};
use super::keys::Keys;
use super::merge::Merge;
use super::quarantine::Quarantine;
use super::row_keys::RowKeys;
use super::session::Session;
use super::settle::Settling;
use super::version::Version;
use super::waiting::{AtWork, look_at};
use super::write_memory::write_memory_bytes;
use super::{greatest, prepare, restore, write};

/// A target table with its types.
#[derive(Debug)]
pub(super) struct PgSinkTable {
    database: Database,
    loaded: LoadedTable,
    keys: Keys,
}

impl PgSinkTable {
    pub(super) fn new(database: Database, loaded: LoadedTable, keys: Keys) -> Self {
        Self { database, loaded, keys }
    }

    fn name(&self) -> &TableRef {
        &self.loaded.schema.table
    }

    /// The tables that a query over foreign keys of this one names.
    async fn linked(&self, sql: &'static str) -> Result<Vec<TableRef>> {
        let failed = |cause| catalog(cause, self.name());
        let rows = sqlx::query(sql)
            .bind(self.loaded.oid)
            .fetch_all(&mut *self.database.acquire().await?)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(TableRef {
                    database: self.name().database.clone(),
                    schema: Some(row.try_get("nspname")?),
                    name: row.try_get("relname")?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(failed)
    }

    /// The encoder for the planned columns, and behind them for what the merge stages beside.
    fn encoder(&self, plan: &LoadPlan, merge: Option<&Merge<'_>>) -> Result<RowEncoder> {
        let read = plan.read_columns();
        let position = |pair: &ColumnPair| {
            read.iter().position(|name| *name == pair.source).unwrap_or_default()
        };
        let columns = plan.columns.iter().map(|pair| {
            let pg_type = self.loaded.type_of(&pair.target)?;
            let (codec, _) = choose(pair, pg_type).map_err(|why| {
                Error::new(code::TYPE_MISMATCH, format!("Column cannot be written: {why}"))
                    .with("column", &pair.target)
                    .with("table", self.name())
                    .with_hint("the target has changed; plan the table again with --no-resume")
            })?;
            let name = pair.target.as_str().to_owned();
            Ok(EncodedColumn { name, position: position(pair), codec })
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        if let Some(version) = merge.and_then(|merge| merge.version.as_ref())
            && let Some(codec) = version.surplus.clone()
        {
            let name = version.pair.target.as_str().to_owned();
            columns.push(EncodedColumn { name, position: position(version.pair), codec });
        }
        Ok(RowEncoder::new(columns))
    }

    /// Key columns in which a NULL would make a row that no later run recognises.
    fn keys_without_null<'a>(&self, keys: &'a [ColumnName]) -> Vec<&'a ColumnName> {
        let may_be_null =
            |key: &&ColumnName| self.loaded.schema.column(key).is_none_or(|column| column.nullable);
        let apart = self.keys.takes_nulls_apart(keys);
        keys.iter().filter(may_be_null).filter(|_| apart).collect()
    }

    fn at_work<'a>(&'a self, session: &Session, cx: &'a RunContext) -> AtWork<'a> {
        AtWork { database: &self.database, pid: session.pid(), table: self.name(), cx: Some(cx) }
    }

    fn beside<'a>(&'a self, plan: &'a LoadPlan) -> Option<Beside<'a>> {
        let WriteMode::Replace { keys } = &plan.mode else { return None };
        Some(Beside {
            target: self.name(),
            oid: self.loaded.oid,
            columns: &plan.columns,
            keys,
            has_constraints: plan.sets_bad_rows_aside(),
        })
    }

    fn version<'a>(&'a self, plan: &'a LoadPlan) -> Result<Option<Version<'a>>> {
        let Some(column) = plan.mode.version() else { return Ok(None) };
        let pair = plan.columns.iter().find(|pair| pair.target == *column);
        let pair = pair.filter(|pair| pair.part == ValuePart::Whole);
        pair.map(|pair| Version::new(pair, self.loaded.type_of(column)?, self.name())).transpose()
    }

    fn merge<'a>(&'a self, plan: &'a LoadPlan) -> Result<Option<Merge<'a>>> {
        let is_merged =
            matches!(plan.mode, WriteMode::Upsert { .. } | WriteMode::InsertOnly { .. });
        if !is_merged {
            return Ok(None);
        }
        Ok(Some(Merge {
            version: self.version(plan)?,
            table: self.name(),
            oid: self.loaded.oid,
            columns: &plan.columns,
            mode: &plan.mode,
            without_null: self.keys_without_null(plan.mode.keys()),
            is_partitioned: self.keys.is_partitioned,
            is_numbered: plan.sets_bad_rows_aside(),
        }))
    }
}

/// What every table of the database can do.
pub(super) fn capabilities(database: &Database) -> SinkCapabilities {
    let mut capabilities = SinkCapabilities::default();
    capabilities.truncate = true;
    capabilities.insert_only = true;
    capabilities.upsert = true;
    capabilities.replace = true;
    capabilities.set_aside = true;
    capabilities.quarantine = true;
    capabilities.commit = CommitGuarantee::Transactional(database.domain().clone());
    capabilities
}

/// The statement that takes the rows, between what a merge stages before and behind them.
fn copy_statement(table: &TableRef, merge: Option<&Merge<'_>>, columns: &[ColumnPair]) -> String {
    let number = merge.filter(|merge| merge.is_numbered).map(Merge::number_column);
    let surplus = merge.and_then(Merge::surplus_column);
    let targets = columns.iter().map(|pair| pair.target.as_str());
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("copy ").table(table).text(" (");
    sql.names(number.as_deref().into_iter().chain(targets).chain(surplus.as_deref()));
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
        let failed = "Cannot look into the target table";
        let row = look_at(&self.database, self.name(), &sql.finish(), failed).await?;
        row.try_get("empty").map_err(|cause| classify(failed, cause).with("table", self.name()))
    }

    async fn greatest(&self, pair: &ColumnPair) -> Result<Option<TargetGreatest>> {
        let target = self.loaded.type_of(&pair.target)?;
        greatest::greatest(&self.database, self.name(), pair, target).await
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        self.linked(
            "select distinct n.nspname, c.relname from pg_constraint k \
             join pg_class c on c.oid = k.conrelid \
             join pg_namespace n on n.oid = c.relnamespace \
             where k.contype = 'f' and k.confrelid = $1::oid and k.conrelid <> k.confrelid \
               and k.conparentid = 0",
        )
        .await
    }

    async fn references(&self) -> Result<Vec<TableRef>> {
        self.linked(
            "select distinct n.nspname, c.relname from pg_constraint k \
             join pg_class c on c.oid = k.confrelid \
             join pg_namespace n on n.oid = c.relnamespace \
             where k.contype = 'f' and k.conrelid = $1::oid and k.conrelid <> k.confrelid \
             order by 1, 2",
        )
        .await
    }

    async fn settle_plan(&self, plan: LoadPlan, facts: PlanFacts) -> Result<SettledPlan> {
        let version_note = self.version(&plan)?.as_ref().and_then(Version::note);
        let keys = plan.mode.keys();
        let settling = Settling {
            database: &self.database,
            loaded: &self.loaded,
            keys: &self.keys,
            nullable_keys: self.keys_without_null(keys).into_iter().cloned().collect(),
        };
        let mut settled = settling.settle(plan, facts).await?;
        settled.notes.extend(version_note);
        Ok(settled)
    }

    async fn prepare(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        let beside = self.beside(plan);
        let preparing =
            prepare::prepare(&self.database, self.name(), plan, beside.as_ref(), record);
        cx.unless_cancelled(preparing).await
    }

    fn write_memory_bytes(&self, plan: &LoadPlan, chunk: &Chunk) -> u64 {
        write_memory_bytes(plan, &self.loaded.primary_key, chunk)
    }

    async fn write_chunk(
        &self,
        plan: &LoadPlan,
        chunk: &Chunk,
        batches: BatchStream,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<WriteSummary> {
        let merge = self.merge(plan)?;
        let into = match (&merge, self.beside(plan)) {
            (Some(merge), _) => merge.staging(),
            (None, Some(beside)) => beside.table(),
            (None, None) => self.name().clone(),
        };
        let transfer = write::Transfer {
            table: self.name(),
            domain: self.database.domain(),
            copy_statement: copy_statement(&into, merge.as_ref(), &plan.columns),
            into,
            encoder: self.encoder(plan, merge.as_ref())?,
            keys: RowKeys::new(plan, &self.loaded.primary_key, chunk),
            merge,
            record,
        };
        // Leaving early drops the session, which closes its connection: the server rolls back.
        let mut session = Session::open(&self.database).await?;
        let at_work = self.at_work(&session, cx);
        let summary = match plan.bad_rows {
            BadRows::Quarantine { most_rows } => {
                let (columns, oid) = (plan.read_columns(), self.loaded.oid);
                let quarantine = Quarantine { transfer, columns, most_rows, oid };
                let writing = quarantine.run(&mut session, batches);
                at_work.unless_cancelled(Box::pin(writing)).await?
            }
            _ => {
                let writing = Box::pin(transfer.run(&mut session, batches));
                at_work.unless_cancelled(writing).await?
            }
        };
        session.give_back();
        Ok(summary)
    }

    async fn publish(
        &self,
        plan: &LoadPlan,
        record: Option<&dyn CommitRecord>,
        cx: &RunContext,
    ) -> Result<()> {
        let Some(beside) = self.beside(plan) else { return Ok(()) };
        let mut session = Session::open(&self.database).await?;
        let at_work = self.at_work(&session, cx);
        let publishing = beside.publish(&mut session, record, self.database.domain());
        at_work.unless_cancelled(Box::pin(publishing)).await?;
        session.give_back();
        Ok(())
    }

    async fn restore(
        &self,
        object: &SetAside,
        fence: Option<&dyn Fence>,
        cx: &RunContext,
    ) -> Result<()> {
        cx.unless_cancelled(Box::pin(restore::restore(&self.database, object, fence, cx))).await
    }

    async fn finish(&self, _plan: &LoadPlan, cx: &RunContext) -> Result<()> {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("analyze ").table(self.name());
        let statement = sql.finish();
        let mut session = Session::open(&self.database).await?;
        let at_work = self.at_work(&session, cx);
        at_work
            .unless_cancelled(async {
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
