//! Casts between types, exact or refused.

mod numeric;
mod temporal;
mod text;

use std::sync::Arc;

use crate::table::{Cell, Datum};
use crate::types::{MAX_VARCHAR, Type};
use crate::wire::json;

use super::env::Env;
use super::expr::{Call, Expr, Node, Run};
use super::failure::{Failure, FailureKind};
use super::ty::Ty;

pub(crate) use temporal::{epoch_seconds, from_epoch, from_wall, to_wall};
pub(crate) use text::shown;

/// Casts an expression; the expression itself if nothing needs to change.
pub(crate) fn cast(env: &Env<'_>, expr: Expr, to: Type) -> Result<Expr, Failure> {
    let Some(from) = expr.ty.base else {
        return Ok(Expr { ty: to.into(), ..expr });
    };
    if from == to {
        return Ok(expr);
    }
    match (from, to) {
        (Type::Number { .. } | Type::Float | Type::Boolean, Type::Number { .. } | Type::Float)
        | (Type::Number { .. } | Type::Float, Type::Boolean) => numeric::cast(expr, to),
        (Type::Varchar { .. }, _) => text::from_text(env, expr, to),
        (_, Type::Varchar { length }) => {
            let shown = text::to_text(env, expr)?;
            Ok(text::bounded(shown, length))
        }
        (Type::Binary { .. }, Type::Binary { length }) => Ok(bytes_bounded(expr, length)),
        // Elements keep their digits, unlike in a result. Infinities have no form in an array.
        (Type::Vector, Type::Array) => {
            Ok(Expr::strict("vector as array", vec![expr], to, |cells| match cells {
                [Cell::Text(text)] if !text.contains(['i', 'n']) => Ok(Datum::text(*text)),
                _ => Err(Failure::unsupported("an array of a vector that is not finite")),
            }))
        }
        (Type::Array | Type::Object, Type::Variant) => Ok(Expr { ty: to.into(), ..expr }),
        (
            Type::Date
            | Type::Time { .. }
            | Type::TimestampNtz { .. }
            | Type::TimestampLtz { .. }
            | Type::TimestampTz { .. },
            _,
        ) => temporal::cast(env, expr, to),
        (
            Type::Number { .. },
            Type::TimestampNtz { .. } | Type::TimestampLtz { .. } | Type::TimestampTz { .. },
        ) => from_epoch(env, expr, to, 0),
        _ => Err(refused(from, to)),
    }
}

/// Casts text to a type; text that is no such value becomes NULL.
pub(crate) fn try_cast(env: &Env<'_>, expr: Expr, to: Type) -> Result<Expr, Failure> {
    if expr.ty.base.is_some() && !expr.ty.is_text() {
        let message = format!(
            "SQL compilation error:\nFunction TRY_CAST cannot be used with arguments of types \
             {} and {to}",
            expr.ty.shown()
        );
        return Err(Failure::new("001065", "22023", message));
    }
    let is_null = expr.ty.base.is_none();
    let cast = cast(env, expr, to)?;
    Ok(if is_null || matches!(to, Type::Varchar { .. }) { cast } else { forgiving(cast) })
}

/// Turns failed conversions of a call into NULL.
pub(crate) fn forgiving(expr: Expr) -> Expr {
    let Expr { node: Node::Call(Call { label, args, strict, run }), ty, .. } = expr else {
        return expr;
    };
    let run: Run = Arc::new(move |cells: &[Cell<'_>]| match run(cells) {
        Err(failure) if failure.kind == FailureKind::Data => Ok(Datum::Null),
        other => other,
    });
    let call = Call { label: format!("try {label}"), args, strict, run };
    Expr::new(Node::Call(call), ty, true)
}

/// The text form, as `TO_VARCHAR` and `||` make it.
pub(crate) fn to_text(env: &Env<'_>, expr: Expr) -> Result<Expr, Failure> {
    if expr.ty.is_text() {
        return Ok(expr);
    }
    cast(env, expr, Type::Varchar { length: MAX_VARCHAR })
}

/// Casts to a type that keeps the collation of texts.
pub(crate) fn unify(env: &Env<'_>, expr: Expr, to: &Ty) -> Result<Expr, Failure> {
    let Some(base) = to.base else { return Ok(expr) };
    let mut cast = cast(env, expr, base)?;
    cast.ty = to.clone();
    Ok(cast)
}

fn refused(from: Type, to: Type) -> Failure {
    Failure::unsupported(format!("a conversion from {from} to {to}"))
}

fn bytes_bounded(expr: Expr, length: u32) -> Expr {
    let ty = Type::Binary { length };
    if matches!(expr.ty.base, Some(Type::Binary { length: old }) if old <= length) {
        return Expr { ty: ty.into(), ..expr };
    }
    Expr::strict(format!("cast {ty}"), vec![expr], ty, move |cells| match cells {
        [Cell::Bytes(bytes)] if bytes.len() <= length as usize => Ok(Datum::Bytes(bytes.to_vec())),
        _ => Err(Failure::unsupported("casts that cut a BINARY")),
    })
}

/// The text of a semi-structured value as a cast to VARCHAR gives it: strings lose their quotes,
/// JSON null becomes NULL.
fn variant_text(text: &str) -> Result<Datum, Failure> {
    if text == "null" {
        return Ok(Datum::Null);
    }
    if text.starts_with('"') {
        return json::string(text)
            .map(Datum::Text)
            .ok_or_else(|| Failure::unsupported("a VARIANT that is no JSON"));
    }
    Ok(Datum::Text(json::compact(text)))
}
