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
use migrate_postgres::{classify, execute, sqlx};
use sqlx::{Connection, PgConnection, Row};

use super::merge::record;
use super::write::apply_record;

/// For comparing and sorting the rows of both tables.
const WORK_MEMORY: &str = "set local work_mem = '64MB'";
/// Writers are kept out while the difference is written, readers are not. While the lock is waited
/// for, later writers wait behind it.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '10s'";

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
        Ok(())
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
    /// `LeaseLost` when the record finds its lease gone, and what the database answers.
    pub(super) async fn publish(
        &self,
        connection: &mut PgConnection,
        record: Option<&dyn CommitRecord>,
        domain: &CommitDomain,
    ) -> Result<()> {
        let failed = |cause| self.failed("Cannot replace the rows of the target", cause);
        let mut tx = connection.begin().await.map_err(failed)?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await.map_err(failed)?;
        sqlx::query(WORK_MEMORY).execute(&mut *tx).await.map_err(failed)?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("lock table ").table(self.target).text(" in share row exclusive mode");
        execute(&mut tx, &sql.finish()).await.map_err(failed)?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("analyze ").table(&self.table());
        execute(&mut tx, &sql.finish()).await.map_err(failed)?;
        let is_referenced = is_referenced(&mut tx, self.oid).await.map_err(failed)?;
        for statement in self.difference(is_referenced) {
            execute(&mut tx, &statement.finish()).await.map_err(failed)?;
        }
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("drop table ").table(&self.table());
        execute(&mut tx, &sql.finish()).await.map_err(failed)?;
        // Last, so that nobody waits long for the row that it changes.
        apply_record(&mut tx, record, domain, &WriteSummary::default()).await?;
        tx.commit().await.map_err(failed)
    }

    /// The statements that make the target equal.
    ///
    /// A changed row is deleted and inserted, so that no two rows meet in a second unique index on
    /// the way. Where other rows reference it, it is updated instead: deleting would break or follow
    /// their foreign keys.
    fn difference(&self, is_referenced: bool) -> Vec<SqlBuilder> {
        let mut delete = SqlBuilder::new(Dialect::Postgres);
        delete.text("delete from ").table(self.target).text(" as t");
        let mut insert = SqlBuilder::new(Dialect::Postgres);
        insert.text("insert into ").table(self.target).text(" as t (").names(self.targets());
        insert.text(") overriding system value select ").names(self.targets()).text(" from ");
        insert.table(&self.table()).text(" as n");
        if self.keys.is_empty() {
            return vec![delete, insert];
        }
        delete.text(" where not exists (select from ").table(&self.table()).text(" as n where ");
        self.same_key(&mut delete);
        if !is_referenced {
            delete.text(" and ");
            record(&mut delete, "n", self.targets());
            delete.text(" *= ");
            record(&mut delete, "t", self.targets());
        }
        delete.text(")");
        insert.text(" where not exists (select from ").table(self.target).text(" as t where ");
        self.same_key(&mut insert);
        if is_referenced {
            insert.text(" and ");
            record(&mut insert, "n", self.targets());
            insert.text(" *= ");
            record(&mut insert, "t", self.targets());
        }
        insert.text(") order by ").names(self.keys.iter().map(ColumnName::as_str));
        let others = || self.targets().filter(|name| self.keys.iter().all(|k| k.as_str() != *name));
        if is_referenced && others().next().is_some() {
            insert.text(" on conflict (").names(self.keys.iter().map(ColumnName::as_str));
            insert.text(") do update set ");
            for (position, column) in others().enumerate() {
                insert.text(if position == 0 { "" } else { ", " }).name(column);
                insert.text(" = excluded.").name(column);
            }
        }
        vec![delete, insert]
    }

    fn same_key(&self, sql: &mut SqlBuilder) {
        for (position, key) in self.keys.iter().enumerate() {
            sql.text(if position == 0 { "n." } else { " and n." }).name(key.as_str());
            sql.text(" = t.").name(key.as_str());
        }
    }

    fn targets(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|pair| pair.target.as_str())
    }

    fn failed(&self, message: &'static str, cause: sqlx::Error) -> Error {
        classify(message, cause).with("table", self.target)
    }
}

async fn is_referenced(connection: &mut PgConnection, oid: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from pg_constraint where contype = 'f' and confrelid = $1::oid)",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
}

/// Refuses foreign keys that would change or delete the rows of other tables while rows of this one
/// are replaced.
///
/// # Errors
///
/// `Conflict`, naming them.
pub(super) async fn refuse_followers(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
) -> Result<()> {
    let names: Option<String> = sqlx::query(
        "select string_agg(format('%I of %s', conname, conrelid::regclass), ', ' order by conname) \
                as names \
         from pg_constraint where contype = 'f' and confrelid = $1::oid \
           and confdeltype in ('c', 'n', 'd')",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
    .and_then(|row| row.try_get("names"))
    .map_err(|cause| classify("Cannot read PostgreSQL's catalog", cause).with("table", table))?;
    let Some(names) = names else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Conflict,
        format!("Deleting rows of {table} would change the rows that reference them: {names}"),
    )
    .with_hint(
        "make these foreign keys `on delete no action`, or load by \"uniqueness_columns\" without \
         \"replace\"",
    ))
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
        assert_eq!(sql[0], "delete from \"s\".\"t\" as t");
        assert!(sql[1].ends_with("select \"k\", \"v\" from \"s\".\"migrate_beside_7\" as n"));
    }

    #[test]
    fn a_row_that_others_reference_is_updated_and_never_deleted_for_a_change() {
        let alone = statements(&["k"], false);
        assert!(alone[0].contains("*="), "{}", alone[0]);
        assert!(!alone[1].contains("on conflict"), "{}", alone[1]);
        let referenced = statements(&["k"], true);
        assert!(!referenced[0].contains("*="), "{}", referenced[0]);
        assert!(
            referenced[1].ends_with("do update set \"v\" = excluded.\"v\""),
            "{}",
            referenced[1]
        );
    }
}
