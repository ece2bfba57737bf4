//! The greatest value of a column, with what an incremental read has to know of the rows around it.

use std::cmp::Ordering;

use arrow::array::ArrayRef;

use crate::error::Result;
use crate::name::ColumnName;
use crate::value::{Scalar, for_each_scalar};

/// The greatest value of a column among rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Greatest {
    /// The value; none where each row is NULL.
    pub value: Option<Scalar>,
    /// Rows that have it.
    pub rows: u64,
    /// Rows that are NULL.
    pub nulls: u64,
}

/// The greatest value of a target's column, as a lower bound for the source column that fills it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGreatest {
    /// The bound, of the source's type.
    pub value: Scalar,
    /// Whether it is the source's own value. Where the target keeps fewer digits, the rows at its
    /// greatest value lie somewhere above the bound.
    pub is_exact: bool,
}

impl Greatest {
    /// Looks at further values, for sources without a query language.
    ///
    /// # Errors
    ///
    /// As [`for_each_scalar`](crate::value::for_each_scalar).
    pub fn add(&mut self, array: &ArrayRef, column: &ColumnName) -> Result<()> {
        for_each_scalar(array, column, |value| {
            let Some(value) = value else {
                self.nulls += 1;
                return Ok(());
            };
            let order =
                self.value.as_ref().map_or(Some(Ordering::Greater), |known| value.compare(known));
            match order {
                Some(Ordering::Greater) => (self.value, self.rows) = (Some(value), 1),
                Some(Ordering::Equal) => self.rows += 1,
                _ => {}
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn ties_and_nulls_are_counted_over_all_batches() {
        let mut greatest = Greatest::default();
        for values in [vec![Some(1), None], vec![Some(5), Some(2)], vec![None, Some(5), Some(4)]] {
            let array: ArrayRef = Arc::new(Int64Array::from(values));
            greatest.add(&array, &"k".into()).expect("integers");
        }
        assert_eq!(greatest, Greatest { value: Some(5.into()), rows: 2, nulls: 2 });
    }
}
