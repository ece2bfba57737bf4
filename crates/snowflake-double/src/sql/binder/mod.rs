//! From syntax to bound expressions: names, types, implicit conversions.

mod call;
mod literal;
mod membership;
mod operator;
mod subquery;

use sqlparser::ast;

use crate::types::Type;

use super::cast;
use super::data_type;
use super::env::{Ctes, Env};
use super::expr::{Expr, Node};
use super::failure::Failure;
use super::scope::{Scope, dotted};
use super::text;
use super::ty::{Collation, Ty};

pub(crate) use call::FunctionCall;
pub(crate) use operator::{Comparison, align, compare, equal_null, is_null, sort_order};

/// What an expression may contain at its place in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Values of one row only: WHERE, GROUP BY, arguments of aggregates.
    Row,
    /// Aggregates too: HAVING, arguments of window functions.
    Grouped,
    /// Aggregates and window functions: SELECT list, QUALIFY, ORDER BY.
    Output,
}

/// Binds the expressions of one SELECT.
#[derive(Clone, Copy)]
pub(crate) struct Binder<'a> {
    pub(crate) env: &'a Env<'a>,
    pub(crate) ctes: &'a Ctes,
    pub(crate) scope: &'a Scope,
    /// Names that the SELECT list gives to expressions, which later parts may use.
    pub(crate) aliases: &'a [(String, ast::Expr)],
    pub(crate) place: Place,
}

impl Binder<'_> {
    /// The same binder for another place.
    pub(crate) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    pub(crate) fn bind(&self, expr: &ast::Expr) -> Result<Expr, Failure> {
        match expr {
            ast::Expr::Identifier(ident) => self.bind_name(&[text::identifier(ident)?]),
            ast::Expr::CompoundIdentifier(idents) => {
                let parts = idents.iter().map(text::identifier).collect::<Result<Vec<_>, _>>()?;
                self.bind_name(&parts)
            }
            ast::Expr::Nested(inner) => self.bind(inner),
            ast::Expr::Value(value) => self.bind_literal(&value.value),
            ast::Expr::TypedString(typed) => {
                let literal = self.bind_literal(&typed.value.value)?;
                cast::cast(self.env, literal, data_type::read(&typed.data_type)?)
            }
            ast::Expr::Cast { kind, expr, data_type, format: None } => {
                self.bind_cast(kind, expr, data_type)
            }
            ast::Expr::Collate { expr, collation } => {
                let inner = self.bind(expr)?;
                let [ast::ObjectNamePart::Identifier(name)] = collation.0.as_slice() else {
                    return Err(Failure::unsupported("this COLLATE"));
                };
                let name = match name.quote_style {
                    Some('\'') => text::unescape(&name.value)?,
                    _ => return Err(Failure::syntax("COLLATE expects a string")),
                };
                collated(inner, &name)
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                self.bind_case(operand.as_deref(), conditions, else_result.as_deref())
            }
            ast::Expr::Subquery(query) => self.bind_scalar_subquery(query),
            ast::Expr::Exists { subquery, negated } => self.bind_exists(subquery, *negated),
            ast::Expr::InSubquery { expr, subquery, negated } => {
                self.bind_in_subquery(expr, subquery, *negated)
            }
            _ => match self.bind_operator(expr)? {
                Some(bound) => Ok(bound),
                None => self.bind_call(expr),
            },
        }
    }

    /// Binds an expression that must be a truth value.
    pub(crate) fn bind_condition(&self, expr: &ast::Expr) -> Result<Expr, Failure> {
        let bound = self.bind(expr)?;
        match bound.ty.base {
            None | Some(Type::Boolean) => Ok(bound),
            Some(Type::Number { .. } | Type::Varchar { .. }) => {
                cast::cast(self.env, bound, Type::Boolean)
            }
            Some(other) => Err(Failure::incompatible(&other.to_string(), "BOOLEAN")),
        }
    }

    fn bind_name(&self, parts: &[String]) -> Result<Expr, Failure> {
        if let Some(position) = self.scope.find(parts)? {
            let reach = self.scope.columns.get(position);
            let (ty, nullable) = reach
                .map_or((Ty::NULL, true), |reach| (reach.field.ty.clone(), reach.field.nullable));
            return Ok(Expr::new(Node::Column(position), ty, nullable));
        }
        let [name] = parts else {
            return Err(Failure::invalid_identifier(&dotted(parts)));
        };
        // An alias sees the aliases before it, so that none can refer to itself.
        if let Some(position) = self.aliases.iter().position(|(alias, _)| alias == name)
            && let Some((earlier, [(_, expr), ..])) = self.aliases.split_at_checked(position)
        {
            return Self { aliases: earlier, ..*self }.bind(expr);
        }
        self.bind_constant_name(name)?.ok_or_else(|| Failure::invalid_identifier(&dotted(parts)))
    }

    fn bind_cast(
        &self,
        kind: &ast::CastKind,
        expr: &ast::Expr,
        data_type: &ast::DataType,
    ) -> Result<Expr, Failure> {
        let inner = self.bind(expr)?;
        let to = data_type::read(data_type)?;
        match kind {
            ast::CastKind::Cast | ast::CastKind::DoubleColon => cast::cast(self.env, inner, to),
            ast::CastKind::TryCast => cast::try_cast(self.env, inner, to),
            ast::CastKind::SafeCast => Err(Failure::syntax("unexpected 'SAFE_CAST'")),
        }
    }

    fn bind_case(
        &self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr, Failure> {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for when in conditions {
            let condition = match &operand {
                None => self.bind_condition(&when.condition)?,
                Some(operand) => {
                    let value = self.bind(&when.condition)?;
                    compare(self.env, Comparison::Eq, operand.clone(), value)?
                }
            };
            branches.push((condition, self.bind(&when.result)?));
        }
        let otherwise = otherwise.map(|result| self.bind(result)).transpose()?;
        self.case(branches, otherwise)
    }

    /// A CASE whose results get one type.
    pub(crate) fn case(
        &self,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Expr>,
    ) -> Result<Expr, Failure> {
        let results = branches.iter().map(|(_, result)| result).chain(&otherwise);
        let ty = common_type(results)?;
        let mut nullable = otherwise.as_ref().is_none_or(|result| result.nullable);
        let mut cast_branches = Vec::with_capacity(branches.len());
        for (condition, result) in branches {
            nullable |= result.nullable;
            cast_branches.push((condition, cast::unify(self.env, result, &ty)?));
        }
        let otherwise =
            otherwise.map(|result| cast::unify(self.env, result, &ty).map(Box::new)).transpose()?;
        Ok(Expr::new(Node::Case(cast_branches, otherwise), ty, nullable))
    }

    /// The first argument that is not NULL, all in one type.
    pub(crate) fn coalesce(&self, args: Vec<Expr>) -> Result<Expr, Failure> {
        let ty = common_type(&args)?;
        let nullable = args.iter().all(|arg| arg.nullable);
        let args = args
            .into_iter()
            .map(|arg| cast::unify(self.env, arg, &ty))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Expr::new(Node::Coalesce(args), ty, nullable))
    }
}

/// The type that holds all values.
pub(crate) fn common_type<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Result<Ty, Failure> {
    exprs.into_iter().try_fold(Ty::NULL, |ty, expr| ty.common(&expr.ty))
}

/// The same text under another collation.
pub(crate) fn collated(expr: Expr, name: &str) -> Result<Expr, Failure> {
    if expr.ty.base.is_some() && !expr.ty.is_text() {
        return Err(Failure::argument_types("COLLATE", &expr.ty.shown()));
    }
    let ty = Ty { base: expr.ty.base, collation: Collation::named(name) };
    Ok(Expr { ty, ..expr })
}
