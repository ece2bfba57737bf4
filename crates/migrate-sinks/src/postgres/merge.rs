//! Rows that may be known already: COPY into a temporary table, then one ordered statement decides.
//!
//! The temporary table belongs to the connection and is emptied by every COMMIT: thousands of chunks
//! leave nothing in the catalog. Whether a row has changed is asked of its bytes (`*<>`), because not
//! every type has an equality, and because `1.0` and `1.00` are equal and yet not the same.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use migrate_core::{
    ColumnName, ColumnPair, Dialect, Error, Result, Scalar, SqlBuilder, SqlStatement, TableRef,
    WriteMode, WriteSummary, code,
};
use migrate_postgres::{bound, classify, execute, sqlstate, sqlx};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::culprit;
use super::session::{Scope, raise};
use super::version::Version;

/// For the sort that puts the keys in order. The server's default of 4 MB sorts on disk.
const SORT_MEMORY: &str = "64MB";

const UNIQUE_VIOLATION: &str = "23505";

/// How the rows of one chunk meet the rows of a table.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    pub(super) table: &'a TableRef,
    pub(super) oid: i64,
    pub(super) columns: &'a [ColumnPair],
    pub(super) mode: &'a WriteMode,
    /// How the mode's column compares, which tells which row is newer.
    pub(super) version: Option<Version<'a>>,
    /// Key columns in which NULL must not stand, because such a row would never be recognised.
    pub(super) without_null: Vec<&'a ColumnName>,
    /// A partitioned table does not tell which rows were new.
    pub(super) is_partitioned: bool,
    /// Whether waiting rows have their numbers, so that some of them can be merged without others.
    pub(super) is_numbered: bool,
}

/// What the staged rows are like.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    pub(super) key_count: u64,
    pub(super) has_twins: bool,
    /// A key column with NULL where none may be.
    pub(super) null_key: Option<&'a ColumnName>,
}

/// Which of the waiting rows are merged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// All of them.
    All,
    /// Those at these places.
    Places(&'a Range<u64>),
    /// Those of so many keys in their order, the first of them counted from 0.
    Keys { first: u64, count: u64 },
}

/// What a merge has written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Merged {
    /// Rows inserted or updated.
    pub(super) written: u64,
    /// Rows inserted.
    pub(super) inserted: u64,
}

impl Merge<'_> {
    /// Where the rows wait.
    pub(super) fn staging(&self) -> TableRef {
        let mut columns = DefaultHasher::new();
        for column in self.targets() {
            column.hash(&mut columns);
        }
        self.surplus_column().hash(&mut columns);
        let kind = if self.is_numbered { "migrate_numbered" } else { "migrate" };
        TableRef::in_schema("pg_temp", format!("{kind}_{}_{:x}", self.oid, columns.finish()))
    }

    /// Where a waiting row has its number in the chunk.
    pub(super) fn number_column(&self) -> String {
        self.unused_name("migrate_number")
    }

    /// Where a row that is to be merged has its place in the order of keys, from 1.
    pub(super) fn place_column(&self) -> String {
        self.unused_name("migrate_place")
    }

    /// Where a waiting row has what the target does not keep of its version; none where the target
    /// keeps all of it.
    pub(super) fn surplus_column(&self) -> Option<String> {
        let surplus = self.version.as_ref().and_then(|version| version.surplus.as_ref());
        surplus.map(|_codec| self.unused_name("migrate_surplus"))
    }

    /// Appends the order in which the newest row of a key comes first, after `before`; nothing where
    /// rows have no version.
    pub(super) fn newest_first(&self, before: &str, sql: &mut SqlBuilder) {
        if let Some(version) = &self.version {
            sql.text(before);
            version.newest_first(self.surplus_column().as_deref(), sql);
        }
    }

    /// No column of the user has it.
    fn unused_name(&self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while self.targets().any(|target| target == name) {
            name.push('_');
        }
        name
    }

    /// Makes the waiting place, unless this connection has it.
    pub(super) async fn prepare(&self, connection: &mut PgConnection) -> Result<()> {
        raise(connection, "work_mem", SORT_MEMORY, Scope::Transaction)
            .await
            .map_err(|e| self.failed(e))?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("create temporary table if not exists ").table(&self.staging());
        sql.text(" on commit delete rows as select ");
        if self.is_numbered {
            sql.text("0::bigint as ").name(&self.number_column());
            sql.text(", 0::bigint as ").name(&self.place_column()).text(", ");
        }
        sql.names(self.targets());
        if let Some(surplus) = self.surplus_column() {
            sql.text(", 0 as ").name(&surplus);
        }
        sql.text(" from ").table(self.table).text(" with no data");
        execute(connection, &sql.finish()).await.map_err(|cause| {
            classify("Cannot create a temporary table for the merge", cause)
                .with("table", self.table)
        })?;
        Ok(())
    }

    /// Moves the waiting rows into the table; `copied` says what arrived.
    ///
    /// # Errors
    ///
    /// [`code::AMBIGUOUS_KEY`] for rows of one key that contradict each other,
    /// [`code::VALUE_REFUSED`] for a key with NULL, and what the database answers.
    pub(super) async fn run(
        &self,
        connection: &mut PgConnection,
        copied: WriteSummary,
    ) -> Result<WriteSummary> {
        let staged = self.look(connection).await?;
        if let Some(column) = staged.null_key {
            return Err(self.without_key(column));
        }
        if staged.has_twins
            && let Some(key) = self.ambiguous_key(connection).await?
        {
            return Err(self.ambiguous(key));
        }
        let merged = self.merge(connection, &staged, None).await?;
        Ok(WriteSummary {
            rows_inserted: merged.inserted,
            rows_updated: merged.written - merged.inserted,
            rows_skipped: copied.rows_read.saturating_sub(merged.written),
            ..copied
        })
    }

    /// Merges what waits: all of it, or the rows at these places.
    pub(super) async fn merge(
        &self,
        connection: &mut PgConnection,
        staged: &Staged<'_>,
        places: Option<&Range<u64>>,
    ) -> Result<Merged> {
        let known = if self.is_partitioned {
            Some(self.number(connection, &self.known_statement(places), "known").await?)
        } else {
            None
        };
        // Whoever numbers rows goes on after a refusal by himself.
        if !self.is_numbered {
            culprit::mark(connection).await.map_err(|cause| self.failed(cause))?;
        }
        let part = places.map_or(Part::All, Part::Places);
        let statement = self.merge_statement(staged.has_twins, part);
        let row = match bound(&statement).fetch_one(&mut *connection).await {
            Ok(row) => row,
            Err(cause) if !self.is_numbered && culprit::is_of_one_row(&cause) => {
                let (twins, keys) = (staged.has_twins, staged.key_count);
                let error = self.refused(cause);
                return Err(culprit::name(self, connection, twins, keys, error).await);
            }
            Err(cause) => return Err(self.failed(cause)),
        };
        let written = self.read(&row, "written")?;
        let key_count = places.map_or(staged.key_count, |places| places.end - places.start);
        let inserted = match known {
            Some(known) => written.min(key_count.saturating_sub(known)),
            None => self.read(&row, "inserted")?,
        };
        Ok(Merged { written, inserted })
    }

    pub(super) async fn look(&self, connection: &mut PgConnection) -> Result<Staged<'_>> {
        let row = self.fetch(connection, &self.look_statement()).await?;
        let mut null_key = None;
        for (position, column) in self.mode.keys().iter().enumerate() {
            let has_null = self.without_null.contains(&column)
                && row.try_get(format!("k{position}").as_str()).map_err(|e| self.failed(e))?;
            if has_null {
                null_key = Some(column);
                break;
            }
        }
        Ok(Staged {
            key_count: self.read(&row, "keys")?,
            has_twins: row.try_get("has_twins").map_err(|cause| self.failed(cause))?,
            null_key,
        })
    }

    pub(super) fn without_key(&self, column: &ColumnName) -> Error {
        Error::new(code::VALUE_REFUSED, "A row without a key would be inserted again by every run")
            .with("column", column)
            .with("table", self.table)
            .with_hint("filter rows with NULL in the key out, or choose another key")
    }

    /// The first key of which the newest rows differ.
    pub(super) async fn ambiguous_key(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<String>> {
        let statement = self.ambiguous_statement();
        let row = bound(&statement).fetch_optional(connection).await;
        row.and_then(|row| row.map(|row| row.try_get("key")).transpose())
            .map_err(|cause| self.failed(cause))
    }

    /// Counts keys, and finds out whether any is there twice or not at all. Columns get names by
    /// position, which no name of the user can meet.
    fn look_statement(&self) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select count(*) as keys, coalesce(bool_or(g.n > 1), false) as has_twins");
        let positions: Vec<String> = (0..self.keys().count()).map(|at| format!("k{at}")).collect();
        for (at, position) in self.mode.keys().iter().zip(&positions) {
            if self.without_null.contains(&at) {
                sql.text(&format!(
                    ", coalesce(bool_or(g.{position} is null), false) as {position}"
                ));
            }
        }
        sql.text(" from (select ").names(self.keys()).text(", count(*) from ");
        sql.table(&self.staging()).text(" group by ").names(self.keys());
        sql.text(&format!(") as g ({}, n)", positions.join(", ")));
        sql.finish()
    }

    /// The first key of which the newest rows differ.
    fn ambiguous_statement(&self) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select ");
        culprit::key(&mut sql, self.mode.keys());
        sql.text(" as key from (select ").names(self.keys()).text(", ");
        record(&mut sql, "s", self.targets());
        sql.text(" as own, first_value(");
        record(&mut sql, "s", self.targets());
        sql.text(") over newest as first, rank() over newest as age from ").table(&self.staging());
        sql.text(" s window newest as (partition by ").names(self.keys());
        self.newest_first(" order by ", &mut sql);
        sql.text(")) s where s.age = 1 and s.own *<> s.first order by ").names(self.keys());
        sql.text(" limit 1");
        sql.finish()
    }

    /// Keys that are in the table already.
    fn known_statement(&self, places: Option<&Range<u64>>) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select count(*) as known from (select distinct ").names(self.keys());
        sql.text(" from ").table(&self.staging());
        self.at_places(&mut sql, places);
        sql.text(") s join ").table(self.table);
        sql.text(" t using (").names(self.keys()).text(")");
        sql.finish()
    }

    /// The keys are visited in order, so that two workers never wait for each other in a circle.
    pub(super) fn merge_statement(&self, has_twins: bool, part: Part<'_>) -> SqlStatement {
        let places = match part {
            Part::Places(places) => Some(places),
            Part::All | Part::Keys { .. } => None,
        };
        // Rows that have places have no twins.
        let has_twins = has_twins && places.is_none();
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("with written as (insert into ").table(self.table).text(" as t (");
        sql.names(self.targets()).text(") overriding system value select ");
        if has_twins {
            sql.text("distinct on (").names(self.keys()).text(") ");
        }
        sql.names(self.targets()).text(" from ").table(&self.staging());
        self.at_places(&mut sql, places);
        sql.text(" order by ").names(self.keys());
        if has_twins {
            self.newest_first(", ", &mut sql);
        }
        if let Part::Keys { first, count } = part {
            sql.text(&format!(" offset {first} limit {count}"));
        }
        sql.text(" on conflict (").names(self.keys()).text(") do ");
        match self.mode {
            WriteMode::Upsert { .. } if self.others().next().is_some() => self.update(&mut sql),
            _ => {
                sql.text("nothing");
            }
        }
        // A row that was there has been locked by this transaction, and says so in xmax.
        let is_new = if self.is_partitioned { "null::boolean" } else { "xmax = 0" };
        sql.text(" returning ").text(is_new).text(
            " as is_new) select count(*) as written, \
             count(*) filter (where is_new) as inserted from written",
        );
        sql.finish()
    }

    fn at_places(&self, sql: &mut SqlBuilder, places: Option<&Range<u64>>) {
        let Some(places) = places else { return };
        let place = |at: u64| Scalar::Number(at.into());
        sql.text(" where ").name(&self.place_column()).text(" >= ").value(&place(places.start));
        sql.text(" and ").name(&self.place_column()).text(" < ").value(&place(places.end));
    }

    /// An older row never replaces a newer one, and an unchanged row is not written again.
    fn update(&self, sql: &mut SqlBuilder) {
        sql.text("update set ");
        for (position, column) in self.others().enumerate() {
            sql.text(if position == 0 { "" } else { ", " }).name(column);
            sql.text(" = excluded.").name(column);
        }
        sql.text(" where ");
        if let Some(version) = &self.version {
            sql.text("(");
            for of in ["t", "excluded"] {
                version.render(sql, Some(of));
                sql.text(" is null or ");
            }
            version.render(sql, Some("excluded"));
            sql.text(" >= ");
            version.render(sql, Some("t"));
            sql.text(") and ");
        }
        record(sql, "t", self.others());
        sql.text(" *<> ");
        record(sql, "excluded", self.others());
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|pair| pair.target.as_str())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.mode.keys().iter().map(ColumnName::as_str)
    }

    /// Columns that are no part of the key.
    fn others(&self) -> impl Iterator<Item = &str> {
        self.targets().filter(|name| self.keys().all(|key| key != *name))
    }

    pub(super) async fn fetch(
        &self,
        connection: &mut PgConnection,
        sql: &SqlStatement,
    ) -> Result<PgRow> {
        bound(sql).fetch_one(connection).await.map_err(|cause| self.failed(cause))
    }

    async fn number(
        &self,
        connection: &mut PgConnection,
        sql: &SqlStatement,
        column: &str,
    ) -> Result<u64> {
        let row = self.fetch(connection, sql).await?;
        self.read(&row, column)
    }

    fn read(&self, row: &PgRow, column: &str) -> Result<u64> {
        let number: i64 = row.try_get(column).map_err(|cause| self.failed(cause))?;
        Ok(u64::try_from(number).unwrap_or_default())
    }

    pub(super) fn failed(&self, cause: sqlx::Error) -> Error {
        classify("PostgreSQL refused to merge the chunk", cause).with("table", self.table)
    }

    /// A row that the table does not take.
    fn refused(&self, cause: sqlx::Error) -> Error {
        let is_key = sqlstate(&cause).as_deref() == Some(UNIQUE_VIOLATION);
        let error = self.failed(cause);
        if !is_key {
            return error;
        }
        error.with_hint(
            "another row has the value of this constraint, under another key: correct one of them \
             in the source, filter it out, or drop the constraint",
        )
    }

    pub(super) fn ambiguous(&self, key: String) -> Error {
        let error = Error::new(
            code::AMBIGUOUS_KEY,
            "Rows of the source have one key, differ, and none is the newest",
        )
        .with("key", key)
        .with("table", self.table);
        error.with_hint(match self.mode.version() {
            Some(version) => format!(
                "make {version} tell them apart in the source, or add the column that does to \
                 `uniqueness_columns`"
            ),
            None => "set `source_watermark` and `target_watermark` to the column that tells which \
                     row is newer, or add the column that tells them apart to `uniqueness_columns`"
                .to_owned(),
        })
    }
}

/// A row of these columns as one value.
pub(super) fn record<'a>(sql: &mut SqlBuilder, of: &str, columns: impl Iterator<Item = &'a str>) {
    sql.text("row(");
    for (position, column) in columns.enumerate() {
        sql.text(if position == 0 { "" } else { ", " }).text(of).text(".").name(column);
    }
    sql.text(")::record");
}

#[cfg(test)]
mod tests {
    use migrate_core::ColumnType;

    use super::super::pg_type::PgType;
    use super::*;

    fn columns(names: &[&str]) -> Vec<ColumnPair> {
        names.iter().map(|name| ColumnPair::new(*name, *name, ColumnType::Int64)).collect()
    }

    fn statement(mode: &WriteMode, names: &[&str], has_twins: bool) -> String {
        let table = TableRef::in_schema("s", "t");
        let columns = columns(names);
        let version = mode.version().map(|name| {
            let pair = columns.iter().find(|pair| pair.target == *name).expect("a column");
            Version::new(pair, &PgType::Int8, &table).expect("an order")
        });
        let merge = Merge {
            version,
            table: &table,
            oid: 7,
            columns: &columns,
            mode,
            without_null: Vec::new(),
            is_partitioned: false,
            is_numbered: false,
        };
        let staging = Dialect::Postgres.quote_table(&merge.staging());
        merge.merge_statement(has_twins, Part::All).sql.replace(&staging, "staged")
    }

    #[test]
    fn an_upsert_is_one_ordered_guarded_statement() {
        let mode = WriteMode::Upsert { keys: vec!["k".into()], version: Some("at".into()) };
        assert_eq!(
            statement(&mode, &["k", "at", "v"], false),
            "with written as (insert into \"s\".\"t\" as t (\"k\", \"at\", \"v\") \
             overriding system value select \"k\", \"at\", \"v\" from staged order by \"k\" \
             on conflict (\"k\") do update set \"at\" = excluded.\"at\", \"v\" = excluded.\"v\" \
             where (t.\"at\" is null or excluded.\"at\" is null or excluded.\"at\" >= t.\"at\") \
             and row(t.\"at\", t.\"v\")::record *<> row(excluded.\"at\", excluded.\"v\")::record \
             returning xmax = 0 as is_new) select count(*) as written, \
             count(*) filter (where is_new) as inserted from written"
        );
        let twins = statement(&mode, &["k", "at", "v"], true);
        let newest = "select distinct on (\"k\") \"k\", \"at\", \"v\" from staged \
                      order by \"k\", \"at\" desc nulls last";
        assert!(twins.contains(newest), "{twins}");
    }

    #[test]
    fn known_rows_stay_as_they_are_when_only_new_ones_are_wanted() {
        let insert_only = WriteMode::InsertOnly { keys: vec!["k".into()], version: None };
        let all_keys = WriteMode::Upsert { keys: vec!["k".into()], version: None };
        for (mode, names) in [(insert_only, ["k", "v"].as_slice()), (all_keys, &["k"])] {
            let sql = statement(&mode, names, false);
            assert!(sql.contains("on conflict (\"k\") do nothing returning"), "{sql}");
        }
    }
}
