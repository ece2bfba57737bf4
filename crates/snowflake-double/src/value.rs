//! Exact values, as tests write them into tables.

use crate::types::Type;

/// One cell of a row.
///
/// [`Value::Literal`] is read by the column's type, which spares tests the epoch arithmetic:
///
/// ```
/// use snowflake_double::Value;
///
/// let row = [Value::from(1), Value::lit("2024-01-01 10:11:12.123456789"), Value::Null];
/// assert_eq!(row[0], Value::Number { unscaled: 1, scale: 0 });
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// SQL NULL.
    Null,
    /// An exact decimal: `unscaled / 10^scale`.
    Number {
        /// All digits as an integer.
        unscaled: i128,
        /// Digits after the point.
        scale: u8,
    },
    /// A double.
    Float(f64),
    /// Text, U+0000 included.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A truth value.
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// An instant or a wall-clock time.
    Timestamp {
        /// Seconds since 1970-01-01 00:00:00, rounded down.
        seconds: i64,
        /// Nanoseconds above the seconds, below 1,000,000,000.
        nanos: u32,
    },
    /// An instant with its own offset.
    TimestampTz {
        /// Seconds since 1970-01-01 00:00:00 UTC, rounded down.
        seconds: i64,
        /// Nanoseconds above the seconds, below 1,000,000,000.
        nanos: u32,
        /// Minutes east of UTC, -1440 to 1440.
        offset_minutes: i16,
    },
    /// The text of a VARIANT, OBJECT, ARRAY or another type that is kept as text.
    Json(String),
    /// Text that the column's type reads: `-1.50`, `NaN`, `2024-02-29`, `10:11:12.5`,
    /// `2024-01-01 10:11:12 +05:30`, `00FF10`.
    Literal(String),
}

impl Value {
    /// A [`Value::Literal`].
    pub fn lit(text: impl Into<String>) -> Self {
        Self::Literal(text.into())
    }

    /// A [`Value::Json`].
    pub fn json(text: impl Into<String>) -> Self {
        Self::Json(text.into())
    }

    /// What kind of value this is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Number { .. } => "a number",
            Self::Float(_) => "a double",
            Self::Text(_) => "text",
            Self::Binary(_) => "bytes",
            Self::Boolean(_) => "a truth value",
            Self::Date(_) => "a date",
            Self::Time(_) => "a time",
            Self::Timestamp { .. } => "a timestamp",
            Self::TimestampTz { .. } => "a timestamp with an offset",
            Self::Json(_) => "JSON text",
            Self::Literal(_) => "a literal",
        }
    }

    pub(crate) fn misfit(&self, ty: Type) -> String {
        format!("{} cannot be stored in a column of type {ty}", self.kind())
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Number { unscaled: i128::from(value), scale: 0 }
            }
        }
    )*};
}

from_integer!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Binary(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
