//! One table or view of Snowflake.

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::arrow::array::AsArray;
use migrate_core::value::{EpochTime, for_each_scalar};
use migrate_core::{
    Annotations, BatchStream, Column, ColumnName, ColumnType, DeclaredKeys, Dialect, Error,
    ErrorKind, Extent, Greatest, HistogramRequest, Key, KeyHistogram, ObjectStat, Predicate,
    Pushdown, Result, RunContext, Scalar, ScanRequest, Snapshot, SourceTable, SqlBuilder,
    SqlStatement, TableRef, TableSchema, TableSize, closest, code,
};
use tokio::sync::OnceCell;

use super::describe::{column_comments, with_declared_types};
use super::double;
use super::execution::Execution;
use super::facts::{self, Facts};
use super::greatest;
use super::histogram;
use super::reattach::{Extract, Reread};
use super::scan::{LargestPart, Scan};
use super::session::SessionPool;
use super::statement::{fetch, fetch_count, fetch_long};
use super::stored_results::{StoredResult, StoredResults};

/// An open table.
#[derive(Debug)]
pub(super) struct SnowflakeTable {
    sessions: Arc<SessionPool>,
    schema: Arc<TableSchema>,
    snapshot: Option<Snapshot>,
    facts: OnceCell<Facts>,
    results: StoredResults,
    largest_part: LargestPart,
}

/// The present moment by Snowflake's clock, in the form that time travel takes.
pub(super) async fn pin(sessions: &Arc<SessionPool>) -> Result<Snapshot> {
    let statement = SqlStatement {
        sql: "SELECT CURRENT_TIMESTAMP()::TIMESTAMP_LTZ(9) AS \"NOW\"".into(),
        params: Vec::new(),
    };
    let answer = fetch(sessions, &statement, &RunContext::new()).await?;
    let mut now = None;
    for_each_scalar(answer.column(0), &"NOW".into(), |value| {
        now = value;
        Ok(())
    })?;
    let Some(Scalar::Instant(now)) = now else {
        return Err(Error::new(ErrorKind::Connection, "Snowflake did not tell its time")
            .with_hint("run again"));
    };
    // Time travel counts in milliseconds: a finer moment could be rounded to one that has not come.
    let millis = EpochTime::new(now.seconds(), now.nanos() / 1_000_000 * 1_000_000);
    let moment = millis.unwrap_or(now).to_string().replacen(' ', "T", 1);
    Ok(Snapshot::new(format!("{moment}Z")))
}

impl SnowflakeTable {
    /// Looks at the columns, as of the snapshot where the object can be read so.
    ///
    /// # Errors
    ///
    /// [`code::SOURCE_TABLE_MISSING`] with the nearest name.
    pub(super) async fn open(
        sessions: Arc<SessionPool>,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Self> {
        let cx = RunContext::new();
        let look = async |snapshot: Option<&Snapshot>| {
            let mut sql = SqlBuilder::new(Dialect::Snowflake);
            sql.text("SELECT * FROM ");
            from(&mut sql, table, snapshot);
            sql.text(" LIMIT 0");
            let result = Execution::run(&sessions, Extract::cheap(sql.finish()), &cx).await;
            result.map(|result| result.columns())
        };
        let (columns, snapshot) = match (look(snapshot).await, snapshot) {
            (Ok(columns), snapshot) => (columns, snapshot.cloned()),
            (Err(error), _) if error.code() == code::SOURCE_TABLE_MISSING => {
                return Err(with_near_names(&sessions, table, error).await);
            }
            (Err(error), Some(_)) if super::session::is_transient(&error) => return Err(error),
            // The object may be one that time travel does not know: then the present can be read.
            (Err(error), Some(_)) => match look(None).await {
                Ok(columns) => (columns, None),
                Err(_same) => return Err(error.with("table", table)),
            },
            (Err(error), None) => return Err(error.with("table", table)),
        };
        let columns = with_declared_types(&sessions, table, columns).await?;
        let schema = Arc::new(TableSchema::new(table.clone(), columns));
        let (facts, results) = (OnceCell::new(), StoredResults::default());
        let largest_part = LargestPart::default();
        Ok(Self { sessions, schema, snapshot, facts, results, largest_part })
    }

    /// `FROM` this table, as of the snapshot.
    fn from(&self, sql: &mut SqlBuilder) {
        from(sql, &self.schema.table, self.snapshot.as_ref());
    }

    /// Texts by their bytes, as everywhere.
    fn order_by(&self, sql: &mut SqlBuilder, order: &[ColumnName]) -> Result<()> {
        for (position, name) in order.iter().enumerate() {
            let column = self.schema.require(name)?;
            sql.text(if position == 0 { " ORDER BY " } else { ", " });
            let is_text = matches!(column.column_type, ColumnType::Text { .. });
            Key::from(name).render(sql, is_text);
            sql.text(" NULLS LAST");
        }
        Ok(())
    }

    /// A statement about this table, with the way back to its result.
    fn extract(&self, sql: SqlBuilder, reread: Reread) -> Extract {
        let database = self.schema.table.database.clone();
        Extract { statement: sql.finish(), reread, database }
    }

    /// A stored result has no order of its own.
    fn rereading(&self, columns: &[ColumnName], order: &[ColumnName]) -> Result<Reread> {
        if order.is_empty() {
            return Ok(Reread::AnyOrder);
        }
        // It can only be ordered by what is in it, and a double is in it as a text.
        for name in order {
            let is_double = double::is_double(&self.schema.require(name)?.column_type);
            if is_double || !columns.contains(name) {
                return Ok(Reread::No);
            }
        }
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        self.order_by(&mut sql, order)?;
        Ok(Reread::Ordered(sql.finish()))
    }

    /// The result of a scan, read anew where the same scan has run before and its rows were lost on
    /// their way.
    async fn execution(&self, extract: Extract, cx: &RunContext) -> Result<Execution> {
        if let Some(known) = self.results.take(&extract.statement) {
            let id = known.query_id.clone();
            if let Some(again) = Execution::reread(&self.sessions, extract.clone(), &id, cx).await?
            {
                self.results.keep(known.reread());
                return Ok(again);
            }
        }
        let statement = extract.statement.clone();
        let execution = Execution::run(&self.sessions, extract, cx).await?;
        self.results.keep(StoredResult::new(statement, execution.result_id().to_owned()));
        Ok(execution)
    }

    /// Asked once.
    async fn facts(&self) -> Result<&Facts> {
        self.facts.get_or_try_init(|| Facts::of(&self.sessions, &self.schema)).await
    }

    fn selected(&self, columns: &[ColumnName]) -> Result<TableSchema> {
        let columns: Vec<Column> =
            columns.iter().map(|name| self.schema.require(name).cloned()).collect::<Result<_>>()?;
        Ok(TableSchema::new(self.schema.table.clone(), columns))
    }
}

fn from(sql: &mut SqlBuilder, table: &TableRef, snapshot: Option<&Snapshot>) {
    sql.table(table);
    if let Some(snapshot) = snapshot {
        // Time travel takes a constant only. The moment comes from `pin` or from a stored plan.
        let moment = snapshot.as_str().replace('\'', "");
        sql.text(" AT(TIMESTAMP => '").text(&moment).text("'::TIMESTAMP_LTZ)");
    }
}

/// One column of a scan.
fn select(sql: &mut SqlBuilder, position: usize, column: &Column) {
    let name = column.name.as_str();
    match column.column_type {
        ColumnType::Float64 => {
            double::exact(sql, |sql| {
                sql.name(name);
            });
            sql.text(" AS ").name(&double::alias(position))
        }
        // A result shows a vector with six digits after the point; an array shows all of them.
        ColumnType::Vector { .. } => sql.name(name).text("::ARRAY AS ").name(name),
        // GeoJSON has no place for the number of the reference system.
        ColumnType::Geometry => sql.text("ST_ASEWKT(").name(name).text(") AS ").name(name),
        _ => sql.name(name),
    };
}

fn only_where(sql: &mut SqlBuilder, predicate: &Predicate) -> Result<()> {
    if *predicate != Predicate::All {
        sql.text(" WHERE ");
        predicate.render(sql)?;
    }
    Ok(())
}

/// Adds the nearest name of the schema to an error about a missing table.
async fn with_near_names(sessions: &Arc<SessionPool>, table: &TableRef, error: Error) -> Error {
    let mut sql = SqlBuilder::new(Dialect::Snowflake);
    sql.text("SELECT \"TABLE_NAME\" FROM ");
    sql.names(table.database.as_deref())
        .text(".INFORMATION_SCHEMA.TABLES WHERE \"TABLE_SCHEMA\" = ");
    sql.value(&table.schema.as_deref().unwrap_or_default().into());
    let missing = Error::new(code::SOURCE_TABLE_MISSING, format!("Source table {table} not found"));
    // A role that may not list the schema still gets the plain answer.
    let Ok(answer) = fetch(sessions, &sql.finish(), &RunContext::new()).await else {
        return missing.with_hint(error.hint().unwrap_or_default().to_owned());
    };
    let names: Vec<&str> = answer
        .column(0)
        .as_string_opt::<i32>()
        .map(|names| names.iter().flatten().collect())
        .unwrap_or_default();
    let hint = match closest(&table.name, names.iter().copied()) {
        Some(near) if Dialect::Snowflake.parse_identifier(near).is_ok_and(|name| name == near) => {
            format!("did you mean {near}? correct `source`, or grant the role access")
        }
        Some(near) => format!("did you mean \"source\": \"\\\"{near}\\\"\"? its case needs quotes"),
        None => error.hint().unwrap_or_default().to_owned(),
    };
    missing.with_hint(hint)
}

#[async_trait]
impl SourceTable for SnowflakeTable {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    fn pushdown(&self, predicate: &Predicate) -> Pushdown {
        match predicate.raw_part() {
            Some((dialect, _)) if dialect != Dialect::Snowflake => Pushdown::Unsupported,
            _ => Pushdown::Exact,
        }
    }

    fn scan_memory_bytes(&self, request: &ScanRequest) -> u64 {
        self.largest_part.least_bytes(request)
    }

    async fn count(&self, filter: &Predicate) -> Result<u64> {
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        sql.text("SELECT COUNT(*)::NUMBER(38,0) AS \"N\" FROM ");
        self.from(&mut sql);
        only_where(&mut sql, filter)?;
        fetch_count(&self.sessions, self.extract(sql, Reread::AnyOrder), &RunContext::new())
            .await
            .map_err(|error| error.with("table", &self.schema.table))
    }

    async fn histograms(&self, request: &HistogramRequest<'_>) -> Result<Vec<KeyHistogram>> {
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        histogram::render(&mut sql, request, &self.schema, |sql| {
            self.from(sql);
            only_where(sql, request.filter)
        })?;
        let named = |error: Error| {
            error.with("table", &self.schema.table).with("column", &request.key.column)
        };
        let extract = self.extract(sql, histogram::rereading(request, &self.schema)?);
        let answer = fetch_long(&self.sessions, &extract, &RunContext::new()).await;
        let histograms = answer
            .and_then(|answer| histogram::read(&answer, request, &self.schema))
            .map_err(named)?;
        // An answer without rows says nothing of its own completeness; a count has always one. Where
        // small groups are left out, the caller knows which ones must be there.
        let may_be_empty = request.groups_above.is_some();
        if histograms.is_empty() && !may_be_empty && self.count(request.filter).await? > 0 {
            return Err(named(histogram::incomplete()));
        }
        Ok(histograms)
    }

    async fn size(&self) -> Result<TableSize> {
        Ok(self.facts().await?.size)
    }

    async fn declared_keys(&self) -> Result<DeclaredKeys> {
        let facts = self.facts().await?;
        let mut keys = DeclaredKeys { clustering: facts.clustering.clone(), ..Default::default() };
        // A view has no size, and no keys to ask for.
        if facts.size.rows.is_some() {
            match facts::primary_key(&self.sessions, &self.schema).await {
                Ok(primary) => keys.primary = primary,
                Err(error) if super::session::is_transient(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(table = %self.schema.table, code = %error.code(), "the primary key is not known");
                    keys.unknown = Some(format!(
                        "the primary key could not be asked for ({}): it is not cut by",
                        error.code()
                    ));
                }
            }
        }
        Ok(keys)
    }

    fn can_sort(&self) -> bool {
        true
    }

    fn statement_to_see(&self, column: &ColumnName, rows: &Predicate) -> Option<String> {
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        sql.text("select ").name(column.as_str()).text(" from ").table(&self.schema.table);
        sql.text(" where ");
        // A statement with parameters cannot be copied.
        rows.render(&mut sql)
            .ok()
            .map(|()| sql.finish())
            .and_then(|statement| statement.params.is_empty().then_some(statement.sql))
    }

    async fn annotations(&self) -> Result<Annotations> {
        let mut annotations = Annotations {
            primary_key: self.declared_keys().await?.primary,
            ..Annotations::default()
        };
        annotations.comment.clone_from(&self.facts().await?.comment);
        annotations.column_comments = column_comments(&self.sessions, &self.schema.table).await?;
        Ok(annotations)
    }

    async fn greatest(&self, column: &ColumnName, filter: &Predicate) -> Result<Greatest> {
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        greatest::render(&mut sql, self.schema.require(column)?, |sql| {
            self.from(sql);
            only_where(sql, filter)
        })?;
        let extract = self.extract(sql, Reread::AnyOrder);
        let answer = fetch_long(&self.sessions, &extract, &RunContext::new()).await;
        answer
            .and_then(|answer| greatest::read(&answer, self.schema.require(column)?))
            .map_err(|error| error.with("table", &self.schema.table).with("column", column))
    }

    async fn objects(&self) -> Result<Vec<ObjectStat>> {
        Ok(Vec::new())
    }

    async fn scan(&self, request: ScanRequest, cx: &RunContext) -> Result<BatchStream> {
        let Extent::Rows { predicate } = &request.extent else {
            return Err(Error::new(ErrorKind::Unsupported, "A Snowflake table has no files")
                .with_hint("use a chunking strategy that cuts by rows"));
        };
        let selected = self.selected(&request.columns)?;
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        sql.text("SELECT ");
        for (position, column) in selected.columns.iter().enumerate() {
            sql.text(if position == 0 { "" } else { ", " });
            select(&mut sql, position, column);
        }
        sql.text(" FROM ");
        self.from(&mut sql);
        only_where(&mut sql, &predicate.clone().and(request.filter.clone()))?;
        self.order_by(&mut sql, &request.order)?;
        let reread = self.rereading(&request.columns, &request.order)?;
        let execution = self
            .execution(self.extract(sql, reread), cx)
            .await
            .map_err(|error| error.with("table", &self.schema.table))?;
        let layout = execution.layout(&selected)?;
        let largest_part = self.largest_part.clone();
        Ok(Scan::new(execution, layout, &request, largest_part, cx.clone()).start())
    }
}
