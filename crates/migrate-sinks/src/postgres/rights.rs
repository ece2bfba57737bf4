//! What the role must be allowed to do, looked at before a row moves: the server would tell one thing
//! after the other, the last of them after hours of copying.

use migrate_core::{
    ColumnName, Dialect, Error, ErrorKind, LoadPlan, Result, SqlBuilder, TableRef, WriteMode,
};
use migrate_postgres::sqlx;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::catalog::catalog;
use super::in_database;

/// Which of the rights the role has; those on single columns count. `$2` are the columns that are
/// written, `$3` the keys among them, `$4` and `$5` the tables whose indexes and keys are set aside,
/// `$6` the columns that are read, `$7` whether the table is read as a whole.
const HELD: &str = "\
    with written as (select attnum, attname from pg_attribute \
                     where attrelid = $1::oid and attname = any($2)) \
    select current_user::text as role, current_database()::text as database, \
           has_schema_privilege(c.relnamespace, 'usage') as usage, \
           has_schema_privilege(c.relnamespace, 'create') as create, \
           has_database_privilege(current_database(), 'temporary') as temporary, \
           has_any_column_privilege(c.oid, 'select') \
               and (not $7 or has_table_privilege(c.oid, 'select')) \
               and coalesce((select bool_and(has_column_privilege(c.oid, attnum, 'select')) \
                             from pg_attribute where attrelid = c.oid and attname = any($6) \
                               and (attnum > 0 or c.relkind <> 'p')), true) as select, \
           coalesce((select bool_and(has_column_privilege(c.oid, attnum, 'insert')) \
                     from written), true) as insert, \
           coalesce((select bool_and(has_column_privilege(c.oid, attnum, 'update')) \
                     from written where attname <> all($3)), true) as update, \
           has_table_privilege(c.oid, 'delete') as delete, \
           has_table_privilege(c.oid, 'truncate') as truncate, \
           exists (select from pg_constraint where contype = 'f' and confrelid = c.oid) \
               as is_referenced, \
           array(select distinct k.confrelid::regclass::text from pg_constraint k \
                 where k.contype = 'f' and k.conrelid = c.oid and k.confrelid <> c.oid \
                   and not has_table_privilege(k.confrelid, 'references')) as not_referable, \
           array(select distinct o.oid::regclass::text from pg_class o \
                 join pg_namespace n on n.oid = o.relnamespace \
                 where (n.nspname::text, o.relname::text) in \
                       (select * from unnest($4::text[], $5::text[])) \
                   and not pg_has_role(o.relowner, 'usage')) as not_owned \
    from pg_class c where c.oid = $1::oid";

/// What the mode of a load asks for.
fn wanted(plan: &LoadPlan, is_referenced: bool) -> Vec<&'static str> {
    let mut wanted = vec!["select", "insert"];
    match &plan.mode {
        WriteMode::Upsert { .. } => wanted.extend(["update", "temporary"]),
        WriteMode::InsertOnly { .. } => wanted.push("temporary"),
        WriteMode::Replace { .. } => {
            wanted.extend(["delete", "create"]);
            // Rows that others point at are changed in their place.
            wanted.extend(is_referenced.then_some("update"));
        }
        _ => {}
    }
    wanted.extend((!plan.truncate.is_empty()).then_some("truncate"));
    wanted
}

/// The columns of the target that the mode of a load reads: to find a row again, to see whether it has
/// changed, and whether it was new (`xmax`, which partitioned tables do not tell).
fn read_columns(plan: &LoadPlan) -> Vec<&str> {
    let written = plan.columns.iter().map(|pair| pair.target.as_str());
    match &plan.mode {
        WriteMode::Upsert { .. } => written.chain(["xmax"]).collect(),
        WriteMode::InsertOnly { keys, .. } => {
            keys.iter().map(ColumnName::as_str).chain(["xmax"]).collect()
        }
        WriteMode::Replace { .. } => written.collect(),
        _ => Vec::new(),
    }
}

/// A table with the conditions of another is made by who may read all of that one.
fn reads_whole_table(plan: &LoadPlan) -> bool {
    matches!(plan.mode, WriteMode::Replace { .. }) && plan.sets_bad_rows_aside()
}

/// # Errors
///
/// `Auth`, with the statements that give the role what it lacks to see the table.
pub(super) async fn require_reading(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
) -> Result<()> {
    let row = held(connection, oid, table, &LoadPlan::append(Vec::new())).await?;
    refuse(&row, table, &["usage", "select"], Vec::new()).map_err(|cause| catalog(cause, table))?
}

/// # Errors
///
/// `Auth`, with the statements that give the role what it lacks for this plan.
pub(super) async fn require(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
    plan: &LoadPlan,
) -> Result<()> {
    let row = held(connection, oid, table, plan).await?;
    missing(&row, table, plan).map_err(|cause| catalog(cause, table))?
}

fn missing(row: &PgRow, table: &TableRef, plan: &LoadPlan) -> Result<Result<()>, sqlx::Error> {
    let role = Dialect::Postgres.quote(row.try_get("role")?);
    let tables = |column: &str| row.try_get::<Vec<String>, _>(column);
    let mut grants = Vec::new();
    if reads_whole_table(plan) {
        let grant = |other: String| format!("grant references on {other} to {role}");
        grants.extend(tables("not_referable")?.into_iter().map(grant));
    }
    let own = |other: String| format!("alter table {other} owner to {role}");
    grants.extend(tables("not_owned")?.into_iter().map(own));
    refuse(row, table, &wanted(plan, row.try_get("is_referenced")?), grants)
}

/// Refuses where one of these rights is missing, or other statements are needed.
fn refuse(
    row: &PgRow,
    table: &TableRef,
    wanted: &[&'static str],
    others: Vec<String>,
) -> Result<Result<()>, sqlx::Error> {
    let (role, database): (String, String) = (row.try_get("role")?, row.try_get("database")?);
    let mut missing = Vec::new();
    for right in wanted {
        if !row.try_get::<bool, _>(*right)? {
            missing.push(*right);
        }
    }
    if missing.is_empty() && others.is_empty() {
        return Ok(Ok(()));
    }
    let grant = |right: &&str| {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("grant ").text(right).text(" on ");
        match *right {
            "usage" | "create" => {
                sql.text("schema ").name(table.schema.as_deref().unwrap_or_default())
            }
            "temporary" => sql.text("database ").name(&database),
            _ => sql.table(&in_database(table)),
        };
        sql.text(" to ").name(&role);
        sql.finish().sql
    };
    let statements: Vec<String> = missing.iter().map(grant).chain(others).collect();
    Ok(Err(Error::new(
        ErrorKind::Auth,
        format!("The role {role} lacks rights that the load needs"),
    )
    .with("table", table)
    .with_hint(format!("run as the owner: {}", statements.join("; ")))))
}

async fn held(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
    plan: &LoadPlan,
) -> Result<PgRow> {
    let names = |columns: Vec<&str>| -> Vec<String> {
        columns.into_iter().map(ToOwned::to_owned).collect()
    };
    let written: Vec<String> =
        names(plan.columns.iter().map(|pair| pair.target.as_str()).collect());
    let keys: Vec<String> = names(plan.mode.keys().iter().map(ColumnName::as_str).collect());
    let away = plan.set_aside.iter().chain(&plan.restore).map(|object| &object.table);
    let (schemas, tables): (Vec<String>, Vec<String>) =
        away.map(|table| (table.schema.clone().unwrap_or_default(), table.name.clone())).unzip();
    sqlx::query(HELD)
        .bind(oid)
        .bind(&written)
        .bind(&keys)
        .bind(&schemas)
        .bind(&tables)
        .bind(names(read_columns(plan)))
        .bind(reads_whole_table(plan))
        .fetch_one(connection)
        .await
        .map_err(|cause| catalog(cause, table))
}
