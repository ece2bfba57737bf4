//! Which row made the server refuse a statement: an error without a key cannot be followed.
//!
//! The server names the constraint and not the row, so the statement is tried on ever smaller ranges
//! of the keys. Ranges that pass stay merged, so that all tries together cost about as much as one
//! merge and some sorts; the transaction is rolled back anyway.

use migrate_core::{ColumnName, Dialect, Error, Result, SqlBuilder, SqlStatement, TableRef};
use migrate_postgres::{bound, execute, is_about_row, sqlstate, sqlx};
use sqlx::{PgConnection, Row};

use super::merge::{Merge, Part};

const FOREIGN_KEY: &str = "23503";
/// Name of the savepoint.
const SAVEPOINT: &str = "savepoint migrate_merge";
const BACK: &str = "rollback to savepoint migrate_merge";

/// Whether a row can be found that an error is about.
pub(super) fn is_of_one_row(cause: &sqlx::Error) -> bool {
    sqlstate(cause).is_some_and(|state| is_about_row(&state))
}

/// Whether a part of the rows may fail where all of them would not: a row may reference one of its own
/// table that comes later.
pub(super) async fn depends_on_others(
    connection: &mut PgConnection,
    oid: i64,
    state: &str,
) -> Result<bool, sqlx::Error> {
    if state != FOREIGN_KEY {
        return Ok(false);
    }
    sqlx::query_scalar(
        "select exists (select from pg_constraint \
                        where contype = 'f' and conrelid = $1::oid and confrelid = $1::oid)",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
}

/// Marks the place to which [`name`] goes back.
pub(super) async fn mark(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(SAVEPOINT).execute(connection).await.map(|_done| ())
}

/// Goes back to the place that [`mark`] has marked.
pub(super) async fn back(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(BACK).execute(connection).await.map(|_done| ())
}

/// The place of the row, from 0, that makes a statement over `count` of them fail; `is_it` knows the
/// failure. What passes stays written.
pub(super) async fn narrow(
    connection: &mut PgConnection,
    count: u64,
    is_it: impl Fn(&sqlx::Error) -> bool,
    part: impl Fn(u64, u64) -> SqlStatement,
) -> Result<u64, sqlx::Error> {
    let (mut first, mut end) = (0, count);
    while end - first > 1 {
        let middle = first + (end - first) / 2;
        mark(connection).await?;
        match bound(&part(first, middle - first)).fetch_one(&mut *connection).await {
            Ok(_written) => first = middle,
            Err(cause) if is_it(&cause) => {
                back(connection).await?;
                end = middle;
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(first)
}

/// Adds the key of the row to an error about a merge of `count` keys. The connection has a
/// transaction that has failed after [`mark`].
pub(super) async fn name(
    merge: &Merge<'_>,
    connection: &mut PgConnection,
    has_twins: bool,
    count: u64,
    error: Error,
) -> Error {
    let state = error.context("sqlstate").unwrap_or_default();
    match find(merge, connection, has_twins, count, state).await {
        Ok(Some(key)) => error.with("key", key),
        Ok(None) => error,
        Err(cause) => {
            tracing::warn!(sqlstate = sqlstate(&cause), "the row of a failure cannot be found");
            error
        }
    }
}

async fn find(
    merge: &Merge<'_>,
    connection: &mut PgConnection,
    has_twins: bool,
    count: u64,
    state: &str,
) -> Result<Option<String>, sqlx::Error> {
    back(connection).await?;
    if depends_on_others(connection, merge.oid, state).await? {
        return Ok(None);
    }
    let part = |first, count| merge.merge_statement(has_twins, Part::Keys { first, count });
    let first = narrow(connection, count, is_of_one_row, part).await?;
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("select ");
    key(&mut sql, merge.mode.keys());
    sql.text(" as key from (select distinct ").names(merge.keys());
    sql.text(" from ").table(&merge.staging()).text(") s order by ").names(merge.keys());
    sql.text(&format!(" offset {first} limit 1"));
    bound(&sql.finish()).fetch_one(connection).await?.try_get("key").map(Some)
}

/// Appends a text that names a row: `"id"=7, "day"=2024-02-29`, long values cut.
pub(super) fn key(sql: &mut SqlBuilder, columns: &[ColumnName]) {
    sql.text("concat_ws(', '");
    for column in columns {
        sql.text(", ").literal(&format!("{column}=")).text(" || coalesce(left(");
        sql.name(column.as_str()).text("::text, 100), 'NULL')");
    }
    sql.text(")");
}

/// The first key that stands twice in a table, among rows without NULL in it.
pub(super) async fn repeated(
    connection: &mut PgConnection,
    table: &TableRef,
    columns: &[ColumnName],
) -> Result<Option<String>, sqlx::Error> {
    let names = || columns.iter().map(ColumnName::as_str);
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("select ");
    key(&mut sql, columns);
    sql.text(" as key from ").table(table).text(" where ");
    for (position, name) in names().enumerate() {
        sql.text(if position == 0 { "" } else { " and " }).name(name).text(" is not null");
    }
    sql.text(" group by ").names(names()).text(" having count(*) > 1 limit 1");
    let row = bound(&sql.finish()).fetch_optional(connection).await?;
    row.map(|row| row.try_get("key")).transpose()
}

/// Columns of a unique index of a table, by the index's name; none where it is over expressions.
pub(super) async fn columns_of(
    connection: &mut PgConnection,
    oid: i64,
    index: &str,
) -> Result<Vec<ColumnName>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "select a.attname::text from pg_index i join pg_class c on c.oid = i.indexrelid \
         cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position) \
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
         where i.indrelid = $1::oid and c.relname = $2 and i.indexprs is null \
           and k.position <= i.indnkeyatts order by k.position",
    )
    .bind(oid)
    .bind(index)
    .fetch_all(connection)
    .await?;
    Ok(names.into_iter().map(ColumnName::from).collect())
}

/// Gives a table that rows are copied into the conditions of the one that they are meant for, so
/// that COPY names the row which breaks one. Not where a trigger may mend rows before they are
/// stored.
pub(super) async fn copy_conditions(
    connection: &mut PgConnection,
    from: i64,
    to: &TableRef,
    columns: &[&str],
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(
        "select 'alter column ' || quote_ident(a.attname) || ' set not null' as change \
         from pg_attribute a where a.attrelid = $1::oid and a.attnum > 0 and a.attnotnull \
           and not a.attisdropped and a.attname = any($2) \
           and not exists (select from pg_trigger g where g.tgrelid = $1::oid \
               and not g.tgisinternal and g.tgtype & 7 = 7 and g.tgenabled in ('O', 'A')) \
         union all \
         select 'add constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid) \
         from pg_constraint k where k.conrelid = $1::oid and k.contype = 'c' and k.convalidated \
           and (select bool_and(a.attname = any($2)) from unnest(k.conkey) n \
                join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n) \
           and not exists (select from pg_trigger g where g.tgrelid = $1::oid \
               and not g.tgisinternal and g.tgtype & 7 = 7 and g.tgenabled in ('O', 'A'))",
    )
    .bind(from)
    .bind(columns)
    .fetch_all(&mut *connection)
    .await?;
    let changes: Vec<String> =
        rows.iter().map(|row| row.try_get("change")).collect::<Result<_, _>>()?;
    if changes.is_empty() {
        return Ok(());
    }
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("alter table ").table(to).text(" ").text(&changes.join(", "));
    execute(connection, &sql.finish()).await.map(|_changed| ())
}
