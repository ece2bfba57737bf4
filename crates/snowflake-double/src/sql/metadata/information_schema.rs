//! `INFORMATION_SCHEMA`: the views `TABLES`, `COLUMNS` and `SCHEMATA`.
//!
//! They are ordinary relations, so that any query works on them.

use crate::table::{Datum, Entry, shown};
use crate::types::Type;

use super::super::env::Env;
use super::super::failure::Failure;
use super::super::result::{Field, ResultSet};
use super::super::ty::Ty;
use super::{OWNER, moment, number, optional, text, yes_no};

const SCHEMA: &str = "INFORMATION_SCHEMA";

/// The view of a name; `None` if the name means something else.
pub(crate) fn find(env: &Env<'_>, parts: &[String]) -> Result<Option<ResultSet>, Failure> {
    let (database, view) = match parts {
        [schema, view] if schema == SCHEMA => {
            let database = env.session.database.clone();
            (database.ok_or_else(Failure::no_current_database)?, view)
        }
        [database, schema, view] if schema == SCHEMA => (database.clone(), view),
        [view] if env.session.schema.as_deref() == Some(SCHEMA) => {
            let database = env.session.database.clone();
            (database.ok_or_else(Failure::no_current_database)?, view)
        }
        _ => return Ok(None),
    };
    if !env.catalog.has_database(&database) {
        return Err(Failure::no_such_object("Database", &shown(&database)));
    }
    let entries: Vec<_> =
        env.catalog.entries().filter(|entry| entry.spec.name.database == database).collect();
    match view.as_str() {
        "TABLES" => tables(env, &entries).map(Some),
        "COLUMNS" => columns(&entries).map(Some),
        "SCHEMATA" => schemata(env, &database).map(Some),
        other => Err(Failure::unsupported(format!("the view INFORMATION_SCHEMA.{other}"))),
    }
}

fn text_field(name: &str) -> Field {
    Field::new(name, Ty::text(), true)
}

fn number_field(name: &str) -> Field {
    Field::new(name, Ty::number(38, 0), true)
}

fn time_field(name: &str) -> Field {
    Field::new(name, Type::timestamp_ltz(3), true)
}

fn tables(env: &Env<'_>, entries: &[&Entry]) -> Result<ResultSet, Failure> {
    let fields = vec![
        text_field("TABLE_CATALOG"),
        text_field("TABLE_SCHEMA"),
        text_field("TABLE_NAME"),
        text_field("TABLE_OWNER"),
        text_field("TABLE_TYPE"),
        text_field("IS_TRANSIENT"),
        text_field("CLUSTERING_KEY"),
        number_field("ROW_COUNT"),
        number_field("BYTES"),
        number_field("RETENTION_TIME"),
        time_field("CREATED"),
        time_field("LAST_ALTERED"),
        text_field("COMMENT"),
    ];
    let retention = env.catalog.retention.as_secs() / 86_400;
    let rows: Vec<Vec<Datum>> = entries
        .iter()
        .map(|entry| {
            let spec = &entry.spec;
            let days = if entry.time_travel { retention } else { 0 };
            vec![
                text(&spec.name.database),
                text(&spec.name.schema),
                text(&spec.name.table),
                text(OWNER),
                text("BASE TABLE"),
                text("NO"),
                optional(spec.clustering_key.as_deref()),
                number(entry.rows()),
                number(entry.bytes()),
                Datum::Number(i128::from(days)),
                moment(entry.created),
                moment(entry.changed()),
                optional(spec.comment.as_deref()),
            ]
        })
        .collect();
    ResultSet::from_rows(fields, &rows)
}

fn columns(entries: &[&Entry]) -> Result<ResultSet, Failure> {
    let fields = vec![
        text_field("TABLE_CATALOG"),
        text_field("TABLE_SCHEMA"),
        text_field("TABLE_NAME"),
        text_field("COLUMN_NAME"),
        number_field("ORDINAL_POSITION"),
        text_field("COLUMN_DEFAULT"),
        text_field("IS_NULLABLE"),
        text_field("DATA_TYPE"),
        number_field("CHARACTER_MAXIMUM_LENGTH"),
        number_field("CHARACTER_OCTET_LENGTH"),
        number_field("NUMERIC_PRECISION"),
        number_field("NUMERIC_PRECISION_RADIX"),
        number_field("NUMERIC_SCALE"),
        number_field("DATETIME_PRECISION"),
        text_field("COLLATION_NAME"),
        text_field("IS_IDENTITY"),
        text_field("COMMENT"),
    ];
    let mut rows = Vec::new();
    for entry in entries {
        for (position, column) in entry.spec.columns.iter().enumerate() {
            let (characters, octets) = lengths(column.ty);
            let (precision, radix, scale) = match column.ty {
                Type::Number { precision, scale } => {
                    (small(precision), Datum::Number(10), small(scale))
                }
                _ => (Datum::Null, Datum::Null, Datum::Null),
            };
            rows.push(vec![
                text(&entry.spec.name.database),
                text(&entry.spec.name.schema),
                text(&entry.spec.name.table),
                text(&column.name),
                number(position + 1),
                Datum::Null,
                yes_no(column.nullable),
                text(column.ty.schema_name()),
                characters,
                octets,
                precision,
                radix,
                scale,
                column.ty.fraction_digits().map_or(Datum::Null, small),
                optional(column.collation.as_deref()),
                text("NO"),
                optional(column.comment.as_deref()),
            ]);
        }
    }
    ResultSet::from_rows(fields, &rows)
}

fn small(value: u8) -> Datum {
    Datum::Number(i128::from(value))
}

/// The longest text in characters and in bytes, the longest BINARY in bytes.
fn lengths(ty: Type) -> (Datum, Datum) {
    let long = |value: u32| Datum::Number(i128::from(value));
    match ty {
        Type::Varchar { length } => {
            (long(length), long(length.saturating_mul(4).min(crate::types::MAX_VARCHAR)))
        }
        Type::Binary { length } => (long(length), long(length)),
        _ => (Datum::Null, Datum::Null),
    }
}

fn schemata(env: &Env<'_>, database: &str) -> Result<ResultSet, Failure> {
    let fields =
        vec![text_field("CATALOG_NAME"), text_field("SCHEMA_NAME"), text_field("SCHEMA_OWNER")];
    let rows: Vec<_> = env
        .catalog
        .schemas()
        .filter(|(known, _)| known == database)
        .map(|(database, schema)| vec![text(database), text(schema), text(OWNER)])
        .collect();
    ResultSet::from_rows(fields, &rows)
}
