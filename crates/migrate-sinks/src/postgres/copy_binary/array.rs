//! JSON arrays as arrays of PostgreSQL and as vectors of pgvector.

use migrate_core::OnFraction;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::pg_type::{NumericLimits, PgType};
use super::cell::IntegerWidth;
use super::decimal_text::DecimalText;
use super::fraction::FractionRules;
use super::json::JsonRules;
use super::misfit::Misfit;
use super::read;
use super::wire::{self, TextRules, fixed};

/// How the elements of an array are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Element {
    Bool,
    Int(IntegerWidth),
    Numeric(Option<NumericLimits>),
    /// Numbers that a single keeps with all their digits.
    Float4,
    /// Singles of the source, however they are spelled.
    Single,
    /// The same in columns of doubles.
    SingleAsDouble,
    Float8,
    Text(TextRules),
    Json(JsonRules),
    Uuid,
    Date,
    Time(FractionRules),
    Timestamp(FractionRules),
    /// Texts with an offset from UTC.
    Instant(FractionRules),
}

/// The array as a list of JSON texts; `None` for JSON's null.
fn elements(text: &str) -> Result<Vec<Option<&RawValue>>, Misfit> {
    serde_json::from_str(text).map_err(|_not_a_list| Misfit::NotArray)
}

/// The same where an element is a document itself, to which null is a value.
fn documents(text: &str) -> Result<Vec<Option<&RawValue>>, Misfit> {
    let all: Vec<&RawValue> = serde_json::from_str(text).map_err(|_not_a_list| Misfit::NotArray)?;
    Ok(all.into_iter().map(Some).collect())
}

/// Appends a one-dimensional array (`array_recv` in the server's sources): dimensions, whether there
/// are NULLs, the element type, then length, lower bound and the elements.
pub(super) fn write(
    text: &str,
    element: &Element,
    element_oid: u32,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    const NULL: [u8; 4] = (-1_i32).to_be_bytes();
    let elements = match element {
        Element::Json(_) => documents(text)?,
        _ => elements(text)?,
    };
    let count = i32::try_from(elements.len()).map_err(|_many| Misfit::TooLarge)?;
    wire::measured(out, |out| {
        let dimensions = i32::from(count > 0);
        let has_null = i32::from(elements.iter().any(Option::is_none));
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&has_null.to_be_bytes());
        out.extend_from_slice(&element_oid.to_be_bytes());
        if count == 0 {
            return Ok(());
        }
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
        for value in elements {
            match value {
                None => out.extend_from_slice(&NULL),
                Some(value) => element.write(value.get(), out)?,
            }
        }
        Ok(())
    })
}

/// Appends a vector (`vector_recv` in pgvector's sources): dimensions, two unused bytes, singles.
pub(super) fn write_vector(
    text: &str,
    dimension: Option<u16>,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let elements = elements(text)?;
    let count = u16::try_from(elements.len()).map_err(|_many| Misfit::TooLarge)?;
    if let Some(wanted) = dimension.filter(|wanted| *wanted != count) {
        return Err(Misfit::Dimension(wanted.into()));
    }
    wire::measured(out, |out| {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        for value in elements {
            let value = value.ok_or(Misfit::Element("a number"))?;
            out.extend_from_slice(&single(value.get())?.to_be_bytes());
        }
        Ok(())
    })
}

impl Element {
    /// For the elements of a target array; `None` where JSON has no elements of that kind.
    pub(super) fn of(element: &PgType, rules: JsonRules) -> Option<Self> {
        let text =
            |max_chars| Self::Text(TextRules { max_chars, is_padded: false, nul: rules.nul });
        let json = |is_binary| Self::Json(JsonRules { is_binary, ..rules });
        Some(match element {
            PgType::Bool => Self::Bool,
            PgType::Int2 => Self::Int(IntegerWidth::Two),
            PgType::Int4 => Self::Int(IntegerWidth::Four),
            PgType::Int8 => Self::Int(IntegerWidth::Eight),
            PgType::Float4 => Self::Float4,
            PgType::Float8 => Self::Float8,
            PgType::Numeric { limits } => Self::Numeric(*limits),
            PgType::Text => text(None),
            PgType::Varchar { max_chars } => text(*max_chars),
            PgType::Json => json(false),
            PgType::Jsonb => json(true),
            PgType::Uuid => Self::Uuid,
            PgType::Date => Self::Date,
            // A text has as many digits as it has: none is cut without a word.
            PgType::Time { digits } => Self::Time(whole_fraction(*digits)),
            PgType::Timestamp { digits } => Self::Timestamp(whole_fraction(*digits)),
            PgType::Timestamptz { digits } => Self::Instant(whole_fraction(*digits)),
            _ => return None,
        })
    }

    fn write(&self, json: &str, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match self {
            Self::Bool => match json {
                "true" => fixed(out, [1]),
                "false" => fixed(out, [0]),
                _ => return Err(Misfit::Element("true or false")),
            },
            Self::Int(width) => width.write(number(json)?.whole()?, out)?,
            Self::Numeric(limits) => number(json)?.write(*limits, out)?,
            Self::Float4 => fixed(out, read::single(plain(json)?)?.to_be_bytes()),
            Self::Single => fixed(out, single(json)?.to_be_bytes()),
            Self::SingleAsDouble if json.contains(['.', 'e', 'E']) => {
                fixed(out, f64::from(single(json)?).to_be_bytes());
            }
            Self::SingleAsDouble | Self::Float8 => {
                fixed(out, read::double(plain(json)?)?.to_be_bytes());
            }
            Self::Text(rules) => wire::text(out, &string(json)?, *rules)?,
            // The rules held for the whole list already.
            Self::Json(rules) => rules.write(json, out)?,
            Self::Uuid => {
                let uuid = Uuid::try_parse(&string(json)?).map_err(|_text| Misfit::NotUuid)?;
                fixed(out, *uuid.as_bytes());
            }
            Self::Date => fixed(out, read::date(&string(json)?)?.to_be_bytes()),
            Self::Time(rules) => {
                fixed(out, read::time_of_day(&string(json)?, *rules)?.to_be_bytes());
            }
            Self::Timestamp(rules) => {
                fixed(out, read::timestamp(&string(json)?, *rules)?.to_be_bytes());
            }
            Self::Instant(rules) => {
                fixed(out, read::instant(&string(json)?, *rules)?.to_be_bytes());
            }
        }
        Ok(())
    }
}

fn whole_fraction(digits: u8) -> FractionRules {
    FractionRules { digits, policy: Some(OnFraction::Reject) }
}

/// The text of a number.
fn plain(json: &str) -> Result<&str, Misfit> {
    number(json).map(|_number| json)
}

fn number(json: &str) -> Result<DecimalText, Misfit> {
    DecimalText::parse(json).ok_or(Misfit::Element("a number"))
}

fn string(json: &str) -> Result<String, Misfit> {
    serde_json::from_str(json).map_err(|_other| Misfit::Element("a text"))
}

/// The single that a source with singles has spelled. Whole numbers may be 32-bit integers, of
/// which a single keeps those of 24 bits.
fn single(json: &str) -> Result<f32, Misfit> {
    let given = number(json)?;
    let value: f32 = json.parse().map_err(|_text| Misfit::NotNumber)?;
    let is_kept = !json.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
        || DecimalText::of_float(value.into()).is_some_and(|kept| kept.equals(&given));
    if !value.is_finite() {
        Err(Misfit::OutOfRange)
    } else if is_kept {
        Ok(value)
    } else {
        Err(Misfit::Imprecise(7))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that pgvector's `vector_send` gives for `[1,-2.5]`, by its sources.
    #[test]
    fn a_vector_is_its_dimension_and_singles() {
        let mut out = Vec::new();
        write_vector("[1,-2.5]", Some(2), &mut out).expect("two singles");
        assert_eq!(out, [0, 0, 0, 12, 0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0]);
        let refused = |text| write_vector(text, Some(2), &mut Vec::new());
        assert_eq!(refused("[1]"), Err(Misfit::Dimension(2)));
        assert_eq!(refused("[1,null]"), Err(Misfit::Element("a number")));
        assert_eq!(refused("[1,16777217]"), Err(Misfit::Imprecise(7)));
        assert_eq!(refused("[1,1e99]"), Err(Misfit::OutOfRange));
        assert_eq!(refused("null"), Err(Misfit::NotArray));
    }
}
