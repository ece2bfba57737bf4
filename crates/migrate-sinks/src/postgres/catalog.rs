//! What PostgreSQL's catalog says of a table.

use std::sync::Arc;

use migrate_core::{
    Column, ColumnName, ColumnPair, Error, ErrorKind, Fidelity, Fill, Result, TableRef,
    TableSchema, closest, code,
};
use migrate_postgres::classify;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::Oid;
use sqlx::{PgConnection, Row};

use super::copy_binary::choose;
use super::pg_type::{PgType, TypeFacts};

/// A table as the catalog describes it.
#[derive(Debug)]
pub(super) struct LoadedTable {
    pub(super) oid: i64,
    pub(super) schema: Arc<TableSchema>,
    /// One per column of `schema`.
    pub(super) types: Vec<PgType>,
    /// By which a row is named in messages; empty where there is no primary key.
    pub(super) primary_key: Vec<ColumnName>,
}

impl LoadedTable {
    /// The type of a column.
    ///
    /// # Errors
    ///
    /// [`code::COLUMN_MISSING`].
    pub(super) fn type_of(&self, name: &ColumnName) -> Result<&PgType> {
        let column = self.schema.require(name)?;
        let at = self.schema.columns.iter().position(|known| known.name == column.name);
        Ok(at.and_then(|at| self.types.get(at)).unwrap_or(&PgType::Other))
    }

    /// What becomes of a column's values.
    pub(super) fn assess(&self, pair: &ColumnPair) -> Fidelity {
        let why = match self.type_of(&pair.target) {
            Ok(pg_type) => match choose(pair, pg_type) {
                Ok((_, fidelity)) => return fidelity,
                Err(why) => why,
            },
            Err(missing) => missing.message().to_owned(),
        };
        Fidelity::Impossible { why }
    }
}

/// Loads a table by its exact name.
///
/// # Errors
///
/// [`code::TARGET_TABLE_MISSING`] with the nearest name; `Unsupported` for what COPY cannot fill.
pub(super) async fn load_table(
    connection: &mut PgConnection,
    table: &TableRef,
) -> Result<LoadedTable> {
    refuse_long_names(table, std::iter::empty())?;
    let relation = sqlx::query(
        "select c.oid::bigint as oid, c.relkind::text as kind from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2",
    )
    .bind(&table.schema)
    .bind(&table.name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(|cause| catalog(cause, table))?;
    let Some(relation) = relation else { return Err(missing(connection, table).await?) };
    let kind: String = relation.try_get("kind").map_err(|cause| catalog(cause, table))?;
    refuse_unless_table(&kind, table)?;
    let oid: i64 = relation.try_get("oid").map_err(|cause| catalog(cause, table))?;

    // A domain's own type and modifier count: COPY hands its base type to the domain's checks.
    let rows = sqlx::query(
        "with recursive base as ( \
             select a.attnum, a.atttypid as type_id, a.atttypmod as modifier, false as not_null \
             from pg_attribute a where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped \
             union all \
             select b.attnum, t.typbasetype, \
                    case when b.modifier = -1 then t.typtypmod else b.modifier end, t.typnotnull \
             from base b join pg_type t on t.oid = b.type_id where t.typtype = 'd') \
         select a.attname, format_type(a.atttypid, a.atttypmod) as native_type, \
                t.typname::text as typname, t.typtype::text as typtype, b.modifier, \
                (select x.extname::text from pg_depend d join pg_extension x on x.oid = d.refobjid \
                 where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e' \
                   and d.refclassid = 'pg_extension'::regclass) as extension, \
                t.typnamespace = 'pg_catalog'::regnamespace as is_built_in, \
                e.typnamespace = 'pg_catalog'::regnamespace as is_element_built_in, \
                e.oid as element_oid, e.typname::text as element_name, \
                e.typtype::text as element_kind, \
                array(select l.enumlabel::text from pg_enum l \
                      where l.enumtypid = coalesce(e.oid, t.oid)) as labels, \
                coalesce(array_position(p.indkey::int2[], a.attnum), -1) as key_position, \
                a.attnotnull or exists (select from base d where d.attnum = a.attnum and d.not_null) \
                    as not_null, \
                a.atthasdef or a.attidentity <> '' as has_default, a.attgenerated <> '' as generated \
         from pg_attribute a \
         join base b on b.attnum = a.attnum \
         join pg_type t on t.oid = b.type_id and t.typtype <> 'd' \
         left join pg_type e on e.oid = t.typelem and t.typcategory = 'A' \
         left join pg_index p on p.indrelid = a.attrelid and p.indisprimary \
         where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped \
         order by a.attnum",
    )
    .bind(oid)
    .fetch_all(connection)
    .await
    .map_err(|cause| catalog(cause, table))?;
    let mut columns = Vec::with_capacity(rows.len());
    let mut types = Vec::with_capacity(rows.len());
    let mut key = Vec::new();
    for row in &rows {
        let failed = |cause| catalog(cause, table);
        let (column, pg_type) = column_of(row).map_err(failed)?;
        let position: i32 = row.try_get("key_position").map_err(failed)?;
        if position >= 0 {
            key.push((position, column.name.clone()));
        }
        columns.push(column);
        types.push(pg_type);
    }
    key.sort_unstable();
    let primary_key = key.into_iter().map(|(_, name)| name).collect();
    let schema = Arc::new(TableSchema::new(table.clone(), columns));
    Ok(LoadedTable { oid, schema, types, primary_key })
}

fn column_of(row: &PgRow) -> Result<(Column, PgType), sqlx::Error> {
    let pg_type = PgType::new(type_facts(row)?);
    let fill = if row.try_get("generated")? {
        Fill::Generated
    } else if row.try_get("has_default")? {
        Fill::Default
    } else {
        Fill::Nothing
    };
    let name: String = row.try_get("attname")?;
    let native: String = row.try_get("native_type")?;
    let column = Column::new(name, pg_type.column_type(), native)
        .with_nullable(!row.try_get::<bool, _>("not_null")?)
        .with_fill(fill);
    Ok((column, pg_type))
}

fn type_facts(row: &PgRow) -> Result<TypeFacts, sqlx::Error> {
    let letter = |kind: &str| kind.chars().next().unwrap_or('b');
    // A type of somebody's own may be called as one of the server's.
    let known = |name: String, is_built_in: Option<bool>, extension: &Option<String>| {
        if is_built_in == Some(true) || extension.is_some() { name } else { String::new() }
    };
    let extension: Option<String> = row.try_get("extension")?;
    let facts = TypeFacts {
        name: known(row.try_get("typname")?, row.try_get("is_built_in")?, &extension),
        kind: letter(row.try_get("typtype")?),
        modifier: row.try_get("modifier")?,
        extension: extension.clone(),
        labels: row.try_get("labels")?,
        element: None,
    };
    let Some(Oid(oid)) = row.try_get("element_oid")? else { return Ok(facts) };
    // A modifier of an array is that of its elements.
    let element = TypeFacts {
        name: known(row.try_get("element_name")?, row.try_get("is_element_built_in")?, &extension),
        kind: letter(row.try_get("element_kind")?),
        ..facts.clone()
    };
    Ok(TypeFacts { element: Some((Box::new(element), oid)), ..facts })
}

/// The server cuts names of more bytes without an error (`NAMEDATALEN` in its sources).
const NAME_BYTES: usize = 63;

/// Refuses names that the server would cut.
pub(super) fn refuse_long_names<'c>(
    table: &'c TableRef,
    columns: impl Iterator<Item = &'c ColumnName>,
) -> Result<()> {
    let names = table.schema.as_deref().into_iter().chain([table.name.as_str()]);
    let names = names.chain(columns.map(ColumnName::as_str));
    let too_long: Vec<_> = names
        .filter(|name| name.len() > NAME_BYTES)
        .map(|name| ColumnName::from(name).to_string())
        .collect();
    if too_long.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("PostgreSQL cuts names to {NAME_BYTES} bytes: {}", too_long.join(", ")),
    )
    .with("table", table)
    .with_hint("choose a shorter `target`, and map long columns in `column_mapping`"))
}

fn refuse_unless_table(kind: &str, table: &TableRef) -> Result<()> {
    let what = match kind {
        // Ordinary and partitioned tables.
        "r" | "p" => return Ok(()),
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        _ => "not a table",
    };
    Err(Error::new(ErrorKind::Unsupported, format!("The target {table} is {what}"))
        .with_hint("name the table that rows are to be stored in"))
}

/// Tells a missing schema from a missing table and offers the nearest name.
async fn missing(connection: &mut PgConnection, table: &TableRef) -> Result<Error> {
    let schema = table.schema.as_deref().unwrap_or_default();
    let has_schema: bool =
        sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
            .bind(schema)
            .fetch_one(&mut *connection)
            .await
            .map_err(|cause| catalog(cause, table))?;
    if !has_schema {
        return Ok(Error::new(
            code::TARGET_TABLE_MISSING,
            format!("Target schema \"{schema}\" does not exist"),
        )
        .with("table", table)
        .with_hint(format!("create schema \"{schema}\", or correct `target_pg_schema`")));
    }
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relkind in ('r', 'p')",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .map_err(|cause| catalog(cause, table))?;
    let hint = match closest(&table.name, names.iter().map(String::as_str)) {
        Some(near) => format!(
            "create it, or did you mean {near}? A name with capitals must be quoted in the \
             configuration: \"target\": \"\\\"{near}\\\"\""
        ),
        None => "create it, or correct `target`".to_owned(),
    };
    Ok(Error::new(code::TARGET_TABLE_MISSING, format!("Target table {table} not found"))
        .with_hint(hint))
}

pub(super) fn catalog(cause: sqlx::Error, table: &TableRef) -> Error {
    classify("Cannot read PostgreSQL's catalog", cause).with("table", table)
}
