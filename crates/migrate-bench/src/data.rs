//! A table of twenty mixed columns, made up the same way each time.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

const GROUP_ROWS: u64 = 100_000;

/// Columns of the target, in the order of the files.
pub(crate) const COLUMNS: &str = "id bigint primary key, uuid text, code text, body text, \
    big numeric(38,4), whole numeric(19,0), price numeric(12,2), ratio double precision, \
    flag boolean, day date, at timestamp, zoned timestamptz, note text, quantity integer, \
    rate double precision, due date, seen timestamp, discount numeric(12,2), active boolean, \
    rank bigint";

/// Writes that many rows; another `version` changes every column but the key.
pub(crate) fn write(path: &Path, rows: u64, version: u64) -> Result<(), Box<dyn Error>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(usize::try_from(GROUP_ROWS)?))
        .build();
    let first = batch(0..1, version)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, first.schema(), Some(properties))?;
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + GROUP_ROWS);
        writer.write(&batch(start..end, version)?)?;
        start = end;
    }
    writer.close()?;
    Ok(())
}

/// A number that looks random and is the same each time (splitmix64).
fn mixed(row: u64, column: u64, version: u64) -> u64 {
    let mut x = row ^ column.rotate_left(24) ^ version.rotate_left(48);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        x = (x ^ (x >> 30)).wrapping_mul(factor).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    x ^ (x >> 31)
}

fn of<A: Array + FromIterator<T> + 'static, T>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(values.collect::<A>())
}

fn batch(rows: std::ops::Range<u64>, version: u64) -> Result<RecordBatch, Box<dyn Error>> {
    let number = |column: u64, below: u64| {
        rows.clone().map(move |row| mixed(row, column, version) % below).map(u64::cast_signed)
    };
    let sparse = |column: u64, below: u64| {
        number(column, below).map(|value| (value % 5 != 0).then_some(value))
    };
    let decimal = |values: Vec<Option<i128>>, precision, scale| {
        Decimal128Array::from(values).with_precision_and_scale(precision, scale)
    };
    let wide = |value: i64| Some(i128::from(value) * 1_000_000_007);
    let day = |value: i64| i32::try_from(value % 20_000).unwrap_or_default();
    let moment = |value: i64| 1_400_000_000_000_000 + value;
    let uuid = rows.clone().map(|row| {
        let (high, low) = (mixed(row, 1, version), mixed(row, 2, version));
        format!("{:08x}-{:04x}-{:04x}-{:016x}", high >> 32, high >> 16 & 0xffff, high & 0xffff, low)
    });
    let body = rows.clone().map(|row| {
        let word = format!("{:x} ", mixed(row, 4, version));
        word.repeat(usize::try_from(mixed(row, 5, version) % 12).unwrap_or_default())
    });
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows.clone().map(u64::cast_signed)))),
        ("uuid", Arc::new(StringArray::from_iter_values(uuid))),
        ("code", Arc::new(StringArray::from_iter_values(number(3, 5000).map(|n| format!("C{n}"))))),
        ("body", Arc::new(StringArray::from_iter_values(body))),
        ("big", Arc::new(decimal(number(6, u64::MAX / 2).map(wide).collect(), 38, 4)?)),
        (
            "whole",
            Arc::new(decimal(number(7, 1 << 60).map(|n| Some(i128::from(n))).collect(), 19, 0)?),
        ),
        (
            "price",
            Arc::new(decimal(number(8, 1 << 32).map(|n| Some(i128::from(n))).collect(), 12, 2)?),
        ),
        (
            "ratio",
            Arc::new(Float64Array::from_iter_values(
                number(9, 1 << 50).map(|n| f64::from_bits(n.cast_unsigned() | 0x3ff0 << 48)),
            )),
        ),
        ("flag", of::<BooleanArray, _>(number(10, 2).map(|n| Some(n == 1)))),
        ("day", Arc::new(Date32Array::from_iter_values(number(11, 20_000).map(day)))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(number(12, 1 << 48).map(moment))),
        ),
        (
            "zoned",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(number(13, 1 << 48).map(moment))
                    .with_timezone("UTC"),
            ),
        ),
        ("note", of::<StringArray, _>(sparse(14, 1 << 40).map(|n| n.map(|n| format!("note {n}"))))),
        (
            "quantity",
            of::<Int32Array, _>(sparse(15, 1 << 20).map(|n| n.and_then(|n| i32::try_from(n).ok()))),
        ),
        (
            "rate",
            of::<Float64Array, _>(
                sparse(16, 1 << 50)
                    .map(|n| n.map(|n| f64::from_bits(n.cast_unsigned() | 0x3ff0 << 48))),
            ),
        ),
        ("due", of::<Date32Array, _>(sparse(17, 20_000).map(|n| n.map(day)))),
        ("seen", of::<TimestampMicrosecondArray, _>(sparse(18, 1 << 48).map(|n| n.map(moment)))),
        (
            "discount",
            Arc::new(decimal(sparse(19, 1 << 20).map(|n| n.map(i128::from)).collect(), 12, 2)?),
        ),
        ("active", of::<BooleanArray, _>(sparse(20, 1 << 20).map(|n| n.map(|n| n % 2 == 1)))),
        ("rank", of::<Int64Array, _>(sparse(21, 1 << 50))),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().enumerate().map(|(at, (name, array))| (name, array, at > 11)),
    )?)
}
