//! What a load does better without: secondary indexes, unique and exclusion constraints, foreign keys
//! in both directions, triggers. Here the statements are written that take them away and bring them
//! back; nothing runs.
//!
//! What could not come back as it was stays: the primary key, the index that decides conflicts, an
//! index that replication or `cluster` relies on, one in a tablespace of its own, parts of
//! partitioned tables, and foreign keys that touch one.

use std::collections::BTreeSet;

use migrate_core::{
    ColumnName, Dialect, Existing, RestoreStep, Result, Return, SetAside, SqlBuilder, TableRef,
};
use migrate_postgres::{Database, sqlx};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use super::catalog::catalog;
use super::in_database;

/// Definitions come out with every name in its schema. Answers the path to go back to.
const QUALIFIED: &str = "\
    select path, set_config('search_path', 'pg_catalog', true) \
    from (select current_setting('search_path') as path) as before";

const AS_BEFORE: &str = "select set_config('search_path', $1, true)";

const OID: &str = "\
    select c.oid::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2";

/// Indexes, with the constraint that one belongs to.
const INDEXES: &str = "\
    select n.nspname::text as schema, c.relname::text as name, i.indisunique as is_unique, \
           pg_get_indexdef(i.indexrelid) as definition, \
           obj_description(i.indexrelid, 'pg_class') as comment, \
           k.conname::text as constraint_name, k.contype::text as constraint_type, \
           pg_get_constraintdef(k.oid) as constraint_definition, k.condeferrable, k.condeferred, \
           obj_description(k.oid, 'pg_constraint') as constraint_comment, \
           case when i.indexprs is null and i.indpred is null then array( \
               select a.attname::text from unnest(i.indkey::int2[]) with ordinality as p (number, at) \
               join pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.number \
               where p.at <= i.indnkeyatts) else '{}' end as columns \
    from pg_index i \
    join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_class t on t.oid = i.indrelid and t.relkind = 'r' and not t.relispartition \
    left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid \
         and k.contype in ('u', 'x') \
    where i.indrelid = $1::oid and not i.indisprimary and not i.indisreplident \
      and not i.indisclustered and i.indisvalid and i.indisready and c.reltablespace = 0 \
      and not exists (select from pg_attribute a \
                      where a.attrelid = c.oid and coalesce(a.attstattarget, -1) >= 0) \
      and not exists (select from pg_depend d \
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid \
                        and d.deptype in ('e', 'x')) \
      and not exists (select from pg_constraint f join pg_class r on r.oid = f.conrelid \
                      where f.contype = 'f' and f.conindid = i.indexrelid and r.relkind <> 'r') \
    order by c.relname";

const FOREIGN_KEYS: &str = "\
    select n.nspname::text as schema, r.relname::text as table, k.conname::text as name, \
           pg_get_constraintdef(k.oid) as definition, k.convalidated as is_valid, \
           obj_description(k.oid, 'pg_constraint') as comment \
    from pg_constraint k \
    join pg_class r on r.oid = k.conrelid and r.relkind = 'r' \
    join pg_namespace n on n.oid = r.relnamespace \
    join pg_class p on p.oid = k.confrelid and p.relkind = 'r' \
    where k.contype = 'f' and $1::oid in (k.conrelid, k.confrelid) and k.conparentid = 0 \
      and not exists (select from pg_constraint part where part.conparentid = k.oid) \
    order by n.nspname, r.relname, k.conname";

/// Disabled ones stay disabled, so only the others are listed.
const TRIGGERS: &str = "\
    select t.tgname::text as name, t.tgenabled::text as state \
    from pg_trigger t join pg_class c on c.oid = t.tgrelid and c.relkind = 'r' \
    where t.tgrelid = $1::oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgparentid = 0 \
    order by t.tgname";

/// Lists what can be set aside of a table whose conflicts are decided by `keys`, in the order in which
/// it has to be taken away.
pub(super) async fn capture(
    database: &Database,
    oid: i64,
    table: &TableRef,
    keys: &[ColumnName],
) -> Result<Vec<SetAside>> {
    let failed = |cause| catalog(cause, table);
    let mut connection = database.acquire().await?;
    let mut tx = connection.begin().await.map_err(failed)?;
    let captured = defined(&mut tx, oid, table, keys).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(captured)
}

/// What of these things is there at this moment, as it is defined now. Only in a transaction.
pub(super) async fn present(
    connection: &mut PgConnection,
    objects: &[&SetAside],
) -> Result<Vec<SetAside>, sqlx::Error> {
    let tables: BTreeSet<&TableRef> = objects.iter().map(|object| &object.table).collect();
    let mut present = Vec::new();
    for table in tables {
        let oid: Option<i64> = sqlx::query_scalar(OID)
            .bind(table.schema.as_deref().unwrap_or_default())
            .bind(&table.name)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(oid) = oid {
            present.extend(defined(connection, oid, table, &[]).await?);
        }
    }
    present.retain(|now| objects.iter().any(|object| object.is_same(now)));
    Ok(present)
}

/// Whether both bring back the same thing. A foreign key may have lost its proof: it comes back
/// unproved while rows are missing.
pub(super) fn is_as_defined(planned: &SetAside, now: &SetAside) -> bool {
    let definition = |object: &SetAside| -> Vec<String> {
        let is_proof = |step: &&RestoreStep| {
            step.unless.is_none() && step.sql.contains(" validate constraint ")
        };
        let steps = object.restore.iter().filter(|step| !is_proof(step));
        steps.map(|step| without_proof(&step.sql).to_owned()).collect()
    };
    definition(planned) == definition(now)
}

fn without_proof(definition: &str) -> &str {
    [" not valid", " NOT VALID"]
        .iter()
        .find_map(|end| definition.strip_suffix(end))
        .unwrap_or(definition)
}

async fn defined(
    connection: &mut PgConnection,
    oid: i64,
    table: &TableRef,
    keys: &[ColumnName],
) -> Result<Vec<SetAside>, sqlx::Error> {
    let path: String = sqlx::query(QUALIFIED).fetch_one(&mut *connection).await?.try_get("path")?;
    let foreign_keys = rows(connection, FOREIGN_KEYS, oid).await?;
    let indexes = rows(connection, INDEXES, oid).await?;
    let triggers = rows(connection, TRIGGERS, oid).await?;
    sqlx::query(AS_BEFORE).bind(path).execute(connection).await?;

    let mut defined = Vec::new();
    for row in &foreign_keys {
        defined.push(foreign_key(row, table)?);
    }
    for row in &indexes {
        defined.extend(index(row, table, keys)?);
    }
    for row in &triggers {
        defined.push(trigger(row, table)?);
    }
    Ok(defined)
}

async fn rows(
    connection: &mut PgConnection,
    sql: &'static str,
    oid: i64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(sql).bind(oid).fetch_all(connection).await
}

/// `None` for the index that has to stay, because it tells known rows from new ones.
fn index(
    row: &PgRow,
    table: &TableRef,
    keys: &[ColumnName],
) -> Result<Option<SetAside>, sqlx::Error> {
    let mut columns: Vec<String> = row.try_get("columns")?;
    columns.sort_unstable();
    let mut decided_by: Vec<&str> = keys.iter().map(ColumnName::as_str).collect();
    decided_by.sort_unstable();
    if row.try_get("is_unique")? && !keys.is_empty() && columns == decided_by {
        return Ok(None);
    }
    let name: String = row.try_get("name")?;
    let schema: String = row.try_get("schema")?;
    let index = TableRef::in_schema(schema, &name);
    let create = step(row.try_get("definition")?, Some(Existing::Index(index.clone())));
    let Some(constraint) = row.try_get::<Option<String>, _>("constraint_name")? else {
        let remove = built(|sql| sql.text("drop index if exists ").table(&index));
        let mut object =
            SetAside::new(format!("index {name}"), table.clone(), Return::Rebuild, remove);
        object.restore.push(create);
        object
            .restore
            .extend(comment(row.try_get("comment")?, |sql| sql.text("index ").table(&index)));
        return Ok(Some(object));
    };
    let mut object = SetAside::new(
        format!("constraint {constraint}"),
        table.clone(),
        Return::Rebuild,
        drop_constraint(table, &constraint),
    );
    let exists = Some(Existing::Constraint(constraint.clone()));
    if row.try_get::<String, _>("constraint_type")? == "u" {
        object.restore.push(create);
        let mut deferral = String::new();
        if row.try_get("condeferrable")? {
            deferral.push_str(" deferrable");
        }
        if row.try_get("condeferred")? {
            deferral.push_str(" initially deferred");
        }
        let add = built(|sql| {
            sql.text("alter table ").table(table).text(" add constraint ").name(&constraint);
            sql.text(" unique using index ").name(&name).text(&deferral)
        });
        object.restore.push(step(add, exists));
    } else {
        // An exclusion constraint makes its index itself.
        let definition: String = row.try_get("constraint_definition")?;
        object.restore.push(step(add_constraint(table, &constraint, &definition), exists));
    }
    object.restore.extend(comment(row.try_get("comment")?, |sql| sql.text("index ").table(&index)));
    object.restore.extend(comment(row.try_get("constraint_comment")?, |sql| {
        sql.text("constraint ").name(&constraint).text(" on ").table(table)
    }));
    Ok(Some(object))
}

fn foreign_key(row: &PgRow, target: &TableRef) -> Result<SetAside, sqlx::Error> {
    let name: String = row.try_get("name")?;
    let table = TableRef {
        database: target.database.clone(),
        schema: Some(row.try_get("schema")?),
        name: row.try_get("table")?,
    };
    let unqualified = in_database(&table);
    let mut object = SetAside::new(
        format!("foreign key {name}"),
        table,
        Return::Relink,
        drop_constraint(&unqualified, &name),
    );
    let definition: String = row.try_get("definition")?;
    let exists = Some(Existing::Constraint(name.clone()));
    // The definition of one that was never validated says so itself, and it stays like that.
    if row.try_get("is_valid")? {
        let add = add_constraint(&unqualified, &name, &format!("{definition} not valid"));
        object.restore.push(step(add, exists));
        let validate = built(|sql| {
            sql.text("alter table ").table(&unqualified).text(" validate constraint ").name(&name)
        });
        object.restore.push(step(validate, None));
    } else {
        object.restore.push(step(add_constraint(&unqualified, &name, &definition), exists));
    }
    object.restore.extend(comment(row.try_get("comment")?, |sql| {
        sql.text("constraint ").name(&name).text(" on ").table(&unqualified)
    }));
    Ok(object)
}

fn trigger(row: &PgRow, table: &TableRef) -> Result<SetAside, sqlx::Error> {
    let name: String = row.try_get("name")?;
    let state: String = row.try_get("state")?;
    let alter = |how: &str| {
        built(|sql| {
            sql.text("alter table ")
                .table(&in_database(table))
                .text(how)
                .text(" trigger ")
                .name(&name)
        })
    };
    let mut object =
        SetAside::new(format!("trigger {name}"), table.clone(), Return::Rebuild, alter(" disable"));
    let enable = match state.as_str() {
        "R" => " enable replica",
        "A" => " enable always",
        _ => " enable",
    };
    object.restore.push(step(alter(enable), None));
    Ok(object)
}

fn add_constraint(table: &TableRef, name: &str, definition: &str) -> String {
    built(|sql| {
        sql.text("alter table ").table(&in_database(table)).text(" add constraint ").name(name);
        sql.text(" ").text(definition)
    })
}

fn drop_constraint(table: &TableRef, name: &str) -> String {
    built(|sql| {
        sql.text("alter table if exists ").table(&in_database(table));
        sql.text(" drop constraint if exists ").name(name)
    })
}

fn comment(
    text: Option<String>,
    on: impl Fn(&mut SqlBuilder) -> &mut SqlBuilder,
) -> Option<RestoreStep> {
    let text = text?;
    // A comment takes a constant only. The doubled quotes hold whatever the setting for backslashes.
    let constant = format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    let sql = built(|sql| on(sql.text("comment on ")).text(" is ").text(&constant));
    Some(step(sql, None))
}

fn step(sql: String, unless: Option<Existing>) -> RestoreStep {
    RestoreStep { sql, unless }
}

fn built(build: impl FnOnce(&mut SqlBuilder) -> &mut SqlBuilder) -> String {
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    build(&mut sql);
    sql.finish().sql
}
