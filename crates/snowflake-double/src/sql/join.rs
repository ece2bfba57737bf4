//! Joins: inner and outer ones on equalities, and small cross joins.

use std::collections::HashMap;
use std::sync::Arc;

use sqlparser::ast::{self, BinaryOperator};

use crate::table::{NO_ROW, Relation};

use super::binder::{Binder, Place, align};
use super::compare::KeyMaker;
use super::env::{Ctes, Env};
use super::eval::index;
use super::expr::{Expr, Node};
use super::failure::Failure;
use super::from;
use super::scope::{Input, Scope};
use super::text;

/// Most rows of a cross join.
const MOST_ROWS: usize = 4_000_000;

/// An equality between the two sides, with the makers of equal keys.
type Equality = (Expr, KeyMaker, Expr, KeyMaker);

/// Which rows without a partner stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

/// Joins another input to the right.
pub(crate) fn joined(
    env: &Env<'_>,
    ctes: &Ctes,
    left: Input,
    join: &ast::Join,
) -> Result<Input, Failure> {
    let right = from::factor(env, ctes, &join.relation)?;
    let (kind, constraint) = match &join.join_operator {
        ast::JoinOperator::Join(on) | ast::JoinOperator::Inner(on) => (Kind::Inner, on),
        ast::JoinOperator::Left(on) | ast::JoinOperator::LeftOuter(on) => (Kind::Left, on),
        ast::JoinOperator::Right(on) | ast::JoinOperator::RightOuter(on) => (Kind::Right, on),
        ast::JoinOperator::FullOuter(on) => (Kind::Full, on),
        ast::JoinOperator::CrossJoin(ast::JoinConstraint::None) => return cross(left, right),
        _ => return Err(Failure::unsupported("this kind of join")),
    };
    if join.global {
        return Err(Failure::unsupported("GLOBAL joins"));
    }
    match constraint {
        ast::JoinConstraint::On(condition) => on(env, ctes, left, right, kind, condition),
        ast::JoinConstraint::Using(names) => using(env, left, right, kind, names),
        ast::JoinConstraint::None if kind == Kind::Inner => cross(left, right),
        _ => Err(Failure::unsupported("this condition of a join")),
    }
}

/// Every row with every row.
pub(crate) fn cross(left: Input, right: Input) -> Result<Input, Failure> {
    let rows = left.relation.rows.saturating_mul(right.relation.rows);
    if rows > MOST_ROWS {
        return Err(Failure::unsupported(format!(
            "a cross join of {rows} rows; join with ON and equalities"
        )));
    }
    let right_rows = right.relation.rows.max(1);
    let lefts: Arc<[u32]> = (0..rows).map(|row| index(row / right_rows)).collect();
    let rights: Arc<[u32]> = (0..rows).map(|row| index(row % right_rows)).collect();
    Ok(combine(left, right, &lefts, &rights))
}

fn combine(left: Input, right: Input, lefts: &Arc<[u32]>, rights: &Arc<[u32]>) -> Input {
    let mut columns = left.relation.select(lefts).columns;
    columns.extend(right.relation.select(rights).columns);
    let relation = Relation::new(columns, lefts.len());
    Input { scope: left.scope.joined(right.scope), relation }
}

fn on(
    env: &Env<'_>,
    ctes: &Ctes,
    left: Input,
    right: Input,
    kind: Kind,
    condition: &ast::Expr,
) -> Result<Input, Failure> {
    let width = left.scope.columns.len();
    let scope = left.scope.clone().joined(right.scope.clone());
    let binder = Binder { env, ctes, scope: &scope, aliases: &[], place: Place::Row };
    let mut equalities = Vec::new();
    let mut rest = Vec::new();
    for part in conjuncts(condition) {
        match equality(&binder, part, width)? {
            Some(equality) => equalities.push(equality),
            None => rest.push(binder.bind_condition(part)?),
        }
    }
    if equalities.is_empty() {
        return Err(Failure::unsupported("a join without an equality between its sides"));
    }
    if !rest.is_empty() && kind != Kind::Inner {
        return Err(Failure::unsupported("an outer join on more than equalities"));
    }
    let mut result = hash_join(env, left, right, kind, &equalities)?;
    for condition in rest {
        let rows = condition.matching(&result.relation, env.cancel)?;
        result.relation = result.relation.select(&rows);
    }
    Ok(result)
}

fn conjuncts(condition: &ast::Expr) -> Vec<&ast::Expr> {
    let mut parts = Vec::new();
    let mut waiting = vec![condition];
    while let Some(expr) = waiting.pop() {
        match expr {
            ast::Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                waiting.push(right);
                waiting.push(left);
            }
            ast::Expr::Nested(inner) => waiting.push(inner),
            other => parts.push(other),
        }
    }
    parts
}

/// An equality whose operands belong to one side each.
fn equality(
    binder: &Binder<'_>,
    condition: &ast::Expr,
    width: usize,
) -> Result<Option<Equality>, Failure> {
    let ast::Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else {
        return Ok(None);
    };
    let (a, b) = (binder.bind(left)?, binder.bind(right)?);
    let is_left = |expr: &Expr| only_columns(expr, |column| column < width);
    let is_right = |expr: &Expr| only_columns(expr, |column| column >= width);
    let (a, b) = if is_left(&a) && is_right(&b) {
        (a, b)
    } else if is_right(&a) && is_left(&b) {
        (b, a)
    } else {
        return Ok(None);
    };
    paired(binder.env, a, b, width).map(Some)
}

fn paired(env: &Env<'_>, left: Expr, right: Expr, width: usize) -> Result<Equality, Failure> {
    let (left, mut right) = align(env, left, right)?;
    right.rewrite(&mut |part| match part.node {
        Node::Column(column) => {
            Some(Expr { node: Node::Column(column.saturating_sub(width)), ..part.clone() })
        }
        _ => None,
    });
    let (left_maker, right_maker) = KeyMaker::paired(&left.ty, &right.ty)?;
    Ok((left, left_maker, right, right_maker))
}

/// Whether an expression has columns, all of them on one side.
fn only_columns(expr: &Expr, belongs: impl Fn(usize) -> bool) -> bool {
    let mut count = 0;
    let mut all = true;
    expr.walk(&mut |part| {
        if let Node::Column(column) = part.node {
            count += 1;
            all &= belongs(column);
        }
    });
    count > 0 && all
}

fn using(
    env: &Env<'_>,
    left: Input,
    right: Input,
    kind: Kind,
    names: &[ast::ObjectName],
) -> Result<Input, Failure> {
    if !matches!(kind, Kind::Inner | Kind::Left) {
        return Err(Failure::unsupported("USING in a right or full join"));
    }
    let width = left.scope.columns.len();
    let mut equalities = Vec::new();
    let mut merged = Vec::new();
    for name in names {
        let parts = text::name_parts(name)?;
        let column = |scope: &Scope, shift: usize| -> Result<(usize, Expr), Failure> {
            let missing = || Failure::invalid_identifier(&super::scope::dotted(&parts));
            let position = scope.find(&parts)?.ok_or_else(missing)?;
            let reach = scope.columns.get(position).ok_or_else(missing)?;
            let node = Node::Column(position + shift);
            Ok((position, Expr::new(node, reach.field.ty.clone(), reach.field.nullable)))
        };
        let (_, a) = column(&left.scope, 0)?;
        let (position, b) = column(&right.scope, width)?;
        equalities.push(paired(env, a, b, width)?);
        merged.push(position);
    }
    let mut result = hash_join(env, left, right, kind, &equalities)?;
    for position in merged {
        if let Some(reach) = result.scope.columns.get_mut(width + position) {
            reach.merged = true;
        }
    }
    Ok(result)
}

fn hash_join(
    env: &Env<'_>,
    left: Input,
    right: Input,
    kind: Kind,
    equalities: &[Equality],
) -> Result<Input, Failure> {
    let mut left_keys = Vec::with_capacity(equalities.len());
    let mut right_keys = Vec::with_capacity(equalities.len());
    for (a, a_maker, b, b_maker) in equalities {
        left_keys.push((a.eval(&left.relation, env.cancel)?, a_maker));
        right_keys.push((b.eval(&right.relation, env.cancel)?, b_maker));
    }
    let key_of = |keys: &[(crate::table::Column, &KeyMaker)], row: usize| {
        let mut key = Vec::new();
        for (column, maker) in keys {
            let cell = column.get(row);
            if cell.is_null() {
                return None;
            }
            maker.append(cell, &mut key);
        }
        Some(key)
    };
    let mut partners: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
    for row in 0..right.relation.rows {
        if let Some(key) = key_of(&right_keys, row) {
            partners.entry(key).or_default().push(index(row));
        }
    }
    let mut lefts = Vec::new();
    let mut rights = Vec::new();
    let mut is_met = vec![false; right.relation.rows];
    for row in 0..left.relation.rows {
        if row % 8_192 == 0 {
            env.cancel.check()?;
        }
        match key_of(&left_keys, row).and_then(|key| partners.get(&key)) {
            Some(found) => {
                for partner in found {
                    lefts.push(index(row));
                    rights.push(*partner);
                    if let Some(met) = is_met.get_mut(*partner as usize) {
                        *met = true;
                    }
                }
            }
            None if matches!(kind, Kind::Left | Kind::Full) => {
                lefts.push(index(row));
                rights.push(NO_ROW);
            }
            None => {}
        }
    }
    if matches!(kind, Kind::Right | Kind::Full) {
        for (row, _) in is_met.iter().enumerate().filter(|(_, met)| !**met) {
            lefts.push(NO_ROW);
            rights.push(index(row));
        }
    }
    let width = left.scope.columns.len();
    let mut result = combine(left, right, &Arc::from(lefts), &Arc::from(rights));
    for (position, reach) in result.scope.columns.iter_mut().enumerate() {
        let is_left = position < width;
        reach.field.nullable |= match kind {
            Kind::Inner => false,
            Kind::Left => !is_left,
            Kind::Right => is_left,
            Kind::Full => true,
        };
    }
    Ok(result)
}
