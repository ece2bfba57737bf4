//! Parquet files as tables.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::cell::{Cell, Kind};
use super::spec::{ColumnSpec, Segment};
use super::vector::{Misfit, VectorBuilder};
use crate::calendar::Stamp;
use crate::error::Error;
use crate::types::Type;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 16_384;

/// How the columns of a Parquet file are named in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnNames {
    /// As in the file; lower-case names then need quotes in SQL.
    Exact,
    /// In upper case.
    Upper,
}

/// Reads a file.
pub(crate) fn load(path: &Path, names: ColumnNames) -> Result<(Vec<ColumnSpec>, Segment), Error> {
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| Error::Parquet {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(|error| broken(error.into()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| broken(error.into()))?
        .with_batch_size(BATCH_ROWS);
    let columns = columns(path, reader.schema(), names)?;
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    let mut builders: Vec<_> =
        columns.iter().map(|column| VectorBuilder::new(Kind::of(column.ty), rows)).collect();
    let mut read = 0;
    for batch in reader.build().map_err(|error| broken(error.into()))? {
        let batch = batch.map_err(|error| broken(error.into()))?;
        append(&batch, &mut builders)
            .map_err(|fault| broken(format!("a value does not fit: {fault:?}").into()))?;
        read += batch.num_rows();
    }
    let vectors = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
    Ok((columns, Segment { vectors, rows: read }))
}

fn columns(
    path: &Path,
    schema: &arrow::datatypes::Schema,
    names: ColumnNames,
) -> Result<Vec<ColumnSpec>, Error> {
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let ty = type_of(field.data_type()).ok_or_else(|| Error::ParquetType {
            path: path.to_owned(),
            column: field.name().clone(),
            data_type: field.data_type().to_string(),
        })?;
        let name = match names {
            ColumnNames::Exact => field.name().clone(),
            ColumnNames::Upper => field.name().to_uppercase(),
        };
        let nullable = field.is_nullable();
        Ok(ColumnSpec { name, ty, nullable, collation: None, comment: None })
    };
    schema.fields().iter().map(column).collect()
}

fn type_of(data_type: &DataType) -> Option<Type> {
    let digits = |unit: &TimeUnit| if *unit == TimeUnit::Nanosecond { 9 } else { 6 };
    Some(match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => Type::number(38, 0),
        DataType::Decimal128(precision, scale) => {
            Type::number(*precision, u8::try_from(*scale).ok()?)
        }
        DataType::Float32 | DataType::Float64 => Type::Float,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::varchar(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Type::binary(),
        DataType::Boolean => Type::Boolean,
        DataType::Date32 | DataType::Date64 => Type::Date,
        DataType::Time32(unit) | DataType::Time64(unit) => Type::time(digits(unit)),
        DataType::Timestamp(unit, None) => Type::timestamp_ntz(digits(unit)),
        DataType::Timestamp(unit, Some(_)) => Type::timestamp_ltz(digits(unit)),
        _ => return None,
    })
}

fn append(batch: &RecordBatch, builders: &mut [VectorBuilder]) -> Result<(), Misfit> {
    for (array, builder) in batch.columns().iter().zip(builders) {
        append_array(array.as_ref(), builder)?;
    }
    Ok(())
}

/// Pushes every value of an array; the macro arms differ only in the array's type.
fn append_array(array: &dyn Array, builder: &mut VectorBuilder) -> Result<(), Misfit> {
    macro_rules! push {
        ($values:expr, $cell:expr) => {{
            for value in $values {
                builder.push(value.map_or(Cell::Null, $cell))?;
            }
        }};
    }
    macro_rules! primitive {
        ($ty:ty, $cell:expr) => {
            push!(array.as_primitive::<$ty>().iter(), $cell)
        };
    }
    match array.data_type() {
        DataType::Int8 => primitive!(Int8Type, |v| Cell::Number(i128::from(v))),
        DataType::Int16 => primitive!(Int16Type, |v| Cell::Number(i128::from(v))),
        DataType::Int32 => primitive!(Int32Type, |v| Cell::Number(i128::from(v))),
        DataType::Int64 => primitive!(Int64Type, |v| Cell::Number(i128::from(v))),
        DataType::UInt8 => primitive!(UInt8Type, |v| Cell::Number(i128::from(v))),
        DataType::UInt16 => primitive!(UInt16Type, |v| Cell::Number(i128::from(v))),
        DataType::UInt32 => primitive!(UInt32Type, |v| Cell::Number(i128::from(v))),
        DataType::UInt64 => primitive!(UInt64Type, |v| Cell::Number(i128::from(v))),
        DataType::Decimal128(..) => primitive!(Decimal128Type, Cell::Number),
        DataType::Float32 => primitive!(Float32Type, |v| Cell::Float(f64::from(v))),
        DataType::Float64 => primitive!(Float64Type, Cell::Float),
        DataType::Utf8 => push!(array.as_string::<i32>(), Cell::Text),
        DataType::LargeUtf8 => push!(array.as_string::<i64>(), Cell::Text),
        DataType::Utf8View => push!(array.as_string_view(), Cell::Text),
        DataType::Binary => push!(array.as_binary::<i32>(), Cell::Bytes),
        DataType::LargeBinary => push!(array.as_binary::<i64>(), Cell::Bytes),
        DataType::BinaryView => push!(array.as_binary_view(), Cell::Bytes),
        DataType::Boolean => push!(array.as_boolean(), Cell::Boolean),
        DataType::Date32 => primitive!(Date32Type, Cell::Date),
        DataType::Date64 => primitive!(Date64Type, |v| Cell::Date(
            i32::try_from(v.div_euclid(86_400_000)).unwrap_or_default()
        )),
        DataType::Time32(TimeUnit::Second) => {
            primitive!(Time32SecondType, |v| Cell::Time(i64::from(v) * 1_000_000_000));
        }
        DataType::Time32(_) => {
            primitive!(Time32MillisecondType, |v| Cell::Time(i64::from(v) * 1_000_000));
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            primitive!(Time64MicrosecondType, |v| Cell::Time(v * 1_000));
        }
        DataType::Time64(_) => primitive!(Time64NanosecondType, Cell::Time),
        DataType::Timestamp(TimeUnit::Second, _) => {
            primitive!(TimestampSecondType, |v| stamp(v, 1_000_000_000));
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive!(TimestampMillisecondType, |v| stamp(v, 1_000_000));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive!(TimestampMicrosecondType, |v| stamp(v, 1_000));
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            primitive!(TimestampNanosecondType, |v| stamp(v, 1));
        }
        _ => return Err(Misfit::Kind),
    }
    Ok(())
}

fn stamp(value: i64, nanos: i128) -> Cell<'static> {
    Stamp::from_nanos(i128::from(value) * nanos).map_or(Cell::Null, Cell::Stamp)
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
        Int32Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampNanosecondArray,
    };
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn file(name: &str, columns: Vec<(&str, ArrayRef)>) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("{name}-{}.parquet", std::process::id()));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    #[test]
    fn arrow_types_become_snowflake_types_with_exact_values() {
        let decimal =
            Decimal128Array::from(vec![Some(-150), None]).with_precision_and_scale(28, 2).unwrap();
        let path = file(
            "types",
            vec![
                ("i", Arc::new(Int32Array::from(vec![Some(7), None])) as ArrayRef),
                ("d", Arc::new(decimal)),
                ("f", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
                ("s", Arc::new(StringArray::from(vec![Some("é"), None]))),
                ("b", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
                ("t", Arc::new(BooleanArray::from(vec![true, false]))),
                ("day", Arc::new(Date32Array::from(vec![-1, 0]))),
                ("time", Arc::new(Time64MicrosecondArray::from(vec![1, 0]))),
                ("ntz", Arc::new(TimestampNanosecondArray::from(vec![-1, 0]))),
                ("ltz", Arc::new(TimestampMicrosecondArray::from(vec![1, 0]).with_timezone("UTC"))),
            ],
        );
        let (columns, segment) = load(&path, ColumnNames::Upper).unwrap();
        std::fs::remove_file(&path).unwrap();
        let types: Vec<_> =
            columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
        assert_eq!(
            types,
            [
                "I NUMBER(38,0)",
                "D NUMBER(28,2)",
                "F FLOAT",
                "S VARCHAR(16777216)",
                "B BINARY(8388608)",
                "T BOOLEAN",
                "DAY DATE",
                "TIME TIME(6)",
                "NTZ TIMESTAMP_NTZ(9)",
                "LTZ TIMESTAMP_LTZ(6)",
            ]
        );
        let first: Vec<_> = segment.vectors.iter().map(|vector| vector.get(0)).collect();
        assert_eq!(
            first,
            [
                Cell::Number(7),
                Cell::Number(-150),
                Cell::Float(0.1),
                Cell::Text("é"),
                Cell::Bytes(&[0, 255]),
                Cell::Boolean(true),
                Cell::Date(-1),
                Cell::Time(1_000),
                Cell::Stamp(Stamp::new(-1, 999_999_999)),
                Cell::Stamp(Stamp::new(0, 1_000)),
            ]
        );
        assert!(segment.vectors.iter().take(2).all(|vector| vector.get(1).is_null()));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nowhere.parquet"), ColumnNames::Exact).unwrap_err();
        assert!(error.to_string().contains("/nowhere.parquet"));
    }
}
