//! Columns and relations: arrays seen through row indices.
//!
//! Filters, sorts, limits and joins only make new row indices; the arrays of a table are shared by
//! every relation that shows them.

use std::sync::Arc;

use super::cell::{Cell, Datum, Kind};
use super::vector::{Misfit, Vector, VectorBuilder};

/// An index that stands for a row of NULLs, made by outer joins.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// Row indices that columns share.
type Indices = Arc<[u32]>;

/// Arrays end to end.
#[derive(Debug)]
pub(crate) struct Parts {
    vectors: Vec<Arc<Vector>>,
    /// First row of each array.
    starts: Vec<usize>,
    rows: usize,
}

impl Parts {
    pub(crate) fn new(vectors: Vec<Arc<Vector>>) -> Self {
        let mut starts = Vec::with_capacity(vectors.len());
        let mut rows = 0;
        for vector in &vectors {
            starts.push(rows);
            rows += vector.rows();
        }
        Self { vectors, starts, rows }
    }

    #[inline]
    fn get(&self, row: usize) -> Cell<'_> {
        if let [only] = self.vectors.as_slice() {
            return only.get(row);
        }
        let part = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        match (self.vectors.get(part), self.starts.get(part)) {
            (Some(vector), Some(start)) => vector.get(row - start),
            _ => Cell::Null,
        }
    }
}

/// One column of a relation.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    /// The same value in every row.
    Const { datum: Arc<Datum>, rows: usize },
    /// Arrays, in their order or picked by index.
    Stored { parts: Arc<Parts>, pick: Option<Indices> },
}

impl Column {
    pub(crate) fn constant(datum: Datum, rows: usize) -> Self {
        Self::Const { datum: Arc::new(datum), rows }
    }

    pub(crate) fn stored(parts: Arc<Parts>) -> Self {
        Self::Stored { parts, pick: None }
    }

    pub(crate) fn computed(vector: Vector) -> Self {
        Self::stored(Arc::new(Parts::new(vec![Arc::new(vector)])))
    }

    /// Builds a column from values.
    pub(crate) fn collect(
        kind: Kind,
        cells: impl ExactSizeIterator<Item = Datum>,
    ) -> Result<Self, Misfit> {
        let mut builder = VectorBuilder::new(kind, cells.len());
        for datum in cells {
            builder.push(datum.cell())?;
        }
        Ok(Self::computed(builder.finish()))
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Const { rows, .. } => *rows,
            Self::Stored { parts, pick } => pick.as_ref().map_or(parts.rows, |pick| pick.len()),
        }
    }

    /// The value of a row; NULL beyond the end.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Const { datum, .. } => datum.cell(),
            Self::Stored { parts, pick: None } => parts.get(row),
            Self::Stored { parts, pick: Some(pick) } => match pick.get(row) {
                Some(&index) if index != NO_ROW => parts.get(index as usize),
                _ => Cell::Null,
            },
        }
    }

    /// For each zone of a stored array, whether a number between its least and its greatest can pass;
    /// `None` where nothing is known.
    pub(crate) fn zones(&self, can_pass: impl Fn(i128, i128) -> bool) -> Option<Vec<bool>> {
        let Self::Stored { parts, pick: None } = self else { return None };
        let [only] = parts.vectors.as_slice() else { return None };
        let zones = only.zones();
        let judged =
            zones.iter().map(|(least, greatest)| can_pass((*least).into(), (*greatest).into()));
        (!zones.is_empty()).then(|| judged.collect())
    }

    /// The value, if every row has the same one.
    pub(crate) fn as_const(&self) -> Option<&Datum> {
        match self {
            Self::Const { datum, .. } => Some(datum),
            Self::Stored { .. } => None,
        }
    }
}

/// Columns of equal length.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: usize,
}

impl Relation {
    pub(crate) fn new(columns: Vec<Column>, rows: usize) -> Self {
        Self { columns, rows }
    }

    /// One row without columns, the input of a SELECT without FROM.
    pub(crate) fn single() -> Self {
        Self::new(Vec::new(), 1)
    }

    /// The rows at these indices, in this order. Indices may be [`NO_ROW`].
    pub(crate) fn select(&self, indices: &Arc<[u32]>) -> Self {
        // Columns of one table share their indices, and go on sharing the composed ones.
        let mut composed: Vec<(Indices, Indices)> = Vec::new();
        let columns = self
            .columns
            .iter()
            .map(|column| match column {
                Column::Const { datum, .. } => pick_constant(datum, indices),
                Column::Stored { parts, pick: None } => {
                    Column::Stored { parts: Arc::clone(parts), pick: Some(Arc::clone(indices)) }
                }
                Column::Stored { parts, pick: Some(pick) } => {
                    let known = composed.iter().find(|(old, _)| Arc::ptr_eq(old, pick));
                    let new = if let Some((_, new)) = known {
                        Arc::clone(new)
                    } else {
                        let new = compose(pick, indices);
                        composed.push((Arc::clone(pick), Arc::clone(&new)));
                        new
                    };
                    Column::Stored { parts: Arc::clone(parts), pick: Some(new) }
                }
            })
            .collect();
        Self::new(columns, indices.len())
    }

    /// The first rows after an offset.
    pub(crate) fn slice(&self, offset: usize, limit: usize) -> Self {
        let start = offset.min(self.rows);
        let end = start.saturating_add(limit).min(self.rows);
        if start == 0 && end == self.rows {
            return self.clone();
        }
        let indices: Arc<[u32]> =
            (start..end).map(|row| u32::try_from(row).unwrap_or(NO_ROW)).collect();
        self.select(&indices)
    }
}

fn compose(pick: &[u32], indices: &[u32]) -> Arc<[u32]> {
    indices.iter().map(|index| pick.get(*index as usize).copied().unwrap_or(NO_ROW)).collect()
}

fn pick_constant(datum: &Arc<Datum>, indices: &Arc<[u32]>) -> Column {
    if indices.contains(&NO_ROW) && **datum != Datum::Null {
        let kind = match **datum {
            Datum::Number(_) => Kind::Number,
            Datum::Float(_) => Kind::Float,
            Datum::Boolean(_) => Kind::Boolean,
            Datum::Text(_) | Datum::Null => Kind::Text,
            Datum::Bytes(_) => Kind::Bytes,
            Datum::Date(_) => Kind::Date,
            Datum::Time(_) => Kind::Time,
            Datum::Stamp(_) => Kind::Stamp,
            Datum::Zoned(..) => Kind::Zoned,
        };
        let mut builder = VectorBuilder::new(kind, 1);
        if builder.push(datum.cell()).is_ok() {
            // Every index but the missing row points at the one value.
            let pick = indices.iter().map(|index| if *index == NO_ROW { NO_ROW } else { 0 });
            let parts = Arc::new(Parts::new(vec![Arc::new(builder.finish())]));
            return Column::Stored { parts, pick: Some(pick.collect()) };
        }
    }
    Column::Const { datum: Arc::clone(datum), rows: indices.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[i128]) -> Vector {
        let mut builder = VectorBuilder::new(Kind::Number, values.len());
        for value in values {
            builder.push(Cell::Number(*value)).unwrap();
        }
        builder.finish()
    }

    fn read(column: &Column) -> Vec<Option<i128>> {
        (0..column.rows())
            .map(|row| match column.get(row) {
                Cell::Number(value) => Some(value),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn arrays_end_to_end_read_as_one() {
        let parts = Parts::new(vec![
            Arc::new(numbers(&[1, 2])),
            Arc::new(numbers(&[])),
            Arc::new(numbers(&[3])),
        ]);
        let column = Column::stored(Arc::new(parts));
        assert_eq!(read(&column), [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn selections_compose() {
        let column = Column::computed(numbers(&[10, 11, 12, 13]));
        let relation = Relation::new(vec![column.clone(), column], 4);
        let reversed = relation.select(&Arc::from([3, 2, 1, 0]));
        let twice = reversed.select(&Arc::from([0, NO_ROW, 3]));
        for column in &twice.columns {
            assert_eq!(read(column), [Some(13), None, Some(10)]);
        }
        let (Column::Stored { pick: Some(a), .. }, Column::Stored { pick: Some(b), .. }) =
            (&twice.columns[0], &twice.columns[1])
        else {
            panic!("both columns are picked");
        };
        assert!(Arc::ptr_eq(a, b), "the composed indices are shared");
    }

    #[test]
    fn constants_stay_null_in_missing_rows() {
        let relation = Relation::new(vec![Column::constant(Datum::Number(7), 2)], 2);
        let joined = relation.select(&Arc::from([1, NO_ROW]));
        assert_eq!(read(&joined.columns[0]), [Some(7), None]);
    }

    #[test]
    fn slices_stop_at_the_end() {
        let relation = Relation::new(vec![Column::computed(numbers(&[1, 2, 3]))], 3);
        assert_eq!(read(&relation.slice(1, 10).columns[0]), [Some(2), Some(3)]);
        assert_eq!(relation.slice(5, 1).rows, 0);
    }
}
