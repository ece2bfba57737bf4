//! `DESCRIBE TABLE`.

use crate::table::{ColumnSpec, Datum, Entry};
use crate::types::Type;

use super::super::failure::Failure;
use super::super::result::{Field, ResultSet};
use super::super::ty::Ty;
use super::{optional, text};

/// The columns of a table.
pub(crate) fn table(entry: &Entry) -> Result<ResultSet, Failure> {
    let names = [
        "name",
        "type",
        "kind",
        "null?",
        "default",
        "primary key",
        "unique key",
        "check",
        "expression",
        "comment",
        "policy name",
        "privacy domain",
    ];
    let fields = names.iter().map(|name| Field::new(*name, Ty::text(), true)).collect();
    let rows: Vec<Vec<Datum>> = entry
        .spec
        .columns
        .iter()
        .map(|column| {
            let is_key = entry.spec.primary_key.contains(&column.name);
            vec![
                text(&column.name),
                text(declared(column)),
                text("COLUMN"),
                text(letter(column.nullable)),
                Datum::Null,
                text(letter(is_key)),
                text("N"),
                Datum::Null,
                Datum::Null,
                optional(column.comment.as_deref()),
                Datum::Null,
                Datum::Null,
            ]
        })
        .collect();
    ResultSet::from_rows(fields, &rows)
}

/// The type with its collation.
fn declared(column: &ColumnSpec) -> String {
    match (&column.collation, column.ty) {
        (Some(collation), Type::Varchar { .. }) if !collation.is_empty() => {
            format!("{} COLLATE '{collation}'", column.ty)
        }
        _ => column.ty.to_string(),
    }
}

const fn letter(value: bool) -> &'static str {
    if value { "Y" } else { "N" }
}
