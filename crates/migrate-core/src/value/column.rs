//! Arrow columns as scalars, one at a time: for bounds and keys, never for rows on their way.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use uuid::Uuid;

use super::{Bytes, DayTime, Decimal, EpochDay, EpochTime, Float, Scalar};
use crate::column_type::{EPOCH, EPOCH_UTC};
use crate::error::{Error, ErrorKind, Result};
use crate::name::ColumnName;

/// Hands every value of a column in its [Arrow form](crate::ColumnType::arrow) to `each`.
///
/// # Errors
///
/// `Unsupported` for forms that no column type has, `DataInvalid` for a time beyond the calendar,
/// and those of `each`.
pub fn for_each_scalar(
    array: &ArrayRef,
    column: &ColumnName,
    mut each: impl FnMut(Option<Scalar>) -> Result<()>,
) -> Result<()> {
    let beyond = || {
        Error::new(ErrorKind::DataInvalid, format!("A time in {column} is beyond the calendar"))
            .with_hint("filter such rows out or correct them")
    };
    let whole = |value: i64| Ok(Scalar::from(value));
    match array.data_type() {
        DataType::Boolean => {
            array.as_boolean().iter().try_for_each(|value| each(value.map(Scalar::Bool)))
        }
        DataType::Int16 => primitive::<Int16Type>(array, |value| whole(value.into()), each),
        DataType::Int32 => primitive::<Int32Type>(array, |value| whole(value.into()), each),
        DataType::Int64 => primitive::<Int64Type>(array, whole, each),
        DataType::Float32 => primitive::<Float32Type>(
            array,
            |value| Ok(Scalar::Float(Float::new(value.into()))),
            each,
        ),
        DataType::Float64 => {
            primitive::<Float64Type>(array, |value| Ok(Scalar::Float(Float::new(value))), each)
        }
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).map_err(|_negative| unsupported(array, column))?;
            primitive::<Decimal128Type>(
                array,
                |value| Ok(Scalar::Number(Decimal::new(value, scale))),
                each,
            )
        }
        DataType::Utf8 => {
            array.as_string::<i32>().iter().try_for_each(|value| each(value.map(Scalar::from)))
        }
        DataType::Binary => array.as_binary::<i32>().iter().try_for_each(|value| {
            each(value.map(|bytes| Scalar::Bytes(Bytes::from(bytes.to_vec()))))
        }),
        DataType::FixedSizeBinary(16) => {
            array.as_fixed_size_binary().iter().try_for_each(|value| {
                each(value.and_then(|bytes| Uuid::from_slice(bytes).ok()).map(Scalar::Uuid))
            })
        }
        DataType::Date32 => primitive::<Date32Type>(
            array,
            |days| EpochDay::new(days).map(Scalar::Date).ok_or_else(beyond),
            each,
        ),
        DataType::Time64(TimeUnit::Nanosecond) => primitive::<Time64NanosecondType>(
            array,
            |nanos| {
                u64::try_from(nanos)
                    .ok()
                    .and_then(DayTime::new)
                    .map(Scalar::Time)
                    .ok_or_else(beyond)
            },
            each,
        ),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let scalar = if zone.is_some() { Scalar::Instant } else { Scalar::Timestamp };
            primitive::<TimestampMicrosecondType>(
                array,
                |micros| EpochTime::from_micros(micros).map(scalar).ok_or_else(beyond),
                each,
            )
        }
        DataType::Struct(fields) => {
            let first = fields.first().map(|field| field.name().as_str());
            let scalar = match first {
                Some(EPOCH) => Scalar::Timestamp,
                Some(EPOCH_UTC) => Scalar::Instant,
                _ => return Err(unsupported(array, column)),
            };
            time_parts(
                array,
                |seconds, nanos| {
                    u32::try_from(nanos)
                        .ok()
                        .and_then(|nanos| EpochTime::new(seconds, nanos))
                        .map(scalar)
                        .ok_or_else(beyond)
                },
                each,
            )
            .unwrap_or_else(|| Err(unsupported(array, column)))
        }
        _ => Err(unsupported(array, column)),
    }
}

/// `None` when the struct is not made of seconds and nanoseconds.
fn time_parts(
    array: &ArrayRef,
    scalar: impl Fn(i64, i32) -> Result<Scalar>,
    mut each: impl FnMut(Option<Scalar>) -> Result<()>,
) -> Option<Result<()>> {
    let parent = array.as_struct();
    let seconds = parent.columns().first()?.as_primitive_opt::<Int64Type>()?;
    let nanos = parent.columns().get(1)?.as_primitive_opt::<Int32Type>()?;
    Some((0..parent.len()).try_for_each(|row| {
        let present = parent.is_valid(row).then(|| scalar(seconds.value(row), nanos.value(row)));
        each(present.transpose()?)
    }))
}

fn primitive<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    scalar: impl Fn(T::Native) -> Result<Scalar>,
    mut each: impl FnMut(Option<Scalar>) -> Result<()>,
) -> Result<()> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    values.iter().try_for_each(|value| each(value.map(&scalar).transpose()?))
}

fn unsupported(array: &ArrayRef, column: &ColumnName) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("Rows cannot be chosen by {column}, of Arrow type {}", array.data_type()),
    )
    .with_hint("choose another chunking column, or none")
}
