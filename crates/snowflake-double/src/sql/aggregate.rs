//! Aggregate functions, over groups and over windows.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::i256;

use crate::number::{self, Shape};
use crate::table::{Cell, Column, Datum, Relation, VectorBuilder};

use super::cancel::Cancel;
use super::compare::{KeyMaker, Order};
use super::eval::index;
use super::expr::Expr;
use super::failure::Failure;
use super::result::misfit;
use super::ty::Ty;

/// Which aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// `COUNT(*)`.
    CountRows,
    /// `COUNT(x)`: rows in which no argument is NULL.
    Count,
    CountIf,
    Min,
    Max,
    Sum,
}

/// A call of an aggregate.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) function: Function,
    pub(crate) distinct: bool,
    pub(crate) args: Vec<Expr>,
}

impl Aggregate {
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.function == other.function
            && self.distinct == other.distinct
            && self.args.len() == other.args.len()
            && self.args.iter().zip(&other.args).all(|(a, b)| a.same(b))
    }

    /// The type of the result, and whether it can be NULL.
    pub(crate) fn ty(&self) -> Result<(Ty, bool), Failure> {
        let arg = self.args.first().map_or(Ty::NULL, |arg| arg.ty.clone());
        match self.function {
            Function::CountRows | Function::Count | Function::CountIf => {
                if self.distinct {
                    for arg in &self.args {
                        KeyMaker::of(&arg.ty)?;
                    }
                }
                Ok((Ty::number(18, 0), false))
            }
            Function::Min | Function::Max => {
                Order::within(&arg)?;
                Ok((arg, true))
            }
            Function::Sum => match arg.shape() {
                Some(shape) => Ok((Ty::shaped(Shape::new(38, shape.scale)), true)),
                None if arg.is_float() || arg.base.is_none() => Ok((arg, true)),
                None => Err(Failure::argument_types("SUM", &arg.shown())),
            },
        }
    }

    /// Evaluates the arguments and prepares accumulators.
    pub(crate) fn plan(&self, input: &Relation, cancel: &Cancel) -> Result<Plan, Failure> {
        let columns =
            self.args.iter().map(|arg| arg.eval(input, cancel)).collect::<Result<Vec<_>, _>>()?;
        let order = match (self.function, self.args.first()) {
            (Function::Min | Function::Max, Some(arg)) => Some(Order::within(&arg.ty)?),
            _ => None,
        };
        let keys = if self.distinct {
            self.args.iter().map(|arg| KeyMaker::of(&arg.ty)).collect::<Result<Vec<_>, _>>()?
        } else {
            Vec::new()
        };
        let is_float = self.args.first().is_some_and(|arg| arg.ty.is_float());
        let (function, distinct) = (self.function, self.distinct);
        Ok(Plan { function, distinct, columns, is_float, order, keys })
    }

    /// One value per group.
    pub(crate) fn over_groups(
        &self,
        input: &Relation,
        groups: &Groups,
        cancel: &Cancel,
    ) -> Result<Column, Failure> {
        let plan = self.plan(input, cancel)?;
        let mut states = vec![State::default(); groups.count];
        for (row, group) in groups.of_row.iter().enumerate() {
            if row % 8_192 == 0 {
                cancel.check()?;
            }
            if let Some(state) = states.get_mut(*group as usize) {
                plan.add(state, row);
            }
        }
        let (ty, _) = self.ty()?;
        let mut out = VectorBuilder::new(ty.kind(), groups.count);
        for state in &states {
            out.push(plan.value(state)?.cell()).map_err(misfit)?;
        }
        Ok(Column::computed(out.finish()))
    }
}

/// Rows divided by the values of key columns; NULLs form a group.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The group of each row.
    pub(crate) of_row: Vec<u32>,
    /// The first row of each group.
    pub(crate) first: Vec<u32>,
    pub(crate) count: usize,
}

impl Groups {
    /// All rows in one group, which exists even without rows.
    pub(crate) fn one(rows: usize) -> Self {
        Self { of_row: vec![0; rows], first: vec![0], count: 1 }
    }

    /// Groups by the values of columns, in the order of their first rows.
    pub(crate) fn by(
        columns: &[(Column, KeyMaker)],
        rows: usize,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut of_row = Vec::with_capacity(rows);
        let mut first = Vec::new();
        let mut key = Vec::new();
        for row in 0..rows {
            if row % 8_192 == 0 {
                cancel.check()?;
            }
            key.clear();
            for (column, maker) in columns {
                maker.append(column.get(row), &mut key);
            }
            let group = if let Some(group) = known.get(key.as_slice()) {
                *group
            } else {
                let group = index(first.len());
                known.insert(key.clone(), group);
                first.push(index(row));
                group
            };
            of_row.push(group);
        }
        let count = first.len();
        Ok(Self { of_row, first, count })
    }
}

/// An aggregate ready to take rows.
#[derive(Debug)]
pub(crate) struct Plan {
    function: Function,
    distinct: bool,
    columns: Vec<Column>,
    is_float: bool,
    order: Option<Order>,
    keys: Vec<KeyMaker>,
}

/// What an aggregate has seen of one group.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    count: u64,
    sum: i256,
    float: f64,
    best: Option<Datum>,
    seen: HashSet<Vec<u8>>,
}

impl Plan {
    /// Takes a row.
    pub(crate) fn add(&self, state: &mut State, row: usize) {
        if self.function == Function::CountRows {
            state.count += 1;
            return;
        }
        if self.columns.iter().any(|column| column.get(row).is_null()) {
            return;
        }
        if self.distinct && !self.is_new(state, row) {
            return;
        }
        let cell = self.columns.first().map_or(Cell::Null, |column| column.get(row));
        match self.function {
            Function::CountRows | Function::Count => state.count += 1,
            Function::CountIf => state.count += u64::from(cell == Cell::Boolean(true)),
            Function::Sum => {
                state.count += 1;
                match cell {
                    Cell::Number(value) => {
                        state.sum = state.sum.wrapping_add(i256::from_i128(value));
                    }
                    Cell::Float(value) => state.float += value,
                    _ => {}
                }
            }
            Function::Min | Function::Max => self.keep_best(state, cell),
        }
    }

    fn is_new(&self, state: &mut State, row: usize) -> bool {
        let mut key = Vec::new();
        for (column, maker) in self.columns.iter().zip(&self.keys) {
            maker.append(column.get(row), &mut key);
        }
        state.seen.insert(key)
    }

    fn keep_best(&self, state: &mut State, cell: Cell<'_>) {
        let better = match (&state.best, &self.order) {
            (Some(best), Some(order)) => {
                let order = order.compare(cell, best.cell());
                if self.function == Function::Min { order.is_lt() } else { order.is_gt() }
            }
            _ => true,
        };
        if better {
            state.best = Some(cell.to_datum());
        }
    }

    /// The value for the rows taken so far.
    pub(crate) fn value(&self, state: &State) -> Result<Datum, Failure> {
        Ok(match self.function {
            Function::CountRows | Function::Count | Function::CountIf => {
                Datum::Number(i128::from(state.count))
            }
            Function::Min | Function::Max => state.best.clone().unwrap_or(Datum::Null),
            Function::Sum if state.count == 0 => Datum::Null,
            Function::Sum if self.is_float => Datum::Float(state.float),
            Function::Sum => state
                .sum
                .to_i128()
                .filter(|sum| number::fits(*sum, number::MAX_PRECISION))
                .map(Datum::Number)
                .ok_or_else(Failure::sum_overflow)?,
        })
    }
}
