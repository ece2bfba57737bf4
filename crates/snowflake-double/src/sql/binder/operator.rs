//! Operators: logic, comparison, arithmetic, and the predicates with a syntax of their own.

use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

use crate::decimal_text::DecimalText;
use crate::float;
use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::cast;
use super::super::compare::{Order, SortOrder};
use super::super::env::Env;
use super::super::eval::internal;
use super::super::expr::{Expr, Node};
use super::super::failure::Failure;
use super::super::function::{arithmetic, text};
use super::super::ty::Ty;
use super::Binder;
use super::membership::in_list;

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Comparison {
    fn of(op: &BinaryOperator) -> Option<Self> {
        Some(match op {
            BinaryOperator::Eq => Self::Eq,
            BinaryOperator::NotEq => Self::NotEq,
            BinaryOperator::Lt => Self::Lt,
            BinaryOperator::LtEq => Self::LtEq,
            BinaryOperator::Gt => Self::Gt,
            BinaryOperator::GtEq => Self::GtEq,
            _ => return None,
        })
    }

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::NotEq => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::LtEq => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::GtEq => order.is_ge(),
        }
    }
}

impl Binder<'_> {
    /// Binds operators; `None` if the expression is something else.
    pub(super) fn bind_operator(&self, expr: &ast::Expr) -> Result<Option<Expr>, Failure> {
        Ok(Some(match expr {
            ast::Expr::BinaryOp { left, op, right } => self.bind_binary(left, op, right)?,
            ast::Expr::UnaryOp { op, expr } => self.bind_unary(*op, expr)?,
            ast::Expr::IsNull(inner) => is_null(self.bind(inner)?, false),
            ast::Expr::IsNotNull(inner) => is_null(self.bind(inner)?, true),
            ast::Expr::IsTrue(inner) => self.bind_is(inner, Cell::Boolean(true), false)?,
            ast::Expr::IsNotTrue(inner) => self.bind_is(inner, Cell::Boolean(true), true)?,
            ast::Expr::IsFalse(inner) => self.bind_is(inner, Cell::Boolean(false), false)?,
            ast::Expr::IsNotFalse(inner) => self.bind_is(inner, Cell::Boolean(false), true)?,
            ast::Expr::IsDistinctFrom(left, right) => {
                not(equal_null(self.env, self.bind(left)?, self.bind(right)?)?)
            }
            ast::Expr::IsNotDistinctFrom(left, right) => {
                equal_null(self.env, self.bind(left)?, self.bind(right)?)?
            }
            ast::Expr::Between { expr, negated, low, high } => {
                let value = self.bind(expr)?;
                let low = compare(self.env, Comparison::GtEq, value.clone(), self.bind(low)?)?;
                let high = compare(self.env, Comparison::LtEq, value, self.bind(high)?)?;
                negate(and(vec![low, high]), *negated)
            }
            ast::Expr::InList { expr, list, negated } => {
                let value = self.bind(expr)?;
                let list =
                    list.iter().map(|item| self.bind(item)).collect::<Result<Vec<_>, _>>()?;
                negate(in_list(self.env, &value, list)?, *negated)
            }
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let like = self.bind_like(expr, pattern, escape_char.as_deref(), false)?;
                negate(like, *negated)
            }
            ast::Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let like = self.bind_like(expr, pattern, escape_char.as_deref(), true)?;
                negate(like, *negated)
            }
            _ => return Ok(None),
        }))
    }

    fn bind_binary(
        &self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
    ) -> Result<Expr, Failure> {
        match op {
            BinaryOperator::And => Ok(and(self.bind_chain(op, left, right)?)),
            BinaryOperator::Or => Ok(or(self.bind_chain(op, left, right)?)),
            BinaryOperator::StringConcat => {
                text::concat(self.env, vec![self.bind(left)?, self.bind(right)?])
            }
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => {
                if let Some(moved) = self.bind_interval(left, op, right)? {
                    return Ok(moved);
                }
                arithmetic::binary(op, self.bind(left)?, self.bind(right)?)
            }
            _ => match Comparison::of(op) {
                Some(comparison) => {
                    compare(self.env, comparison, self.bind(left)?, self.bind(right)?)
                }
                None => Err(Failure::unsupported(format!("the operator {op}"))),
            },
        }
    }

    /// The operands of a chain of ANDs or ORs, without nesting: chains can be long.
    fn bind_chain(
        &self,
        op: &BinaryOperator,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Result<Vec<Expr>, Failure> {
        let mut operands = Vec::new();
        let mut waiting = vec![right, left];
        while let Some(expr) = waiting.pop() {
            match expr {
                ast::Expr::BinaryOp { left, op: inner, right } if inner == op => {
                    waiting.push(right);
                    waiting.push(left);
                }
                other => operands.push(self.bind_condition(other)?),
            }
        }
        Ok(operands)
    }

    /// `value + interval '1 day'`.
    fn bind_interval(
        &self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
    ) -> Result<Option<Expr>, Failure> {
        let sign = match op {
            BinaryOperator::Plus => 1,
            BinaryOperator::Minus => -1,
            _ => return Ok(None),
        };
        let ast::Expr::Interval(interval) = right else { return Ok(None) };
        let value = self.bind(left)?;
        super::super::function::datetime::add_interval(self, value, interval, sign).map(Some)
    }

    fn bind_unary(&self, op: UnaryOperator, expr: &ast::Expr) -> Result<Expr, Failure> {
        match op {
            UnaryOperator::Not => Ok(not(self.bind_condition(expr)?)),
            UnaryOperator::Minus => arithmetic::negate(self.bind(expr)?),
            UnaryOperator::Plus => {
                let inner = self.bind(expr)?;
                if inner.ty.is_number() || inner.ty.is_float() || inner.ty.base.is_none() {
                    Ok(inner)
                } else {
                    Err(Failure::unsupported("a plus sign before something else than a number"))
                }
            }
            other => Err(Failure::unsupported(format!("the operator {other}"))),
        }
    }

    fn bind_is(
        &self,
        inner: &ast::Expr,
        wanted: Cell<'static>,
        negated: bool,
    ) -> Result<Expr, Failure> {
        let inner = self.bind_condition(inner)?;
        let label = format!("is {wanted:?} {negated}");
        Ok(Expr::lenient(label, vec![inner], Type::Boolean, false, move |cells| {
            Ok(((cells.first() == Some(&wanted)) != negated).into())
        }))
    }

    fn bind_like(
        &self,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        folds_case: bool,
    ) -> Result<Expr, Failure> {
        let escape = match escape {
            None => None,
            Some(escape) => match self.bind(escape)?.eval_constant(self.env.cancel)? {
                Datum::Text(text) if text.chars().count() == 1 => text.chars().next(),
                _ => return Err(Failure::unsupported("an ESCAPE that is not one character")),
            },
        };
        text::like(self.bind(expr)?, self.bind(pattern)?, escape, folds_case)
    }
}

/// Both in one kind, by Snowflake's implicit conversions.
pub(crate) fn align(env: &Env<'_>, left: Expr, right: Expr) -> Result<(Expr, Expr), Failure> {
    let (Some(a), Some(b)) = (left.ty.base, right.ty.base) else {
        return Ok((left, right));
    };
    let to = match (a, b) {
        (a, b) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => {
            return Ok((left, right));
        }
        (Type::Number { .. }, Type::Float) | (Type::Float, Type::Number { .. }) => Type::Float,
        (Type::Varchar { .. }, Type::Number { .. } | Type::Float) => {
            return Ok((number_constant(&left, &right.ty)?, right));
        }
        (Type::Number { .. } | Type::Float, Type::Varchar { .. }) => {
            let right = number_constant(&right, &left.ty)?;
            return Ok((left, right));
        }
        (Type::Varchar { .. }, other) | (other, Type::Varchar { .. }) if text_casts_to(other) => {
            full_scale(other)
        }
        (Type::Date, other) | (other, Type::Date) if other.fraction_digits().is_some() => {
            full_scale(other)
        }
        (Type::TimestampNtz { .. }, other @ Type::TimestampLtz { .. })
        | (other @ Type::TimestampLtz { .. }, Type::TimestampNtz { .. })
        | (Type::TimestampNtz { .. }, other @ Type::TimestampTz { .. })
        | (other @ Type::TimestampTz { .. }, Type::TimestampNtz { .. }) => full_scale(other),
        (Type::TimestampLtz { .. }, Type::TimestampTz { .. })
        | (Type::TimestampTz { .. }, Type::TimestampLtz { .. }) => return Ok((left, right)),
        (a, b) => return Err(Failure::incompatible(&a.to_string(), &b.to_string())),
    };
    let moved = |expr: Expr, ty: Type| {
        if std::mem::discriminant(&ty) == std::mem::discriminant(&to) {
            Ok(expr)
        } else {
            cast::cast(env, expr, to)
        }
    };
    Ok((moved(left, a)?, moved(right, b)?))
}

const fn text_casts_to(ty: Type) -> bool {
    matches!(ty, Type::Boolean | Type::Date) || ty.fraction_digits().is_some()
}

/// The type with nanoseconds, so that nothing is cut on the way.
const fn full_scale(ty: Type) -> Type {
    match ty {
        Type::Time { .. } => Type::time(9),
        Type::TimestampNtz { .. } => Type::timestamp_ntz(9),
        Type::TimestampLtz { .. } => Type::timestamp_ltz(9),
        Type::TimestampTz { .. } => Type::timestamp_tz(9),
        other => other,
    }
}

/// A text constant as the number it is compared with. How Snowflake rounds other texts is not
/// documented.
fn number_constant(text: &Expr, like: &Ty) -> Result<Expr, Failure> {
    let Some(Datum::Text(constant)) = text.as_const() else {
        return Err(Failure::unsupported(
            "an implicit conversion of VARCHAR to a number; cast explicitly",
        ));
    };
    if like.is_float() {
        let value =
            float::parse(constant).ok_or_else(|| Failure::numeric_not_recognized(constant))?;
        return Ok(Expr::constant(Datum::Float(value), Type::Float));
    }
    let number =
        DecimalText::parse(constant).ok_or_else(|| Failure::numeric_not_recognized(constant))?;
    match number.exact() {
        Some((unscaled, scale)) if scale <= like.scale() => {
            Ok(Expr::constant(Datum::Number(unscaled), Ty::number(38, scale)))
        }
        _ => Err(Failure::unsupported(format!(
            "an implicit conversion of '{constant}' to {}; cast explicitly",
            like.shown()
        ))),
    }
}

/// A comparison, NULL if either side is.
pub(crate) fn compare(
    env: &Env<'_>,
    comparison: Comparison,
    left: Expr,
    right: Expr,
) -> Result<Expr, Failure> {
    let (left, right) = align(env, left, right)?;
    let order = Order::of(&left.ty, &right.ty)?;
    let label = format!("{comparison:?}");
    Ok(Expr::strict(label, vec![left, right], Type::Boolean, move |cells| match cells {
        [left, right] => Ok(comparison.holds(order.compare(*left, *right)).into()),
        _ => Err(internal("a comparison of two values")),
    }))
}

/// Equality that takes two NULLs for equal.
pub(crate) fn equal_null(env: &Env<'_>, left: Expr, right: Expr) -> Result<Expr, Failure> {
    let (left, right) = align(env, left, right)?;
    let order = Order::of(&left.ty, &right.ty)?;
    let args = vec![left, right];
    Ok(Expr::lenient("equal_null", args, Type::Boolean, false, move |cells| match cells {
        [left, right] if left.is_null() || right.is_null() => {
            Ok((left.is_null() && right.is_null()).into())
        }
        [left, right] => Ok(order.compare(*left, *right).is_eq().into()),
        _ => Err(internal("a comparison of two values")),
    }))
}

pub(crate) fn is_null(expr: Expr, negated: bool) -> Expr {
    let label = format!("is null {negated}");
    Expr::lenient(label, vec![expr], Type::Boolean, false, move |cells| {
        Ok((cells.first().is_none_or(Cell::is_null) != negated).into())
    })
}

fn and(operands: Vec<Expr>) -> Expr {
    let nullable = operands.iter().any(|operand| operand.nullable);
    Expr::new(Node::And(operands), Type::Boolean, nullable)
}

pub(super) fn or(operands: Vec<Expr>) -> Expr {
    let nullable = operands.iter().any(|operand| operand.nullable);
    Expr::new(Node::Or(operands), Type::Boolean, nullable)
}

pub(crate) fn not(expr: Expr) -> Expr {
    Expr::strict("not", vec![expr], Type::Boolean, |cells| match cells {
        [Cell::Boolean(value)] => Ok((!value).into()),
        _ => Err(internal("a truth value")),
    })
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { not(expr) } else { expr }
}

/// Direction and place of NULLs; NULLs count as the highest values.
pub(crate) fn sort_order(options: &ast::OrderByOptions) -> Result<SortOrder, Failure> {
    let descending = match &options.sort {
        None | Some(ast::OrderBySort::Asc) => false,
        Some(ast::OrderBySort::Desc) => true,
        Some(_) => return Err(Failure::unsupported("ORDER BY ... USING")),
    };
    Ok(SortOrder { descending, nulls_first: options.nulls_first.unwrap_or(descending) })
}
