//! Casts among NUMBER, FLOAT and BOOLEAN.

use crate::float::{self, FloatCast};
use crate::number::{self, Shape};
use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;

pub(super) fn cast(expr: Expr, to: Type) -> Result<Expr, Failure> {
    match to {
        Type::Number { precision, scale } => Ok(to_number(expr, Shape::new(precision, scale))),
        Type::Float => to_float(expr),
        _ => Ok(Expr::strict("cast BOOLEAN", vec![expr], Type::Boolean, |cells| match cells {
            [Cell::Number(value)] => Ok(Datum::Boolean(*value != 0)),
            [Cell::Float(value)] => Ok(Datum::Boolean(*value != 0.0)),
            _ => Err(internal("a truth value of something else than a number")),
        })),
    }
}

fn to_number(expr: Expr, to: Shape) -> Expr {
    let ty = Type::number(to.precision, to.scale);
    let from = expr.ty.shape();
    if let Some(from) = from
        && from.scale == to.scale
        && from.precision <= to.precision
    {
        return Expr { ty: ty.into(), ..expr };
    }
    let from_scale = from.map_or(0, |from| from.scale);
    Expr::strict(format!("cast {ty}"), vec![expr], ty, move |cells| match cells {
        [Cell::Number(value)] => number::cast(*value, from_scale, to)
            .map(Datum::Number)
            .ok_or_else(|| Failure::numeric_out_of_range(&number::text(*value, from_scale))),
        [Cell::Boolean(value)] => number::cast(i128::from(*value), 0, to)
            .map(Datum::Number)
            .ok_or_else(|| Failure::numeric_out_of_range("1")),
        [Cell::Float(value)] => match float::to_number(*value, to) {
            FloatCast::Number(value) => Ok(Datum::Number(value)),
            FloatCast::OutOfRange => Err(Failure::numeric_out_of_range(&value.to_string())),
            FloatCast::NotFinite => Err(Failure::numeric_not_recognized(&value.to_string())),
            FloatCast::Ambiguous => Err(Failure::unsupported(format!(
                "the rounding of the double {value} to {} digits",
                to.scale
            ))),
        },
        _ => Err(internal("a number of something else than a number")),
    })
}

fn to_float(expr: Expr) -> Result<Expr, Failure> {
    if matches!(expr.ty.base, Some(Type::Boolean)) {
        return Err(Failure::unsupported("a conversion from BOOLEAN to FLOAT"));
    }
    let scale = expr.ty.scale();
    Ok(Expr::strict("cast FLOAT", vec![expr], Type::Float, move |cells| match cells {
        [Cell::Number(value)] => Ok(Datum::Float(number::to_f64(*value, scale))),
        _ => Err(internal("a double of something else than a number")),
    }))
}
