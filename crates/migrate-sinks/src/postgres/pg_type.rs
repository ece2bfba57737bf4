//! PostgreSQL's types, as far as binary COPY has to tell them apart.

use std::fmt;
use std::sync::Arc;

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
    /// `interval` of all fields.
    Interval {
        digits: u8,
    },
    Uuid,
    Json,
    Jsonb,
    /// An enumeration, written by label.
    Enum {
        labels: Arc<[String]>,
    },
    /// An array of any number of dimensions; ours have one.
    Array {
        element: Box<Self>,
        /// The element's type, which the wire form repeats.
        element_oid: u32,
    },
    /// `geometry` of PostGIS.
    Geometry,
    /// `geography` of PostGIS.
    Geography,
    /// `vector` of pgvector.
    Vector {
        dimension: Option<u16>,
    },
    /// A type without an encoding of ours.
    Other,
}

/// What the catalog says of a type.
#[derive(Debug, Clone, Default)]
pub(super) struct TypeFacts {
    /// `pg_type.typname`.
    pub(super) name: String,
    /// `pg_type.typtype`.
    pub(super) kind: char,
    /// `pg_attribute.atttypmod`, or the domain's own.
    pub(super) modifier: i32,
    /// The extension that made it.
    pub(super) extension: Option<String>,
    /// The labels of an enumeration.
    pub(super) labels: Vec<String>,
    /// The type of the elements of an array, and its number.
    pub(super) element: Option<(Box<Self>, u32)>,
}

/// Precision and scale of a `numeric(p,s)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumericLimits {
    pub(super) precision: i32,
    pub(super) scale: i32,
}

impl PgType {
    /// From the catalog, domains resolved.
    pub(super) fn new(facts: TypeFacts) -> Self {
        if let Some((element, element_oid)) = facts.element {
            return match Self::new(*element) {
                Self::Other => Self::Other,
                element => Self::Array { element: Box::new(element), element_oid },
            };
        }
        if facts.kind == 'e' {
            return Self::Enum { labels: facts.labels.into() };
        }
        let modifier = facts.modifier;
        match (facts.name.as_str(), facts.extension.as_deref()) {
            // Case-insensitive text, which keeps the case that it was written with.
            ("citext", Some("citext")) => Self::Text,
            ("geometry", Some("postgis")) => Self::Geometry,
            ("geography", Some("postgis")) => Self::Geography,
            ("vector", Some("vector")) => Self::Vector { dimension: u16::try_from(modifier).ok() },
            (_, Some(_)) => Self::Other,
            (name, None) => Self::built_in(name, modifier),
        }
    }

    fn built_in(name: &str, modifier: i32) -> Self {
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
            "interval" => interval(modifier),
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
            Self::Text | Self::Enum { .. } => ColumnType::Text { max_chars: None },
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
            Self::Geometry => ColumnType::Geometry,
            Self::Geography => ColumnType::Geography,
            Self::Vector { dimension } => {
                ColumnType::Vector { dimension: dimension.map(u32::from) }
            }
            Self::Interval { .. } | Self::Array { .. } | Self::Other => ColumnType::Other,
        }
    }
}

/// The modifier packs a set of fields over a precision (`INTERVAL_TYPMOD` in the server's sources).
/// An interval of fewer than all fields would drop the others without a word.
fn interval(modifier: i32) -> PgType {
    const ALL_FIELDS: i32 = 0x7fff;
    if modifier >= 0 && (modifier >> 16) & 0x7fff != ALL_FIELDS {
        return PgType::Other;
    }
    let digits = u8::try_from(modifier & 0xffff).unwrap_or(MICRO_SCALE).min(MICRO_SCALE);
    PgType::Interval { digits }
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

impl fmt::Display for PgType {
    /// As people declare it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_digits = |f: &mut fmt::Formatter<'_>, name: &str, digits: u8| {
            if digits == MICRO_SCALE { f.write_str(name) } else { write!(f, "{name}({digits})") }
        };
        match self {
            Self::Bool => f.write_str("boolean"),
            Self::Int2 => f.write_str("smallint"),
            Self::Int4 => f.write_str("integer"),
            Self::Int8 => f.write_str("bigint"),
            Self::Float4 => f.write_str("real"),
            Self::Float8 => f.write_str("double precision"),
            Self::Numeric { limits: None } => f.write_str("numeric"),
            Self::Numeric { limits: Some(limits) } => limits.fmt(f),
            Self::Text => f.write_str("text"),
            Self::Varchar { max_chars: None } => f.write_str("varchar"),
            Self::Varchar { max_chars: Some(most) } => write!(f, "varchar({most})"),
            Self::Char { max_chars } => write!(f, "char({max_chars})"),
            Self::Bytea => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time { digits } => of_digits(f, "time", *digits),
            Self::Timestamp { digits } => of_digits(f, "timestamp", *digits),
            Self::Timestamptz { digits } => of_digits(f, "timestamptz", *digits),
            Self::Interval { digits } => of_digits(f, "interval", *digits),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Jsonb => f.write_str("jsonb"),
            Self::Enum { .. } => f.write_str("enum"),
            Self::Array { element, .. } => write!(f, "{element}[]"),
            Self::Geometry => f.write_str("geometry"),
            Self::Geography => f.write_str("geography"),
            Self::Vector { dimension: None } => f.write_str("vector"),
            Self::Vector { dimension: Some(dimension) } => write!(f, "vector({dimension})"),
            Self::Other => f.write_str("another type"),
        }
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
        let named = |name, modifier| PgType::built_in(name, modifier);
        let numeric = |modifier| named("numeric", modifier);
        assert_eq!(numeric(-1), PgType::Numeric { limits: None });
        // numeric(38,10): (38 << 16) + 10 + 4
        let limits = NumericLimits { precision: 38, scale: 10 };
        assert_eq!(numeric((38 << 16) + 10 + 4), PgType::Numeric { limits: Some(limits) });
        // numeric(2,-3), allowed from PostgreSQL 15 on
        let limits = NumericLimits { precision: 2, scale: -3 };
        assert_eq!(numeric((2 << 16) + 0x7fd + 4), PgType::Numeric { limits: Some(limits) });
        assert_eq!(named("varchar", 24), PgType::Varchar { max_chars: Some(20) });
        assert_eq!(named("varchar", -1), PgType::Varchar { max_chars: None });
        assert_eq!(named("timestamp", 3), PgType::Timestamp { digits: 3 });
        assert_eq!(named("timestamptz", -1), PgType::Timestamptz { digits: 6 });
        assert_eq!(named("interval", -1), PgType::Interval { digits: 6 });
        assert_eq!(named("interval", (0x7fff << 16) + 3), PgType::Interval { digits: 3 });
        assert_eq!(named("interval", (0x7fff << 16) + 0xffff), PgType::Interval { digits: 6 });
        // interval hour to minute
        assert_eq!(named("interval", (0x0c00 << 16) + 0xffff), PgType::Other);
    }

    #[test]
    fn types_of_extensions_are_known_by_their_extension() {
        let facts = |name: &str, extension: Option<&str>| TypeFacts {
            name: name.into(),
            kind: 'b',
            modifier: 3,
            extension: extension.map(str::to_owned),
            ..TypeFacts::default()
        };
        let vector = PgType::new(facts("vector", Some("vector")));
        assert_eq!(vector, PgType::Vector { dimension: Some(3) });
        assert_eq!(PgType::new(facts("geometry", Some("postgis"))), PgType::Geometry);
        assert_eq!(PgType::new(facts("text", Some("mine"))), PgType::Other);
        assert_eq!(PgType::new(facts("geometry", None)), PgType::Other);
        let element = Some((Box::new(facts("varchar", None)), 1043));
        let array = PgType::new(TypeFacts { element, ..facts("_varchar", None) });
        assert!(matches!(array, PgType::Array { element_oid: 1043, .. }));
    }
}
