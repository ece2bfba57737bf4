//! Pairs that need more than a copy of bytes: rarer, and slower, than those of
//! [`cell`](super::cell).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use migrate_core::{Result, arrow};

use super::super::pg_type::NumericLimits;
use super::array::{self, Element};
use super::cell::{IntegerWidth, Integers, TimeParts, unplanned};
use super::decimal_text::DecimalText;
use super::fraction::FractionRules;
use super::json::JsonRules;
use super::misfit::Misfit;
use super::spell::{self, speller};
use super::wire::{self, TextRules, fixed};
use super::{numeric, read, shape, time};

/// How a value changes its kind without changing what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Conversion {
    /// Any value, spelled out.
    ToText(TextRules),
    /// Numbers and booleans as JSON documents.
    ToJson(JsonRules),
    BoolToInt(IntegerWidth),
    BoolToNumeric(Option<NumericLimits>),
    NumberToBool,
    NumberToSingle,
    NumberToDouble,
    FloatToInt(IntegerWidth),
    FloatToNumeric(Option<NumericLimits>),
    FloatToSingle,
    /// Texts that spell numbers, and decimal floating point.
    TextToInt(IntegerWidth),
    TextToNumeric(Option<NumericLimits>),
    TextToSingle,
    TextToDouble,
    TextToBool,
    TextToDate,
    TextToTimestamp(FractionRules),
    TextToInstant(FractionRules),
    TextToTime(FractionRules),
    TextToLabel(Arc<[String]>),
    BytesToUuid,
    DateToTimestamp,
    TimestampToDate,
    TimeToInterval(FractionRules),
    /// What a time has beyond the digits of its column, in nanoseconds.
    Surplus(FractionRules),
    OffsetToInt(IntegerWidth),
    OffsetToInterval,
    OffsetToText(TextRules),
    JsonToArray {
        element: Element,
        element_oid: u32,
        rules: JsonRules,
    },
    JsonToVector(Option<u16>),
    /// A shape; the reference system holds where the value names none.
    Shape {
        srid: Option<u32>,
    },
}

/// Appends the cell of one row that is not NULL.
pub(super) type Writer<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), Misfit> + 'a>;

impl Conversion {
    /// Binds it to a batch's array.
    pub(super) fn bind<'a>(&'a self, array: &'a ArrayRef) -> Result<Writer<'a>> {
        Ok(match self {
            Self::ToText(rules) => {
                let spell = speller(array)?;
                Box::new(move |row, out| {
                    let mut text = String::new();
                    spell(row, &mut text)?;
                    wire::text(out, &text, *rules)
                })
            }
            Self::ToJson(rules) => {
                let spell = speller(array)?;
                Box::new(move |row, out| {
                    let mut text = String::new();
                    spell(row, &mut text)?;
                    rules.write(&text, out)
                })
            }
            Self::BoolToInt(width) => {
                let array = array.as_boolean();
                Box::new(|row, out| width.write(array.value(row).into(), out))
            }
            Self::BoolToNumeric(limits) => {
                let array = array.as_boolean();
                Box::new(move |row, out| {
                    let digit = if array.value(row) { "1" } else { "0" };
                    DecimalText::parse(digit).ok_or(Misfit::NotNumber)?.write(*limits, out)
                })
            }
            Self::NumberToBool | Self::NumberToSingle | Self::NumberToDouble => {
                self.bind_number(array)?
            }
            Self::FloatToInt(_) | Self::FloatToNumeric(_) | Self::FloatToSingle => {
                self.bind_float(array)?
            }
            Self::TextToInt(_)
            | Self::TextToNumeric(_)
            | Self::TextToSingle
            | Self::TextToDouble
            | Self::TextToBool
            | Self::TextToDate
            | Self::TextToTimestamp(_)
            | Self::TextToInstant(_)
            | Self::TextToTime(_)
            | Self::TextToLabel(_)
            | Self::JsonToArray { .. }
            | Self::JsonToVector(_)
            | Self::Shape { .. } => self.bind_text(array)?,
            Self::BytesToUuid => {
                let array = array.as_binary::<i32>();
                Box::new(|row, out| {
                    let bytes = array.value(row);
                    let bytes: [u8; 16] = bytes.try_into().map_err(|_length| Misfit::NotUuid)?;
                    fixed(out, bytes);
                    Ok(())
                })
            }
            Self::DateToTimestamp => {
                let array = array.as_primitive::<Date32Type>();
                Box::new(|row, out| {
                    let micros = i64::from(array.value(row)).checked_mul(time::MICROS_PER_DAY);
                    let micros = micros.ok_or(Misfit::BeyondCalendar)?;
                    fixed(out, time::micros(micros)?.to_be_bytes());
                    Ok(())
                })
            }
            Self::TimestampToDate => bind_midnights(array)?,
            Self::TimeToInterval(rules) => {
                let array = array.as_primitive::<Time64NanosecondType>();
                Box::new(|row, out| {
                    interval(rules.nanos(array.value(row))?, out);
                    Ok(())
                })
            }
            Self::Surplus(rules) => {
                let time = whole_times(array)?;
                Box::new(move |row, out| {
                    let (seconds, nanos) = time(row)?;
                    fixed(out, rules.surplus(seconds, nanos)?.to_be_bytes());
                    Ok(())
                })
            }
            Self::OffsetToInt(_) | Self::OffsetToInterval | Self::OffsetToText(_) => {
                self.bind_offset(array)?
            }
        })
    }

    fn bind_number<'a>(&'a self, array: &'a ArrayRef) -> Result<Writer<'a>> {
        if *self == Self::NumberToBool {
            let integers = Integers::of(array)?;
            return Ok(Box::new(move |row, out| {
                match integers.whole(row) {
                    Ok(0) => fixed(out, [0]),
                    Ok(1) => fixed(out, [1]),
                    _ => return Err(Misfit::NotBoolean),
                }
                Ok(())
            }));
        }
        let spell = speller(array)?;
        Ok(Box::new(move |row, out| {
            let mut text = String::new();
            spell(row, &mut text)?;
            if *self == Self::NumberToSingle {
                fixed(out, read::single(&text)?.to_be_bytes());
            } else {
                fixed(out, read::double(&text)?.to_be_bytes());
            }
            Ok(())
        }))
    }

    fn bind_float<'a>(&'a self, array: &'a ArrayRef) -> Result<Writer<'a>> {
        let value: Box<dyn Fn(usize) -> f64 + 'a> = match array.data_type() {
            DataType::Float32 => {
                let array = array.as_primitive::<Float32Type>();
                Box::new(|row| array.value(row).into())
            }
            DataType::Float64 => {
                let array = array.as_primitive::<Float64Type>();
                Box::new(|row| array.value(row))
            }
            _ => return Err(unplanned(array)),
        };
        let spell = speller(array)?;
        Ok(Box::new(move |row, out| {
            let value = value(row);
            match self {
                Self::FloatToInt(width) => width.write(read::whole_of(value)?, out),
                Self::FloatToSingle => {
                    fixed(out, narrowed(value)?.to_be_bytes());
                    Ok(())
                }
                Self::FloatToNumeric(_) if value == 0.0 && value.is_sign_negative() => {
                    Err(Misfit::MinusZero)
                }
                Self::FloatToNumeric(limits) if value.is_finite() => {
                    let mut text = String::new();
                    spell(row, &mut text)?;
                    DecimalText::parse(&text).ok_or(Misfit::NotNumber)?.write(*limits, out)
                }
                Self::FloatToNumeric(Some(limits)) if value.is_infinite() => {
                    Err(Misfit::MoreDigits(*limits))
                }
                _ => {
                    numeric::write_special(value, out);
                    Ok(())
                }
            }
        }))
    }

    fn bind_text<'a>(&'a self, array: &'a ArrayRef) -> Result<Writer<'a>> {
        let texts = array.as_string_opt::<i32>().ok_or_else(|| unplanned(array))?;
        let number = |text| DecimalText::parse(text).ok_or(Misfit::NotNumber);
        Ok(Box::new(move |row, out| {
            let text = texts.value(row);
            match self {
                Self::TextToInt(width) => width.write(number(text)?.whole()?, out)?,
                Self::TextToNumeric(limits) => number(text)?.write(*limits, out)?,
                Self::TextToSingle => {
                    let special = read::special(text).map(narrowed);
                    let value = special.unwrap_or_else(|| read::single(text))?;
                    fixed(out, value.to_be_bytes());
                }
                Self::TextToDouble => {
                    let value = read::special(text).map_or_else(|| read::double(text), Ok)?;
                    fixed(out, value.to_be_bytes());
                }
                Self::TextToBool => fixed(out, [read::boolean(text)?.into()]),
                Self::TextToDate => fixed(out, read::date(text)?.to_be_bytes()),
                Self::TextToTimestamp(rules) => {
                    fixed(out, read::timestamp(text, *rules)?.to_be_bytes());
                }
                Self::TextToInstant(rules) => {
                    fixed(out, read::instant(text, *rules)?.to_be_bytes());
                }
                Self::TextToTime(rules) => {
                    fixed(out, read::time_of_day(text, *rules)?.to_be_bytes());
                }
                Self::TextToLabel(labels) => {
                    if !labels.iter().any(|label| label == text) {
                        return Err(Misfit::NotLabel);
                    }
                    wire::variable(out, text.as_bytes())?;
                }
                Self::JsonToArray { element, element_oid, rules } => {
                    array::write(&rules.clean(text)?, element, *element_oid, out)?;
                }
                Self::JsonToVector(dimension) => array::write_vector(text, *dimension, out)?,
                Self::Shape { srid } => shape::write(text, *srid, out)?,
                _ => return Err(Misfit::NotNumber),
            }
            Ok(())
        }))
    }

    fn bind_offset<'a>(&'a self, array: &'a ArrayRef) -> Result<Writer<'a>> {
        let parts = TimeParts::of(array)?;
        Ok(Box::new(move |row, out| {
            let minutes = parts.offset(row).ok_or(Misfit::NotTime)?;
            match self {
                Self::OffsetToInt(width) => width.write(minutes.into(), out),
                Self::OffsetToText(rules) => {
                    let mut text = String::new();
                    spell::offset(&mut text, minutes)?;
                    wire::text(out, &text, *rules)
                }
                _ => {
                    interval(i64::from(minutes) * 60_000_000, out);
                    Ok(())
                }
            }
        }))
    }
}

/// Microseconds, days and months (`interval_recv` in the server's sources).
fn interval(micros: i64, out: &mut Vec<u8>) {
    let mut value = [0; 16];
    if let Some(place) = value.first_chunk_mut() {
        *place = micros.to_be_bytes();
    }
    fixed(out, value);
}

/// A double as a single of the same value.
fn narrowed(value: f64) -> Result<f32, Misfit> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with the original below")]
    let narrow = value as f32;
    let is_same = f64::from(narrow).to_bits() == value.to_bits() || value.is_nan();
    if is_same { Ok(narrow) } else { Err(Misfit::Imprecise(read::SINGLE_DIGITS)) }
}

/// Timestamps at midnight as days.
fn bind_midnights(array: &ArrayRef) -> Result<Writer<'_>> {
    const SECONDS_PER_DAY: i64 = 86_400;
    let time = whole_times(array)?;
    Ok(Box::new(move |row, out| {
        let (seconds, fraction) = time(row)?;
        if seconds.rem_euclid(SECONDS_PER_DAY) != 0 || fraction != 0 {
            return Err(Misfit::NotMidnight);
        }
        let days = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY));
        let days = days.map_err(|_wide| Misfit::BeyondCalendar)?;
        fixed(out, time::days(days)?.to_be_bytes());
        Ok(())
    }))
}

/// Times with all their digits: seconds, and nanoseconds after them.
type WholeTimes<'a> = Box<dyn Fn(usize) -> Result<(i64, i64), Misfit> + 'a>;

fn whole_times(array: &ArrayRef) -> Result<WholeTimes<'_>> {
    let split = |value: i64, one: i64| (value.div_euclid(one), value.rem_euclid(one));
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            Box::new(move |row| {
                let (seconds, micros) = split(array.value(row), 1_000_000);
                Ok((seconds, micros * 1_000))
            })
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let array = array.as_primitive::<Time64NanosecondType>();
            Box::new(move |row| Ok(split(array.value(row), 1_000_000_000)))
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            Box::new(|row| {
                let time = read::time(texts.value(row))?;
                Ok((time.seconds(), time.nanos().into()))
            })
        }
        _ => {
            let parts = TimeParts::of(array)?;
            Box::new(move |row| Ok(parts.value(row)))
        }
    })
}
