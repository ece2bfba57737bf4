//! `TO_...` and `TRY_TO_...`.

use crate::float;
use crate::table::{Cell, Datum};
use crate::types::Type;
use crate::wire::json;

use super::super::binder::{FunctionCall, collated};
use super::super::cast;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    let (name, tries) = match call.name.strip_prefix("TRY_") {
        Some(name) => (name, true),
        None => (call.name.as_str(), false),
    };
    let bound = match name {
        "TO_NUMBER" | "TO_DECIMAL" | "TO_NUMERIC" => to_number(call, tries)?,
        "TO_DOUBLE" => simple(call, Type::Float, tries)?,
        "TO_BOOLEAN" => simple(call, Type::Boolean, tries)?,
        "TO_DATE" | "DATE" => formatted(call, Type::Date, tries)?,
        "TO_TIME" | "TIME" => formatted(call, Type::time(9), tries)?,
        "TO_TIMESTAMP" | "TO_TIMESTAMP_NTZ" => timestamp(call, Type::timestamp_ntz(9), tries)?,
        "TO_TIMESTAMP_LTZ" => timestamp(call, Type::timestamp_ltz(9), tries)?,
        "TO_TIMESTAMP_TZ" => timestamp(call, Type::timestamp_tz(9), tries)?,
        "TO_BINARY" => to_binary(call, tries)?,
        "TO_VARCHAR" | "TO_CHAR" if !tries => to_varchar(call)?,
        "TO_JSON" if !tries => to_json(call)?,
        "TO_VARIANT" if !tries => simple(call, Type::Variant, false)?,
        "COLLATE" if !tries => {
            call.count(2, 2)?;
            collated(call.arg(0)?, &call.text(1)?)?
        }
        _ => return Ok(None),
    };
    Ok(Some(bound))
}

fn convert(call: &FunctionCall<'_, '_>, arg: Expr, to: Type, tries: bool) -> Result<Expr, Failure> {
    if tries {
        cast::try_cast(call.binder.env, arg, to)
    } else {
        cast::cast(call.binder.env, arg, to)
    }
}

fn simple(call: &FunctionCall<'_, '_>, to: Type, tries: bool) -> Result<Expr, Failure> {
    convert(call, call.one()?, to, tries)
}

/// A date or time, whose format may only be the automatic one.
fn formatted(call: &FunctionCall<'_, '_>, to: Type, tries: bool) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let known = match to {
        Type::Date => ["AUTO", "YYYY-MM-DD"],
        Type::Time { .. } => ["AUTO", "HH24:MI:SS"],
        _ => ["AUTO", "YYYY-MM-DD HH24:MI:SS"],
    };
    if call.raw.len() == 2 {
        let format = call.text(1)?;
        if !known.contains(&format.to_ascii_uppercase().as_str()) {
            return Err(Failure::unsupported(format!("{} with the format '{format}'", call.name)));
        }
    }
    let arg = call.arg(0)?;
    if arg.ty.is_number() && !matches!(to, Type::TimestampNtz { .. }) {
        return Err(Failure::unsupported(format!("{} of a number", call.name)));
    }
    convert(call, arg, to, tries)
}

fn timestamp(call: &FunctionCall<'_, '_>, to: Type, tries: bool) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let arg = call.arg(0)?;
    if !arg.ty.is_number() {
        return formatted(call, to, tries);
    }
    if tries {
        return Err(Failure::unsupported(format!("{} of a number", call.name)));
    }
    let scale = if call.raw.len() == 2 { call.integer(1)? } else { 0 };
    match u8::try_from(scale) {
        Ok(scale @ 0..=9) => cast::from_epoch(call.binder.env, arg, to, scale),
        _ => Err(Failure::unsupported(format!("{} with the scale {scale}", call.name))),
    }
}

fn to_number(call: &FunctionCall<'_, '_>, tries: bool) -> Result<Expr, Failure> {
    call.count(1, 4)?;
    let arg = call.arg(0)?;
    let mut shape_at = 1;
    if call.raw.len() > 1 && arg.ty.is_text() && call.arg(1)?.ty.is_text() {
        let format = call.text(1)?;
        let is_hex =
            !format.is_empty() && format.chars().all(|letter| letter.eq_ignore_ascii_case(&'X'));
        if !is_hex {
            return Err(Failure::unsupported(format!("{} with the format '{format}'", call.name)));
        }
        shape_at = 2;
        if call.raw.len() == shape_at {
            return Ok(hex_number(arg, format.len(), tries));
        }
        return Err(Failure::unsupported(format!("{} with a format and a precision", call.name)));
    }
    let part = |position: usize, default: u8| -> Result<u8, Failure> {
        if call.raw.len() <= position {
            return Ok(default);
        }
        u8::try_from(call.integer(position)?)
            .map_err(|_| Failure::unsupported(format!("this precision of {}", call.name)))
    };
    let to = Type::number(part(shape_at, 38)?, part(shape_at + 1, 0)?);
    match to.fault() {
        None => convert(call, arg, to, tries),
        Some(fault) => Err(Failure::unsupported(format!("{to}: {fault}"))),
    }
}

/// Hexadecimal text of at most `digits` digits as a number.
fn hex_number(arg: Expr, digits: usize, tries: bool) -> Expr {
    let expr = Expr::strict(format!("hex {digits}"), vec![arg], Ty::number(38, 0), move |cells| {
        let [Cell::Text(text)] = cells else { return Err(internal("text")) };
        let is_hex = !text.is_empty()
            && text.len() <= digits
            && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex
            .then(|| i128::from_str_radix(text, 16).ok())
            .flatten()
            .map(Datum::Number)
            .ok_or_else(|| Failure::numeric_not_recognized(text))
    });
    if tries { cast::forgiving(expr) } else { expr }
}

fn to_varchar(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let arg = call.arg(0)?;
    if call.raw.len() == 1 {
        return cast::to_text(call.binder.env, arg);
    }
    let format = call.text(1)?;
    match arg.ty.base {
        Some(ty) if ty == Type::Date || ty.fraction_digits().is_some() => {
            cast::shown(call.binder.env, arg, &format)
        }
        Some(Type::Float) if format.eq_ignore_ascii_case("TME") => {
            Ok(Expr::strict("TME", vec![arg], Ty::text(), |cells| match cells {
                [Cell::Float(value)] => float::scientific(*value)
                    .map(Datum::Text)
                    .ok_or_else(|| Failure::unsupported("NaN and infinities in the format 'TME'")),
                _ => Err(internal("a double of another kind")),
            }))
        }
        Some(Type::Binary { .. }) if format.eq_ignore_ascii_case("HEX") => {
            cast::to_text(call.binder.env, arg)
        }
        Some(Type::Binary { .. }) if format.eq_ignore_ascii_case("UTF-8") => {
            Ok(Expr::strict("utf8", vec![arg], Ty::text(), |cells| match cells {
                [Cell::Bytes(bytes)] => std::str::from_utf8(bytes)
                    .map(Datum::text)
                    .map_err(|_| Failure::unsupported("bytes that are no UTF-8 as text")),
                _ => Err(internal("bytes")),
            }))
        }
        _ => Err(Failure::unsupported(format!("{} with the format '{format}'", call.name))),
    }
}

fn to_binary(call: &FunctionCall<'_, '_>, tries: bool) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let format = if call.raw.len() == 2 { call.text(1)? } else { "HEX".to_owned() };
    let arg = call.arg(0)?;
    if format.eq_ignore_ascii_case("UTF-8") && arg.ty.is_text() {
        return Ok(Expr::strict("bytes of text", vec![arg], Type::binary(), |cells| match cells {
            [Cell::Text(text)] => Ok(Datum::Bytes(text.as_bytes().to_vec())),
            _ => Err(internal("text")),
        }));
    }
    if !format.eq_ignore_ascii_case("HEX") {
        return Err(Failure::unsupported(format!("{} with the format '{format}'", call.name)));
    }
    convert(call, arg, Type::binary(), tries)
}

/// The compact JSON text.
fn to_json(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    let arg = call.one()?;
    match arg.ty.base {
        None | Some(Type::Variant | Type::Object | Type::Array) => {
            Ok(Expr::strict("to_json", vec![arg], Ty::text(), |cells| match cells {
                [Cell::Text(text)] => Ok(Datum::Text(json::compact(text))),
                _ => Err(internal("JSON text")),
            }))
        }
        Some(other) => Err(Failure::argument_types("TO_JSON", &other.to_string())),
    }
}
