//! Functions that choose among values.

use std::cmp::Ordering;

use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::binder::{FunctionCall, align, common_type, equal_null, is_null};
use super::super::cast;
use super::super::compare::Order;
use super::super::expr::Expr;
use super::super::failure::Failure;

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    let binder = call.binder;
    Ok(Some(match call.name.as_str() {
        "IFF" => {
            call.count(3, 3)?;
            let condition = cast::cast(binder.env, call.arg(0)?, Type::Boolean)?;
            binder.case(vec![(condition, call.arg(1)?)], Some(call.arg(2)?))?
        }
        "COALESCE" => binder.coalesce(call.args(2, usize::MAX)?)?,
        "NVL" | "IFNULL" => binder.coalesce(call.args(2, 2)?)?,
        "NVL2" => {
            call.count(3, 3)?;
            let condition = is_null(call.arg(0)?, true);
            binder.case(vec![(condition, call.arg(1)?)], Some(call.arg(2)?))?
        }
        "NULLIF" => null_if(call)?,
        "ZEROIFNULL" => {
            let arg = call.one()?;
            if arg.ty.base.is_some() && !arg.ty.is_number() && !arg.ty.is_float() {
                return Err(Failure::argument_types(&call.name, &arg.ty.shown()));
            }
            binder.coalesce(vec![arg, zero()])?
        }
        "NULLIFZERO" => {
            let arg = call.one()?;
            let (aligned, zero) = align(binder.env, arg.clone(), zero())?;
            let order = Order::of(&aligned.ty, &zero.ty)?;
            null_when(arg, aligned, zero, order)
        }
        "EQUAL_NULL" => {
            let (left, right) = call.two()?;
            equal_null(binder.env, left, right)?
        }
        "GREATEST" => extreme(call, Ordering::Greater)?,
        "LEAST" => extreme(call, Ordering::Less)?,
        _ => return Ok(None),
    }))
}

fn zero() -> Expr {
    Expr::constant(Datum::Number(0), Type::number(1, 0))
}

fn null_if(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    let (left, right) = call.two()?;
    let (aligned, right) = align(call.binder.env, left.clone(), right)?;
    let order = Order::of(&aligned.ty, &right.ty)?;
    Ok(null_when(left, aligned, right, order))
}

/// `value`, or NULL where `aligned` equals `other`.
fn null_when(value: Expr, aligned: Expr, other: Expr, order: Order) -> Expr {
    let ty = value.ty.clone();
    let args = vec![value, aligned, other];
    Expr::lenient("nullif", args, ty, true, move |cells| match cells {
        [_, aligned, other]
            if !aligned.is_null()
                && !other.is_null()
                && order.compare(*aligned, *other) == Ordering::Equal =>
        {
            Ok(Datum::Null)
        }
        [value, ..] => Ok(value.to_datum()),
        [] => Ok(Datum::Null),
    })
}

fn extreme(call: &FunctionCall<'_, '_>, wanted: Ordering) -> Result<Expr, Failure> {
    let args = call.args(1, usize::MAX)?;
    let ty = common_type(&args)?;
    let order = Order::within(&ty)?;
    let args = args
        .into_iter()
        .map(|arg| cast::unify(call.binder.env, arg, &ty))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Expr::strict(call.name.clone(), args, ty, move |cells| {
        let best = cells
            .iter()
            .copied()
            .reduce(|best, cell| if order.compare(cell, best) == wanted { cell } else { best });
        Ok(best.unwrap_or(Cell::Null).to_datum())
    }))
}
