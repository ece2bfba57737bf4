//! The end of a query: order, limit, names of output columns.

use std::sync::Arc;

use sqlparser::ast;

use crate::table::Relation;

use super::compare::SortOrder;
use super::env::Env;
use super::eval::index;
use super::expr::Expr;
use super::failure::Failure;
use super::window::{compare_rows, sort_keys};

/// LIMIT and OFFSET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limit {
    pub(crate) count: Option<usize>,
    pub(crate) offset: usize,
}

impl Limit {
    pub(crate) fn apply(self, relation: &Relation) -> Relation {
        relation.slice(self.offset, self.count.unwrap_or(usize::MAX))
    }
}

/// Rows in the order of the keys, then limited. Rows with equal keys keep their order.
pub(crate) fn sorted(
    env: &Env<'_>,
    input: &Relation,
    keys: &[(Expr, SortOrder)],
    limit: Limit,
) -> Result<Relation, Failure> {
    if keys.is_empty() {
        return Ok(limit.apply(input));
    }
    let keys = sort_keys(keys, input, env.cancel)?;
    let mut rows: Vec<u32> = (0..input.rows).map(index).collect();
    env.cancel.check()?;
    rows.sort_by(|a, b| compare_rows(&keys, *a, *b));
    let kept: Arc<[u32]> =
        rows.into_iter().skip(limit.offset).take(limit.count.unwrap_or(usize::MAX)).collect();
    Ok(input.select(&kept))
}

/// The output column that a whole number in ORDER BY or GROUP BY means, from 0.
pub(crate) fn ordinal(expr: &ast::Expr, width: usize) -> Result<Option<usize>, Failure> {
    let ast::Expr::Value(value) = expr else { return Ok(None) };
    let ast::Value::Number(digits, _) = &value.value else { return Ok(None) };
    match digits.parse::<usize>() {
        Ok(position) if (1..=width).contains(&position) => Ok(Some(position - 1)),
        _ => {
            let message =
                format!("SQL compilation error:\nposition {digits} is not in the select list");
            Err(Failure::new("002039", "42601", message))
        }
    }
}
