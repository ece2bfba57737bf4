//! Type names in SQL.

use sqlparser::ast;

use crate::types::{MAX_BINARY, MAX_VARCHAR, Type};

use super::failure::Failure;

/// The type that a name in a cast means.
pub(crate) fn read(data_type: &ast::DataType) -> Result<Type, Failure> {
    let text = data_type.to_string().to_uppercase();
    let unknown = || Failure::unsupported(format!("the type {text}"));
    let (name, params) = match text.split_once('(') {
        None => (text.as_str(), Vec::new()),
        Some((name, rest)) => {
            let (list, tail) = rest.split_once(')').ok_or_else(unknown)?;
            if !tail.is_empty() {
                return Err(unknown());
            }
            let params = list
                .split(',')
                .map(|param| param.trim().parse::<u32>())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| unknown())?;
            (name, params)
        }
    };
    let ty = named(name.trim_matches('"').trim(), &params).ok_or_else(unknown)?;
    match ty.fault() {
        None => Ok(ty),
        Some(fault) => {
            let message = format!("SQL compilation error:\ninvalid type {text}: {fault}");
            Err(Failure::new("001011", "42601", message))
        }
    }
}

fn named(name: &str, params: &[u32]) -> Option<Type> {
    let small = |index: usize, default: u8| match params.get(index) {
        None => Some(default),
        Some(value) => u8::try_from(*value).ok(),
    };
    let only = |count: usize| (params.len() <= count).then_some(());
    let ty = match name {
        "NUMBER" | "DECIMAL" | "NUMERIC" | "DEC" => {
            only(2)?;
            return Some(Type::number(small(0, 38)?, small(1, 0)?));
        }
        "VARCHAR" | "STRING" | "TEXT" | "NVARCHAR" | "NVARCHAR2" | "CHARACTER VARYING"
        | "CHAR VARYING" => {
            only(1)?;
            return Some(Type::varchar_of(params.first().copied().unwrap_or(MAX_VARCHAR)));
        }
        "CHAR" | "CHARACTER" | "NCHAR" => {
            only(1)?;
            return Some(Type::varchar_of(params.first().copied().unwrap_or(1)));
        }
        "BINARY" | "VARBINARY" => {
            only(1)?;
            return Some(Type::Binary { length: params.first().copied().unwrap_or(MAX_BINARY) });
        }
        "TIME" | "DATETIME" | "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMPNTZ" | "TIMESTAMP_LTZ"
        | "TIMESTAMPLTZ" | "TIMESTAMP_TZ" | "TIMESTAMPTZ" => {
            only(1)?;
            let scale = small(0, 9)?;
            return Some(match name {
                "TIME" => Type::time(scale),
                "TIMESTAMP_LTZ" | "TIMESTAMPLTZ" => Type::timestamp_ltz(scale),
                "TIMESTAMP_TZ" | "TIMESTAMPTZ" => Type::timestamp_tz(scale),
                _ => Type::timestamp_ntz(scale),
            });
        }
        "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "TINYINT" | "BYTEINT" => Type::number(38, 0),
        "FLOAT" | "FLOAT4" | "FLOAT8" | "DOUBLE" | "DOUBLE PRECISION" | "REAL" => Type::Float,
        "BOOLEAN" | "BOOL" => Type::Boolean,
        "DATE" => Type::Date,
        "VARIANT" => Type::Variant,
        "OBJECT" => Type::Object,
        "ARRAY" => Type::Array,
        _ => return None,
    };
    only(0)?;
    Some(ty)
}
