//! PostgreSQL's types, as far as binary COPY has to tell them apart.

use std::fmt;

use migrate_core::{ColumnType, MICRO_SCALE};

/// A column's type with the modifier that limits its values. A modifier is applied by the server
/// without asking: `numeric(10,2)` rounds, `timestamp(3)` rounds, `varchar(5)` cuts blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PgType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric {
        limits: Option<NumericLimits>,
    },
    Text,
    /// `varchar(n)` with its limit in characters.
    Varchar {
        max_chars: Option<usize>,
    },
    /// `char(n)`, padded with blanks by the server.
    Char {
        max_chars: usize,
    },
    Bytea,
    Date,
    Time {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Timestamptz {
        digits: u8,
    },
    Uuid,
    Json,
    Jsonb,
    /// An enumeration, written by label.
    Enum,
    /// A type without an encoding of ours.
    Other,
}

/// Precision and scale of a `numeric(p,s)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumericLimits {
    pub(super) precision: i32,
    pub(super) scale: i32,
}

impl PgType {
    /// From `pg_type.typname`, `pg_type.typtype` and `pg_attribute.atttypmod`, domains resolved.
    pub(super) fn new(name: &str, kind: char, modifier: i32) -> Self {
        if kind == 'e' {
            return Self::Enum;
        }
        let chars = || usize::try_from(modifier - VARHDRSZ).ok();
        let digits = || u8::try_from(modifier).unwrap_or(MICRO_SCALE);
        match name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "numeric" => Self::Numeric { limits: NumericLimits::new(modifier) },
            "text" => Self::Text,
            "varchar" => Self::Varchar { max_chars: chars() },
            "bpchar" => match chars() {
                Some(max_chars) => Self::Char { max_chars },
                None => Self::Text,
            },
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" => Self::Time { digits: digits() },
            "timestamp" => Self::Timestamp { digits: digits() },
            "timestamptz" => Self::Timestamptz { digits: digits() },
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            _ => Self::Other,
        }
    }

    /// The nearest logical type, for descriptions.
    pub(super) fn column_type(&self) -> ColumnType {
        match self {
            Self::Bool => ColumnType::Boolean,
            Self::Int2 => ColumnType::Int16,
            Self::Int4 => ColumnType::Int32,
            Self::Int8 => ColumnType::Int64,
            Self::Float4 => ColumnType::Float32,
            Self::Float8 => ColumnType::Float64,
            Self::Numeric { limits } => {
                limits.and_then(NumericLimits::as_number).unwrap_or(ColumnType::DecFloat)
            }
            Self::Text | Self::Enum => ColumnType::Text { max_chars: None },
            Self::Varchar { max_chars } => ColumnType::Text {
                max_chars: max_chars.and_then(|limit| u32::try_from(limit).ok()),
            },
            Self::Char { max_chars } => {
                ColumnType::Text { max_chars: u32::try_from(*max_chars).ok() }
            }
            Self::Bytea => ColumnType::Binary,
            Self::Date => ColumnType::Date,
            Self::Time { digits } => ColumnType::Time { scale: *digits },
            Self::Timestamp { digits } => ColumnType::Timestamp { scale: *digits },
            Self::Timestamptz { digits } => ColumnType::Instant { scale: *digits },
            Self::Uuid => ColumnType::Uuid,
            Self::Json | Self::Jsonb => ColumnType::Json,
            Self::Other => ColumnType::Other,
        }
    }
}

/// Length types store their limit plus the size of a header (`VARHDRSZ` in the server's sources).
const VARHDRSZ: i32 = 4;

impl NumericLimits {
    /// The modifier packs precision and scale (`make_numeric_typmod` in the server's sources): 16
    /// bits of precision over 11 bits of signed scale, plus a header size.
    fn new(modifier: i32) -> Option<Self> {
        let packed = modifier.checked_sub(VARHDRSZ).filter(|packed| *packed >= 0)?;
        let precision = (packed >> 16) & 0xffff;
        let scale = ((packed & 0x7ff) ^ 1024) - 1024;
        Some(Self { precision, scale })
    }

    fn as_number(self) -> Option<ColumnType> {
        let precision = u8::try_from(self.precision).ok().filter(|digits| *digits <= 38)?;
        let scale = u8::try_from(self.scale).ok().filter(|digits| *digits <= precision)?;
        Some(ColumnType::Number { precision, scale })
    }
}

impl fmt::Display for NumericLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numeric({},{})", self.precision, self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_read_as_the_server_packs_them() {
        let numeric = |modifier| PgType::new("numeric", 'b', modifier);
        assert_eq!(numeric(-1), PgType::Numeric { limits: None });
        // numeric(38,10): (38 << 16) + 10 + 4
        let limits = NumericLimits { precision: 38, scale: 10 };
        assert_eq!(numeric((38 << 16) + 10 + 4), PgType::Numeric { limits: Some(limits) });
        // numeric(2,-3), allowed from PostgreSQL 15 on
        let limits = NumericLimits { precision: 2, scale: -3 };
        assert_eq!(numeric((2 << 16) + 0x7fd + 4), PgType::Numeric { limits: Some(limits) });
        assert_eq!(PgType::new("varchar", 'b', 24), PgType::Varchar { max_chars: Some(20) });
        assert_eq!(PgType::new("varchar", 'b', -1), PgType::Varchar { max_chars: None });
        assert_eq!(PgType::new("timestamp", 'b', 3), PgType::Timestamp { digits: 3 });
        assert_eq!(PgType::new("timestamptz", 'b', -1), PgType::Timestamptz { digits: 6 });
        assert_eq!(PgType::new("mood", 'e', -1), PgType::Enum);
    }
}
