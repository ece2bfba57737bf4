//! Queries: common table expressions, set operations, VALUES, and what applies to a whole query.

use std::sync::Arc;

use sqlparser::ast;

use crate::table::{Column, Datum, Relation, VectorBuilder};

use super::aggregate::Groups;
use super::binder::{Binder, Place, common_type, sort_order};
use super::cast;
use super::compare::{KeyMaker, SortOrder};
use super::env::{Ctes, Env};
use super::expr::{Expr, Node};
use super::failure::Failure;
use super::output::{self, Limit};
use super::result::{Field, ResultSet, misfit};
use super::scope::Scope;
use super::select;
use super::text;
use super::ty::Ty;

/// Evaluates a query.
pub(crate) fn run(env: &Env<'_>, outer: &Ctes, query: &ast::Query) -> Result<ResultSet, Failure> {
    let unusual = !query.locks.is_empty()
        || query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty();
    if unusual {
        return Err(Failure::unsupported("this clause at the end of a query"));
    }
    let mut ctes = outer.clone();
    if let Some(with) = &query.with {
        add_ctes(env, &mut ctes, with)?;
    }
    let limit = limit(env, &ctes, query)?;
    let order = match &query.order_by {
        None => &[][..],
        Some(ast::OrderBy { kind: ast::OrderByKind::Expressions(keys), interpolate: None }) => keys,
        Some(_) => return Err(Failure::unsupported("this form of ORDER BY")),
    };
    if let [ast::OrderByExpr { expr: ast::Expr::Identifier(name), .. }] = order
        && name.quote_style.is_none()
        && name.value.eq_ignore_ascii_case("all")
    {
        return Err(Failure::unsupported("ORDER BY ALL"));
    }
    match query.body.as_ref() {
        ast::SetExpr::Select(select) => select::run(env, &ctes, select, order, limit),
        body => {
            let result = set_expr(env, &ctes, body)?;
            arrange(env, &ctes, result, order, limit)
        }
    }
}

fn add_ctes(env: &Env<'_>, ctes: &mut Ctes, with: &ast::With) -> Result<(), Failure> {
    if with.recursive {
        return Err(Failure::unsupported("WITH RECURSIVE"));
    }
    for cte in &with.cte_tables {
        if cte.from.is_some() || cte.materialized.is_some() {
            return Err(Failure::unsupported("this form of WITH"));
        }
        let mut result = run(env, ctes, &cte.query)?;
        let name = rename(&mut result.fields, &cte.alias)?;
        ctes.insert(name, Arc::new(result));
    }
    Ok(())
}

/// Gives columns the names of an alias list; returns the alias.
pub(crate) fn rename(fields: &mut [Field], alias: &ast::TableAlias) -> Result<String, Failure> {
    if alias.at.is_some() || alias.columns.iter().any(|column| column.data_type.is_some()) {
        return Err(Failure::unsupported("this form of a table alias"));
    }
    if !alias.columns.is_empty() && alias.columns.len() != fields.len() {
        let message = format!(
            "SQL compilation error:\n{} columns are named, {} are selected",
            alias.columns.len(),
            fields.len()
        );
        return Err(Failure::new("002020", "21S01", message));
    }
    for (field, column) in fields.iter_mut().zip(&alias.columns) {
        field.name = text::identifier(&column.name)?;
    }
    text::identifier(&alias.name)
}

fn limit(env: &Env<'_>, ctes: &Ctes, query: &ast::Query) -> Result<Limit, Failure> {
    let scope = Scope::default();
    let binder = Binder { env, ctes, scope: &scope, aliases: &[], place: Place::Row };
    let number = |expr: &ast::Expr| -> Result<Option<usize>, Failure> {
        let bound = binder.bind(expr)?;
        match bound.eval_constant(env.cancel)? {
            Datum::Null => Ok(None),
            Datum::Number(count) if bound.ty.scale() == 0 => usize::try_from(count)
                .map(Some)
                .map_err(|_| Failure::syntax("LIMIT and OFFSET expect whole numbers from 0")),
            _ => Err(Failure::unsupported("a LIMIT that is no whole number")),
        }
    };
    let mut found = Limit::default();
    match &query.limit_clause {
        None => {}
        Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            if let Some(limit) = limit {
                found.count = number(limit)?;
            }
            if let Some(offset) = offset {
                found.offset = number(&offset.value)?.unwrap_or(0);
            }
        }
        Some(_) => return Err(Failure::unsupported("this form of LIMIT")),
    }
    match &query.fetch {
        None => {}
        Some(ast::Fetch { with_ties: false, percent: false, quantity: Some(quantity) }) => {
            found.count = number(quantity)?;
        }
        Some(_) => return Err(Failure::unsupported("this form of FETCH")),
    }
    Ok(found)
}

fn set_expr(env: &Env<'_>, ctes: &Ctes, body: &ast::SetExpr) -> Result<ResultSet, Failure> {
    match body {
        ast::SetExpr::Select(select) => select::run(env, ctes, select, &[], Limit::default()),
        ast::SetExpr::Query(query) => run(env, ctes, query),
        ast::SetExpr::Values(values) => from_values(env, ctes, values),
        ast::SetExpr::SetOperation { left, op: ast::SetOperator::Union, set_quantifier, right } => {
            let left = set_expr(env, ctes, left)?;
            let all = union_all(env, &left, &set_expr(env, ctes, right)?)?;
            match set_quantifier {
                ast::SetQuantifier::All => Ok(all),
                ast::SetQuantifier::None | ast::SetQuantifier::Distinct => distinct(env, all),
                _ => Err(Failure::unsupported("UNION BY NAME")),
            }
        }
        ast::SetExpr::SetOperation { op, .. } => {
            Err(Failure::unsupported(format!("the set operation {op}")))
        }
        _ => Err(Failure::unsupported("this kind of statement in a query")),
    }
}

fn union_all(env: &Env<'_>, left: &ResultSet, right: &ResultSet) -> Result<ResultSet, Failure> {
    if left.fields.len() != right.fields.len() {
        let message = format!(
            "SQL compilation error:\ninvalid number of result columns for set operator input \
             branches, expected {}, got {}",
            left.fields.len(),
            right.fields.len()
        );
        return Err(Failure::new("001789", "42601", message));
    }
    let rows = left.relation.rows + right.relation.rows;
    let mut fields = Vec::with_capacity(left.fields.len());
    let mut columns = Vec::with_capacity(left.fields.len());
    for (position, (a, b)) in left.fields.iter().zip(&right.fields).enumerate() {
        let ty = a.ty.common(&b.ty)?;
        let mut out = VectorBuilder::new(ty.kind(), rows);
        for (field, side) in [(a, &left.relation), (b, &right.relation)] {
            let expr = Expr::new(Node::Column(position), field.ty.clone(), field.nullable);
            let column = cast::unify(env, expr, &ty)?.eval(side, env.cancel)?;
            for row in 0..side.rows {
                out.push(column.get(row)).map_err(misfit)?;
            }
        }
        fields.push(Field::new(a.name.clone(), ty, a.nullable || b.nullable));
        columns.push(Column::computed(out.finish()));
    }
    Ok(ResultSet { fields, relation: Relation::new(columns, rows), ordered: false })
}

/// The first of each set of equal rows.
pub(crate) fn distinct(env: &Env<'_>, result: ResultSet) -> Result<ResultSet, Failure> {
    let keys = result
        .fields
        .iter()
        .zip(&result.relation.columns)
        .map(|(field, column)| Ok((column.clone(), KeyMaker::of(&field.ty)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let groups = Groups::by(&keys, result.relation.rows, env.cancel)?;
    let relation = result.relation.select(&Arc::from(groups.first));
    Ok(ResultSet { relation, ..result })
}

fn from_values(env: &Env<'_>, ctes: &Ctes, values: &ast::Values) -> Result<ResultSet, Failure> {
    let scope = Scope::default();
    let binder = Binder { env, ctes, scope: &scope, aliases: &[], place: Place::Row };
    let mut rows = Vec::with_capacity(values.rows.len());
    for row in &values.rows {
        let cells =
            row.content.iter().map(|cell| binder.bind(cell)).collect::<Result<Vec<_>, _>>()?;
        rows.push(cells);
    }
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != width) {
        return Err(Failure::syntax("rows of VALUES differ in length"));
    }
    let mut fields = Vec::with_capacity(width);
    let mut columns = Vec::with_capacity(width);
    for position in 0..width {
        let cells: Vec<Expr> = rows.iter().filter_map(|row| row.get(position).cloned()).collect();
        let ty = common_type(&cells)?;
        let nullable = cells.iter().any(|cell| cell.nullable);
        let data = cells
            .into_iter()
            .map(|cell| cast::unify(env, cell, &ty)?.eval_constant(env.cancel))
            .collect::<Result<Vec<_>, _>>()?;
        columns.push(Column::collect(ty.kind(), data.into_iter()).map_err(misfit)?);
        fields.push(Field::new(format!("COLUMN{}", position + 1), ty, nullable));
    }
    Ok(ResultSet { fields, relation: Relation::new(columns, rows.len()), ordered: false })
}

/// ORDER BY and LIMIT over a finished result: keys are its columns.
fn arrange(
    env: &Env<'_>,
    ctes: &Ctes,
    result: ResultSet,
    order: &[ast::OrderByExpr],
    limit: Limit,
) -> Result<ResultSet, Failure> {
    let scope = Scope::of(&super::scope::Source::Unnamed, &result.fields);
    let binder = Binder { env, ctes, scope: &scope, aliases: &[], place: Place::Row };
    let mut keys: Vec<(Expr, SortOrder)> = Vec::with_capacity(order.len());
    for key in order {
        if key.with_fill.is_some() {
            return Err(Failure::unsupported("ORDER BY ... WITH FILL"));
        }
        let expr = match output::ordinal(&key.expr, result.fields.len())? {
            Some(position) => {
                let ty = result.fields.get(position).map_or(Ty::NULL, |field| field.ty.clone());
                Expr::new(Node::Column(position), ty, true)
            }
            None => binder.bind(&key.expr)?,
        };
        keys.push((expr, sort_order(&key.options)?));
    }
    let relation = output::sorted(env, &result.relation, &keys, limit)?;
    let ordered = !keys.is_empty();
    Ok(ResultSet { fields: result.fields, relation, ordered })
}
