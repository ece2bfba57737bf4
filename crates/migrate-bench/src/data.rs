//! A table of twenty mixed columns, made up the same way each time.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use migrate_core::{Column, ColumnType};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Rows of a row group.
const GROUP_ROWS: u64 = 100_000;

/// Columns of the target, in the order of the files.
pub const COLUMNS: &str = "id bigint primary key, uuid text, code text, body text, \
    big numeric(38,4), whole numeric(19,0), price numeric(12,2), ratio double precision, \
    flag boolean, day date, at timestamp, zoned timestamptz, note text, quantity integer, \
    rate double precision, due date, seen timestamp, discount numeric(12,2), active boolean, \
    rank bigint";

/// Columns of the wide file, of which every sixth is in the target.
pub const WIDE_COLUMNS: usize = 250;

/// Writes that many rows; another `version` changes every column but the key.
///
/// # Errors
///
/// Those of the file system.
pub fn write(path: &Path, rows: u64, version: u64) -> Result<(), Box<dyn Error>> {
    write_by(path, rows, |rows| batch(rows, version))
}

/// Writes rows of [`WIDE_COLUMNS`] columns.
///
/// # Errors
///
/// Those of the file system.
pub fn write_wide(path: &Path, rows: u64) -> Result<(), Box<dyn Error>> {
    write_by(path, rows, wide_batch)
}

/// The columns of the wide table's target: 43 of those in the file.
pub fn wide_target() -> String {
    let types = ["bigint", "text", "numeric(12,2)"];
    let column = |at: usize| format!("c{at} {}", types.get(at % 3).unwrap_or(&"text"));
    (0..WIDE_COLUMNS)
        .step_by(7)
        .chain([1, 2, 3, 4, 5, 6, 8])
        .map(column)
        .collect::<Vec<_>>()
        .join(", ")
}

fn write_by(
    path: &Path,
    rows: u64,
    batch: impl Fn(std::ops::Range<u64>) -> Result<RecordBatch, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(usize::try_from(GROUP_ROWS)?))
        .build();
    let first = batch(0..1)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, first.schema(), Some(properties))?;
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + GROUP_ROWS);
        writer.write(&batch(start..end)?)?;
        start = end;
    }
    writer.close()?;
    Ok(())
}

fn wide_batch(rows: std::ops::Range<u64>) -> Result<RecordBatch, Box<dyn Error>> {
    let columns = (0..WIDE_COLUMNS).map(|at| {
        let column = u64::try_from(at).unwrap_or_default();
        let numbers = rows.clone().map(move |row| (mixed(row, column, 1) >> 24).cast_signed());
        let array: ArrayRef = match at % 3 {
            0 => Arc::new(Int64Array::from_iter_values(numbers)),
            1 => Arc::new(StringArray::from_iter_values(numbers.map(|n| format!("{n:x}")))),
            _ => {
                let cents = numbers.map(|n| i128::from(n % 1_000_000_000));
                let array = Decimal128Array::from_iter_values(cents);
                Arc::new(array.with_precision_and_scale(12, 2)?)
            }
        };
        Ok((format!("c{at}"), array))
    });
    Ok(RecordBatch::try_from_iter(columns.collect::<Result<Vec<_>, Box<dyn Error>>>()?)?)
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

/// The columns of a [`batch`] as a source describes them.
pub fn columns() -> Vec<Column> {
    let number = |precision, scale| ColumnType::Number { precision, scale };
    let text = || ColumnType::Text { max_chars: None };
    let (at, zoned) = (ColumnType::Timestamp { scale: 6 }, ColumnType::Instant { scale: 6 });
    let columns = [
        ("id", ColumnType::Int64),
        ("uuid", text()),
        ("code", text()),
        ("body", text()),
        ("big", number(38, 4)),
        ("whole", number(19, 0)),
        ("price", number(12, 2)),
        ("ratio", ColumnType::Float64),
        ("flag", ColumnType::Boolean),
        ("day", ColumnType::Date),
        ("at", at.clone()),
        ("zoned", zoned),
        ("note", text()),
        ("quantity", ColumnType::Int32),
        ("rate", ColumnType::Float64),
        ("due", ColumnType::Date),
        ("seen", at),
        ("discount", number(12, 2)),
        ("active", ColumnType::Boolean),
        ("rank", ColumnType::Int64),
    ];
    columns.map(|(name, column_type)| Column::new(name, column_type, "")).into()
}

/// Some rows.
///
/// # Errors
///
/// Those of Arrow; for these columns there are none.
pub fn batch(rows: std::ops::Range<u64>, version: u64) -> Result<RecordBatch, Box<dyn Error>> {
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
