//! One cell to the wire: a length and the value in network byte order, or -1 for NULL.

use std::fmt;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    StringArray, StructArray, Time64NanosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use migrate_core::{Error, ErrorKind, Result, arrow};
use uuid::Uuid;

use super::super::pg_type::NumericLimits;
use super::codec::Codec;
use super::numeric;

/// Days and microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's calendar starts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Why a value does not fit. Never the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    OutOfRange,
    MoreDigits(NumericLimits),
    Fraction,
    TooLong(usize),
    NulCharacter,
    NotUuid,
    FinerThan(u8),
    BeyondCalendar,
    TooLarge,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("the number is beyond the range of the target type"),
            Self::MoreDigits(limits) => write!(f, "the number has more digits than {limits} keeps"),
            Self::Fraction => f.write_str("the number has a fraction, the target type has none"),
            Self::TooLong(most) => write!(f, "the text is longer than {most} characters"),
            Self::NulCharacter => f.write_str("the text contains U+0000, which PostgreSQL refuses"),
            Self::NotUuid => f.write_str("the text is not a UUID"),
            Self::FinerThan(digits) => {
                write!(f, "the time is finer than the {digits} fraction digits of the target type")
            }
            Self::BeyondCalendar => f.write_str("the time is beyond the target type's calendar"),
            Self::TooLarge => f.write_str("the value is larger than 1 GiB"),
        }
    }
}

/// A codec together with the array it reads.
#[derive(Debug)]
pub(super) enum BoundColumn<'a> {
    Bool(&'a BooleanArray),
    Int(Integers<'a>, IntegerWidth),
    Numeric(Integers<'a>, u8, Option<NumericLimits>),
    Float4(&'a Float32Array),
    Float8(&'a Float64Array),
    Float8FromFloat4(&'a Float32Array),
    Text(&'a StringArray, Option<usize>),
    Jsonb(&'a StringArray),
    UuidText(&'a StringArray),
    UuidBytes(&'a FixedSizeBinaryArray),
    Bytea(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64NanosecondArray, u8),
    Timestamp(&'a TimestampMicrosecondArray, u8),
    TimestampParts(TimeParts<'a>, u8),
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
#[derive(Debug, Clone, Copy)]
pub(super) enum IntegerWidth {
    Two,
    Four,
    Eight,
}

/// A timestamp in two arrays.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeParts<'a> {
    parent: &'a StructArray,
    epoch: &'a Int64Array,
    fraction: &'a Int32Array,
}

impl Codec {
    /// Binds the codec to a batch's array.
    pub(super) fn bind<'a>(&self, array: &'a ArrayRef) -> Result<BoundColumn<'a>> {
        let bound = match (self, array.data_type()) {
            (Self::Bool, DataType::Boolean) => BoundColumn::Bool(array.as_boolean()),
            (Self::Int2, _) => BoundColumn::Int(Integers::of(array)?, IntegerWidth::Two),
            (Self::Int4, _) => BoundColumn::Int(Integers::of(array)?, IntegerWidth::Four),
            (Self::Int8, _) => BoundColumn::Int(Integers::of(array)?, IntegerWidth::Eight),
            (Self::Numeric { limits }, _) => {
                let integers = Integers::of(array)?;
                BoundColumn::Numeric(integers, integers.scale(), *limits)
            }
            (Self::Float4, DataType::Float32) => {
                BoundColumn::Float4(array.as_primitive::<Float32Type>())
            }
            (Self::Float8, DataType::Float64) => {
                BoundColumn::Float8(array.as_primitive::<Float64Type>())
            }
            (Self::Float8, DataType::Float32) => {
                BoundColumn::Float8FromFloat4(array.as_primitive::<Float32Type>())
            }
            (Self::Text { max_chars }, DataType::Utf8) => {
                BoundColumn::Text(array.as_string(), *max_chars)
            }
            (Self::Jsonb, DataType::Utf8) => BoundColumn::Jsonb(array.as_string()),
            (Self::Uuid, DataType::Utf8) => BoundColumn::UuidText(array.as_string()),
            (Self::Uuid, DataType::FixedSizeBinary(16)) => {
                BoundColumn::UuidBytes(array.as_fixed_size_binary())
            }
            (Self::Bytea, DataType::Binary) => BoundColumn::Bytea(array.as_binary()),
            (Self::Date, DataType::Date32) => BoundColumn::Date(array.as_primitive::<Date32Type>()),
            (Self::Time { digits }, DataType::Time64(TimeUnit::Nanosecond)) => {
                BoundColumn::Time(array.as_primitive::<Time64NanosecondType>(), *digits)
            }
            (Self::Timestamp { digits }, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                BoundColumn::Timestamp(array.as_primitive::<TimestampMicrosecondType>(), *digits)
            }
            (Self::Timestamp { digits }, DataType::Struct(_)) => {
                BoundColumn::TimestampParts(TimeParts::of(array)?, *digits)
            }
            _ => return Err(unplanned(array)),
        };
        Ok(bound)
    }
}

/// A source that yields other arrays than its schema says.
fn unplanned(array: &ArrayRef) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("The source delivers {}, which was not planned", array.data_type()),
    )
    .with_hint("report this: the source does not keep to its own schema")
}

impl<'a> Integers<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
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

    fn is_null(self, row: usize) -> bool {
        match self {
            Self::I16(array) => array.is_null(row),
            Self::I32(array) => array.is_null(row),
            Self::I64(array) => array.is_null(row),
            Self::Decimal(array, _) => array.is_null(row),
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
    fn whole(self, row: usize) -> Result<i64, Misfit> {
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
    fn of(array: &'a ArrayRef) -> Result<Self> {
        let parent = array.as_struct();
        let part = |position: usize| parent.columns().get(position).ok_or_else(|| unplanned(array));
        let epoch = part(0)?.as_primitive_opt::<Int64Type>().ok_or_else(|| unplanned(array))?;
        let fraction = part(1)?.as_primitive_opt::<Int32Type>().ok_or_else(|| unplanned(array))?;
        Ok(Self { parent, epoch, fraction })
    }

    /// Microseconds since 1970, if no finer digit would be lost.
    fn micros(self, row: usize) -> Result<i64, Misfit> {
        let nanos = i64::from(self.fraction.value(row));
        if nanos % 1_000 != 0 {
            return Err(Misfit::FinerThan(6));
        }
        self.epoch
            .value(row)
            .checked_mul(1_000_000)
            .and_then(|micros| micros.checked_add(nanos / 1_000))
            .ok_or(Misfit::BeyondCalendar)
    }
}

const NULL: [u8; 4] = (-1_i32).to_be_bytes();

impl BoundColumn<'_> {
    /// Appends the cell of one row.
    #[inline]
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
        if self.is_null(row) {
            out.extend_from_slice(&NULL);
            return Ok(());
        }
        match self {
            Self::Bool(array) => fixed(out, [u8::from(array.value(row))]),
            Self::Int(integers, width) => {
                let value = integers.whole(row)?;
                match width {
                    IntegerWidth::Two => fixed(out, narrow::<i16>(value)?.to_be_bytes()),
                    IntegerWidth::Four => fixed(out, narrow::<i32>(value)?.to_be_bytes()),
                    IntegerWidth::Eight => fixed(out, value.to_be_bytes()),
                }
            }
            Self::Numeric(integers, scale, limits) => {
                let unscaled = integers.unscaled(row);
                if let Some(limits) = limits {
                    check_digits(unscaled, *scale, *limits)?;
                }
                numeric::write(unscaled, *scale, out);
            }
            Self::Float4(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::Float8(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::Float8FromFloat4(array) => fixed(out, f64::from(array.value(row)).to_be_bytes()),
            Self::Text(array, max_chars) => text(out, array.value(row), *max_chars)?,
            Self::Jsonb(array) => jsonb(out, array.value(row))?,
            Self::UuidText(array) => {
                let uuid = Uuid::try_parse(array.value(row)).map_err(|_text| Misfit::NotUuid)?;
                fixed(out, *uuid.as_bytes());
            }
            Self::UuidBytes(array) => variable(out, array.value(row))?,
            Self::Bytea(array) => variable(out, array.value(row))?,
            Self::Date(array) => {
                let days =
                    array.value(row).checked_sub(EPOCH_DAYS).ok_or(Misfit::BeyondCalendar)?;
                fixed(out, days.to_be_bytes());
            }
            Self::Time(array, digits) => {
                let nanos = array.value(row);
                if nanos % 1_000 != 0 {
                    return Err(Misfit::FinerThan(6));
                }
                fixed(out, check_fraction(nanos / 1_000, *digits)?.to_be_bytes());
            }
            Self::Timestamp(array, digits) => timestamp(out, array.value(row), *digits)?,
            Self::TimestampParts(parts, digits) => timestamp(out, parts.micros(row)?, *digits)?,
        }
        Ok(())
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(array) => array.is_null(row),
            Self::Int(integers, _) | Self::Numeric(integers, ..) => integers.is_null(row),
            Self::Float4(array) | Self::Float8FromFloat4(array) => array.is_null(row),
            Self::Float8(array) => array.is_null(row),
            Self::Text(array, _) | Self::Jsonb(array) | Self::UuidText(array) => array.is_null(row),
            Self::UuidBytes(array) => array.is_null(row),
            Self::Bytea(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Time(array, _) => array.is_null(row),
            Self::Timestamp(array, _) => array.is_null(row),
            Self::TimestampParts(parts, _) => parts.parent.is_null(row),
        }
    }
}

fn fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    #[expect(clippy::cast_possible_truncation, reason = "fixed types have at most 16 bytes")]
    out.extend_from_slice(&(N as u32).to_be_bytes());
    out.extend_from_slice(&value);
}

fn variable(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Misfit> {
    out.extend_from_slice(&length(value.len())?);
    out.extend_from_slice(value);
    Ok(())
}

/// PostgreSQL's limit of one field is 1 GiB.
fn length(bytes: usize) -> Result<[u8; 4], Misfit> {
    match i32::try_from(bytes) {
        Ok(length) if length < 0x4000_0000 => Ok(length.to_be_bytes()),
        _ => Err(Misfit::TooLarge),
    }
}

fn text(out: &mut Vec<u8>, value: &str, max_chars: Option<usize>) -> Result<(), Misfit> {
    // The server would cut surplus blanks without a word, so the limit is tested here.
    if let Some(most) = max_chars
        && value.len() > most
        && value.chars().count() > most
    {
        return Err(Misfit::TooLong(most));
    }
    refuse_nul(value)?;
    variable(out, value.as_bytes())
}

fn jsonb(out: &mut Vec<u8>, value: &str) -> Result<(), Misfit> {
    const VERSION: u8 = 1;
    refuse_nul(value)?;
    out.extend_from_slice(&length(value.len() + 1)?);
    out.push(VERSION);
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

fn refuse_nul(value: &str) -> Result<(), Misfit> {
    match memchr::memchr(0, value.as_bytes()) {
        None => Ok(()),
        Some(_) => Err(Misfit::NulCharacter),
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Misfit> {
    T::try_from(value).map_err(|_wide| Misfit::OutOfRange)
}

fn timestamp(out: &mut Vec<u8>, micros: i64, digits: u8) -> Result<(), Misfit> {
    let micros = check_fraction(micros, digits)?;
    let since_2000 = micros.checked_sub(EPOCH_MICROS).ok_or(Misfit::BeyondCalendar)?;
    fixed(out, since_2000.to_be_bytes());
    Ok(())
}

/// `timestamp(3)` would round to milliseconds without a word.
fn check_fraction(micros: i64, digits: u8) -> Result<i64, Misfit> {
    if digits >= 6 {
        return Ok(micros);
    }
    let unit = 10i64.pow(u32::from(6 - digits));
    if micros % unit == 0 { Ok(micros) } else { Err(Misfit::FinerThan(digits)) }
}

/// `numeric(p,s)` would round to its scale without a word.
fn check_digits(unscaled: i128, scale: u8, limits: NumericLimits) -> Result<(), Misfit> {
    let misfit = Misfit::MoreDigits(limits);
    let surplus = i32::from(scale) - limits.scale;
    let value = match u32::try_from(surplus) {
        Ok(surplus) if surplus > 0 => {
            let one = 10i128.checked_pow(surplus).ok_or(misfit)?;
            if unscaled % one != 0 {
                return Err(misfit);
            }
            unscaled / one
        }
        _ => unscaled,
    };
    // Digits that `value` may have so that the whole part keeps within precision - scale.
    let most_digits = limits.precision - (-surplus).max(0);
    let too_many = match u32::try_from(most_digits) {
        Ok(digits) => {
            10i128.checked_pow(digits).is_some_and(|one| value.unsigned_abs() >= one.unsigned_abs())
        }
        Err(_negative) => value != 0,
    };
    if too_many { Err(misfit) } else { Ok(()) }
}
