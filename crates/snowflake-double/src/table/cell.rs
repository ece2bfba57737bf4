//! One value inside the engine: borrowed from a column, or owned.

use crate::calendar::Stamp;
use crate::types::Type;

/// How the values of a type are kept. The scale of numbers is in the type, not in the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Float,
    Boolean,
    Text,
    Bytes,
    Date,
    Time,
    Stamp,
    Zoned,
}

impl Kind {
    pub(crate) const fn of(ty: Type) -> Self {
        match ty {
            Type::Number { .. } => Self::Number,
            Type::Float => Self::Float,
            Type::Boolean => Self::Boolean,
            Type::Binary { .. } => Self::Bytes,
            Type::Date => Self::Date,
            Type::Time { .. } => Self::Time,
            Type::TimestampNtz { .. } | Type::TimestampLtz { .. } => Self::Stamp,
            Type::TimestampTz { .. } => Self::Zoned,
            Type::Varchar { .. }
            | Type::Variant
            | Type::Object
            | Type::Array
            | Type::Geography
            | Type::Geometry
            | Type::DecFloat
            | Type::Vector => Self::Text,
        }
    }
}

/// A value borrowed from a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Number(i128),
    Float(f64),
    Boolean(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
    Date(i32),
    Time(i64),
    Stamp(Stamp),
    Zoned(Stamp, i16),
}

impl Cell<'_> {
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn to_datum(self) -> Datum {
        match self {
            Self::Null => Datum::Null,
            Self::Number(value) => Datum::Number(value),
            Self::Float(value) => Datum::Float(value),
            Self::Boolean(value) => Datum::Boolean(value),
            Self::Text(value) => Datum::Text(value.to_owned()),
            Self::Bytes(value) => Datum::Bytes(value.to_vec()),
            Self::Date(value) => Datum::Date(value),
            Self::Time(value) => Datum::Time(value),
            Self::Stamp(value) => Datum::Stamp(value),
            Self::Zoned(value, offset) => Datum::Zoned(value, offset),
        }
    }
}

/// A value of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum {
    Null,
    Number(i128),
    Float(f64),
    Boolean(bool),
    Text(String),
    Bytes(Vec<u8>),
    Date(i32),
    Time(i64),
    Stamp(Stamp),
    Zoned(Stamp, i16),
}

impl Datum {
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Number(value) => Cell::Number(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Text(value) => Cell::Text(value),
            Self::Bytes(value) => Cell::Bytes(value),
            Self::Date(value) => Cell::Date(*value),
            Self::Time(value) => Cell::Time(*value),
            Self::Stamp(value) => Cell::Stamp(*value),
            Self::Zoned(value, offset) => Cell::Zoned(*value, *offset),
        }
    }

    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}
