//! Evaluation of bound expressions, a column at a time.
//!
//! Branches of CASE and the right sides of AND and OR are evaluated only for the rows that need
//! them, so that a guard such as `n <> 0 and x / n > 1` guards.

use std::sync::Arc;

use crate::table::{Cell, Column, Datum, NO_ROW, Relation, VectorBuilder, ZONE_ROWS};

use super::cancel::Cancel;
use super::expr::{Call, Expr, Node};
use super::failure::Failure;
use super::result::misfit;

/// Rows between two looks at the cancel flag.
const CHECK_ROWS: usize = 8_192;

impl Expr {
    /// The values for all rows of a relation.
    pub(crate) fn eval(&self, input: &Relation, cancel: &Cancel) -> Result<Column, Failure> {
        match &self.node {
            Node::Column(index) | Node::Slot(index) => {
                input.columns.get(*index).cloned().ok_or_else(|| internal("a column is missing"))
            }
            Node::Const(datum) => Ok(Column::constant(datum.clone(), input.rows)),
            Node::Call(call) => self.eval_call(call, input, cancel),
            Node::And(args) => self.eval_logic(args, false, input, cancel),
            Node::Or(args) => self.eval_logic(args, true, input, cancel),
            Node::Case(branches, otherwise) => {
                self.eval_case(branches, otherwise.as_deref(), input, cancel)
            }
            Node::Coalesce(args) => self.eval_coalesce(args, input, cancel),
            Node::Aggregate(_) => Err(internal("an aggregate was not evaluated")),
            Node::Window(_) => Err(internal("a window function was not evaluated")),
        }
    }

    /// The value of an expression that does not depend on rows.
    pub(crate) fn eval_constant(&self, cancel: &Cancel) -> Result<Datum, Failure> {
        if self.contains(|node| {
            matches!(node, Node::Column(_) | Node::Slot(_) | Node::Aggregate(_) | Node::Window(_))
        }) {
            return Err(Failure::unsupported("a value that is not constant in this place"));
        }
        Ok(self.eval(&Relation::single(), cancel)?.get(0).to_datum())
    }

    /// The rows for which a condition is true.
    pub(crate) fn matching(
        &self,
        input: &Relation,
        cancel: &Cancel,
    ) -> Result<Arc<[u32]>, Failure> {
        match self.candidates(input) {
            Some(candidates) if candidates.len() < input.rows => {
                let hits = self.true_rows(&input.select(&candidates), cancel)?;
                Ok(hits.iter().filter_map(|hit| candidates.get(*hit as usize).copied()).collect())
            }
            _ => self.true_rows(input, cancel),
        }
    }

    /// The rows of the zones in which the leading comparisons with constants can hold, as the service
    /// prunes its partitions; `None` where no zone can be ruled out.
    fn candidates(&self, input: &Relation) -> Option<Arc<[u32]>> {
        let conjuncts = match &self.node {
            Node::And(args) => args.as_slice(),
            _ => std::slice::from_ref(self),
        };
        let mut open: Option<Vec<bool>> = None;
        for zones in conjuncts.iter().map_while(|conjunct| conjunct.zones(input)) {
            match &mut open {
                None => open = Some(zones),
                Some(open) => open.iter_mut().zip(zones).for_each(|(open, zone)| *open &= zone),
            }
        }
        let rows =
            open?.into_iter().enumerate().filter(|(_, is_open)| *is_open).flat_map(|(zone, _)| {
                let first = zone * ZONE_ROWS;
                (first..input.rows.min(first + ZONE_ROWS)).map(index)
            });
        Some(rows.collect())
    }

    /// In which zones of its column a comparison with a constant can hold.
    fn zones(&self, input: &Relation) -> Option<Vec<bool>> {
        let Node::Call(call) = &self.node else { return None };
        let [column, constant] = call.args.as_slice() else { return None };
        if column.ty.scale() != constant.ty.scale() {
            return None;
        }
        let (Node::Column(column), Node::Const(Datum::Number(bound))) =
            (&column.node, &constant.node)
        else {
            return None;
        };
        let column = input.columns.get(*column)?;
        match call.label.as_str() {
            "Lt" => column.zones(|least, _| least < *bound),
            "LtEq" => column.zones(|least, _| least <= *bound),
            "Gt" => column.zones(|_, greatest| greatest > *bound),
            "GtEq" => column.zones(|_, greatest| greatest >= *bound),
            "Eq" => column.zones(|least, greatest| least <= *bound && greatest >= *bound),
            _ => None,
        }
    }

    fn true_rows(&self, input: &Relation, cancel: &Cancel) -> Result<Arc<[u32]>, Failure> {
        let column = self.eval(input, cancel)?;
        match column.as_const() {
            Some(Datum::Boolean(true)) => return Ok(all(input.rows)),
            Some(_) => return Ok(Arc::from([])),
            None => {}
        }
        let rows = (0..input.rows).filter(|row| column.get(*row) == Cell::Boolean(true));
        Ok(rows.map(index).collect())
    }

    fn eval_call(&self, call: &Call, input: &Relation, cancel: &Cancel) -> Result<Column, Failure> {
        let args =
            call.args.iter().map(|arg| arg.eval(input, cancel)).collect::<Result<Vec<_>, _>>()?;
        if args.iter().all(|arg| arg.as_const().is_some()) && input.rows > 0 {
            let cells: Vec<_> = args.iter().map(|arg| arg.get(0)).collect();
            return Ok(Column::constant(call.once(&cells)?, input.rows));
        }
        let mut out = VectorBuilder::new(self.ty.kind(), input.rows);
        let mut cells = Vec::with_capacity(args.len());
        for row in 0..input.rows {
            if row % CHECK_ROWS == 0 {
                cancel.check()?;
            }
            let datum = match args.as_slice() {
                [only] => call.once(&[only.get(row)])?,
                [first, second] => call.once(&[first.get(row), second.get(row)])?,
                _ => {
                    cells.clear();
                    cells.extend(args.iter().map(|arg| arg.get(row)));
                    call.once(&cells)?
                }
            };
            out.push(datum.cell()).map_err(misfit)?;
        }
        Ok(Column::computed(out.finish()))
    }

    /// AND (`decisive` false) and OR (`decisive` true) in three-valued logic.
    fn eval_logic(
        &self,
        args: &[Self],
        decisive: bool,
        input: &Relation,
        cancel: &Cancel,
    ) -> Result<Column, Failure> {
        // A row without a decisive argument has the other value, or NULL after any NULL.
        let mut values = vec![Cell::Boolean(!decisive); input.rows];
        let mut open = all(input.rows);
        for arg in args {
            let rest = if open.len() == input.rows { input.clone() } else { input.select(&open) };
            let truth = arg.eval(&rest, cancel)?;
            let mut undecided = Vec::with_capacity(open.len());
            for (position, row) in open.iter().enumerate() {
                let Some(value) = values.get_mut(*row as usize) else { continue };
                match truth.get(position) {
                    Cell::Boolean(truth) if truth == decisive => {
                        *value = Cell::Boolean(decisive);
                        continue;
                    }
                    Cell::Null => *value = Cell::Null,
                    _ => {}
                }
                undecided.push(*row);
            }
            open = Arc::from(undecided);
        }
        let mut out = VectorBuilder::new(self.ty.kind(), input.rows);
        for value in values {
            out.push(value).map_err(misfit)?;
        }
        Ok(Column::computed(out.finish()))
    }

    fn eval_case(
        &self,
        branches: &[(Self, Self)],
        otherwise: Option<&Self>,
        input: &Relation,
        cancel: &Cancel,
    ) -> Result<Column, Failure> {
        let mut scatter = Scatter::new(input.rows);
        let mut open = all(input.rows);
        for (condition, result) in branches {
            let rest = input.select(&open);
            let truth = condition.eval(&rest, cancel)?;
            let (hit, miss): (Vec<u32>, Vec<u32>) = {
                let is_true = |position: &usize| truth.get(*position) == Cell::Boolean(true);
                let (hit, miss): (Vec<usize>, Vec<usize>) = (0..open.len()).partition(is_true);
                let rows = |positions: Vec<usize>| {
                    positions.into_iter().filter_map(|at| open.get(at).copied()).collect()
                };
                (rows(hit), rows(miss))
            };
            scatter.put(result, &Arc::from(hit), input, cancel)?;
            open = Arc::from(miss);
        }
        if let Some(result) = otherwise {
            scatter.put(result, &open, input, cancel)?;
        }
        scatter.gather(self)
    }

    fn eval_coalesce(
        &self,
        args: &[Self],
        input: &Relation,
        cancel: &Cancel,
    ) -> Result<Column, Failure> {
        let mut scatter = Scatter::new(input.rows);
        let mut open = all(input.rows);
        for arg in args {
            let values = scatter.put(arg, &open, input, cancel)?;
            open = open
                .iter()
                .enumerate()
                .filter(|(position, _)| values.get(*position).is_null())
                .map(|(_, row)| *row)
                .collect();
        }
        scatter.gather(self)
    }
}

impl Call {
    fn once(&self, cells: &[Cell<'_>]) -> Result<Datum, Failure> {
        if self.strict && cells.iter().any(Cell::is_null) {
            return Ok(Datum::Null);
        }
        (self.run)(cells)
    }
}

/// Results of branches, each for some of the rows.
struct Scatter {
    columns: Vec<Column>,
    /// For each row: which column, and the position in it.
    places: Vec<(u32, u32)>,
}

impl Scatter {
    fn new(rows: usize) -> Self {
        Self { columns: Vec::new(), places: vec![(NO_ROW, 0); rows] }
    }

    fn put(
        &mut self,
        result: &Expr,
        rows: &Arc<[u32]>,
        input: &Relation,
        cancel: &Cancel,
    ) -> Result<Column, Failure> {
        let values = result.eval(&input.select(rows), cancel)?;
        let column = index(self.columns.len());
        for (position, row) in rows.iter().enumerate() {
            if let Some(place) = self.places.get_mut(*row as usize) {
                *place = (column, index(position));
            }
        }
        self.columns.push(values.clone());
        Ok(values)
    }

    fn gather(self, expr: &Expr) -> Result<Column, Failure> {
        let mut out = VectorBuilder::new(expr.ty.kind(), self.places.len());
        for (column, position) in self.places {
            let cell = self
                .columns
                .get(column as usize)
                .map_or(Cell::Null, |values| values.get(position as usize));
            out.push(cell).map_err(misfit)?;
        }
        Ok(Column::computed(out.finish()))
    }
}

/// A row number as an index. Relations are checked to stay below `u32::MAX` rows.
pub(crate) fn index(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(NO_ROW)
}

/// All row indices.
pub(crate) fn all(rows: usize) -> Arc<[u32]> {
    (0..rows).map(index).collect()
}

/// A defect of the double itself.
pub(crate) fn internal(what: &str) -> Failure {
    Failure::new("000603", "XX000", format!("SQL execution internal error: {what}"))
}
