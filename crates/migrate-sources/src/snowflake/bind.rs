//! Scalars as binds of Snowflake's wire.

use migrate_core::{Scalar, SqlStatement};
use snowflake_connector_rs::bind::{BindType, RawBind};
use snowflake_connector_rs::{PositionalBinds, Statement};

/// A statement with its values, each typed. Formats of the session play no part: dates and times
/// travel as numbers.
pub(super) fn bound(statement: &SqlStatement) -> Statement<PositionalBinds> {
    let sql = Statement::new_positional(statement.sql.clone());
    statement.params.iter().fold(sql, |sql, param| sql.bind(raw(param)))
}

fn raw(value: &Scalar) -> RawBind {
    let (bind_type, text) = match value {
        Scalar::Bool(value) => (BindType::Boolean, value.to_string()),
        // A number with a fraction is cast from text by the builder of the statement.
        Scalar::Number(value) if value.scale() > 0 => (BindType::Text, value.to_string()),
        Scalar::Number(value) => (BindType::Fixed, value.to_string()),
        // A double is cast from text too, in the spellings that the cast documents.
        Scalar::Float(value) => (BindType::Text, format!("{:e}", value.get())),
        Scalar::Bytes(value) => (BindType::Binary, value.to_string()),
        Scalar::Date(value) => (BindType::Date, (i64::from(value.days()) * 86_400_000).to_string()),
        Scalar::Time(value) => (BindType::Time, value.nanos().to_string()),
        Scalar::Timestamp(value) => (BindType::TimestampNtz, epoch_nanos(*value)),
        Scalar::Instant(value) => (BindType::TimestampLtz, epoch_nanos(*value)),
        Scalar::Text(value) => (BindType::Text, value.clone()),
        Scalar::Uuid(value) => (BindType::Text, value.to_string()),
        other => (BindType::Text, other.to_string()),
    };
    RawBind::new(bind_type, text)
}

fn epoch_nanos(time: migrate_core::value::EpochTime) -> String {
    (i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanos())).to_string()
}
