//! Numeric functions: rounding, sign, remainder.

use sqlparser::ast::BinaryOperator;

use crate::number::{self, Shape};
use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::binder::FunctionCall;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;
use super::arithmetic;

/// Which way surplus digits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    HalfAway,
    Cut,
    Down,
    Up,
}

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    Ok(Some(match call.name.as_str() {
        "ROUND" => round(call, Rounding::HalfAway)?,
        "TRUNC" | "TRUNCATE" => {
            let first = call.arg(0)?;
            if first.ty.base == Some(Type::Date) || first.ty.is_timestamp() {
                return super::datetime::truncate(call.binder, first, &call.word(1)?).map(Some);
            }
            round(call, Rounding::Cut)?
        }
        "FLOOR" => round(call, Rounding::Down)?,
        "CEIL" | "CEILING" => round(call, Rounding::Up)?,
        "ABS" => abs(call)?,
        "SIGN" => sign(call)?,
        "MOD" => {
            let (left, right) = call.two()?;
            arithmetic::binary(&BinaryOperator::Modulo, left, right)?
        }
        _ => return Ok(None),
    }))
}

fn round(call: &FunctionCall<'_, '_>, rounding: Rounding) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let arg = call.arg(0)?;
    let places = if call.raw.len() == 2 { call.integer(1)? } else { 0 };
    let label = format!("{rounding:?} {places}");
    match arg.ty.base {
        None => Ok(arg),
        Some(Type::Number { precision, scale }) => {
            let kept = u8::try_from(places.clamp(0, i128::from(scale))).unwrap_or(0);
            // One digit more than before, because rounding up may carry.
            let to = Shape::new((precision + 1).min(number::MAX_PRECISION), kept);
            Ok(Expr::strict(label, vec![arg], Ty::shaped(to), move |cells| match cells {
                [Cell::Number(value)] => round_number(*value, scale, places, kept, rounding)
                    .filter(|value| number::fits(*value, number::MAX_PRECISION))
                    .map(Datum::Number)
                    .ok_or_else(|| arithmetic::fail(number::NumberFault::Overflow, to)),
                _ => Err(internal("a number")),
            }))
        }
        Some(Type::Float) if places == 0 => {
            Ok(Expr::strict(label, vec![arg], Type::Float, move |cells| match cells {
                [Cell::Float(value)] => Ok(Datum::Float(match rounding {
                    Rounding::HalfAway => value.round(),
                    Rounding::Cut => value.trunc(),
                    Rounding::Down => value.floor(),
                    Rounding::Up => value.ceil(),
                })),
                _ => Err(internal("a double")),
            }))
        }
        Some(Type::Float) => {
            Err(Failure::unsupported(format!("{} of a FLOAT to decimal places", call.name)))
        }
        Some(other) => Err(Failure::argument_types(&call.name, &other.to_string())),
    }
}

/// Rounds to `places` digits after the point (before it if negative), shown with `kept` digits.
fn round_number(
    value: i128,
    scale: u8,
    places: i128,
    kept: u8,
    rounding: Rounding,
) -> Option<i128> {
    let drop = i128::from(scale) - places;
    let Some(unit) = u8::try_from(drop.max(0)).ok().and_then(number::pow10) else {
        return matches!(rounding, Rounding::HalfAway | Rounding::Cut).then_some(0);
    };
    let quotient = value.div_euclid(unit);
    let rest = value.rem_euclid(unit);
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest > 0,
        Rounding::Cut => value < 0 && rest > 0,
        Rounding::HalfAway => {
            let twice = rest.unsigned_abs() * 2;
            let unit = unit.unsigned_abs();
            // The rest is counted from below, so a half of a negative number goes down.
            twice > unit || (twice == unit && value > 0)
        }
    };
    let rounded = if up { quotient + 1 } else { quotient };
    // `rounded` has `scale - drop` digits after the point, perhaps fewer than none.
    let from = i128::from(scale) - drop.max(0);
    let shift = i128::from(kept) - from;
    rounded.checked_mul(number::pow10(u8::try_from(shift).ok()?)?)
}

fn abs(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    let arg = call.one()?;
    let ty = arg.ty.clone();
    match ty.base {
        None | Some(Type::Number { .. } | Type::Float) => {
            Ok(Expr::strict("abs", vec![arg], ty, |cells| match cells {
                [Cell::Number(value)] => Ok(Datum::Number(value.abs())),
                [Cell::Float(value)] => Ok(Datum::Float(value.abs())),
                _ => Err(internal("a number")),
            }))
        }
        Some(other) => Err(Failure::argument_types("ABS", &other.to_string())),
    }
}

fn sign(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    let arg = call.one()?;
    if arg.ty.base.is_some() && !arg.ty.is_number() {
        return Err(Failure::unsupported(format!("SIGN of {}", arg.ty.shown())));
    }
    Ok(Expr::strict("sign", vec![arg], Ty::number(1, 0), |cells| match cells {
        [Cell::Number(value)] => Ok(Datum::Number(value.signum())),
        _ => Err(internal("a number")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rounding_goes_its_way() {
        use Rounding::{Cut, Down, HalfAway, Up};
        for (value, rounding, expected) in [
            (25, HalfAway, 3),
            (-25, HalfAway, -3),
            (24, HalfAway, 2),
            (-24, HalfAway, -2),
            (29, Cut, 2),
            (-29, Cut, -2),
            (29, Down, 2),
            (-21, Down, -3),
            (21, Up, 3),
            (-29, Up, -2),
            (20, Up, 2),
        ] {
            let rounded = round_number(value, 1, 0, 0, rounding);
            assert_eq!(rounded, Some(expected), "{value} {rounding:?}");
        }
    }

    #[test]
    fn places_may_lie_before_the_point() {
        assert_eq!(round_number(12_345, 2, 1, 1, Rounding::HalfAway), Some(1_235));
        assert_eq!(round_number(12_345, 2, -1, 0, Rounding::HalfAway), Some(120));
        assert_eq!(round_number(12_345, 2, -9, 0, Rounding::HalfAway), Some(0));
        assert_eq!(round_number(12_345, 2, 9, 2, Rounding::HalfAway), Some(12_345));
    }
}
