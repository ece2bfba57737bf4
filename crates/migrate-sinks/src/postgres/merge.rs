//! Rows that may be known already: COPY into a temporary table, then one ordered statement decides.
//!
//! The temporary table belongs to the connection and is emptied by every COMMIT: thousands of chunks
//! leave nothing in the catalog. Whether a row has changed is asked of its bytes (`*<>`), because not
//! every type has an equality, and because `1.0` and `1.00` are equal and yet not the same.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use migrate_core::{
    ColumnName, ColumnPair, Dialect, Error, Result, SqlBuilder, SqlStatement, TableRef, WriteMode,
    WriteSummary, code,
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
}

/// What the staged rows are like.
#[derive(Debug)]
struct Staged {
    key_count: u64,
    has_twins: bool,
}

impl Merge<'_> {
    /// Where the rows wait.
    pub(super) fn staging(&self) -> TableRef {
        let mut columns = DefaultHasher::new();
        for column in self.targets() {
            column.hash(&mut columns);
        }
        TableRef::in_schema("pg_temp", format!("migrate_{}_{:x}", self.oid, columns.finish()))
    }

    /// Makes the waiting place, unless this connection has it.
    pub(super) async fn prepare(&self, connection: &mut PgConnection) -> Result<()> {
        raise(connection, "work_mem", SORT_MEMORY, Scope::Transaction)
            .await
            .map_err(|e| self.failed(e))?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("create temporary table if not exists ").table(&self.staging());
        sql.text(" on commit delete rows as select ").names(self.targets());
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
        if staged.has_twins
            && let Some(key) = self.ambiguous_key(connection).await?
        {
            return Err(self.ambiguous(key));
        }
        let known = if self.is_partitioned {
            Some(self.number(connection, &self.known_statement(), "known").await?)
        } else {
            None
        };
        culprit::mark(connection).await.map_err(|cause| self.failed(cause))?;
        let statement = self.merge_statement(staged.has_twins, None);
        let row = match bound(&statement).fetch_one(&mut *connection).await {
            Ok(row) => row,
            Err(cause) if culprit::is_of_one_row(&cause) => {
                let (twins, keys) = (staged.has_twins, staged.key_count);
                let error = self.refused(cause);
                return Err(culprit::name(self, connection, twins, keys, error).await);
            }
            Err(cause) => return Err(self.failed(cause)),
        };
        let written = self.read(&row, "written")?;
        let rows_inserted = match known {
            Some(known) => written.min(staged.key_count.saturating_sub(known)),
            None => self.read(&row, "inserted")?,
        };
        Ok(WriteSummary {
            rows_inserted,
            rows_updated: written - rows_inserted,
            rows_skipped: copied.rows_read.saturating_sub(written),
            ..copied
        })
    }

    async fn look(&self, connection: &mut PgConnection) -> Result<Staged> {
        let row = self.fetch(connection, &self.look_statement()).await?;
        for (position, column) in self.mode.keys().iter().enumerate() {
            let has_null = self.without_null.contains(&column)
                && row.try_get(format!("k{position}").as_str()).map_err(|e| self.failed(e))?;
            if has_null {
                return Err(Error::new(
                    code::VALUE_REFUSED,
                    "A row without a key would be inserted again by every run",
                )
                .with("column", column)
                .with("table", self.table)
                .with_hint("filter rows with NULL in the key out, or choose another key"));
            }
        }
        Ok(Staged {
            key_count: self.read(&row, "keys")?,
            has_twins: row.try_get("has_twins").map_err(|cause| self.failed(cause))?,
        })
    }

    async fn ambiguous_key(&self, connection: &mut PgConnection) -> Result<Option<String>> {
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
        if let Some(version) = self.version {
            sql.text(" order by ");
            version.newest_first(&mut sql);
        }
        sql.text(")) s where s.age = 1 and s.own *<> s.first order by ").names(self.keys());
        sql.text(" limit 1");
        sql.finish()
    }

    /// Keys that are in the table already.
    fn known_statement(&self) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select count(*) as known from (select distinct ").names(self.keys());
        sql.text(" from ").table(&self.staging()).text(") s join ").table(self.table);
        sql.text(" t using (").names(self.keys()).text(")");
        sql.finish()
    }

    /// The keys are visited in order, so that two workers never wait for each other in a circle.
    /// `part` is the first of them and how many.
    pub(super) fn merge_statement(
        &self,
        has_twins: bool,
        part: Option<(u64, u64)>,
    ) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("with written as (insert into ").table(self.table).text(" as t (");
        sql.names(self.targets()).text(") overriding system value select ");
        if has_twins {
            sql.text("distinct on (").names(self.keys()).text(") ");
        }
        sql.names(self.targets()).text(" from ").table(&self.staging());
        sql.text(" order by ").names(self.keys());
        if let Some(version) = self.version.filter(|_| has_twins) {
            sql.text(", ");
            version.newest_first(&mut sql);
        }
        if let Some((first, count)) = part {
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

    /// An older row never replaces a newer one, and an unchanged row is not written again.
    fn update(&self, sql: &mut SqlBuilder) {
        sql.text("update set ");
        for (position, column) in self.others().enumerate() {
            sql.text(if position == 0 { "" } else { ", " }).name(column);
            sql.text(" = excluded.").name(column);
        }
        sql.text(" where ");
        if let Some(version) = self.version {
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

    fn targets(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|pair| pair.target.as_str())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.mode.keys().iter().map(ColumnName::as_str)
    }

    /// Columns that are no part of the key.
    fn others(&self) -> impl Iterator<Item = &str> {
        self.targets().filter(|name| self.keys().all(|key| key != *name))
    }

    async fn fetch(&self, connection: &mut PgConnection, sql: &SqlStatement) -> Result<PgRow> {
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

    fn failed(&self, cause: sqlx::Error) -> Error {
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

    fn ambiguous(&self, key: String) -> Error {
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
        };
        let staging = Dialect::Postgres.quote_table(&merge.staging());
        merge.merge_statement(has_twins, None).sql.replace(&staging, "staged")
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
