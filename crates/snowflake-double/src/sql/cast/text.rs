//! Casts from and to VARCHAR.

use crate::calendar::{self, Parsed, Pattern, Shown, Stamp};
use crate::decimal_text::DecimalText;
use crate::float;
use crate::number::{self, Shape};
use crate::table::{Cell, Datum, from_hex};
use crate::types::{MAX_VARCHAR, Type};

use super::super::env::Env;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;
use super::{refused, variant_text};

/// Casts text to another type.
pub(super) fn from_text(env: &Env<'_>, expr: Expr, to: Type) -> Result<Expr, Failure> {
    let label = format!("cast {to}");
    let read: fn(&str, Type, i16) -> Result<Datum, Failure> = match to {
        Type::Varchar { length } => return Ok(bounded(expr, length)),
        Type::Number { .. } => |text, to, _| number_from_text(text, to),
        Type::Float => |text, _, _| {
            let value = float::parse(text).ok_or_else(|| Failure::numeric_not_recognized(text))?;
            Ok(Datum::Float(value))
        },
        Type::Boolean => |text, _, _| {
            let value = boolean(text).ok_or_else(|| Failure::boolean_not_recognized(text))?;
            Ok(Datum::Boolean(value))
        },
        Type::Date => |text, _, _| date_from_text(text),
        Type::Time { .. } => |text, to, _| time_from_text(text, to),
        Type::TimestampNtz { .. } | Type::TimestampLtz { .. } | Type::TimestampTz { .. } => {
            timestamp_from_text
        }
        Type::Binary { .. } => |text, _, _| {
            let bytes = from_hex(text).ok_or_else(|| Failure::binary_not_recognized(text))?;
            Ok(Datum::Bytes(bytes))
        },
        _ => return Err(refused(Type::varchar(), to)),
    };
    // The zone matters only for text without an offset, so it is asked for then.
    let zone = env.zone();
    Ok(Expr::strict(label, vec![expr], to, move |cells| match cells {
        [Cell::Text(text)] => match &zone {
            Ok(zone) => read(text, to, *zone),
            Err(failure) if wants_zone(text, to) => Err(failure.clone()),
            Err(_) => read(text, to, 0),
        },
        _ => Err(internal("text of another kind")),
    }))
}

fn wants_zone(text: &str, to: Type) -> bool {
    matches!(to, Type::TimestampLtz { .. } | Type::TimestampTz { .. })
        && matches!(calendar::timestamp(text), Parsed::Value(clock) if clock.offset.is_none())
}

/// Limits the length of a text. What would cut is refused.
pub(super) fn bounded(expr: Expr, length: u32) -> Expr {
    let ty = Ty { base: Some(Type::Varchar { length }), collation: expr.ty.collation.clone() };
    if matches!(expr.ty.base, Some(Type::Varchar { length: old }) if old <= length) {
        return Expr { ty, ..expr };
    }
    Expr::strict(format!("cast VARCHAR({length})"), vec![expr], ty, move |cells| match cells {
        [Cell::Text(text)] if text.chars().count() <= length as usize => Ok(Datum::text(*text)),
        _ => Err(Failure::unsupported("casts that cut a VARCHAR")),
    })
}

/// Reads a number, rounding half away from zero.
fn number_from_text(text: &str, to: Type) -> Result<Datum, Failure> {
    let Type::Number { precision, scale } = to else {
        return Err(internal("a number type was expected"));
    };
    let value = DecimalText::parse(text).ok_or_else(|| Failure::numeric_not_recognized(text))?;
    value
        .cast(Shape::new(precision, scale))
        .map(Datum::Number)
        .ok_or_else(|| Failure::numeric_out_of_range(text))
}

/// Reads the words for true and false.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a date.
fn date_from_text(text: &str) -> Result<Datum, Failure> {
    match calendar::date(text) {
        Parsed::Value(days) => Ok(Datum::Date(days)),
        Parsed::Invalid => Err(Failure::date_not_recognized(text)),
        Parsed::Unsure => Err(Failure::unsupported(format!("the date format of '{text}'"))),
    }
}

fn time_from_text(text: &str, to: Type) -> Result<Datum, Failure> {
    match calendar::time(text) {
        Parsed::Value(nanos) => {
            let step = calendar::fraction_step(to.fraction_digits().unwrap_or(9));
            if nanos % step == 0 {
                Ok(Datum::Time(nanos))
            } else {
                Err(Failure::unsupported("casts that cut digits of a fraction of a second"))
            }
        }
        Parsed::Invalid => Err(Failure::time_not_recognized(text)),
        Parsed::Unsure => Err(Failure::unsupported(format!("the time format of '{text}'"))),
    }
}

fn timestamp_from_text(text: &str, to: Type, zone: i16) -> Result<Datum, Failure> {
    let clock = match calendar::timestamp(text) {
        Parsed::Value(clock) => clock,
        Parsed::Invalid => return Err(Failure::timestamp_not_recognized(text)),
        Parsed::Unsure => {
            return Err(Failure::unsupported(format!("the timestamp format of '{text}'")));
        }
    };
    if !clock.wall.fits_scale(to.fraction_digits().unwrap_or(9)) {
        return Err(Failure::unsupported("casts that cut digits of a fraction of a second"));
    }
    let offset = clock.offset.unwrap_or(zone);
    let instant = clock.wall.shifted(-i32::from(offset));
    Ok(match to {
        // A zone-less timestamp keeps the clock that the text shows.
        Type::TimestampNtz { .. } => Datum::Stamp(clock.wall),
        Type::TimestampLtz { .. } => Datum::Stamp(instant),
        _ => Datum::Zoned(instant, offset),
    })
}

/// The text form of a value with the session's output formats.
pub(super) fn to_text(env: &Env<'_>, expr: Expr) -> Result<Expr, Failure> {
    let from = expr.ty.base.ok_or_else(|| internal("a cast without a type"))?;
    let ty = Type::Varchar { length: MAX_VARCHAR };
    let scale = expr.ty.scale();
    match from {
        Type::Number { .. } => Ok(Expr::strict("text", vec![expr], ty, move |cells| match cells {
            [Cell::Number(value)] => Ok(Datum::Text(number::text(*value, scale))),
            _ => Err(internal("a number of another kind")),
        })),
        Type::Boolean => Ok(Expr::strict("text", vec![expr], ty, |cells| match cells {
            [Cell::Boolean(value)] => Ok(Datum::Text(value.to_string())),
            _ => Err(internal("a truth value of another kind")),
        })),
        // How many digits the cast shows is documented nowhere.
        Type::Float => Ok(Expr::strict("text", vec![expr], ty, |cells| match cells {
            [Cell::Float(value)] if value.is_nan() => Ok(Datum::text("NaN")),
            [Cell::Float(value)] if value.is_infinite() => {
                Ok(Datum::text(if *value > 0.0 { "inf" } else { "-inf" }))
            }
            [Cell::Float(_)] => Err(Failure::unsupported("a finite FLOAT as text")),
            _ => Err(internal("a double of another kind")),
        })),
        Type::Binary { .. } => Ok(Expr::strict("text", vec![expr], ty, |cells| match cells {
            [Cell::Bytes(bytes)] => Ok(Datum::Text(hex(bytes))),
            _ => Err(internal("bytes of another kind")),
        })),
        Type::Variant | Type::Object | Type::Array => {
            Ok(Expr::lenient("text", vec![expr], ty, true, |cells| match cells {
                [Cell::Text(text)] => variant_text(text),
                _ => Ok(Datum::Null),
            }))
        }
        Type::Date | Type::Time { .. } => shown(env, expr, &default_format(env, from)),
        _ if from.fraction_digits().is_some() => shown(env, expr, &default_format(env, from)),
        _ => Err(refused(from, ty)),
    }
}

fn default_format(env: &Env<'_>, ty: Type) -> String {
    let own = match ty {
        Type::Date => "DATE_OUTPUT_FORMAT",
        Type::Time { .. } => "TIME_OUTPUT_FORMAT",
        Type::TimestampNtz { .. } => "TIMESTAMP_NTZ_OUTPUT_FORMAT",
        Type::TimestampLtz { .. } => "TIMESTAMP_LTZ_OUTPUT_FORMAT",
        _ => "TIMESTAMP_TZ_OUTPUT_FORMAT",
    };
    let format = env.parameter(own);
    if format.is_empty() { env.parameter("TIMESTAMP_OUTPUT_FORMAT") } else { format }
}

/// A date, time or timestamp in a format.
pub(crate) fn shown(env: &Env<'_>, expr: Expr, format: &str) -> Result<Expr, Failure> {
    let from = expr.ty.base.ok_or_else(|| internal("a cast without a type"))?;
    let pattern = Pattern::parse(format)
        .map_err(|rest| Failure::unsupported(format!("the format element at '{rest}'")))?;
    let zone = if matches!(from, Type::TimestampLtz { .. }) { env.zone()? } else { 0 };
    let scale = from.fraction_digits().unwrap_or(0);
    let label = format!("show {format}");
    Ok(Expr::strict(label, vec![expr], Ty::text(), move |cells| {
        let (wall, offset) = match cells {
            [Cell::Date(days)] => (Stamp::midnight(*days), None),
            [Cell::Time(nanos)] => {
                (Stamp::from_nanos(i128::from(*nanos)).unwrap_or_default(), None)
            }
            [Cell::Stamp(stamp)] if matches!(from, Type::TimestampLtz { .. }) => {
                (stamp.shifted(i32::from(zone)), Some(i32::from(zone)))
            }
            [Cell::Stamp(wall)] => (*wall, None),
            [Cell::Zoned(instant, offset)] => {
                (instant.shifted(i32::from(*offset)), Some(i32::from(*offset)))
            }
            _ => return Err(internal("a timestamp of another kind")),
        };
        pattern
            .show(Shown { wall, offset, scale })
            .map(Datum::Text)
            .ok_or_else(|| Failure::unsupported("this date or time in this format"))
    }))
}

/// Upper-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    crate::wire::hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}
