//! A predicate on a batch of rows: what sources without a query language run, and what the tests
//! hold the databases against.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::boolean;

use super::Predicate;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, Reading};
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
            Self::Range { key, lower, upper } => matching(batch, key, |value| {
                let Some(value) = value else { return Ok(false) };
                let from = |bound: &Scalar| Ok(order(key, &value, bound)?.is_ge());
                let below = |bound: &Scalar| Ok(order(key, &value, bound)?.is_lt());
                Ok(lower.as_ref().map_or(Ok(true), from)?
                    && upper.as_ref().map_or(Ok(true), below)?)
            }),
            Self::Above { column, value: bound } => compared(batch, column, bound, Ordering::is_gt),
            Self::AtMost { column, value: bound } => {
                compared(batch, column, bound, Ordering::is_le)
            }
            Self::In { column, values } => {
                let key = Key::from(column);
                matching(batch, &key, |value| {
                    let Some(value) = value else { return Ok(false) };
                    for wanted in values {
                        if order(&key, &value, wanted)?.is_eq() {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
            }
            Self::IsNull { key } if key.read_as == Reading::Value => {
                boolean::not(&not_null(column_of(batch, &key.column)?)).map_err(broken)
            }
            Self::IsNull { key } => matching(batch, key, |value| Ok(value.is_none())),
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

/// Rows whose value is there and stands so to the bound.
fn compared(
    batch: &RecordBatch,
    column: &ColumnName,
    bound: &Scalar,
    stands: impl Fn(Ordering) -> bool,
) -> Result<BooleanArray> {
    let key = Key::from(column);
    matching(batch, &key, |value| match value {
        Some(value) => Ok(stands(order(&key, &value, bound)?)),
        None => Ok(false),
    })
}

/// The rows whose key passes the test.
fn matching(
    batch: &RecordBatch,
    key: &Key,
    test: impl Fn(Option<Scalar>) -> Result<bool>,
) -> Result<BooleanArray> {
    let array = column_of(batch, &key.column)?;
    let mut builder = BooleanBuilder::with_capacity(array.len());
    for_each_scalar(array, &key.column, |value| {
        builder.append_value(test(key.read(value))?);
        Ok(())
    })?;
    Ok(builder.finish())
}

fn order(key: &Key, value: &Scalar, bound: &Scalar) -> Result<Ordering> {
    value.compare(bound).ok_or_else(|| {
        Error::new(
            ErrorKind::SchemaMismatch,
            format!("Cannot compare {key}, a {}, with a {}", value.kind(), bound.kind()),
        )
        .with_hint("plan the table again: its column has changed its type")
    })
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

    fn rows_of(predicate: &Predicate, batch: &RecordBatch) -> Vec<bool> {
        let mask = predicate.evaluate(batch).expect("evaluates");
        assert_eq!(mask.null_count(), 0);
        mask.iter().flatten().collect()
    }

    #[test]
    fn null_matches_only_is_null() {
        let rows = batch("k", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])));
        let range = Predicate::range("k", None, None);
        assert_eq!(rows_of(&range, &rows), [true, false, true]);
        let null = Predicate::is_null("k");
        assert_eq!(rows_of(&null, &rows), [false, true, false]);
        let above = Predicate::Above { column: "k".into(), value: 1.into() };
        assert_eq!(rows_of(&above, &rows), [false, false, true]);
        let at_most = Predicate::AtMost { column: "k".into(), value: 1.into() };
        assert_eq!(rows_of(&at_most, &rows), [true, false, false]);
        let list = Predicate::In { column: "k".into(), values: vec![3.into()] };
        assert_eq!(rows_of(&list, &rows), [false, false, true]);
    }

    #[test]
    fn text_is_compared_by_bytes() {
        let rows = batch("k", Arc::new(StringArray::from(vec!["Z", "a", "é"])));
        let range = Predicate::range("k", Some("a".into()), None);
        assert_eq!(rows_of(&range, &rows), [false, true, true]);
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
        let range = Predicate::range("k", Some(bound), None);
        assert_eq!(rows_of(&range, &rows), [false, true, false]);
    }

    #[test]
    fn a_bound_of_another_kind_is_an_error() {
        let rows = batch("k", Arc::new(StringArray::from(vec!["1"])));
        let range = Predicate::range("k", Some(1.into()), None);
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
            let parts = Predicate::partition("k", &cuts);
            let masks: Vec<_> = parts.iter().map(|part| rows_of(part, &rows)).collect();
            for row in 0..keys.len() {
                prop_assert_eq!(masks.iter().filter(|mask| mask[row]).count(), 1);
            }
        }
    }
}
