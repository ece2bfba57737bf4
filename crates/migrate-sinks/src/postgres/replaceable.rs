//! What keeps the rows of a table from being replaced by those of another.

use migrate_core::{ColumnName, ColumnPair, Error, ErrorKind, Result, TableRef};
use migrate_postgres::{classify, sqlx};
use sqlx::{PgConnection, Row};

/// Whether rows reference the table, also its own.
pub(super) async fn is_referenced(
    connection: &mut PgConnection,
    oid: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from pg_constraint where contype = 'f' and confrelid = $1::oid)",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
}

/// Whether a trigger or a rule can keep a row from being written.
pub(super) async fn may_drop_rows(
    connection: &mut PgConnection,
    oid: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "with recursive family as (select $1::oid as oid union \
             select i.inhrelid from pg_inherits i join family f on f.oid = i.inhparent) \
         select exists (select from pg_trigger g join family f on f.oid = g.tgrelid \
                        where not g.tgisinternal and g.tgtype & 3 = 3 and g.tgenabled <> 'D') \
             or exists (select from pg_rewrite r join family f on f.oid = r.ev_class \
                        where r.ev_type in ('2', '3', '4') and r.ev_enabled <> 'D')",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
}

/// Refuses to replace rows of which this role sees only some.
///
/// # Errors
///
/// `Conflict`.
pub(super) async fn refuse_row_policies(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
) -> Result<()> {
    let is_active: bool = sqlx::query_scalar("select row_security_active($1::oid)")
        .bind(oid)
        .fetch_one(connection)
        .await
        .map_err(|cause| {
            classify("Cannot read PostgreSQL's catalog", cause).with("table", table)
        })?;
    if !is_active {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("Row policies of {table} hide rows from this role, which could not be replaced"),
    )
    .with_hint("load as the owner of the table or as a role with the attribute `bypassrls`"))
}

/// Refuses foreign keys that would change or delete the rows of other tables while rows of this one
/// are replaced by `keys`.
///
/// # Errors
///
/// `Conflict`, naming them.
pub(super) async fn refuse_followers(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
    columns: &[ColumnPair],
    keys: &[ColumnName],
) -> Result<()> {
    // Without a key no row is updated; the key itself never changes.
    let is_updated = |pair: &&ColumnPair| !keys.is_empty() && !keys.contains(&pair.target);
    let updated: Vec<&str> =
        columns.iter().filter(is_updated).map(|pair| pair.target.as_str()).collect();
    let names: Option<String> = sqlx::query(
        "select string_agg(format('%I of %s', conname, conrelid::regclass), ', ' order by conname) \
                as names \
         from pg_constraint where contype = 'f' and confrelid = $1::oid \
           and (confdeltype in ('c', 'n', 'd') or (confupdtype in ('c', 'n', 'd') and exists ( \
                select from pg_attribute a where a.attrelid = confrelid \
                  and a.attnum = any(confkey) and a.attname = any($2))))",
    )
    .bind(oid)
    .bind(&updated)
    .fetch_one(connection)
    .await
    .and_then(|row| row.try_get("names"))
    .map_err(|cause| classify("Cannot read PostgreSQL's catalog", cause).with("table", table))?;
    let Some(names) = names else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Conflict,
        format!("Replacing rows of {table} would change the rows that reference them: {names}"),
    )
    .with_hint(
        "make these foreign keys `on delete no action on update no action`, or load by \
         \"uniqueness_columns\" without \"replace\"",
    ))
}
