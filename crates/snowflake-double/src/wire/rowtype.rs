//! Column metadata of answers.

use serde::Serialize;

use crate::sql::Field;
use crate::types::{MAX_VARCHAR, Type};

/// One entry of `data.rowtype`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowType {
    name: String,
    database: String,
    schema: String,
    table: String,
    nullable: bool,
    #[serde(rename = "type")]
    data_type: &'static str,
    byte_length: Option<u32>,
    length: Option<u32>,
    precision: Option<u8>,
    scale: Option<u8>,
    collation: Option<String>,
}

/// The metadata of a result's columns.
pub(crate) fn rowtype(fields: &[Field]) -> Vec<RowType> {
    fields.iter().map(of).collect()
}

fn of(field: &Field) -> RowType {
    let ty = field.ty.reported();
    let (length, byte_length) = match ty {
        Type::Varchar { length } => (Some(length), Some(length.saturating_mul(4).min(MAX_VARCHAR))),
        Type::Binary { length } => (Some(length), Some(length)),
        _ => (None, None),
    };
    let (precision, scale) = match ty {
        Type::Number { precision, scale } => (Some(precision), Some(scale)),
        other => match other.fraction_digits() {
            Some(scale) => (Some(0), Some(scale)),
            None => (None, None),
        },
    };
    let origin = field.origin.as_ref();
    RowType {
        name: field.name.clone(),
        database: origin.map(|name| name.database.clone()).unwrap_or_default(),
        schema: origin.map(|name| name.schema.clone()).unwrap_or_default(),
        table: origin.map(|name| name.table.clone()).unwrap_or_default(),
        nullable: field.nullable,
        data_type: ty.wire_name(),
        byte_length,
        length,
        precision,
        scale,
        collation: field.ty.collation.name().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_has_the_parameters_of_the_type() {
        let json = |ty: Type| serde_json::to_value(of(&Field::new("C", ty, true))).unwrap();
        let number = json(Type::number(28, 2));
        assert_eq!(
            (&number["type"], &number["precision"], &number["scale"]),
            (&"fixed".into(), &28.into(), &2.into())
        );
        let text = json(Type::varchar_of(10));
        assert_eq!(
            (&text["type"], &text["length"], &text["byteLength"]),
            (&"text".into(), &10.into(), &40.into())
        );
        let moment = json(Type::timestamp_tz(3));
        assert_eq!((&moment["type"], &moment["scale"]), (&"timestamp_tz".into(), &3.into()));
        assert_eq!(json(Type::Float)["scale"], serde_json::Value::Null);
    }
}
