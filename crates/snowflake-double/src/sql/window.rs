//! Window functions: ranks, neighbours, and aggregates over partitions.

use std::cmp::Ordering;

use crate::table::{Cell, Column, Datum, Relation, VectorBuilder};

use super::aggregate::{self, Aggregate, Groups, State};
use super::cancel::Cancel;
use super::compare::{KeyMaker, Order, SortOrder};
use super::eval::index;
use super::expr::Expr;
use super::failure::Failure;
use super::result::misfit;
use super::ty::Ty;

/// Which function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Function {
    RowNumber,
    Rank,
    DenseRank,
    /// With the number of buckets.
    Ntile(i128),
    /// The value this many rows before (negative: after).
    Lag(i64),
    Aggregate(aggregate::Function),
}

/// Which rows of its partition an aggregate sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// All of them.
    Whole,
    /// Up to the current row.
    Rows,
    /// Up to the current row and its equals in the order.
    Range,
}

/// A call of a window function.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) function: Function,
    pub(crate) distinct: bool,
    pub(crate) args: Vec<Expr>,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<(Expr, SortOrder)>,
    pub(crate) frame: Frame,
}

impl Window {
    pub(crate) fn same(&self, other: &Self) -> bool {
        let all =
            |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        self.function == other.function
            && self.distinct == other.distinct
            && self.frame == other.frame
            && all(&self.args, &other.args)
            && all(&self.partition, &other.partition)
            && self.order.len() == other.order.len()
            && self.order.iter().zip(&other.order).all(|(a, b)| a.1 == b.1 && a.0.same(&b.0))
    }

    pub(crate) fn each_child(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        self.args.iter_mut().for_each(&mut *visit);
        self.partition.iter_mut().for_each(&mut *visit);
        self.order.iter_mut().for_each(|(expr, _)| visit(expr));
    }

    pub(crate) fn walk(&self, look: &mut dyn FnMut(&Expr)) {
        self.args.iter().for_each(|arg| arg.walk(look));
        self.partition.iter().for_each(|expr| expr.walk(look));
        self.order.iter().for_each(|(expr, _)| expr.walk(look));
    }

    /// The type of the result, and whether it can be NULL.
    pub(crate) fn ty(&self) -> Result<(Ty, bool), Failure> {
        match &self.function {
            Function::RowNumber | Function::Rank | Function::DenseRank | Function::Ntile(_) => {
                Ok((Ty::number(18, 0), false))
            }
            Function::Lag(_) => {
                Ok((self.args.first().map_or(Ty::NULL, |arg| arg.ty.clone()), true))
            }
            Function::Aggregate(_) => self.aggregate().map_or(Ok((Ty::NULL, true)), |it| it.ty()),
        }
    }

    fn aggregate(&self) -> Option<Aggregate> {
        match self.function {
            Function::Aggregate(function) => {
                Some(Aggregate { function, distinct: self.distinct, args: self.args.clone() })
            }
            _ => None,
        }
    }

    /// One value per row.
    pub(crate) fn eval(&self, input: &Relation, cancel: &Cancel) -> Result<Column, Failure> {
        let sorted = self.sort(input, cancel)?;
        let mut values = vec![Datum::Null; input.rows];
        match &self.function {
            Function::Lag(offset) => {
                self.neighbours(*offset, input, &sorted, &mut values, cancel)?;
            }
            Function::Aggregate(_) => self.running(input, &sorted, &mut values, cancel)?,
            _ => {
                for partition in sorted.partitions() {
                    self.ranks(&sorted, partition, &mut values);
                }
            }
        }
        let (ty, _) = self.ty()?;
        let mut out = VectorBuilder::new(ty.kind(), input.rows);
        for value in &values {
            out.push(value.cell()).map_err(misfit)?;
        }
        Ok(Column::computed(out.finish()))
    }

    fn sort(&self, input: &Relation, cancel: &Cancel) -> Result<Sorted, Failure> {
        let keys = self
            .partition
            .iter()
            .map(|expr| Ok((expr.eval(input, cancel)?, KeyMaker::of(&expr.ty)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let groups = if keys.is_empty() {
            Groups::one(input.rows)
        } else {
            Groups::by(&keys, input.rows, cancel)?
        };
        let order = sort_keys(&self.order, input, cancel)?;
        let mut rows: Vec<u32> = (0..input.rows).map(index).collect();
        let group = |row: u32| groups.of_row.get(row as usize).copied().unwrap_or(0);
        rows.sort_by(|a, b| group(*a).cmp(&group(*b)).then_with(|| compare_rows(&order, *a, *b)));
        let mut starts = vec![];
        let mut last = None;
        for (position, row) in rows.iter().enumerate() {
            if last.replace(group(*row)) != Some(group(*row)) {
                starts.push(position);
            }
        }
        Ok(Sorted { rows, starts, order })
    }

    fn ranks(&self, sorted: &Sorted, partition: &[u32], values: &mut [Datum]) {
        let total = i128::try_from(partition.len()).unwrap_or(0);
        let (mut rank, mut dense) = (0_i128, 0_i128);
        let mut previous = None;
        for (position, row) in (1_i128..).zip(partition) {
            let is_tie = previous.is_some_and(|previous| sorted.are_equal(previous, *row));
            if !is_tie {
                rank = position;
                dense += 1;
            }
            previous = Some(*row);
            let value = match self.function {
                Function::Rank => rank,
                Function::DenseRank => dense,
                Function::Ntile(buckets) => bucket(position - 1, total, buckets),
                _ => position,
            };
            set(values, *row, Datum::Number(value));
        }
    }

    fn neighbours(
        &self,
        offset: i64,
        input: &Relation,
        sorted: &Sorted,
        values: &mut [Datum],
        cancel: &Cancel,
    ) -> Result<(), Failure> {
        let Some(arg) = self.args.first() else { return Ok(()) };
        let column = arg.eval(input, cancel)?;
        for partition in sorted.partitions() {
            for (position, row) in (0_i64..).zip(partition) {
                let neighbour = usize::try_from(position - offset)
                    .ok()
                    .and_then(|position| partition.get(position))
                    .map_or(Cell::Null, |neighbour| column.get(*neighbour as usize));
                set(values, *row, neighbour.to_datum());
            }
        }
        Ok(())
    }

    fn running(
        &self,
        input: &Relation,
        sorted: &Sorted,
        values: &mut [Datum],
        cancel: &Cancel,
    ) -> Result<(), Failure> {
        let Some(aggregate) = self.aggregate() else { return Ok(()) };
        let plan = aggregate.plan(input, cancel)?;
        for partition in sorted.partitions() {
            cancel.check()?;
            let mut state = State::default();
            let mut waiting = partition;
            while let Some(first) = waiting.first() {
                let together = match self.frame {
                    Frame::Whole => waiting.len(),
                    Frame::Rows => 1,
                    Frame::Range => {
                        waiting.iter().take_while(|row| sorted.are_equal(*first, **row)).count()
                    }
                };
                let (now, later) = waiting.split_at(together.max(1).min(waiting.len()));
                for row in now {
                    plan.add(&mut state, *row as usize);
                }
                let value = plan.value(&state)?;
                for row in now {
                    set(values, *row, value.clone());
                }
                waiting = later;
            }
        }
        Ok(())
    }
}

/// Rows of all partitions, each in its order.
struct Sorted {
    rows: Vec<u32>,
    starts: Vec<usize>,
    order: Vec<(Column, Order, SortOrder)>,
}

impl Sorted {
    fn partitions(&self) -> impl Iterator<Item = &[u32]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.rows.len()]);
        self.starts.iter().zip(ends).filter_map(|(start, end)| self.rows.get(*start..end))
    }

    fn are_equal(&self, a: u32, b: u32) -> bool {
        compare_rows(&self.order, a, b) == Ordering::Equal
    }
}

/// Evaluates sort keys.
pub(crate) fn sort_keys(
    keys: &[(Expr, SortOrder)],
    input: &Relation,
    cancel: &Cancel,
) -> Result<Vec<(Column, Order, SortOrder)>, Failure> {
    keys.iter()
        .map(|(expr, order)| Ok((expr.eval(input, cancel)?, Order::within(&expr.ty)?, *order)))
        .collect()
}

/// Compares two rows by sort keys.
pub(crate) fn compare_rows(keys: &[(Column, Order, SortOrder)], a: u32, b: u32) -> Ordering {
    keys.iter()
        .map(|(column, order, key)| {
            order.sort(column.get(a as usize), column.get(b as usize), *key)
        })
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// The bucket of NTILE: the first `total % buckets` buckets have one row more.
fn bucket(position: i128, total: i128, buckets: i128) -> i128 {
    let small = total / buckets;
    let big = total % buckets;
    let in_big = big * (small + 1);
    if position < in_big {
        position / (small + 1) + 1
    } else {
        big + (position - in_big).checked_div(small).unwrap_or(0) + 1
    }
}

fn set(values: &mut [Datum], row: u32, value: Datum) {
    if let Some(slot) = values.get_mut(row as usize) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntile_gives_the_rest_to_the_first_buckets() {
        let buckets: Vec<_> = (0..10).map(|position| bucket(position, 10, 4)).collect();
        assert_eq!(buckets, [1, 1, 1, 2, 2, 2, 3, 3, 4, 4]);
        let few: Vec<_> = (0..2).map(|position| bucket(position, 2, 5)).collect();
        assert_eq!(few, [1, 2]);
    }
}
