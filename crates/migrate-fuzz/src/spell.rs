//! Values as Snowflake's JSON results spell them, written here a second time and in another way than
//! the reader reads them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64NanosecondType,
    TimestampMicrosecondType,
};
use migrate_core::ColumnType;

const NANOS: i128 = 1_000_000_000;

/// The first value of an array.
pub(crate) fn spell(kind: &ColumnType, array: &dyn Array) -> String {
    match kind {
        ColumnType::Number { scale, .. } => {
            decimal(array.as_primitive::<Decimal128Type>().value(0), (*scale).into())
        }
        ColumnType::Float64 => match array.as_primitive::<Float64Type>().value(0) {
            value if value.is_nan() => "NaN".to_owned(),
            value if value.is_infinite() => if value > 0.0 { "inf" } else { "-inf" }.to_owned(),
            value => format!("{value:e}"),
        },
        ColumnType::Boolean => if array.as_boolean().value(0) { "1" } else { "0" }.to_owned(),
        ColumnType::Date => array.as_primitive::<Date32Type>().value(0).to_string(),
        ColumnType::Time { .. } => {
            decimal(array.as_primitive::<Time64NanosecondType>().value(0).into(), 9)
        }
        ColumnType::Timestamp { scale } | ColumnType::Instant { scale } if *scale <= 6 => {
            decimal(array.as_primitive::<TimestampMicrosecondType>().value(0).into(), 6)
        }
        ColumnType::Timestamp { .. } | ColumnType::Instant { .. } => decimal(nanos(array), 9),
        ColumnType::OffsetTimestamp { .. } => {
            let minutes = array.as_struct().column(2).as_primitive::<Int32Type>().value(0);
            format!("{} {}", decimal(nanos(array), 9), minutes + 1440)
        }
        ColumnType::Binary => {
            let bytes = array.as_binary::<i32>().value(0);
            bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat()
        }
        _ => array.as_string::<i32>().value(0).to_owned(),
    }
}

/// Nanoseconds of a time in two parts.
fn nanos(array: &dyn Array) -> i128 {
    let parts = array.as_struct();
    let seconds = parts.column(0).as_primitive::<Int64Type>().value(0);
    let fraction = parts.column(1).as_primitive::<Int32Type>().value(0);
    assert!((0..1_000_000_000).contains(&fraction), "a fraction of {fraction} nanoseconds");
    i128::from(seconds) * NANOS + i128::from(fraction)
}

/// A number with so many digits after the point.
pub(crate) fn decimal(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}
