//! Rows that are kept outside of Arrow: one JSON object per row, exact for every type.
//!
//! Only rows that a target has refused take this form. Each value says its kind, and everything that
//! a reader of JSON could round is a text: `{"id": {"number": "12345678901234567890"}, "v": null}`.
//! Times that no calendar can print keep their plain numbers. The text is ASCII, so that a database
//! of any encoding can hold it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, StructArray, Time64NanosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Field, Fields, Int32Type, Int64Type, Schema, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use serde::{Deserialize, Serialize};

use super::{EpochTime, Scalar, for_each_scalar};
use crate::code;
use crate::column_type::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::name::ColumnName;

/// A value with its kind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Cell {
    Scalar(Scalar),
    Other(Other),
}

/// Values that no [`Scalar`] holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Other {
    /// An instant with minutes east of UTC.
    OffsetTimestamp { instant: EpochTime, offset_minutes: i32 },
    /// Days since 1970 that no calendar prints.
    EpochDays(#[serde(with = "as_text")] i64),
    /// Microseconds since 1970 that no calendar prints.
    EpochMicros(#[serde(with = "as_text")] i64),
    /// Nanoseconds that are no time of day.
    DayNanos(#[serde(with = "as_text")] i64),
    /// Seconds since 1970 and nanoseconds that no calendar prints.
    EpochParts {
        #[serde(with = "as_text")]
        seconds: i64,
        nanos: i32,
        offset_minutes: Option<i32>,
    },
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Writes one row of a batch; `columns` names the columns of the batch in their order.
///
/// # Errors
///
/// `Unsupported` for arrays in no [Arrow form](ColumnType::arrow).
pub fn row_to_json(columns: &[ColumnName], batch: &RecordBatch, row: usize) -> Result<String> {
    let mut cells = BTreeMap::new();
    for (name, array) in columns.iter().zip(batch.columns()) {
        cells.insert(name.as_str(), cell(&array.slice(row, 1), name)?);
    }
    let json = serde_json::to_string(&cells).map_err(|cause| {
        Error::new(ErrorKind::Internal, "A row cannot be written as JSON")
            .with_hint("report this: texts and numbers under text keys can")
            .with_source(cause)
    })?;
    Ok(in_ascii(json))
}

/// Reads rows back into a batch of these columns.
///
/// # Errors
///
/// [`code::PLAN_UNREADABLE`] for what [`row_to_json`] has not written for such columns.
pub fn rows_from_json<'a>(
    columns: &[(ColumnName, ColumnType)],
    rows: impl IntoIterator<Item = &'a str>,
) -> Result<RecordBatch> {
    let mut cells: Vec<Vec<Option<Cell>>> = columns.iter().map(|_| Vec::new()).collect();
    for row in rows {
        let mut values: BTreeMap<String, Option<Cell>> =
            serde_json::from_str(row).map_err(|_text| unreadable("A row that was set aside"))?;
        for ((name, _), cells) in columns.iter().zip(&mut cells) {
            let value = values.remove(name.as_str());
            cells.push(value.ok_or_else(|| unreadable("A row that was set aside"))?);
        }
    }
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for ((name, column_type), cells) in columns.iter().zip(cells) {
        let array = array(&column_type.arrow(), &cells)
            .ok_or_else(|| unreadable("A value that was set aside").with("column", name))?;
        fields.push(Field::new(name.as_str(), array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|_uneven| unreadable("A row that was set aside"))
}

fn unreadable(what: &'static str) -> Error {
    Error::new(code::PLAN_UNREADABLE, format!("{what} cannot be read for the planned columns"))
        .with_hint("use the version that set it aside, or load the table anew with --no-resume")
}

/// Every JSON text can be written so: what is beyond ASCII stands within quotes.
fn in_ascii(json: String) -> String {
    if json.is_ascii() {
        return json;
    }
    let mut ascii = String::with_capacity(json.len() * 2);
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to memory cannot fail.
            write!(ascii, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    ascii
}

/// The only value of an array.
fn cell(array: &ArrayRef, name: &ColumnName) -> Result<Option<Cell>> {
    if array.is_null(0) {
        return Ok(None);
    }
    if let Some(other) = beyond_scalars(array) {
        return Ok(Some(Cell::Other(other)));
    }
    let mut only = None;
    for_each_scalar(array, name, |value| {
        only = value.map(Cell::Scalar);
        Ok(())
    })?;
    Ok(only)
}

fn beyond_scalars(array: &ArrayRef) -> Option<Other> {
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(0);
            let is_plain = super::EpochDay::new(days).is_some();
            (!is_plain).then(|| Other::EpochDays(days.into()))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let nanos = array.as_primitive::<Time64NanosecondType>().value(0);
            let plain = u64::try_from(nanos).ok().and_then(super::DayTime::new);
            plain.is_none().then_some(Other::DayNanos(nanos))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(0);
            EpochTime::from_micros(micros).is_none().then_some(Other::EpochMicros(micros))
        }
        DataType::Struct(_) => {
            let parts = array.as_struct().columns();
            let seconds = parts.first()?.as_primitive_opt::<Int64Type>()?.value(0);
            let nanos = parts.get(1)?.as_primitive_opt::<Int32Type>()?.value(0);
            let offset_minutes = match parts.get(2) {
                Some(offset) => Some(offset.as_primitive_opt::<Int32Type>()?.value(0)),
                None => None,
            };
            let time = u32::try_from(nanos).ok().and_then(|nanos| EpochTime::new(seconds, nanos));
            match (time, offset_minutes) {
                (Some(instant), Some(offset_minutes)) => {
                    Some(Other::OffsetTimestamp { instant, offset_minutes })
                }
                (Some(_), None) => None,
                (None, _) => Some(Other::EpochParts { seconds, nanos, offset_minutes }),
            }
        }
        _ => None,
    }
}

/// Cells as an array of this type; `None` when one is of another kind.
fn array(data_type: &DataType, cells: &[Option<Cell>]) -> Option<ArrayRef> {
    Some(match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from(each(cells, |cell| match cell {
            Cell::Scalar(Scalar::Bool(value)) => Some(*value),
            _ => None,
        })?)),
        DataType::Int16 => {
            Arc::new(Int16Array::from(each(cells, |cell| i16::try_from(whole(cell)?).ok())?))
        }
        DataType::Int32 => {
            Arc::new(Int32Array::from(each(cells, |cell| i32::try_from(whole(cell)?).ok())?))
        }
        DataType::Int64 => Arc::new(Int64Array::from(each(cells, whole)?)),
        DataType::Decimal128(precision, scale) => {
            let digits = u8::try_from(*scale).ok()?;
            let values = each(cells, |cell| match cell {
                Cell::Scalar(Scalar::Number(number)) => number.rescaled(digits),
                _ => None,
            })?;
            let array = Decimal128Array::from(values);
            Arc::new(array.with_precision_and_scale(*precision, *scale).ok()?)
        }
        DataType::Float32 => {
            #[expect(clippy::cast_possible_truncation, reason = "it was a single before")]
            let values = each(cells, |cell| float(cell).map(|value| value as f32))?;
            Arc::new(Float32Array::from(values))
        }
        DataType::Float64 => Arc::new(Float64Array::from(each(cells, float)?)),
        DataType::Utf8 => Arc::new(StringArray::from(each(cells, |cell| match cell {
            Cell::Scalar(Scalar::Text(text)) => Some(text.as_str()),
            _ => None,
        })?)),
        DataType::Binary => Arc::new(BinaryArray::from(each(cells, |cell| match cell {
            Cell::Scalar(Scalar::Bytes(bytes)) => Some(bytes.as_slice()),
            _ => None,
        })?)),
        DataType::FixedSizeBinary(16) => {
            let values = each(cells, |cell| match cell {
                Cell::Scalar(Scalar::Uuid(uuid)) => Some(*uuid.as_bytes()),
                _ => None,
            })?;
            let values = values.into_iter();
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16).ok()?)
        }
        _ => return time_array(data_type, cells),
    })
}

fn time_array(data_type: &DataType, cells: &[Option<Cell>]) -> Option<ArrayRef> {
    Some(match data_type {
        DataType::Date32 => Arc::new(Date32Array::from(each(cells, |cell| match cell {
            Cell::Scalar(Scalar::Date(day)) => Some(day.days()),
            Cell::Other(Other::EpochDays(days)) => i32::try_from(*days).ok(),
            _ => None,
        })?)),
        DataType::Time64(TimeUnit::Nanosecond) => {
            Arc::new(Time64NanosecondArray::from(each(cells, |cell| match cell {
                Cell::Scalar(Scalar::Time(time)) => i64::try_from(time.nanos()).ok(),
                Cell::Other(Other::DayNanos(nanos)) => Some(*nanos),
                _ => None,
            })?))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let array = TimestampMicrosecondArray::from(each(cells, |cell| match cell {
                Cell::Scalar(Scalar::Timestamp(time) | Scalar::Instant(time)) => time.to_micros(),
                Cell::Other(Other::EpochMicros(micros)) => Some(*micros),
                _ => None,
            })?);
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        DataType::Struct(fields) => time_parts(fields, cells)?,
        _ => return None,
    })
}

fn time_parts(fields: &Fields, cells: &[Option<Cell>]) -> Option<ArrayRef> {
    let parts = each(cells, |cell| match cell {
        Cell::Scalar(Scalar::Timestamp(time) | Scalar::Instant(time)) => {
            Some((time.seconds(), i32::try_from(time.nanos()).ok()?, 0))
        }
        Cell::Other(Other::OffsetTimestamp { instant, offset_minutes }) => {
            Some((instant.seconds(), i32::try_from(instant.nanos()).ok()?, *offset_minutes))
        }
        Cell::Other(Other::EpochParts { seconds, nanos, offset_minutes }) => {
            Some((*seconds, *nanos, offset_minutes.unwrap_or_default()))
        }
        _ => None,
    })?;
    let present = || parts.iter().map(|part| part.unwrap_or_default());
    let seconds: ArrayRef = Arc::new(Int64Array::from_iter_values(present().map(|part| part.0)));
    let nanos: ArrayRef = Arc::new(Int32Array::from_iter_values(present().map(|part| part.1)));
    let offsets: ArrayRef = Arc::new(Int32Array::from_iter_values(present().map(|part| part.2)));
    let columns = [seconds, nanos, offsets].into_iter().take(fields.len()).collect();
    let nulls: NullBuffer = parts.iter().map(Option::is_some).collect();
    Some(Arc::new(StructArray::try_new(fields.clone(), columns, Some(nulls)).ok()?))
}

/// Reads every cell; `None` when one that is there is of another kind.
fn each<'a, T>(
    cells: &'a [Option<Cell>],
    read: impl Fn(&'a Cell) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let read = |cell: &'a Option<Cell>| match cell {
        Some(cell) => read(cell).map(Some),
        None => Some(None),
    };
    cells.iter().map(read).collect()
}

fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Scalar(Scalar::Number(number)) => number.to_i64(),
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Scalar(Scalar::Float(float)) => Some(float.get()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
