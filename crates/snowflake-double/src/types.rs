//! Snowflake's data types, as columns declare them and as answers report them.
//!
//! A type decides the text of a cell, never the other way round. Collations belong to columns and
//! expressions, so they are not part of [`Type`].

use std::fmt;

/// The longest VARCHAR of an ordinary column, in characters.
pub(crate) const MAX_VARCHAR: u32 = 16_777_216;
/// The longest BINARY of an ordinary column, in bytes.
pub(crate) const MAX_BINARY: u32 = 8_388_608;

/// A Snowflake data type with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// NUMBER(precision, scale): exact decimals of up to 38 digits.
    Number {
        /// All digits, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to 37.
        scale: u8,
    },
    /// FLOAT: IEEE 754 double.
    Float,
    /// VARCHAR(length), the length in characters.
    Varchar {
        /// Longest text in characters.
        length: u32,
    },
    /// BINARY(length), the length in bytes.
    Binary {
        /// Longest value in bytes.
        length: u32,
    },
    /// BOOLEAN.
    Boolean,
    /// DATE.
    Date,
    /// TIME(scale), up to nanoseconds.
    Time {
        /// Digits of the fraction of a second, 0 to 9.
        scale: u8,
    },
    /// `TIMESTAMP_NTZ(scale)`: wall-clock time without a zone.
    TimestampNtz {
        /// Digits of the fraction of a second, 0 to 9.
        scale: u8,
    },
    /// `TIMESTAMP_LTZ(scale)`: an instant, shown in the session's zone.
    TimestampLtz {
        /// Digits of the fraction of a second, 0 to 9.
        scale: u8,
    },
    /// `TIMESTAMP_TZ(scale)`: an instant with its own offset.
    TimestampTz {
        /// Digits of the fraction of a second, 0 to 9.
        scale: u8,
    },
    /// VARIANT: JSON text, with Snowflake's additions.
    Variant,
    /// OBJECT: JSON text.
    Object,
    /// ARRAY: JSON text.
    Array,
    /// GEOGRAPHY: its text, in the form that sessions ask for. Can be stored, selected and counted,
    /// nothing else.
    Geography,
    /// GEOMETRY: its text, in the form that sessions ask for. Can be stored, selected and counted,
    /// nothing else.
    Geometry,
    /// DECFLOAT: its decimal text. Can be stored, selected and counted, nothing else.
    DecFloat,
    /// VECTOR: its list text. Can be stored, selected and counted, nothing else.
    Vector,
}

impl Type {
    /// NUMBER(precision, scale).
    pub const fn number(precision: u8, scale: u8) -> Self {
        Self::Number { precision, scale }
    }

    /// VARCHAR without a stated length.
    pub const fn varchar() -> Self {
        Self::Varchar { length: MAX_VARCHAR }
    }

    /// VARCHAR(length), in characters.
    pub const fn varchar_of(length: u32) -> Self {
        Self::Varchar { length }
    }

    /// BINARY without a stated length.
    pub const fn binary() -> Self {
        Self::Binary { length: MAX_BINARY }
    }

    /// TIME(scale).
    pub const fn time(scale: u8) -> Self {
        Self::Time { scale }
    }

    /// `TIMESTAMP_NTZ(scale)`.
    pub const fn timestamp_ntz(scale: u8) -> Self {
        Self::TimestampNtz { scale }
    }

    /// `TIMESTAMP_LTZ(scale)`.
    pub const fn timestamp_ltz(scale: u8) -> Self {
        Self::TimestampLtz { scale }
    }

    /// `TIMESTAMP_TZ(scale)`.
    pub const fn timestamp_tz(scale: u8) -> Self {
        Self::TimestampTz { scale }
    }

    /// The name in `rowtype` metadata, lower case.
    pub(crate) const fn wire_name(self) -> &'static str {
        match self {
            Self::Number { .. } => "fixed",
            Self::Float => "real",
            Self::Varchar { .. } => "text",
            Self::Binary { .. } => "binary",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Time { .. } => "time",
            Self::TimestampNtz { .. } => "timestamp_ntz",
            Self::TimestampLtz { .. } => "timestamp_ltz",
            Self::TimestampTz { .. } => "timestamp_tz",
            Self::Variant => "variant",
            Self::Object | Self::Geography | Self::Geometry => "object",
            Self::Array => "array",
            Self::DecFloat => "decfloat",
            Self::Vector => "vector",
        }
    }

    /// The name without parameters, as `INFORMATION_SCHEMA.COLUMNS.DATA_TYPE` gives it.
    pub(crate) const fn schema_name(self) -> &'static str {
        match self {
            Self::Number { .. } => "NUMBER",
            Self::Float => "FLOAT",
            Self::Varchar { .. } => "TEXT",
            Self::Binary { .. } => "BINARY",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Time { .. } => "TIME",
            Self::TimestampNtz { .. } => "TIMESTAMP_NTZ",
            Self::TimestampLtz { .. } => "TIMESTAMP_LTZ",
            Self::TimestampTz { .. } => "TIMESTAMP_TZ",
            Self::Variant => "VARIANT",
            Self::Object => "OBJECT",
            Self::Array => "ARRAY",
            Self::Geography => "GEOGRAPHY",
            Self::Geometry => "GEOMETRY",
            Self::DecFloat => "DECFLOAT",
            Self::Vector => "VECTOR",
        }
    }

    /// Digits of the fraction of a second, for types that have one.
    pub(crate) const fn fraction_digits(self) -> Option<u8> {
        match self {
            Self::Time { scale }
            | Self::TimestampNtz { scale }
            | Self::TimestampLtz { scale }
            | Self::TimestampTz { scale } => Some(scale),
            _ => None,
        }
    }

    /// Whether the values have an order and an equality that the double can evaluate.
    pub(crate) const fn is_comparable(self) -> bool {
        !self.is_opaque() && !matches!(self, Self::Variant | Self::Object | Self::Array)
    }

    /// Whether the double only stores and shows values of this type.
    pub(crate) const fn is_opaque(self) -> bool {
        matches!(self, Self::Geography | Self::Geometry | Self::DecFloat | Self::Vector)
    }

    /// What is wrong with the parameters, if anything.
    pub(crate) fn fault(self) -> Option<&'static str> {
        match self {
            Self::Number { precision, scale } => {
                if precision == 0 || precision > 38 {
                    Some("precision must be 1 to 38")
                } else if scale > 37 || scale > precision {
                    Some("scale must be 0 to 37 and at most the precision")
                } else {
                    None
                }
            }
            Self::Varchar { length: 0 } | Self::Binary { length: 0 } => {
                Some("length must be at least 1")
            }
            other => match other.fraction_digits() {
                Some(scale) if scale > 9 => Some("fraction digits must be 0 to 9"),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { precision, scale } => write!(f, "NUMBER({precision},{scale})"),
            Self::Varchar { length } => write!(f, "VARCHAR({length})"),
            Self::Binary { length } => write!(f, "BINARY({length})"),
            other => match other.fraction_digits() {
                Some(scale) => write!(f, "{}({scale})", other.schema_name()),
                None => f.write_str(other.schema_name()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_describe_table_shows_them() {
        assert_eq!(Type::number(28, 2).to_string(), "NUMBER(28,2)");
        assert_eq!(Type::varchar().to_string(), "VARCHAR(16777216)");
        assert_eq!(Type::timestamp_ltz(6).to_string(), "TIMESTAMP_LTZ(6)");
        assert_eq!(Type::Float.to_string(), "FLOAT");
    }

    #[test]
    fn impossible_parameters_are_named() {
        assert!(Type::number(39, 0).fault().is_some());
        assert!(Type::number(5, 6).fault().is_some());
        assert!(Type::timestamp_ntz(10).fault().is_some());
        assert!(Type::number(38, 37).fault().is_none());
    }
}
