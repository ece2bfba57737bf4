//! Values as text, in the spelling that PostgreSQL itself has for them.

use std::fmt::Write as _;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use migrate_core::value::{DayTime, EpochDay, EpochTime};
use migrate_core::{Decimal, Result, arrow};
use uuid::Uuid;

use super::cell::{TimeParts, unplanned};
use super::misfit::Misfit;

/// Spells the value of a row.
pub(super) type Speller<'a> = Box<dyn Fn(usize, &mut String) -> Result<(), Misfit> + 'a>;

/// How the values of an array are spelled.
pub(super) fn speller(array: &ArrayRef) -> Result<Speller<'_>> {
    Ok(match array.data_type() {
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(|row, out| spell(out, array.value(row)))
        }
        DataType::Int16 => {
            let array = array.as_primitive::<Int16Type>();
            Box::new(|row, out| spell(out, array.value(row)))
        }
        DataType::Int32 => {
            let array = array.as_primitive::<Int32Type>();
            Box::new(|row, out| spell(out, array.value(row)))
        }
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            Box::new(|row, out| spell(out, array.value(row)))
        }
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).map_err(|_negative| unplanned(array))?;
            let array = array.as_primitive::<Decimal128Type>();
            Box::new(move |row, out| spell(out, Decimal::new(array.value(row), scale)))
        }
        DataType::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            Box::new(|row, out| {
                let value = array.value(row);
                float(out, value.into(), &format!("{value:e}"), 6)
            })
        }
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            Box::new(|row, out| {
                let value = array.value(row);
                float(out, value, &format!("{value:e}"), 15)
            })
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(|row, out| {
                out.push_str(array.value(row));
                Ok(())
            })
        }
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            Box::new(|row, out| {
                let day = EpochDay::new(array.value(row)).ok_or(Misfit::BeyondCalendar)?;
                within_calendar(out, &day.to_string())
            })
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let array = array.as_primitive::<Time64NanosecondType>();
            Box::new(|row, out| {
                let nanos = u64::try_from(array.value(row)).map_err(|_n| Misfit::BeyondCalendar)?;
                let whole = DayTime::new(nanos - nanos % NANOS).ok_or(Misfit::BeyondCalendar)?;
                spell(out, whole)?;
                fraction(out, nanos % NANOS)
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let suffix = if zone.is_some() { "+00" } else { "" };
            let array = array.as_primitive::<TimestampMicrosecondType>();
            Box::new(move |row, out| {
                let micros = array.value(row);
                let nanos = micros.rem_euclid(1_000_000) * 1_000;
                timestamp(out, micros.div_euclid(1_000_000), nanos)?;
                out.push_str(suffix);
                Ok(())
            })
        }
        DataType::Struct(_) => {
            let parts = TimeParts::of(array)?;
            Box::new(move |row, out| zoned(out, &parts, row))
        }
        DataType::FixedSizeBinary(16) => {
            let array = array.as_fixed_size_binary();
            Box::new(|row, out| {
                let uuid = Uuid::from_slice(array.value(row)).map_err(|_len| Misfit::NotUuid)?;
                spell(out, uuid)
            })
        }
        _ => return Err(unplanned(array)),
    })
}

const NANOS: u64 = 1_000_000_000;

fn spell(out: &mut String, value: impl std::fmt::Display) -> Result<(), Misfit> {
    // Writing to memory cannot fail; a value that refuses to print itself is beyond its calendar.
    write!(out, "{value}").map_err(|_refused| Misfit::BeyondCalendar)
}

/// Years have four digits from 1 to 9999; PostgreSQL spells others in another way.
fn within_calendar(out: &mut String, text: &str) -> Result<(), Misfit> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) || text.starts_with("0000") {
        return Err(Misfit::BeyondCalendar);
    }
    out.push_str(text);
    Ok(())
}

/// `.5`, without zeros at the end.
fn fraction(out: &mut String, nanos: u64) -> Result<(), Misfit> {
    if nanos > 0 {
        spell(out, format!(".{nanos:09}").trim_end_matches('0'))?;
    }
    Ok(())
}

fn timestamp(out: &mut String, seconds: i64, nanos: i64) -> Result<(), Misfit> {
    let time = EpochTime::new(seconds, 0).ok_or(Misfit::BeyondCalendar)?;
    within_calendar(out, &time.to_string())?;
    fraction(out, u64::try_from(nanos).map_err(|_negative| Misfit::BeyondCalendar)?)
}

/// A time in parts: wall clock, instant, or the clock at its offset.
fn zoned(out: &mut String, parts: &TimeParts<'_>, row: usize) -> Result<(), Misfit> {
    let (seconds, nanos) = parts.value(row);
    match parts.offset(row) {
        Some(minutes) => {
            let wall = seconds.checked_add(i64::from(minutes) * 60);
            timestamp(out, wall.ok_or(Misfit::BeyondCalendar)?, nanos)?;
            offset(out, minutes)
        }
        None => {
            timestamp(out, seconds, nanos)?;
            out.push_str(if parts.is_instant() { "+00" } else { "" });
            Ok(())
        }
    }
}

/// `+05:30`.
pub(super) fn offset(out: &mut String, minutes: i32) -> Result<(), Misfit> {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    spell(out, format_args!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// The shortest text that reads back as the same number, as the server spells it since version 12:
/// with an exponent below 10^-4 and from `most_digits` digits on.
fn float(out: &mut String, value: f64, shortest: &str, most_digits: i32) -> Result<(), Misfit> {
    if value.is_nan() {
        return spell(out, "NaN");
    }
    if value.is_infinite() {
        return spell(out, if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let (mantissa, exponent) = shortest.split_once('e').ok_or(Misfit::NotNumber)?;
    let exponent: i32 = exponent.parse().map_err(|_text| Misfit::NotNumber)?;
    if (-4..most_digits).contains(&exponent) {
        return spell(out, value_without_exponent(value, mantissa, exponent));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    spell(out, format_args!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()))
}

fn value_without_exponent(value: f64, mantissa: &str, exponent: i32) -> String {
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let Ok(whole) = usize::try_from(exponent) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    };
    let padded = format!("{digits:0<width$}", width = whole + 1);
    let (before, after) = padded.split_at_checked(whole + 1).unwrap_or((&padded, ""));
    let point = if after.is_empty() { "" } else { "." };
    format!("{sign}{before}{point}{after}")
}
