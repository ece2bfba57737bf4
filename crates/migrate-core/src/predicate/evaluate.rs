//! A predicate on a batch of rows: what sources without a query language run, and what the tests
//! hold the databases against.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::boolean;

use super::Predicate;
use crate::error::{Error, ErrorKind, Result};
use crate::name::ColumnName;
use crate::value::{Scalar, for_each_scalar};

impl Predicate {
    /// Which rows of the batch match; the answer has no NULLs.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`]: a raw part, or an array form that no column type has.
    /// - [`ErrorKind::SchemaMismatch`]: a column is missing, or a bound is of another kind than it.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let rows = batch.num_rows();
        match self {
            Self::All => Ok(constant(true, rows)),
            Self::Range { column, lower, upper } => {
                let array = column_of(batch, column)?;
                let mut matches = not_null(array);
                if let Some(lower) = lower {
                    matches = both(&matches, &compare(array, column, lower, Ordering::is_ge)?)?;
                }
                if let Some(upper) = upper {
                    matches = both(&matches, &compare(array, column, upper, Ordering::is_lt)?)?;
                }
                Ok(matches)
            }
            Self::Above { column, value } => {
                compare(column_of(batch, column)?, column, value, Ordering::is_gt)
            }
            Self::AtMost { column, value } => {
                compare(column_of(batch, column)?, column, value, Ordering::is_le)
            }
            Self::In { column, values } => {
                let array = column_of(batch, column)?;
                values.iter().try_fold(constant(false, rows), |matches, value| {
                    either(&matches, &compare(array, column, value, Ordering::is_eq)?)
                })
            }
            Self::IsNull { column } => {
                boolean::not(&not_null(column_of(batch, column)?)).map_err(broken)
            }
            Self::And { terms } => terms
                .iter()
                .try_fold(constant(true, rows), |all, term| both(&all, &term.evaluate(batch)?)),
            Self::Or { terms } => terms
                .iter()
                .try_fold(constant(false, rows), |any, term| either(&any, &term.evaluate(batch)?)),
            Self::Raw { dialect, sql } => Err(Error::new(
                ErrorKind::Unsupported,
                format!("A {} filter cannot be evaluated here", dialect.name()),
            )
            .with("filter", sql)
            .with_hint("remove `source_filter`, or use a source that speaks its dialect")),
        }
    }
}

fn constant(value: bool, rows: usize) -> BooleanArray {
    let buffer = if value { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
    BooleanArray::new(buffer, None)
}

fn not_null(array: &ArrayRef) -> BooleanArray {
    array.logical_nulls().map_or_else(
        || constant(true, array.len()),
        |nulls| BooleanArray::new(nulls.into_inner(), None),
    )
}

fn both(left: &BooleanArray, right: &BooleanArray) -> Result<BooleanArray> {
    boolean::and(left, right).map_err(broken)
}

fn either(left: &BooleanArray, right: &BooleanArray) -> Result<BooleanArray> {
    boolean::or(left, right).map_err(broken)
}

fn broken(cause: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "Cannot combine row masks").with_source(cause)
}

fn column_of<'a>(batch: &'a RecordBatch, column: &ColumnName) -> Result<&'a ArrayRef> {
    batch.column_by_name(column.as_str()).ok_or_else(|| {
        Error::new(ErrorKind::SchemaMismatch, format!("The batch has no column {column}"))
            .with_hint("read the columns of the predicate together with those of the load")
    })
}

/// True where the value is there and its order to `bound` is `wanted`.
fn compare(
    array: &ArrayRef,
    column: &ColumnName,
    bound: &Scalar,
    wanted: fn(Ordering) -> bool,
) -> Result<BooleanArray> {
    let mut builder = BooleanBuilder::with_capacity(array.len());
    for_each_scalar(array, column, |value| {
        let order = match value {
            None => None,
            Some(value) => {
                Some(value.compare(bound).ok_or_else(|| other_kind(column, &value, bound))?)
            }
        };
        builder.append_value(order.is_some_and(wanted));
        Ok(())
    })?;
    Ok(builder.finish())
}

fn other_kind(column: &ColumnName, value: &Scalar, bound: &Scalar) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!("Cannot compare {column}, a {}, with a {}", value.kind(), bound.kind()),
    )
    .with_hint("plan the table again: its column has changed its type")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use proptest::prelude::*;

    use super::*;
    use crate::value::Float;

    fn batch(name: &str, array: ArrayRef) -> RecordBatch {
        let field = Field::new(name, array.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).expect("one column")
    }

    fn matching(predicate: &Predicate, batch: &RecordBatch) -> Vec<bool> {
        let mask = predicate.evaluate(batch).expect("evaluates");
        assert_eq!(mask.null_count(), 0);
        mask.iter().flatten().collect()
    }

    #[test]
    fn null_matches_only_is_null() {
        let rows = batch("k", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])));
        let range = Predicate::Range { column: "k".into(), lower: None, upper: None };
        assert_eq!(matching(&range, &rows), [true, false, true]);
        let null = Predicate::IsNull { column: "k".into() };
        assert_eq!(matching(&null, &rows), [false, true, false]);
        let above = Predicate::Above { column: "k".into(), value: 1.into() };
        assert_eq!(matching(&above, &rows), [false, false, true]);
        let at_most = Predicate::AtMost { column: "k".into(), value: 1.into() };
        assert_eq!(matching(&at_most, &rows), [true, false, false]);
        let list = Predicate::In { column: "k".into(), values: vec![3.into()] };
        assert_eq!(matching(&list, &rows), [false, false, true]);
    }

    #[test]
    fn text_is_compared_by_bytes() {
        let rows = batch("k", Arc::new(StringArray::from(vec!["Z", "a", "é"])));
        let range = Predicate::Range { column: "k".into(), lower: Some("a".into()), upper: None };
        assert_eq!(matching(&range, &rows), [false, true, true]);
    }

    #[test]
    fn nanosecond_times_are_compared_in_both_parts() {
        use arrow::array::TimestampNanosecondArray;

        let column_type = crate::ColumnType::Timestamp { scale: 9 };
        let raw =
            batch("k", Arc::new(TimestampNanosecondArray::from(vec![Some(-1), Some(1), None])));
        let wanted = Arc::new(Schema::new(vec![Field::new("k", column_type.arrow(), true)]));
        let rows = crate::to_arrow_form(&raw, &wanted).expect("two parts");
        let bound = Scalar::Timestamp("1970-01-01 00:00:00.000000001".parse().expect("time"));
        let range = Predicate::Range { column: "k".into(), lower: Some(bound), upper: None };
        assert_eq!(matching(&range, &rows), [false, true, false]);
    }

    #[test]
    fn a_bound_of_another_kind_is_an_error() {
        let rows = batch("k", Arc::new(StringArray::from(vec!["1"])));
        let range = Predicate::Range { column: "k".into(), lower: Some(1.into()), upper: None };
        let error = range.evaluate(&rows).expect_err("text against number");
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_part(
            keys in prop::collection::vec(prop::option::of(prop_oneof![
                Just(f64::NAN), Just(-0.0), Just(f64::INFINITY), -5.0..5.0_f64
            ]), 0..40),
            mut cuts in prop::collection::vec(-5.0..5.0_f64, 0..6),
        ) {
            cuts.sort_by(f64::total_cmp);
            cuts.dedup();
            let cuts: Vec<_> = cuts.into_iter().map(|cut| Scalar::Float(Float::new(cut))).collect();
            let rows = batch("k", Arc::new(Float64Array::from(keys.clone())));
            let parts = Predicate::partition(&"k".into(), &cuts);
            let masks: Vec<_> = parts.iter().map(|part| matching(part, &rows)).collect();
            for row in 0..keys.len() {
                prop_assert_eq!(masks.iter().filter(|mask| mask[row]).count(), 1);
            }
        }
    }
}
