//! Bringing what a reader yields into the one [Arrow form](ColumnType::arrow) of its type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampNanosecondType};

use crate::error::{Error, ErrorKind, Result};

/// Casts every column of a batch to the type that `schema` gives it. Columns that have it already
/// are passed on without a copy.
///
/// # Errors
///
/// `SchemaMismatch` when the batch has other columns or a type cannot become the wanted one;
/// `DataInvalid` when a value does not fit.
pub fn to_arrow_form(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!(
                "The reader delivers {} columns where {} were asked for",
                batch.num_columns(),
                schema.fields().len()
            ),
        )
        .with_hint("the table may have changed while it was read; run again"));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(array, field)| {
            to_type(array, field.data_type()).map_err(|error| error.with("column", field.name()))
        })
        .collect::<Result<Vec<_>>>()?;
    // A batch without columns has rows all the same.
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|cause| {
        Error::new(ErrorKind::SchemaMismatch, "A batch does not fit the table's columns")
            .with_hint("the table may have changed while it was read; run again")
            .with_source(cause)
    })
}

fn to_type(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    match (array.data_type(), wanted) {
        (same, wanted) if same == wanted => Ok(Arc::clone(array)),
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Struct(_)) => {
            Ok(nanoseconds_in_two_parts(array, wanted))
        }
        _ => strict_cast(array, wanted),
    }
}

fn strict_cast(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let refused = |cause: arrow::error::ArrowError| {
        Error::new(ErrorKind::DataInvalid, format!("Cannot read {} as {wanted}", array.data_type()))
            .with_source(cause)
            .with_hint("the file holds a value beyond its declared type; correct or filter it")
    };
    let result = cast(array, wanted).map_err(refused)?;
    // The cast answers a value that does not fit with NULL; that would alter it silently.
    if result.logical_null_count() == array.logical_null_count() {
        return Ok(result);
    }
    Err(Error::new(
        ErrorKind::DataInvalid,
        format!("A value of type {} does not fit {wanted}", array.data_type()),
    )
    .with_hint("correct the value in the source or filter it"))
}

fn nanoseconds_in_two_parts(array: &ArrayRef, wanted: &DataType) -> ArrayRef {
    const NANOS_PER_SECOND: i64 = 1_000_000_000;
    let nanos = array.as_primitive::<TimestampNanosecondType>();
    let seconds: Int64Array =
        nanos.values().iter().map(|value| value.div_euclid(NANOS_PER_SECOND)).collect();
    let fraction: Int32Array = nanos
        .values()
        .iter()
        .map(|value| i32::try_from(value.rem_euclid(NANOS_PER_SECOND)).unwrap_or_default())
        .collect();
    let fields = match wanted {
        DataType::Struct(fields) => fields.clone(),
        _ => arrow::datatypes::Fields::empty(),
    };
    Arc::new(StructArray::new(
        fields,
        vec![Arc::new(seconds), Arc::new(fraction)],
        nanos.nulls().cloned(),
    ))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        DictionaryArray, LargeStringArray, TimestampNanosecondArray, TimestampSecondArray,
        UInt32Array,
    };
    use arrow::datatypes::{Field, Int32Type, Int64Type, Schema, TimestampMicrosecondType};

    use super::*;
    use crate::column_type::ColumnType;

    fn formed(array: ArrayRef) -> Result<ArrayRef> {
        let column_type = ColumnType::of_arrow(array.data_type()).expect("known type");
        let given = Field::new("c", array.data_type().clone(), true);
        let wanted = Field::new("c", column_type.arrow(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![given])), vec![array])
            .expect("one column");
        let batch = to_arrow_form(&batch, &Arc::new(Schema::new(vec![wanted])))?;
        Ok(Arc::clone(batch.column(0)))
    }

    #[test]
    fn reader_types_become_the_one_form() {
        let wide = formed(Arc::new(UInt32Array::from(vec![u32::MAX]))).expect("widens");
        assert_eq!(wide.as_primitive::<Int64Type>().value(0), i64::from(u32::MAX));
        let text = formed(Arc::new(LargeStringArray::from(vec!["é"]))).expect("same text");
        assert_eq!(text.as_string::<i32>().value(0), "é");
        let coded: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let text = formed(Arc::new(coded)).expect("decodes");
        assert_eq!(text.as_string::<i32>().value(2), "a");
        let time = formed(Arc::new(TimestampSecondArray::from(vec![-1]))).expect("finer unit");
        assert_eq!(time.as_primitive::<TimestampMicrosecondType>().value(0), -1_000_000);
    }

    #[test]
    fn nanoseconds_before_the_epoch_keep_a_positive_fraction() {
        let array = TimestampNanosecondArray::from(vec![Some(-1), None]);
        let parts = formed(Arc::new(array)).expect("two parts");
        let parts = parts.as_struct();
        assert_eq!(parts.column(0).as_primitive::<Int64Type>().value(0), -1);
        assert_eq!(parts.column(1).as_primitive::<Int32Type>().value(0), 999_999_999);
        assert!(parts.is_null(1));
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_not_null() {
        let array = TimestampSecondArray::from(vec![i64::MAX]);
        let error = formed(Arc::new(array)).expect_err("overflows microseconds");
        assert_eq!(error.kind(), ErrorKind::DataInvalid);
    }
}
