//! Tables that do not exist yet: the statements that create them, and plans for them.

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::{
    BatchStream, Chunk, Column, ColumnPair, ColumnType, CommitRecord, Dialect, Error, ErrorKind,
    Fidelity, LoadPlan, MICRO_SCALE, Result, RunContext, SinkCapabilities, SinkTable, SqlBuilder,
    SqlStatement, TableDefinition, TableRef, TableSchema, WriteSummary,
};
use migrate_postgres::{Database, classify, execute, sqlstate};
use sqlx::Connection;

use super::catalog::{LoadedTable, refuse_long_names};
use super::pg_type::{NumericLimits, PgType};
use super::session::Session;
use super::write_memory::write_memory_bytes;

/// Longest `varchar(n)`; longer texts are `text`.
const MOST_CHARS: u32 = 10_485_760;

const DUPLICATE_TABLE: &str = "42P07";
/// Two sessions that create one table meet in the catalog's own indexes.
const UNIQUE_VIOLATION: &str = "23505";

/// The type that holds every value of a source type, and as little else as possible.
pub(super) fn best_type(column_type: &ColumnType) -> PgType {
    let digits = |scale: &u8| (*scale).min(MICRO_SCALE);
    match column_type {
        ColumnType::Boolean => PgType::Bool,
        ColumnType::Int16 | ColumnType::Number { precision: ..=4, scale: 0 } => PgType::Int2,
        ColumnType::Int32 | ColumnType::Number { precision: ..=9, scale: 0 } => PgType::Int4,
        ColumnType::Int64 | ColumnType::Number { precision: ..=18, scale: 0 } => PgType::Int8,
        ColumnType::Number { precision, scale } => {
            let (precision, scale) = ((*precision).into(), (*scale).into());
            PgType::Numeric { limits: Some(NumericLimits { precision, scale }) }
        }
        ColumnType::DecFloat => PgType::Numeric { limits: None },
        ColumnType::Float32 => PgType::Float4,
        ColumnType::Float64 => PgType::Float8,
        ColumnType::Text { max_chars: Some(most @ ..=MOST_CHARS) } => {
            PgType::Varchar { max_chars: usize::try_from(*most).ok() }
        }
        ColumnType::Binary => PgType::Bytea,
        ColumnType::Date => PgType::Date,
        ColumnType::Time { scale } => PgType::Time { digits: digits(scale) },
        ColumnType::Timestamp { scale } => PgType::Timestamp { digits: digits(scale) },
        ColumnType::Instant { scale } | ColumnType::OffsetTimestamp { scale } => {
            PgType::Timestamptz { digits: digits(scale) }
        }
        ColumnType::Uuid => PgType::Uuid,
        // Extensions may not be there.
        ColumnType::Json | ColumnType::Geography => PgType::Jsonb,
        ColumnType::Vector { .. } => {
            PgType::Array { element: Box::new(PgType::Float4), element_oid: FLOAT4_OID }
        }
        _ => PgType::Text,
    }
}

/// `real` in `pg_type`, the same in every database.
const FLOAT4_OID: u32 = 700;

/// Statements that create the table with its keys and comments.
///
/// # Errors
///
/// `Config` for names that the server would cut.
pub(super) fn statements(wanted: &TableDefinition) -> Result<Vec<SqlStatement>> {
    // The database is that of the connection.
    let name = TableRef { database: None, ..wanted.table.clone() };
    refuse_long_names(&wanted.table, wanted.columns.iter().map(|(column, _)| &column.name))?;
    let mut table = SqlBuilder::new(Dialect::Postgres);
    table.text("create table ").table(&name).text(" (");
    for (position, (column, _)) in wanted.columns.iter().enumerate() {
        table.text(if position == 0 { "\n    " } else { ",\n    " }).name(column.name.as_str());
        table.text(" ").text(&best_type(&column.column_type).to_string());
        if !column.nullable {
            table.text(" not null");
        }
    }
    if !wanted.primary_key.is_empty() {
        table.text(",\n    primary key (");
        table.names(wanted.primary_key.iter().map(migrate_core::ColumnName::as_str)).text(")");
    }
    if !wanted.unique_key.is_empty() {
        table.text(",\n    unique (");
        table.names(wanted.unique_key.iter().map(migrate_core::ColumnName::as_str)).text(")");
    }
    table.text("\n)");
    let mut statements = vec![table.finish()];
    if let Some(comment) = &wanted.comment {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("comment on table ").table(&name).text(" is ").literal(comment);
        statements.push(sql.finish());
    }
    for (column, comment) in &wanted.columns {
        let Some(comment) = comment else { continue };
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("comment on column ").table(&name).text(".");
        sql.name(column.name.as_str()).text(" is ").literal(comment);
        statements.push(sql.finish());
    }
    Ok(statements)
}

/// Creates the table with all that belongs to it, unless somebody else has.
///
/// # Errors
///
/// Those of [`statements`], and whatever the server answers; then nothing has changed.
pub(super) async fn create(database: &Database, wanted: &TableDefinition) -> Result<()> {
    let failed =
        |cause| classify("Cannot create the target table", cause).with("table", &wanted.table);
    let statements = statements(wanted)?;
    let mut session = Session::open(database).await?;
    let mut tx = session.begin().await.map_err(failed)?;
    for statement in &statements {
        if let Err(cause) = execute(&mut tx, statement).await {
            return match sqlstate(&cause).as_deref() {
                Some(DUPLICATE_TABLE | UNIQUE_VIOLATION) => Ok(()),
                _ => Err(failed(cause)),
            };
        }
    }
    tx.commit().await.map_err(failed)?;
    session.give_back();
    Ok(())
}

/// A table as it will be.
#[derive(Debug)]
pub(super) struct ImaginedTable {
    loaded: LoadedTable,
    capabilities: SinkCapabilities,
}

impl ImaginedTable {
    pub(super) fn new(wanted: &TableDefinition, capabilities: SinkCapabilities) -> Result<Self> {
        statements(wanted)?;
        let types: Vec<_> =
            wanted.columns.iter().map(|(column, _)| best_type(&column.column_type)).collect();
        let columns = wanted.columns.iter().zip(&types).map(|((column, _), pg_type)| {
            Column::new(column.name.clone(), pg_type.column_type(), pg_type.to_string())
                .with_nullable(column.nullable)
        });
        let schema = Arc::new(TableSchema::new(wanted.table.clone(), columns.collect()));
        let loaded = LoadedTable { oid: 0, schema, types, primary_key: wanted.primary_key.clone() };
        Ok(Self { loaded, capabilities })
    }

    fn is_not_there(&self) -> Error {
        Error::new(ErrorKind::Internal, "A table that is only planned was written to")
            .with("table", &self.loaded.schema.table)
    }
}

#[async_trait]
impl SinkTable for ImaginedTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.loaded.schema
    }

    fn capabilities(&self) -> SinkCapabilities {
        self.capabilities.clone()
    }

    fn assess(&self, pair: &ColumnPair) -> Fidelity {
        self.loaded.assess(pair)
    }

    async fn is_empty(&self) -> Result<bool> {
        Ok(true)
    }

    async fn referenced_by(&self) -> Result<Vec<TableRef>> {
        Ok(Vec::new())
    }

    async fn prepare(
        &self,
        _plan: &LoadPlan,
        _record: Option<&dyn CommitRecord>,
        _cx: &RunContext,
    ) -> Result<()> {
        Err(self.is_not_there())
    }

    fn write_memory_bytes(&self, plan: &LoadPlan, chunk: &Chunk) -> u64 {
        write_memory_bytes(plan, &self.loaded.primary_key, chunk)
    }

    async fn write_chunk(
        &self,
        _plan: &LoadPlan,
        _chunk: &Chunk,
        _batches: BatchStream,
        _record: Option<&dyn CommitRecord>,
        _cx: &RunContext,
    ) -> Result<WriteSummary> {
        Err(self.is_not_there())
    }

    async fn finish(&self, _plan: &LoadPlan, _cx: &RunContext) -> Result<()> {
        Err(self.is_not_there())
    }
}
