//! IN: lists and stored keys, in three-valued logic.

use std::collections::HashSet;

use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::compare::KeyMaker;
use super::super::env::Env;
use super::super::expr::{Expr, Node};
use super::super::failure::Failure;
use super::operator::{Comparison, align, compare, or};

/// `value IN (list)` in three-valued logic.
pub(super) fn in_list(env: &Env<'_>, value: &Expr, list: Vec<Expr>) -> Result<Expr, Failure> {
    let mut keys = Keys::default();
    let mut others = Vec::new();
    let mut tested: Option<(Expr, KeyMaker)> = None;
    for item in list {
        let (left, right) = align(env, value.clone(), item)?;
        let (left_maker, maker) = KeyMaker::paired(&left.ty, &right.ty)?;
        let is_plain = matches!(right.node, Node::Const(_) | Node::Call(_))
            && !right.contains(|node| !matches!(node, Node::Const(_) | Node::Call(_)));
        match &tested {
            Some((known, maker)) if !known.same(&left) || *maker != left_maker => {
                others.push((left, right));
            }
            _ if !is_plain => others.push((left, right)),
            _ => {
                keys.add(&maker, right.eval_constant(env.cancel)?.cell());
                tested = Some((left, left_maker));
            }
        }
    }
    let mut tests = Vec::with_capacity(others.len() + 1);
    if let Some((left, maker)) = tested {
        tests.push(in_keys(left, maker, keys));
    }
    for (left, right) in others {
        tests.push(compare(env, Comparison::Eq, left, right)?);
    }
    Ok(or(tests))
}

/// Values to look up.
#[derive(Debug, Default)]
pub(super) struct Keys {
    set: HashSet<Vec<u8>>,
    has_null: bool,
    /// Makes sets of equal size with different members different for `Expr::same`.
    label: u64,
}

impl Keys {
    pub(super) fn add(&mut self, maker: &KeyMaker, cell: Cell<'_>) {
        if cell.is_null() {
            self.has_null = true;
            return;
        }
        let mut key = Vec::new();
        maker.append(cell, &mut key);
        for byte in &key {
            self.label = self.label.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte);
        }
        self.set.insert(key);
    }
}

/// Whether a value is among keys; NULL if it is not and there was a NULL among them.
pub(super) fn in_keys(value: Expr, maker: KeyMaker, keys: Keys) -> Expr {
    let nullable = value.nullable || keys.has_null;
    let label = format!("in {} {:x} {}", keys.set.len(), keys.label, keys.has_null);
    Expr::lenient(label, vec![value], Type::Boolean, nullable, move |cells| {
        let cell = cells.first().copied().unwrap_or(Cell::Null);
        if cell.is_null() {
            // Nothing is among no values, not even NULL.
            let is_empty = keys.set.is_empty() && !keys.has_null;
            return Ok(if is_empty { false.into() } else { Datum::Null });
        }
        let mut key = Vec::new();
        maker.append(cell, &mut key);
        Ok(match keys.set.contains(&key) {
            true => true.into(),
            false if keys.has_null => Datum::Null,
            false => false.into(),
        })
    })
}
