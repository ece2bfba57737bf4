//! `+ - * / %` on NUMBER and FLOAT, and days added to dates.

use sqlparser::ast::BinaryOperator;

use crate::number::{self, NumberFault, Shape};
use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;

type Exact = fn((i128, u8), (i128, u8), Shape) -> Result<i128, NumberFault>;

/// Binds an arithmetic operator.
pub(crate) fn binary(op: &BinaryOperator, left: Expr, right: Expr) -> Result<Expr, Failure> {
    let left = typed_null(left);
    let right = typed_null(right);
    match (left.ty.base, right.ty.base) {
        (Some(Type::Number { .. }), Some(Type::Number { .. })) => exact(op, left, right),
        (Some(Type::Number { .. } | Type::Float), Some(Type::Number { .. } | Type::Float)) => {
            double(op, left, right)
        }
        (Some(Type::Date), Some(Type::Number { scale: 0, .. })) => days(op, left, right),
        (Some(Type::Date), Some(Type::Date)) if *op == BinaryOperator::Minus => {
            let args = vec![left, right];
            Ok(Expr::strict("date - date", args, Ty::number(9, 0), |cells| match cells {
                [Cell::Date(a), Cell::Date(b)] => {
                    Ok(Datum::Number(i128::from(*a) - i128::from(*b)))
                }
                _ => Err(internal("two dates")),
            }))
        }
        _ => Err(Failure::unsupported(format!(
            "the operator {op} on {} and {}",
            left.ty.shown(),
            right.ty.shown()
        ))),
    }
}

/// The negative of a number.
pub(crate) fn negate(expr: Expr) -> Result<Expr, Failure> {
    let ty = expr.ty.clone();
    if let (Some(Datum::Number(value)), true) = (expr.as_const(), ty.is_number()) {
        return Ok(Expr::constant(Datum::Number(-value), ty));
    }
    match ty.base {
        None | Some(Type::Number { .. } | Type::Float) => {
            Ok(Expr::strict("negate", vec![expr], ty, |cells| match cells {
                [Cell::Number(value)] => Ok(Datum::Number(-value)),
                [Cell::Float(value)] => Ok(Datum::Float(-value)),
                _ => Err(internal("a number")),
            }))
        }
        Some(other) => Err(Failure::unsupported(format!("a minus sign before {other}"))),
    }
}

/// NULL without a type counts as a number.
fn typed_null(expr: Expr) -> Expr {
    if expr.ty.base.is_none() { Expr { ty: Ty::number(38, 0), ..expr } } else { expr }
}

fn exact(op: &BinaryOperator, left: Expr, right: Expr) -> Result<Expr, Failure> {
    let (Some(a), Some(b)) = (left.ty.shape(), right.ty.shape()) else {
        return Err(internal("two numbers"));
    };
    let (to, run): (Shape, Exact) = match op {
        BinaryOperator::Plus => (a.sum(b), number::add),
        BinaryOperator::Minus => (a.sum(b), |a, (b, scale), to| number::add(a, (-b, scale), to)),
        BinaryOperator::Multiply => (a.product(b), number::multiply),
        BinaryOperator::Divide => (a.quotient(b), number::divide),
        BinaryOperator::Modulo => (a.remainder(b), number::remainder),
        other => return Err(Failure::unsupported(format!("the operator {other}"))),
    };
    let label = format!("{op}");
    Ok(Expr::strict(label, vec![left, right], Ty::shaped(to), move |cells| match cells {
        [Cell::Number(x), Cell::Number(y)] => run((*x, a.scale), (*y, b.scale), to)
            .map(Datum::Number)
            .map_err(|fault| fail(fault, to)),
        _ => Err(internal("two numbers")),
    }))
}

/// The failure of an exact operation.
pub(crate) fn fail(fault: NumberFault, to: Shape) -> Failure {
    match fault {
        NumberFault::Overflow => Failure::overflow(&format!("({},{})", to.precision, to.scale)),
        NumberFault::DivisionByZero => Failure::division_by_zero(),
        NumberFault::Inexact => {
            Failure::unsupported("a product with more digits than its type keeps; cast first")
        }
    }
}

fn double(op: &BinaryOperator, left: Expr, right: Expr) -> Result<Expr, Failure> {
    let (a_scale, b_scale) = (left.ty.scale(), right.ty.scale());
    let run: fn(f64, f64) -> f64 = match op {
        BinaryOperator::Plus => |a, b| a + b,
        BinaryOperator::Minus => |a, b| a - b,
        BinaryOperator::Multiply => |a, b| a * b,
        BinaryOperator::Divide => |a, b| a / b,
        BinaryOperator::Modulo => |a, b| a % b,
        other => return Err(Failure::unsupported(format!("the operator {other}"))),
    };
    let divides = matches!(op, BinaryOperator::Divide | BinaryOperator::Modulo);
    let label = format!("{op} double");
    Ok(Expr::strict(label, vec![left, right], Type::Float, move |cells| {
        let [a, b] = cells else { return Err(internal("two numbers")) };
        let (a, b) = (as_double(*a, a_scale)?, as_double(*b, b_scale)?);
        if divides && b == 0.0 {
            return Err(Failure::division_by_zero());
        }
        let result = run(a, b);
        if !result.is_finite() && a.is_finite() && b.is_finite() {
            return Err(Failure::unsupported("a FLOAT operation that overflows"));
        }
        Ok(Datum::Float(result))
    }))
}

fn as_double(cell: Cell<'_>, scale: u8) -> Result<f64, Failure> {
    match cell {
        Cell::Float(value) => Ok(value),
        Cell::Number(value) => Ok(number::to_f64(value, scale)),
        _ => Err(internal("a number")),
    }
}

fn days(op: &BinaryOperator, left: Expr, right: Expr) -> Result<Expr, Failure> {
    let sign = match op {
        BinaryOperator::Plus => 1,
        BinaryOperator::Minus => -1,
        other => return Err(Failure::unsupported(format!("the operator {other} on DATE"))),
    };
    let label = format!("date {op}");
    Ok(Expr::strict(label, vec![left, right], Type::Date, move |cells| match cells {
        [Cell::Date(day), Cell::Number(count)] => i32::try_from(count * sign)
            .ok()
            .and_then(|count| day.checked_add(count))
            .map(Datum::Date)
            .ok_or_else(|| Failure::unsupported("dates out of range")),
        _ => Err(internal("a date and a number")),
    }))
}
