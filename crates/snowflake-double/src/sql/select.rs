//! SELECT: FROM, WHERE, GROUP BY, HAVING, window functions, QUALIFY, DISTINCT, ORDER BY, LIMIT.

use std::sync::Arc;

use sqlparser::ast;

use crate::table::{Relation, shown};

use super::aggregate::{Aggregate, Groups};
use super::binder::{Binder, Place, sort_order};
use super::compare::{KeyMaker, SortOrder};
use super::env::{Ctes, Env};
use super::expr::{Expr, Node};
use super::failure::Failure;
use super::from;
use super::output::{self, Limit};
use super::projection::{self, Item};
use super::query;
use super::result::{Field, ResultSet};
use super::scope::Input;
use super::window::Window;

/// The expressions of a SELECT after its input is known.
struct Parts {
    items: Vec<Item>,
    having: Option<Expr>,
    qualify: Option<Expr>,
    order: Vec<(Expr, SortOrder)>,
}

impl Parts {
    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let items = self.items.iter().map(|item| &item.expr);
        let order = self.order.iter().map(|(expr, _)| expr);
        items.chain(&self.having).chain(&self.qualify).chain(order)
    }

    fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let items = self.items.iter_mut().map(|item| &mut item.expr);
        let order = self.order.iter_mut().map(|(expr, _)| expr);
        items.chain(&mut self.having).chain(&mut self.qualify).chain(order)
    }

    fn contain(&self, condition: impl Fn(&Node) -> bool + Copy) -> bool {
        self.exprs().any(|expr| expr.contains(condition))
    }
}

/// Evaluates a SELECT.
pub(crate) fn run(
    env: &Env<'_>,
    ctes: &Ctes,
    select: &ast::Select,
    order: &[ast::OrderByExpr],
    limit: Limit,
) -> Result<ResultSet, Failure> {
    refuse_unusual(select)?;
    let limit = with_top(select, limit)?;
    let input = from::input(env, ctes, &select.from)?;
    let aliases = projection::aliases(&select.projection)?;
    let binder = Binder { env, ctes, scope: &input.scope, aliases: &aliases, place: Place::Output };
    let relation = match &select.selection {
        None => input.relation.clone(),
        Some(condition) => {
            let condition = binder.at(Place::Row).bind_condition(condition)?;
            let rows = condition.matching(&input.relation, env.cancel)?;
            if rows.len() == input.relation.rows {
                input.relation.clone()
            } else {
                input.relation.select(&rows)
            }
        }
    };
    let items = projection::items(&binder, &select.projection)?;
    let keys = group_keys(&binder, &select.group_by, &items, select)?;
    let condition = |expr: &Option<ast::Expr>, place| {
        expr.as_ref().map(|expr| binder.at(place).bind_condition(expr)).transpose()
    };
    let mut parts = Parts {
        having: condition(&select.having, Place::Grouped)?,
        qualify: condition(&select.qualify, Place::Output)?,
        order: order_keys(&binder, order, &items)?,
        items,
    };
    let mut relation = relation;
    if keys.is_some() || parts.contain(|node| matches!(node, Node::Aggregate(_))) {
        relation = group(env, &relation, &keys.unwrap_or_default(), &mut parts, &input)?;
    } else if parts.having.is_some() {
        return Err(Failure::unsupported("HAVING without GROUP BY or aggregates"));
    }
    if let Some(having) = parts.having.take() {
        relation = filtered(env, &relation, &having)?;
    }
    windows(env, &mut relation, &mut parts)?;
    if let Some(qualify) = parts.qualify.take() {
        relation = filtered(env, &relation, &qualify)?;
    }
    let is_distinct = matches!(select.distinct, Some(ast::Distinct::Distinct));
    finish(env, &relation, parts, is_distinct, limit)
}

fn refuse_unusual(select: &ast::Select) -> Result<(), Failure> {
    let unusual = [
        (select.select_modifiers.is_some(), "modifiers of SELECT"),
        (select.exclude.is_some(), "EXCLUDE after the SELECT list"),
        (select.into.is_some(), "SELECT INTO"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (!select.named_window.is_empty(), "named windows"),
        (select.value_table_mode.is_some(), "SELECT AS VALUE"),
        (select.flavor != ast::SelectFlavor::Standard, "FROM before SELECT"),
        (matches!(select.distinct, Some(ast::Distinct::On(_))), "DISTINCT ON"),
    ];
    match unusual.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(Failure::unsupported(what)),
        None => Ok(()),
    }
}

/// `SELECT TOP n`.
fn with_top(select: &ast::Select, limit: Limit) -> Result<Limit, Failure> {
    match &select.top {
        None => Ok(limit),
        Some(ast::Top {
            with_ties: false,
            percent: false,
            quantity: Some(ast::TopQuantity::Constant(count)),
        }) if limit == Limit::default() => {
            Ok(Limit { count: usize::try_from(*count).ok(), offset: 0 })
        }
        Some(_) => Err(Failure::unsupported("this form of TOP")),
    }
}

/// The expressions of GROUP BY; `None` without the clause.
fn group_keys(
    binder: &Binder<'_>,
    group_by: &ast::GroupByExpr,
    items: &[Item],
    select: &ast::Select,
) -> Result<Option<Vec<Expr>>, Failure> {
    let is_plain = |node: &Node| !matches!(node, Node::Aggregate(_) | Node::Window(_));
    let (exprs, modifiers) = match group_by {
        ast::GroupByExpr::Expressions(exprs, modifiers) => (exprs, modifiers),
        ast::GroupByExpr::All(modifiers) if modifiers.is_empty() => {
            let keys = items
                .iter()
                .filter(|item| !item.expr.contains(|node| !is_plain(node)))
                .map(|item| item.expr.clone());
            return Ok(Some(keys.collect()));
        }
        ast::GroupByExpr::All(_) => return Err(Failure::unsupported("modifiers of GROUP BY")),
    };
    if !modifiers.is_empty() {
        return Err(Failure::unsupported("modifiers of GROUP BY"));
    }
    if exprs.is_empty() {
        return Ok(None);
    }
    let mut keys = Vec::with_capacity(exprs.len());
    for expr in exprs {
        keys.push(match output::ordinal(expr, items.len())? {
            Some(position) => match items.get(position) {
                Some(item) if !item.expr.contains(|node| !is_plain(node)) => item.expr.clone(),
                _ => {
                    let shown = select.projection.get(position).map(ToString::to_string);
                    return Err(Failure::not_grouped(&shown.unwrap_or_default()));
                }
            },
            None => binder.at(Place::Row).bind(expr)?,
        });
    }
    Ok(Some(keys))
}

/// The keys of ORDER BY: output columns by number or name first, then anything of the input.
fn order_keys(
    binder: &Binder<'_>,
    order: &[ast::OrderByExpr],
    items: &[Item],
) -> Result<Vec<(Expr, SortOrder)>, Failure> {
    let mut keys = Vec::with_capacity(order.len());
    for key in order {
        if key.with_fill.is_some() {
            return Err(Failure::unsupported("ORDER BY ... WITH FILL"));
        }
        let expr = match output::ordinal(&key.expr, items.len())? {
            Some(position) => items.get(position).map(|item| item.expr.clone()),
            None => projection::named(items, &key.expr)?,
        };
        let expr = match expr {
            Some(expr) => expr,
            None => binder.bind(&key.expr)?,
        };
        keys.push((expr, sort_order(&key.options)?));
    }
    Ok(keys)
}

/// Replaces the rows by groups, and keys and aggregates in the expressions by their columns.
fn group(
    env: &Env<'_>,
    input: &Relation,
    keys: &[Expr],
    parts: &mut Parts,
    scope: &Input,
) -> Result<Relation, Failure> {
    let mut columns = Vec::new();
    let mut makers = Vec::new();
    for key in keys {
        let column = key.eval(input, env.cancel)?;
        makers.push((column.clone(), KeyMaker::of(&key.ty)?));
        columns.push(column);
    }
    let groups = if keys.is_empty() {
        Groups::one(input.rows)
    } else {
        Groups::by(&makers, input.rows, env.cancel)?
    };
    let firsts: Arc<[u32]> = Arc::from(groups.first.as_slice());
    let mut grouped = if keys.is_empty() {
        Relation::new(Vec::new(), groups.count)
    } else {
        Relation::new(columns, input.rows).select(&firsts)
    };
    let mut known: Vec<Aggregate> = Vec::new();
    let mut failure = None;
    for expr in parts.exprs_mut() {
        expr.rewrite(&mut |part| {
            if let Some(position) = keys.iter().position(|key| key.same(part)) {
                return Some(Expr { node: Node::Slot(position), ..part.clone() });
            }
            let Node::Aggregate(aggregate) = &part.node else { return None };
            let found = known.iter().position(|known| known.same(aggregate));
            let position = found.unwrap_or_else(|| {
                match aggregate.over_groups(input, &groups, env.cancel) {
                    Ok(column) => grouped.columns.push(column),
                    Err(error) => failure = failure.take().or(Some(error)),
                }
                known.push(Aggregate::clone(aggregate));
                known.len() - 1
            });
            Some(Expr { node: Node::Slot(keys.len() + position), ..part.clone() })
        });
        if let Some(failure) = failure.take() {
            return Err(failure);
        }
        check_grouped(expr, scope)?;
    }
    Ok(grouped)
}

/// After grouping, no column of the input may be left.
fn check_grouped(expr: &Expr, input: &Input) -> Result<(), Failure> {
    let mut left = None;
    expr.walk(&mut |part| {
        if let Node::Column(position) = part.node {
            left = left.or(Some(position));
        }
    });
    match left {
        None => Ok(()),
        Some(position) => {
            let name = input.scope.columns.get(position).map(|reach| shown(&reach.field.name));
            Err(Failure::not_grouped(&name.unwrap_or_default()))
        }
    }
}

/// Evaluates window functions into columns behind the others.
fn windows(env: &Env<'_>, relation: &mut Relation, parts: &mut Parts) -> Result<(), Failure> {
    if !parts.contain(|node| matches!(node, Node::Window(_))) {
        return Ok(());
    }
    let input = relation.clone();
    let mut known: Vec<(Window, usize)> = Vec::new();
    let mut failure = None;
    for expr in parts.exprs_mut() {
        expr.rewrite(&mut |part| {
            let Node::Window(window) = &part.node else { return None };
            let found = known.iter().find(|(known, _)| known.same(window)).map(|known| known.1);
            let position = found.unwrap_or_else(|| {
                let position = relation.columns.len();
                match window.eval(&input, env.cancel) {
                    Ok(column) => relation.columns.push(column),
                    Err(error) => failure = failure.take().or(Some(error)),
                }
                known.push((Window::clone(window), position));
                position
            });
            Some(Expr { node: Node::Slot(position), ..part.clone() })
        });
    }
    failure.map_or(Ok(()), Err)
}

fn filtered(env: &Env<'_>, relation: &Relation, condition: &Expr) -> Result<Relation, Failure> {
    let rows = condition.matching(relation, env.cancel)?;
    Ok(relation.select(&rows))
}

/// DISTINCT, ORDER BY, LIMIT and the output columns.
fn finish(
    env: &Env<'_>,
    relation: &Relation,
    parts: Parts,
    is_distinct: bool,
    limit: Limit,
) -> Result<ResultSet, Failure> {
    let ordered = !parts.order.is_empty();
    if !is_distinct {
        let rows = output::sorted(env, relation, &parts.order, limit)?;
        return Ok(ResultSet { ordered, ..project(env, &rows, &parts.items)? });
    }
    let result = query::distinct(env, project(env, relation, &parts.items)?)?;
    let mut keys = Vec::with_capacity(parts.order.len());
    for (expr, order) in parts.order {
        let Some(position) = parts.items.iter().position(|item| item.expr.same(&expr)) else {
            return Err(Failure::unsupported("SELECT DISTINCT ordered by what is not selected"));
        };
        keys.push((Expr { node: Node::Slot(position), ..expr }, order));
    }
    let relation = output::sorted(env, &result.relation, &keys, limit)?;
    Ok(ResultSet { relation, ordered, ..result })
}

fn project(env: &Env<'_>, relation: &Relation, items: &[Item]) -> Result<ResultSet, Failure> {
    let mut fields = Vec::with_capacity(items.len());
    let mut columns = Vec::with_capacity(items.len());
    for item in items {
        columns.push(item.expr.eval(relation, env.cancel)?);
        fields.push(Field {
            name: item.name.clone(),
            ty: item.expr.ty.clone(),
            nullable: item.expr.nullable,
            origin: item.origin.clone(),
        });
    }
    Ok(ResultSet { fields, relation: Relation::new(columns, relation.rows), ordered: false })
}
