//! Which row keeps a table from being replaced: its key, for the error that tells of it.
//!
//! Conditions of the target are tested while rows are copied beside it. What is left for the moment of
//! publishing are keys that are there twice, and rows that only a trigger refuses, drops or spoils.

use migrate_core::{ColumnName, Dialect, Error, SqlBuilder};
use migrate_postgres::{bound, execute, is_about_row, sqlstate, sqlx};
use sqlx::{Connection, PgConnection, Row};

use super::beside::{Beside, LOCK_TIMEOUT};
use super::culprit;
use super::replaceable::is_referenced;

/// A unique index refuses the second row; the statement that updates refuses to meet it.
const REPEATED_KEY: [&str; 2] = ["23505", "21000"];

impl Beside<'_> {
    /// Adds the key of the row to an error of the server. The connection is in no transaction.
    pub(super) async fn name_refused(&self, connection: &mut PgConnection, error: Error) -> Error {
        let Some(state) = error.context("sqlstate").map(ToOwned::to_owned) else { return error };
        let is_repeated = REPEATED_KEY.contains(&state.as_str());
        let found = if is_repeated {
            self.repeated_key(connection, error.context("constraint")).await
        } else if is_about_row(&state) {
            self.refused_key(connection, &state).await
        } else {
            Ok(None)
        };
        let error = if is_repeated {
            error.with_hint(
                "the source has the key twice: correct it there, filter one of the rows out, or \
                 drop the constraint",
            )
        } else {
            error
        };
        match found {
            Ok(Some(key)) => error.with("key", key),
            Ok(None) => error,
            Err(cause) => {
                tracing::warn!(sqlstate = sqlstate(&cause), "the row of a failure cannot be found");
                error
            }
        }
    }

    async fn repeated_key(
        &self,
        connection: &mut PgConnection,
        constraint: Option<&str>,
    ) -> Result<Option<String>, sqlx::Error> {
        let columns = match constraint {
            Some(index) => culprit::columns_of(connection, self.oid, index).await?,
            None => self.keys.to_vec(),
        };
        let is_loaded = |column: &ColumnName| self.targets().any(|name| name == column.as_str());
        if columns.is_empty() || !columns.iter().all(is_loaded) {
            return Ok(None);
        }
        culprit::repeated(connection, &self.table(), &columns).await
    }

    /// Publishes ever smaller ranges of the keys, and takes all of it back.
    async fn refused_key(
        &self,
        connection: &mut PgConnection,
        state: &str,
    ) -> Result<Option<String>, sqlx::Error> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let mut tx = connection.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
        let mut lock = SqlBuilder::new(Dialect::Postgres);
        lock.text("lock table ").table(self.target).text(" in share row exclusive mode");
        execute(&mut tx, &lock.finish()).await?;
        // Each range asks for the order again.
        let mut index = SqlBuilder::new(Dialect::Postgres);
        index.text("create index on ").table(&self.table()).text(" (").names(self.keys()).text(")");
        execute(&mut tx, &index.finish()).await?;
        let is_referenced = is_referenced(&mut tx, self.oid).await?;
        if culprit::depends_on_others(&mut tx, self.oid, state).await? {
            return Ok(None);
        }
        if !is_referenced && let Some(delete) = self.difference(false).into_iter().next() {
            execute(&mut tx, &delete.finish()).await?;
        }
        let mut count = SqlBuilder::new(Dialect::Postgres);
        count.text("select count(*) as n from ").table(&self.table());
        let count: i64 = bound(&count.finish()).fetch_one(&mut *tx).await?.try_get("n")?;
        let part = |first: u64, count: u64| {
            let mut sql = SqlBuilder::new(Dialect::Postgres);
            sql.text("with ");
            let from = |sql: &mut SqlBuilder| self.range(sql, first, count);
            self.insert(&mut sql, from, "", is_referenced);
            sql.text(" select count(*) as n from written");
            sql.finish()
        };
        let is_it = |cause: &sqlx::Error| sqlstate(cause).as_deref() == Some(state);
        let count = u64::try_from(count).unwrap_or_default();
        let first = culprit::narrow(&mut tx, count, is_it, part).await?;
        culprit::mark(&mut tx).await?;
        if bound(&part(first, 1)).fetch_one(&mut *tx).await.is_ok() {
            return Ok(None);
        }
        culprit::back(&mut tx).await?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select ");
        culprit::key(&mut sql, self.keys);
        sql.text(" as key from ");
        self.range(&mut sql, first, 1);
        sql.text(" as n");
        bound(&sql.finish()).fetch_one(&mut *tx).await?.try_get("key").map(Some)
    }

    /// Rows of the table beside, by the order of their keys.
    fn range(&self, sql: &mut SqlBuilder, first: u64, count: u64) {
        sql.text("(select * from ").table(&self.table()).text(" order by ").names(self.keys());
        sql.text(&format!(" offset {first} limit {count})"));
    }

    /// The key of a row that was written and is not there as it was loaded.
    pub(super) async fn dropped_key(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<String>, sqlx::Error> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        // A row that is missing says more than one that differs, which a trigger may do by right.
        for is_same_row in [false, true] {
            let mut sql = SqlBuilder::new(Dialect::Postgres);
            sql.text("select ");
            culprit::key(&mut sql, self.keys);
            sql.text(" as key from ")
                .table(&self.table())
                .text(" as n where not exists (select from ");
            sql.table(self.target).text(" as t where ");
            self.same_key(&mut sql);
            self.same_row(&mut sql, is_same_row);
            sql.text(") order by ").names(self.keys()).text(" limit 1");
            if let Some(row) = bound(&sql.finish()).fetch_optional(&mut *connection).await? {
                return row.try_get("key").map(Some);
            }
        }
        Ok(None)
    }
}
