//! Subqueries in expressions: scalar, IN, EXISTS. They may not refer to the outer query.

use sqlparser::ast;

use crate::table::Datum;
use crate::types::Type;

use super::super::compare::KeyMaker;
use super::super::expr::{Expr, Node};
use super::super::failure::Failure;
use super::super::query;
use super::super::result::ResultSet;
use super::Binder;
use super::membership::{Keys, in_keys};
use super::operator::{align, not};

impl Binder<'_> {
    fn run(&self, subquery: &ast::Query) -> Result<ResultSet, Failure> {
        query::run(self.env, self.ctes, subquery).map_err(|failure| {
            let is_outer = |name: &str| {
                let message = &failure.message;
                message.ends_with(&format!("'{name}'")) || message.ends_with(&format!(".{name}'"))
            };
            let correlated = failure.code == "000904"
                && self.scope.columns.iter().any(|reach| is_outer(&reach.field.name));
            if correlated {
                Failure::unsupported("a subquery that refers to the outer query")
            } else {
                failure
            }
        })
    }

    pub(super) fn bind_scalar_subquery(&self, subquery: &ast::Query) -> Result<Expr, Failure> {
        let result = self.run(subquery)?;
        let ([field], [column]) = (result.fields.as_slice(), result.relation.columns.as_slice())
        else {
            return Err(Failure::unsupported("a scalar subquery with several columns"));
        };
        let datum = match result.relation.rows {
            0 => Datum::Null,
            1 => column.get(0).to_datum(),
            _ => {
                let message = "Single-row subquery returns more than one row.".to_owned();
                return Err(Failure::new("090150", "22000", message));
            }
        };
        Ok(Expr { nullable: true, ..Expr::constant(datum, field.ty.clone()) })
    }

    pub(super) fn bind_exists(
        &self,
        subquery: &ast::Query,
        negated: bool,
    ) -> Result<Expr, Failure> {
        let exists = self.run(subquery)?.relation.rows > 0;
        Ok(Expr::constant(Datum::Boolean(exists != negated), Type::Boolean))
    }

    pub(super) fn bind_in_subquery(
        &self,
        expr: &ast::Expr,
        subquery: &ast::Query,
        negated: bool,
    ) -> Result<Expr, Failure> {
        let value = self.bind(expr)?;
        let result = self.run(subquery)?;
        let [field] = result.fields.as_slice() else {
            return Err(Failure::unsupported("IN with a subquery of several columns"));
        };
        let item = Expr::new(Node::Column(0), field.ty.clone(), field.nullable);
        let (value, item) = align(self.env, value, item)?;
        let (left_maker, maker) = KeyMaker::paired(&value.ty, &item.ty)?;
        let column = item.eval(&result.relation, self.env.cancel)?;
        let mut keys = Keys::default();
        for row in 0..column.rows() {
            keys.add(&maker, column.get(row));
        }
        let found = in_keys(value, left_maker, keys);
        Ok(if negated { not(found) } else { found })
    }
}
