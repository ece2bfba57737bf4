//! A full load that becomes visible at once.
//!
//! Rows are copied into a table beside the target. Publishing writes the difference in one
//! transaction with ordinary deletes and inserts: readers never wait and see the old rows or the new
//! ones, and views, grants and foreign keys are not touched, because the table stays the same table.
//! Renaming would leave views on the old rows; TRUNCATE would lock readers out, and show an empty
//! table to a transaction that began before.

use migrate_core::{
    ColumnName, ColumnPair, CommitDomain, CommitRecord, Dialect, Error, ErrorKind, Result,
    SqlBuilder, TableRef, WriteSummary,
};
use migrate_postgres::{bound, classify, execute, sqlx};
use sqlx::{Connection, PgConnection, Row};

use super::culprit;
use super::merge::record;
use super::replaceable::{is_referenced, may_drop_rows, refuse_followers, refuse_row_policies};
use super::session::{Scope, raise};
use super::write::apply_record;

/// For comparing and sorting the rows of both tables.
const WORK_MEMORY: &str = "64MB";
/// Writers are kept out while the difference is written, readers are not. While the lock is waited
/// for, later writers wait behind it.
pub(super) const LOCK_TIMEOUT: &str = "set local lock_timeout = '10s'";

/// The table beside a target.
#[derive(Debug)]
pub(super) struct Beside<'a> {
    pub(super) target: &'a TableRef,
    pub(super) oid: i64,
    pub(super) columns: &'a [ColumnPair],
    /// A unique key of the target without NULL, if it has one.
    pub(super) keys: &'a [ColumnName],
    /// Whether it has the target's constraints, so that a row which breaks one is refused when it is
    /// copied and can be set aside, and not when all rows are to be shown.
    pub(super) has_constraints: bool,
}

impl Beside<'_> {
    /// Its name: one per target, so that a later run finds and replaces what a dead one left.
    pub(super) fn table(&self) -> TableRef {
        TableRef { name: format!("migrate_beside_{}", self.oid), ..self.target.clone() }
    }

    /// Makes it, empty. It is an ordinary table: an unlogged one would come back empty from a crash
    /// of the server, while its chunks count as loaded.
    pub(super) async fn create(&self, connection: &mut PgConnection) -> Result<()> {
        let failed = |cause| self.failed("Cannot create a table beside the target", cause);
        let mut drop = SqlBuilder::new(Dialect::Postgres);
        drop.text("drop table if exists ").table(&self.table());
        execute(connection, &drop.finish()).await.map_err(failed)?;
        if self.has_constraints {
            return self.create_alike(connection).await;
        }
        let mut create = SqlBuilder::new(Dialect::Postgres);
        create.text("create table ").table(&self.table());
        create.text(" with (autovacuum_enabled = false) as select ").names(self.targets());
        create.text(" from ").table(self.target).text(" with no data");
        execute(connection, &create.finish()).await.map_err(failed)?;
        let columns: Vec<&str> = self.targets().collect();
        let beside = self.table();
        culprit::copy_conditions(connection, self.oid, &beside, &columns).await.map_err(failed)
    }

    /// Makes it with the constraints of the target: NOT NULL, checks, unique indexes, foreign keys to
    /// other tables. Triggers stay away: what they do, they would do twice.
    async fn create_alike(&self, connection: &mut PgConnection) -> Result<()> {
        let failed = |cause| self.failed("Cannot create a table beside the target", cause);
        let mut create = SqlBuilder::new(Dialect::Postgres);
        create.text("create table ").table(&self.table()).text(" (like ").table(self.target);
        create.text(" including constraints including indexes) with (autovacuum_enabled = false)");
        execute(connection, &create.finish()).await.map_err(failed)?;
        let names: Vec<String> = sqlx::query_scalar(
            "select attname::text from pg_attribute \
             where attrelid = $1::oid and attnum > 0 and not attisdropped",
        )
        .bind(self.oid)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        // What is not loaded keeps its default in the target, and has no value here.
        for name in names.iter().filter(|name| self.targets().all(|target| target != *name)) {
            let mut drop = SqlBuilder::new(Dialect::Postgres);
            drop.text("alter table ").table(&self.table()).text(" drop column ").name(name);
            execute(connection, &drop.finish()).await.map_err(failed)?;
        }
        let keys: Vec<(String, bool)> = sqlx::query_as(
            "select pg_get_constraintdef(k.oid), \
                    not exists (select from pg_attribute a \
                                where a.attrelid = k.conrelid and a.attnum = any(k.conkey) \
                                  and a.attname <> all($2)) as is_loaded \
             from pg_constraint k \
             where k.contype = 'f' and k.conrelid = $1::oid and k.confrelid <> k.conrelid \
               and k.conparentid = 0",
        )
        .bind(self.oid)
        .bind(self.targets().map(ToOwned::to_owned).collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        for (key, _) in keys.iter().filter(|(_, is_loaded)| *is_loaded) {
            let mut add = SqlBuilder::new(Dialect::Postgres);
            add.text("alter table ").table(&self.table()).text(" add ").text(key);
            execute(connection, &add.finish()).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Makes the target equal to it and drops it.
    ///
    /// # Errors
    ///
    /// `LeaseLost` when the record finds its lease gone, `Conflict` when the target does not become
    /// equal, and what the database answers.
    pub(super) async fn publish(
        &self,
        connection: &mut PgConnection,
        record: Option<&dyn CommitRecord>,
        domain: &CommitDomain,
    ) -> Result<()> {
        match self.make_equal(connection, record, domain).await {
            Err(error) if error.context("sqlstate").is_some() => {
                Err(self.name_refused(connection, error).await)
            }
            other => other,
        }
    }

    async fn make_equal(
        &self,
        connection: &mut PgConnection,
        record: Option<&dyn CommitRecord>,
        domain: &CommitDomain,
    ) -> Result<()> {
        let failed = |cause| self.failed("Cannot replace the rows of the target", cause);
        let mut tx = connection.begin().await.map_err(failed)?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await.map_err(failed)?;
        raise(&mut tx, "work_mem", WORK_MEMORY, Scope::Transaction).await.map_err(failed)?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("lock table ").table(self.target).text(" in share row exclusive mode");
        execute(&mut tx, &sql.finish()).await.map_err(failed)?;
        refuse_row_policies(&mut tx, self.oid, self.target).await?;
        refuse_followers(&mut tx, self.oid, self.target, self.columns, self.keys).await?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("analyze ").table(&self.table());
        execute(&mut tx, &sql.finish()).await.map_err(failed)?;
        let is_referenced = is_referenced(&mut tx, self.oid).await.map_err(failed)?;
        let may_drop_rows = may_drop_rows(&mut tx, self.oid).await.map_err(failed)?;
        let mut is_dropped = false;
        let statements = self.difference(is_referenced).into_iter();
        for (statement, expected) in statements.zip(self.expected(is_referenced)) {
            let expected = if may_drop_rows {
                Some(self.number(&mut tx, expected).await.map_err(failed)?)
            } else {
                None
            };
            let written = self.number(&mut tx, statement).await.map_err(failed)?;
            is_dropped |= expected.is_some_and(|expected| expected != written);
        }
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select (select count(*) from ").table(self.target);
        sql.text(") - (select count(*) from ").table(&self.table()).text(") as n");
        let surplus = self.number(&mut tx, sql).await.map_err(failed)?;
        if surplus != 0 || is_dropped {
            let error = Error::new(
                ErrorKind::Conflict,
                "The target did not become equal to what was loaded; readers keep the old rows",
            )
            .with("table", self.target)
            .with_hint(
                "a trigger or rule of the table drops rows; disable it for the load, or load by \
                 \"uniqueness_columns\" without \"replace\"",
            );
            return Err(match self.dropped_key(&mut tx).await.map_err(failed)? {
                Some(key) => error.with("key", key),
                None => error,
            });
        }
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("drop table ").table(&self.table());
        execute(&mut tx, &sql.finish()).await.map_err(failed)?;
        // Last, so that nobody waits long for the row that it changes.
        apply_record(&mut tx, record, domain, &WriteSummary::default()).await?;
        tx.commit().await.map_err(failed)
    }

    /// The number `n` that a statement answers.
    async fn number(
        &self,
        connection: &mut PgConnection,
        sql: SqlBuilder,
    ) -> Result<i64, sqlx::Error> {
        bound(&sql.finish()).fetch_one(connection).await?.try_get("n")
    }

    /// Statements that make the target equal and answer how many rows they wrote.
    ///
    /// A changed row is deleted and inserted, so that no two rows meet in a second unique index on
    /// the way. Where other rows reference it, it is updated instead, and all is one statement:
    /// foreign keys are looked at when it ends, so that rows of one table may follow each other.
    pub(super) fn difference(&self, is_referenced: bool) -> Vec<SqlBuilder> {
        let delete = |sql: &mut SqlBuilder| {
            sql.text("with gone as (delete from ").table(self.target).text(" as t");
            self.going(sql, is_referenced);
            sql.text(" returning 1), counted as (select count(*) as n from gone)");
        };
        let from = |sql: &mut SqlBuilder| {
            sql.table(&self.table());
        };
        let mut first = SqlBuilder::new(Dialect::Postgres);
        delete(&mut first);
        if is_referenced {
            first.text(", ");
            // The condition makes the server delete before it inserts.
            self.insert(&mut first, from, "(select n from counted) >= 0 and ", is_referenced);
            first.text(" select (select n from counted) + (select count(*) from written) as n");
            return vec![first];
        }
        first.text(" select n from counted");
        let mut second = SqlBuilder::new(Dialect::Postgres);
        second.text("with ");
        self.insert(&mut second, from, "", is_referenced);
        second.text(" select count(*) as n from written");
        vec![first, second]
    }

    /// Appends `written as (insert …)`, the rows that come out of what `from` appends.
    pub(super) fn insert(
        &self,
        sql: &mut SqlBuilder,
        from: impl Fn(&mut SqlBuilder),
        after: &str,
        is_referenced: bool,
    ) {
        sql.text("written as (insert into ").table(self.target).text(" as t (");
        sql.names(self.targets()).text(") overriding system value select ");
        sql.names(self.targets()).text(" from ");
        from(sql);
        sql.text(" as n where ").text(after);
        self.coming(sql, is_referenced);
        let others = || self.targets().filter(|name| self.keys().all(|key| key != *name));
        if !self.keys.is_empty() {
            sql.text(" order by ").names(self.keys());
        }
        if is_referenced && !self.keys.is_empty() && others().next().is_some() {
            sql.text(" on conflict (").names(self.keys()).text(") do update set ");
            for (position, column) in others().enumerate() {
                sql.text(if position == 0 { "" } else { ", " }).name(column);
                sql.text(" = excluded.").name(column);
            }
        }
        sql.text(" returning 1)");
    }

    /// How many rows each of the statements has to write, by the same conditions.
    fn expected(&self, is_referenced: bool) -> Vec<SqlBuilder> {
        let mut going = SqlBuilder::new(Dialect::Postgres);
        going.text("select count(*) as n from ").table(self.target).text(" as t");
        self.going(&mut going, is_referenced);
        let mut coming = SqlBuilder::new(Dialect::Postgres);
        coming.text("select count(*) as n from ").table(&self.table()).text(" as n where ");
        self.coming(&mut coming, is_referenced);
        if !is_referenced {
            return vec![going, coming];
        }
        let mut both = SqlBuilder::new(Dialect::Postgres);
        both.text("select (").text(&going.finish().sql).text(") + (");
        both.text(&coming.finish().sql).text(") as n");
        vec![both]
    }

    /// Which rows `t` of the target are deleted.
    fn going(&self, sql: &mut SqlBuilder, is_referenced: bool) {
        if self.keys.is_empty() {
            return;
        }
        sql.text(" where not exists (select from ").table(&self.table()).text(" as n where ");
        self.same_key(sql);
        self.same_row(sql, !is_referenced);
        sql.text(")");
    }

    /// Which rows `n` of the table beside are inserted.
    fn coming(&self, sql: &mut SqlBuilder, is_referenced: bool) {
        if self.keys.is_empty() {
            sql.text("true");
            return;
        }
        sql.text("not exists (select from ").table(self.target).text(" as t where ");
        self.same_key(sql);
        self.same_row(sql, is_referenced);
        sql.text(")");
    }

    pub(super) fn same_row(&self, sql: &mut SqlBuilder, is_wanted: bool) {
        if is_wanted {
            sql.text(" and ");
            record(sql, "n", self.targets());
            sql.text(" *= ");
            record(sql, "t", self.targets());
        }
    }

    pub(super) fn same_key(&self, sql: &mut SqlBuilder) {
        for (position, key) in self.keys.iter().enumerate() {
            sql.text(if position == 0 { "n." } else { " and n." }).name(key.as_str());
            sql.text(" = t.").name(key.as_str());
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(ColumnName::as_str)
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|pair| pair.target.as_str())
    }

    fn failed(&self, message: &'static str, cause: sqlx::Error) -> Error {
        classify(message, cause).with("table", self.target)
    }
}

#[cfg(test)]
mod tests {
    use migrate_core::ColumnType;

    use super::*;

    fn statements(keys: &[&str], is_referenced: bool) -> Vec<String> {
        let target = TableRef::in_schema("s", "t");
        let columns: Vec<ColumnPair> = ["k", "v"]
            .into_iter()
            .map(|name| ColumnPair::new(name, name, ColumnType::Int64))
            .collect();
        let keys: Vec<ColumnName> = keys.iter().map(|key| ColumnName::from(*key)).collect();
        let beside = Beside {
            target: &target,
            oid: 7,
            columns: &columns,
            keys: &keys,
            has_constraints: false,
        };
        let statements = beside.difference(is_referenced);
        statements.into_iter().map(|sql| sql.finish().sql).collect()
    }

    #[test]
    fn without_a_key_everything_is_written_anew() {
        let sql = statements(&[], false);
        assert!(
            sql[0].starts_with("with gone as (delete from \"s\".\"t\" as t returning"),
            "{sql:?}"
        );
        assert!(
            sql[1].contains("select \"k\", \"v\" from \"s\".\"migrate_beside_7\" as n where true"),
            "{sql:?}"
        );
    }

    #[test]
    fn a_row_that_others_reference_is_updated_and_never_deleted_for_a_change() {
        let alone = statements(&["k"], false);
        assert!(alone[0].contains("*="), "{}", alone[0]);
        assert!(!alone[1].contains("on conflict"), "{}", alone[1]);
        let referenced = statements(&["k"], true);
        assert_eq!(referenced.len(), 1, "foreign keys are looked at when all is done");
        let (delete, insert) = referenced[0].split_once("insert into").expect("both");
        assert!(!delete.contains("*="), "{delete}");
        assert!(insert.contains("do update set \"v\" = excluded.\"v\""), "{insert}");
    }
}
