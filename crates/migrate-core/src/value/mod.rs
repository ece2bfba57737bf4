//! Single values: bounds of chunks, watermarks, parameters of statements.
//!
//! Rows never travel in this form (they are Arrow arrays). A scalar is what a plan stores and a
//! statement binds, so its JSON form must survive every reader: numbers and times are strings.

mod calendar;
mod column;
mod decimal;
mod row;
mod time;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use calendar::CalendarUnit;
pub use column::for_each_scalar;
pub use decimal::{Decimal, InvalidDecimal, MAX_DIGITS};
pub use row::{row_to_json, rows_from_json};
pub use time::{DayTime, EpochDay, EpochTime, InvalidTime};

/// One typed value; never NULL.
///
/// ```
/// use migrate_core::Scalar;
/// let scalar = Scalar::from(9_007_199_254_740_993_i64);
/// assert_eq!(serde_json::to_string(&scalar)?, r#"{"number":"9007199254740993"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// An exact number.
    Number(Decimal),
    /// An IEEE 754 double; NaN equals NaN and sorts last.
    Float(Float),
    /// A text; order is byte order.
    Text(String),
    /// Raw bytes.
    Bytes(Bytes),
    /// A calendar day.
    Date(EpochDay),
    /// A time of day.
    Time(DayTime),
    /// A wall clock time without zone.
    Timestamp(EpochTime),
    /// An instant.
    Instant(EpochTime),
    /// A UUID.
    Uuid(Uuid),
}

impl Scalar {
    /// A text value.
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    /// What kind of value this is, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::Instant(_) => "instant",
            Self::Uuid(_) => "uuid",
        }
    }

    /// The order of two values of one kind; `None` for different kinds.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => left.cmp(right),
            (Self::Float(left), Self::Float(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Bytes(left), Self::Bytes(right)) => left.cmp(right),
            (Self::Date(left), Self::Date(right)) => left.cmp(right),
            (Self::Time(left), Self::Time(right)) => left.cmp(right),
            (Self::Timestamp(left), Self::Timestamp(right))
            | (Self::Instant(left), Self::Instant(right)) => left.cmp(right),
            (Self::Uuid(left), Self::Uuid(right)) => left.cmp(right),
            _ => return None,
        })
    }

    /// The order of two values of one column, NULL last.
    pub fn compare_nulls_last(left: Option<&Self>, right: Option<&Self>) -> Ordering {
        match (left, right) {
            // Values of one column are of one kind, so they have an order.
            (Some(left), Some(right)) => left.compare(right).unwrap_or(Ordering::Equal),
            (left, right) => left.is_none().cmp(&right.is_none()),
        }
    }

    /// The order of the values of several columns, the first one first, NULL last.
    pub fn compare_lists(left: &[Option<Self>], right: &[Option<Self>]) -> Ordering {
        left.iter()
            .zip(right)
            .map(|(left, right)| Self::compare_nulls_last(left.as_ref(), right.as_ref()))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| left.len().cmp(&right.len()))
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
            Self::Bytes(value) => write!(f, "0x{value}"),
            Self::Date(value) => write!(f, "{value}"),
            Self::Time(value) => write!(f, "{value}"),
            Self::Timestamp(value) => write!(f, "{value}"),
            Self::Instant(value) => write!(f, "{value} UTC"),
            Self::Uuid(value) => write!(f, "{value}"),
        }
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::text(value)
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Uuid> for Scalar {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

/// A double with the order of databases: `-0` equals `0`, NaN equals NaN and is the largest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Float(f64);

impl Float {
    /// Wraps a double.
    pub const fn new(value: f64) -> Self {
        Self(value)
    }

    /// The double.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or_else(|| self.0.is_nan().cmp(&other.0.is_nan()))
    }
}

impl fmt::Display for Float {
    /// The shortest text that reads back as the same double.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<String> for Float {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Float> for String {
    fn from(value: Float) -> Self {
        value.to_string()
    }
}

/// Bytes whose text form is upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// A text is not pairs of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidHex;

impl fmt::Display for InvalidHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not pairs of hexadecimal digits")
    }
}

impl std::error::Error for InvalidHex {}

impl TryFrom<String> for Bytes {
    type Error = InvalidHex;

    fn try_from(text: String) -> Result<Self, InvalidHex> {
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(InvalidHex);
        text.as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => {
                    u8::try_from(digit(*high)? << 4 | digit(*low)?).map_err(|_cause| InvalidHex)
                }
                _ => Err(InvalidHex),
            })
            .collect::<Result<Vec<u8>, InvalidHex>>()
            .map(Self)
    }
}

impl From<Bytes> for String {
    fn from(value: Bytes) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Scalar> {
        let time = |text: &str| text.parse::<EpochTime>().expect(text);
        vec![
            Scalar::Bool(true),
            Scalar::Number("12345678901234567890123456789012345678".parse().expect("38 digits")),
            Scalar::Float(Float::new(0.1)),
            Scalar::Float(Float::new(f64::NEG_INFINITY)),
            Scalar::Float(Float::new(f64::NAN)),
            Scalar::text("été 🚀\u{0}\"'"),
            Scalar::Bytes(vec![0, 255, 16].into()),
            Scalar::Date("0001-01-01".parse().expect("date")),
            Scalar::Time("10:11:12.000000001".parse().expect("time")),
            Scalar::Timestamp(time("9999-12-31 23:59:59.999999999")),
            Scalar::Instant(time("1969-12-31 23:59:59.000000001")),
            Scalar::Uuid(Uuid::nil()),
        ]
    }

    #[test]
    fn json_round_trips_every_kind_exactly() {
        for scalar in samples() {
            let json = serde_json::to_string(&scalar).expect("serializes");
            let back: Scalar = serde_json::from_str(&json).expect(&json);
            assert_eq!(back, scalar, "{json}");
        }
    }

    #[test]
    fn only_values_of_one_kind_are_ordered() {
        let samples = samples();
        for (position, left) in samples.iter().enumerate() {
            for right in &samples[position..] {
                let same_kind = left.kind() == right.kind();
                assert_eq!(left.compare(right).is_some(), same_kind, "{left} {right}");
            }
        }
    }

    #[test]
    fn nan_is_one_value_and_the_largest() {
        let float = |value| Scalar::Float(Float::new(value));
        assert_eq!(float(f64::NAN).compare(&float(f64::NAN)), Some(Ordering::Equal));
        assert_eq!(float(f64::NAN).compare(&float(f64::INFINITY)), Some(Ordering::Greater));
        assert_eq!(float(-0.0).compare(&float(0.0)), Some(Ordering::Equal));
    }
}
