//! Snowflake's column types as ours.

use migrate_core::{Column, ColumnType};
use snowflake_connector_rs::{Column as ClientColumn, ColumnType as ClientType, Schema};

/// Texts of this length or more have no limit worth mentioning: it is the default of `VARCHAR`.
const UNLIMITED_CHARS: u32 = 16_777_216;

/// The columns of a result.
pub(super) fn columns(schema: &Schema) -> Vec<Column> {
    schema.columns().iter().map(column).collect()
}

fn column(column: &ClientColumn) -> Column {
    let (column_type, native) = types(column.ty());
    Column::new(column.name(), column_type, native).with_nullable(column.is_nullable())
}

fn types(client_type: &ClientType) -> (ColumnType, String) {
    // Where the server leaves a precision or scale out, its own default holds.
    let digits = |scale: Option<u8>| scale.unwrap_or(9);
    match client_type {
        ClientType::Fixed { precision, scale, .. } => {
            let (precision, scale) = (precision.unwrap_or(38), scale.unwrap_or(0));
            (ColumnType::Number { precision, scale }, format!("NUMBER({precision},{scale})"))
        }
        ClientType::Real => (ColumnType::Float64, "FLOAT".into()),
        ClientType::Text { length, .. } => {
            let max_chars = length.filter(|limit| *limit < UNLIMITED_CHARS);
            let native = max_chars.map_or("VARCHAR".into(), |limit| format!("VARCHAR({limit})"));
            (ColumnType::Text { max_chars }, native)
        }
        ClientType::Boolean => (ColumnType::Boolean, "BOOLEAN".into()),
        ClientType::Date => (ColumnType::Date, "DATE".into()),
        ClientType::Time { scale, .. } => {
            let scale = digits(*scale);
            (ColumnType::Time { scale }, format!("TIME({scale})"))
        }
        ClientType::TimestampNtz { scale, .. } => {
            let scale = digits(*scale);
            (ColumnType::Timestamp { scale }, format!("TIMESTAMP_NTZ({scale})"))
        }
        ClientType::TimestampLtz { scale, .. } => {
            let scale = digits(*scale);
            (ColumnType::Instant { scale }, format!("TIMESTAMP_LTZ({scale})"))
        }
        ClientType::TimestampTz { scale, .. } => {
            let scale = digits(*scale);
            (ColumnType::OffsetTimestamp { scale }, format!("TIMESTAMP_TZ({scale})"))
        }
        ClientType::Variant => (ColumnType::Json, "VARIANT".into()),
        ClientType::Object => (ColumnType::Json, "OBJECT".into()),
        ClientType::Array => (ColumnType::Json, "ARRAY".into()),
        ClientType::Binary { .. } => (ColumnType::Binary, "BINARY".into()),
        ClientType::Unknown { snowflake_type, .. } if &**snowflake_type == "decfloat" => {
            (ColumnType::DecFloat, "DECFLOAT".into())
        }
        other => (ColumnType::Other, other.as_str().to_uppercase()),
    }
}
