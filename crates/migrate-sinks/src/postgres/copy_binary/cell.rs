//! One cell to the wire: a length and the value in network byte order, or -1 for NULL.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, GenericByteArray, Int16Array, Int32Array,
    Int64Array, StringArray, Time64NanosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{
    ByteArrayType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use migrate_core::{Error, ErrorKind, Result, arrow};
use uuid::Uuid;

use super::codec::Codec;
use super::convert::Writer;
use super::fraction::FractionRules;
use super::json::JsonRules;
use super::misfit::Misfit;
use super::numeric::{self, NumericFit};
use super::rows::{EncodedRows, LARGE_CELL_BYTES};
use super::time;
use super::wire::{self, TextRules, fixed, variable};

/// A codec together with the array it reads.
pub(super) struct BoundColumn<'a> {
    nulls: Option<&'a NullBuffer>,
    cells: Cells<'a>,
}

enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int(Integers<'a>, IntegerWidth),
    Numeric(Integers<'a>, u8, NumericFit),
    Float4(&'a Float32Array),
    Float8(&'a Float64Array),
    Float8FromFloat4(&'a Float32Array),
    Text(Texts<'a>, TextRules),
    Json(&'a StringArray, JsonRules),
    UuidText(&'a StringArray),
    UuidBytes(&'a FixedSizeBinaryArray),
    Bytea(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64NanosecondArray, FractionRules),
    Timestamp(&'a TimestampMicrosecondArray, FractionRules),
    TimestampParts(TimeParts<'a>, FractionRules),
    Converted(Writer<'a>),
}

/// Exact numbers of any Arrow width, with the scale that decimals carry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Integers<'a> {
    I16(&'a Int16Array),
    I32(&'a Int32Array),
    I64(&'a Int64Array),
    Decimal(&'a Decimal128Array, u8),
}

/// Width of a PostgreSQL integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum IntegerWidth {
    Two,
    Four,
    Eight,
}

impl IntegerWidth {
    /// Appends an integer, if it is within the width.
    pub(super) fn write(self, value: i64, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match self {
            Self::Two => fixed(out, narrow::<i16>(value)?.to_be_bytes()),
            Self::Four => fixed(out, narrow::<i32>(value)?.to_be_bytes()),
            Self::Eight => fixed(out, value.to_be_bytes()),
        }
        Ok(())
    }
}

/// Texts, all of which are searched at once for what few of them have.
#[derive(Debug, Clone, Copy)]
struct Texts<'a> {
    array: &'a StringArray,
    has_nul: bool,
}

impl<'a> Texts<'a> {
    fn of(array: &'a StringArray) -> Self {
        let ends = array.value_offsets().first().zip(array.value_offsets().last());
        let bounds = ends.and_then(|(first, last)| {
            Some(usize::try_from(*first).ok()?..usize::try_from(*last).ok()?)
        });
        let bytes = bounds.and_then(|bounds| array.value_data().get(bounds));
        let has_nul = bytes.is_none_or(|bytes| memchr::memchr(0, bytes).is_some());
        Self { array, has_nul }
    }
}

/// A timestamp in two arrays.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeParts<'a> {
    epoch: &'a Int64Array,
    fraction: &'a Int32Array,
    offset: Option<&'a Int32Array>,
    is_instant: bool,
}

impl Codec {
    /// Binds the codec to a batch's array.
    pub(super) fn bind<'a>(&'a self, array: &'a ArrayRef) -> Result<BoundColumn<'a>> {
        let cells = match (self, array.data_type()) {
            (Self::Bool, DataType::Boolean) => Cells::Bool(array.as_boolean()),
            (Self::Int(width), _) => Cells::Int(Integers::of(array)?, *width),
            (Self::Numeric { limits }, _) => {
                let integers = Integers::of(array)?;
                let fit = NumericFit::new(integers.scale(), *limits);
                Cells::Numeric(integers, integers.scale(), fit)
            }
            (Self::Float4, DataType::Float32) => Cells::Float4(array.as_primitive::<Float32Type>()),
            (Self::Float8, DataType::Float64) => Cells::Float8(array.as_primitive::<Float64Type>()),
            (Self::Float8, DataType::Float32) => {
                Cells::Float8FromFloat4(array.as_primitive::<Float32Type>())
            }
            (Self::Text(rules), DataType::Utf8) => {
                Cells::Text(Texts::of(array.as_string()), *rules)
            }
            (Self::Json(rules), DataType::Utf8) => Cells::Json(array.as_string(), *rules),
            (Self::Uuid, DataType::Utf8) => Cells::UuidText(array.as_string()),
            (Self::Uuid, DataType::FixedSizeBinary(16)) => {
                Cells::UuidBytes(array.as_fixed_size_binary())
            }
            (Self::Bytea, DataType::Binary) => Cells::Bytea(array.as_binary()),
            (Self::Date, DataType::Date32) => Cells::Date(array.as_primitive::<Date32Type>()),
            (Self::Time(rules), DataType::Time64(TimeUnit::Nanosecond)) => {
                Cells::Time(array.as_primitive::<Time64NanosecondType>(), *rules)
            }
            (Self::Timestamp(rules), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                Cells::Timestamp(array.as_primitive::<TimestampMicrosecondType>(), *rules)
            }
            (Self::Timestamp(rules), DataType::Struct(_)) => {
                Cells::TimestampParts(TimeParts::of(array)?, *rules)
            }
            (Self::Converted(conversion), _) => Cells::Converted(conversion.bind(array)?),
            _ => return Err(unplanned(array)),
        };
        Ok(BoundColumn { nulls: array.nulls(), cells })
    }
}

/// A source that yields other arrays than its schema says.
pub(super) fn unplanned(array: &ArrayRef) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("The source delivers {}, which was not planned", array.data_type()),
    )
    .with_hint("report this: the source does not keep to its own schema")
}

impl<'a> Integers<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Int16 => Self::I16(array.as_primitive::<Int16Type>()),
            DataType::Int32 => Self::I32(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::I64(array.as_primitive::<Int64Type>()),
            DataType::Decimal128(_, scale) => {
                let scale = u8::try_from(*scale).map_err(|_negative| unplanned(array))?;
                Self::Decimal(array.as_primitive::<Decimal128Type>(), scale)
            }
            _ => return Err(unplanned(array)),
        })
    }

    fn scale(self) -> u8 {
        match self {
            Self::Decimal(_, scale) => scale,
            _ => 0,
        }
    }

    fn unscaled(self, row: usize) -> i128 {
        match self {
            Self::I16(array) => array.value(row).into(),
            Self::I32(array) => array.value(row).into(),
            Self::I64(array) => array.value(row).into(),
            Self::Decimal(array, _) => array.value(row),
        }
    }

    /// The value as an integer.
    pub(super) fn whole(self, row: usize) -> Result<i64, Misfit> {
        match self {
            Self::I16(array) => Ok(array.value(row).into()),
            Self::I32(array) => Ok(array.value(row).into()),
            Self::I64(array) => Ok(array.value(row)),
            Self::Decimal(array, 0) => {
                i64::try_from(array.value(row)).map_err(|_wide| Misfit::OutOfRange)
            }
            Self::Decimal(array, scale) => {
                let one = 10i128.pow(u32::from(scale.min(38)));
                let value = array.value(row);
                if value % one != 0 {
                    return Err(Misfit::Fraction);
                }
                i64::try_from(value / one).map_err(|_wide| Misfit::OutOfRange)
            }
        }
    }
}

impl<'a> TimeParts<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Result<Self> {
        let parent = array.as_struct_opt().ok_or_else(|| unplanned(array))?;
        let part = |position: usize| parent.columns().get(position);
        let epoch = part(0).and_then(|part| part.as_primitive_opt::<Int64Type>());
        let fraction = part(1).and_then(|part| part.as_primitive_opt::<Int32Type>());
        let offset = part(2).and_then(|part| part.as_primitive_opt::<Int32Type>());
        let (Some(epoch), Some(fraction)) = (epoch, fraction) else {
            return Err(unplanned(array));
        };
        let is_instant = parent.column_names().first().is_some_and(|name| *name == "epoch_utc");
        Ok(Self { epoch, fraction, offset, is_instant })
    }

    /// Seconds since 1970, rounded down, and nanoseconds after them.
    pub(super) fn value(&self, row: usize) -> (i64, i64) {
        (self.epoch.value(row), self.fraction.value(row).into())
    }

    /// Minutes east of UTC, for times that have an offset.
    pub(super) fn offset(&self, row: usize) -> Option<i32> {
        self.offset.map(|offset| offset.value(row))
    }

    pub(super) fn is_instant(&self) -> bool {
        self.is_instant
    }
}

const NULL: [u8; 4] = (-1_i32).to_be_bytes();

impl BoundColumn<'_> {
    /// Appends the cell of one row.
    #[inline]
    pub(super) fn write(&self, row: usize, rows: &mut EncodedRows) -> Result<(), Misfit> {
        let out = &mut rows.copied;
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&NULL);
            return Ok(());
        }
        match &self.cells {
            Cells::Bool(array) => fixed(out, [u8::from(array.value(row))]),
            Cells::Int(integers, width) => width.write(integers.whole(row)?, out)?,
            Cells::Numeric(integers, scale, fit) => {
                let unscaled = integers.unscaled(row);
                fit.check(unscaled)?;
                numeric::write(unscaled, *scale, out);
            }
            Cells::Float4(array) => fixed(out, array.value(row).to_be_bytes()),
            Cells::Float8(array) => fixed(out, array.value(row).to_be_bytes()),
            Cells::Float8FromFloat4(array) => fixed(out, f64::from(array.value(row)).to_be_bytes()),
            Cells::Text(texts, rules) => match texts.array.value(row) {
                value if value.len() < LARGE_CELL_BYTES && !texts.has_nul => {
                    rules.check_form(value)?;
                    variable(out, value.as_bytes())?;
                }
                value if value.len() < LARGE_CELL_BYTES => wire::text(out, value, *rules)?,
                large => wire::large(rows, &[], rules.clean(large)?, lent(texts.array, row))?,
            },
            Cells::Json(array, rules) => match array.value(row) {
                value if value.len() < LARGE_CELL_BYTES => rules.write(value, out)?,
                large => {
                    let clean = rules.checked(large)?;
                    wire::large(rows, rules.version(), clean, lent(array, row))?;
                }
            },
            Cells::UuidText(array) => {
                let uuid = Uuid::try_parse(array.value(row)).map_err(|_text| Misfit::NotUuid)?;
                fixed(out, *uuid.as_bytes());
            }
            Cells::UuidBytes(array) => variable(out, array.value(row))?,
            Cells::Bytea(array) => match array.value(row) {
                value if value.len() < LARGE_CELL_BYTES => variable(out, value)?,
                _ => wire::lend(rows, &[], lent(array, row))?,
            },
            Cells::Date(array) => fixed(out, time::days(array.value(row))?.to_be_bytes()),
            Cells::Time(array, rules) => {
                fixed(out, rules.nanos(array.value(row))?.to_be_bytes());
            }
            Cells::Timestamp(array, rules) => {
                let micros = rules.micros(array.value(row), 0)?;
                fixed(out, time::micros(micros)?.to_be_bytes());
            }
            Cells::TimestampParts(parts, rules) => {
                let (seconds, nanos) = parts.value(row);
                fixed(out, time::micros(rules.parts(seconds, nanos)?)?.to_be_bytes());
            }
            Cells::Converted(write) => write(row, out)?,
        }
        Ok(())
    }
}

/// A cell where it lies in its array.
fn lent<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>, row: usize) -> Buffer {
    let start = array.value_offsets().get(row).and_then(|start| usize::try_from(*start).ok());
    let length = usize::try_from(array.value_length(row)).unwrap_or_default();
    array.values().slice_with_length(start.unwrap_or_default(), length)
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Misfit> {
    T::try_from(value).map_err(|_wide| Misfit::OutOfRange)
}
