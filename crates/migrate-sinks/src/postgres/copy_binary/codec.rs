//! Which encoding a pair of types gets, and what becomes of its values: one table for both.

use migrate_core::{ColumnType, Fidelity, MICRO_SCALE};

use super::super::pg_type::{NumericLimits, PgType};

/// How the values of one column are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Codec {
    Bool,
    /// Integers of any width into `int2`, `int4`, `int8`.
    Int2,
    Int4,
    Int8,
    /// Exact numbers into `numeric`, with the limits that the server would round to.
    Numeric {
        limits: Option<NumericLimits>,
    },
    Float4,
    Float8,
    /// Text into text-like types.
    Text {
        max_chars: Option<usize>,
    },
    /// JSON text into `jsonb`, which has a version byte.
    Jsonb,
    /// Text that spells a UUID, or 16 bytes.
    Uuid,
    Bytea,
    Date,
    /// Times into types of microseconds; finer values are refused.
    Time {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
}

/// The codec for a pair of types and the verdict on it, or the reason why there is none.
pub(in super::super) fn choose(
    source: &ColumnType,
    target: &PgType,
) -> Result<(Codec, Fidelity), String> {
    use ColumnType as From;
    use PgType as To;
    let pair = match (source, target) {
        (From::Boolean, To::Bool) => (Codec::Bool, Fidelity::Exact),
        (number, To::Int2) if number.is_exact_number() => (Codec::Int2, integer(number, 4)),
        (number, To::Int4) if number.is_exact_number() => (Codec::Int4, integer(number, 9)),
        (number, To::Int8) if number.is_exact_number() => (Codec::Int8, integer(number, 18)),
        (number, To::Numeric { limits }) if number.is_exact_number() => {
            (Codec::Numeric { limits: *limits }, numeric(number, *limits))
        }
        (From::Float32, To::Float4) | (From::Float64, To::Float8) => {
            (float_codec(target), Fidelity::Exact)
        }
        (From::Float32, To::Float8) => (Codec::Float8, Fidelity::Widened),
        (From::Text { max_chars }, To::Text) => {
            (Codec::Text { max_chars: None }, text(*max_chars, None))
        }
        (From::Text { max_chars }, To::Varchar { max_chars: limit }) => {
            (Codec::Text { max_chars: *limit }, text(*max_chars, *limit))
        }
        // The server pads with blanks, which `char(n)` itself calls insignificant.
        (From::Text { max_chars }, To::Char { max_chars: limit }) => {
            (Codec::Text { max_chars: Some(*limit) }, text(*max_chars, Some(*limit)))
        }
        // The server checks labels and syntax, and refuses what is not one.
        (From::Text { .. }, To::Enum | To::Json) => {
            (Codec::Text { max_chars: None }, Fidelity::Checked)
        }
        (From::Json, To::Text | To::Json) => (Codec::Text { max_chars: None }, Fidelity::Exact),
        (From::Json, To::Jsonb) => (Codec::Jsonb, Fidelity::Exact),
        (From::Text { .. }, To::Jsonb) => (Codec::Jsonb, Fidelity::Checked),
        (From::Text { .. }, To::Uuid) => (Codec::Uuid, Fidelity::Checked),
        (From::Uuid, To::Uuid) => (Codec::Uuid, Fidelity::Exact),
        (From::Binary, To::Bytea) => (Codec::Bytea, Fidelity::Exact),
        (From::Date, To::Date) => (Codec::Date, Fidelity::Exact),
        (From::Time { scale }, To::Time { digits }) => {
            (Codec::Time { digits: *digits }, fraction(*scale, *digits))
        }
        (From::Timestamp { scale }, To::Timestamp { digits })
        | (From::Instant { scale } | From::OffsetTimestamp { scale }, To::Timestamptz { digits }) => {
            (Codec::Timestamp { digits: *digits }, fraction(*scale, *digits))
        }
        _ => return Err(why_not(source, target)),
    };
    Ok(pair)
}

/// An integer type of PostgreSQL holds every number of `safe_digits` digits.
fn integer(source: &ColumnType, safe_digits: u8) -> Fidelity {
    match (source, safe_digits) {
        (ColumnType::Int16, 4) | (ColumnType::Int32, 9) | (ColumnType::Int64, 18) => {
            Fidelity::Exact
        }
        (ColumnType::Int16, _) | (ColumnType::Int32, 18) => Fidelity::Widened,
        (ColumnType::Number { precision, scale: 0 }, _) if *precision <= safe_digits => {
            Fidelity::Exact
        }
        _ => Fidelity::Checked,
    }
}

fn numeric(source: &ColumnType, limits: Option<NumericLimits>) -> Fidelity {
    let (precision, scale) = match source {
        ColumnType::Int16 => (5, 0),
        ColumnType::Int32 => (10, 0),
        ColumnType::Int64 => (19, 0),
        ColumnType::Number { precision, scale } => (i32::from(*precision), i32::from(*scale)),
        _ => return Fidelity::Checked,
    };
    match limits {
        None => Fidelity::Widened,
        Some(limits) if limits.precision == precision && limits.scale == scale => Fidelity::Exact,
        Some(limits)
            if limits.scale >= scale && limits.precision - limits.scale >= precision - scale =>
        {
            Fidelity::Widened
        }
        Some(_) => Fidelity::Checked,
    }
}

fn float_codec(target: &PgType) -> Codec {
    if *target == PgType::Float4 { Codec::Float4 } else { Codec::Float8 }
}

fn text(source_limit: Option<u32>, target_limit: Option<usize>) -> Fidelity {
    match (source_limit.and_then(|limit| usize::try_from(limit).ok()), target_limit) {
        (source, target) if source == target => Fidelity::Exact,
        (_, None) => Fidelity::Widened,
        (Some(source), Some(target)) if source <= target => Fidelity::Widened,
        _ => Fidelity::Checked,
    }
}

fn fraction(source_digits: u8, target_digits: u8) -> Fidelity {
    if source_digits <= target_digits { Fidelity::Exact } else { Fidelity::Checked }
}

fn why_not(source: &ColumnType, target: &PgType) -> String {
    match (source, target) {
        (ColumnType::Timestamp { .. }, PgType::Timestamptz { .. }) => {
            "a time without zone names no instant".to_owned()
        }
        (
            ColumnType::Instant { .. } | ColumnType::OffsetTimestamp { .. },
            PgType::Timestamp { .. },
        ) => "an instant would lose its zone".to_owned(),
        (_, PgType::Other) => "there is no encoding for the target type".to_owned(),
        _ => format!("{source} cannot be stored as {}", target.column_type()),
    }
}

// Time types of PostgreSQL keep microseconds whatever their modifier says.
const _: () = assert!(MICRO_SCALE == 6);
