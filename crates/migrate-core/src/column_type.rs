//! Logical column types and the one Arrow form of each.
//!
//! A type has exactly one Arrow form, so that an encoder meets few cases: a source casts what it
//! reads into this form, whatever its own reader yields.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

/// What a column holds, independent of the system it lives in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// Exact number, `precision` digits in all, `scale` of them after the point (0 to 38).
    Number {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// IEEE 754 single.
    Float32,
    /// IEEE 754 double.
    Float64,
    /// Decimal floating point of up to 38 digits with an exponent; travels as text.
    DecFloat,
    /// Text.
    Text {
        /// Most characters, where the type has a limit.
        max_chars: Option<u32>,
    },
    /// Bytes.
    Binary,
    /// Calendar day.
    Date,
    /// Time of day.
    Time {
        /// Fraction digits, 0 to 9.
        scale: u8,
    },
    /// Wall clock time without zone.
    Timestamp {
        /// Fraction digits, 0 to 9.
        scale: u8,
    },
    /// Instant, without memory of a zone.
    Instant {
        /// Fraction digits, 0 to 9.
        scale: u8,
    },
    /// Instant together with the offset it was written with.
    OffsetTimestamp {
        /// Fraction digits, 0 to 9.
        scale: u8,
    },
    /// UUID.
    Uuid,
    /// Semi-structured value as JSON text; the native type name says which kind.
    Json,
    /// A shape on the globe (longitude, latitude), as GeoJSON or well-known text.
    Geography,
    /// A shape on a plane, as well-known text with the number of its reference system.
    Geometry,
    /// A list of equally many numbers, as a JSON array.
    Vector {
        /// How many numbers, where the source says.
        dimension: Option<u32>,
    },
    /// Anything else, as text in the source's own spelling.
    Other,
}

/// The finest fraction that PostgreSQL's and Arrow's microsecond timestamps keep.
pub const MICRO_SCALE: u8 = 6;

/// Name of the first part of a wall clock time in two parts.
pub(crate) const EPOCH: &str = "epoch";
/// Name of the first part of an instant in two parts.
pub(crate) const EPOCH_UTC: &str = "epoch_utc";

static TIME_PARTS: LazyLock<Fields> = LazyLock::new(|| parts(EPOCH, None));
static INSTANT_PARTS: LazyLock<Fields> = LazyLock::new(|| parts(EPOCH_UTC, None));
static OFFSET_PARTS: LazyLock<Fields> = LazyLock::new(|| parts(EPOCH_UTC, Some("offset")));

fn parts(epoch: &str, offset: Option<&str>) -> Fields {
    [(epoch, DataType::Int64), ("fraction", DataType::Int32)]
        .into_iter()
        .chain(offset.map(|name| (name, DataType::Int32)))
        .map(|(name, data_type)| Field::new(name, data_type, false))
        .collect()
}

impl ColumnType {
    /// The Arrow form.
    ///
    /// | type | Arrow |
    /// |---|---|
    /// | timestamps up to microseconds | `Timestamp(us)`, instants with zone `UTC` |
    /// | timestamps of scale 7 to 9 | `Struct{epoch: i64 seconds, fraction: i32 nanoseconds}`: years 1 to 9999 with nanoseconds do not fit 64 bits |
    /// | instants of scale 7 to 9 | the same with `epoch_utc` |
    /// | timestamps with offset | the same with `epoch_utc` and `offset: i32` minutes east |
    /// | `Time` | `Time64(ns)` |
    /// | `Uuid` | `FixedSizeBinary(16)` |
    /// | `Json`, `DecFloat`, `Geography`, `Geometry`, `Vector`, `Other` | `Utf8` |
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Number { precision, scale } => {
                DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
            }
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Text { .. }
            | Self::Json
            | Self::DecFloat
            | Self::Geography
            | Self::Geometry
            | Self::Vector { .. }
            | Self::Other => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time { .. } => DataType::Time64(TimeUnit::Nanosecond),
            Self::Timestamp { scale } if *scale <= MICRO_SCALE => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            Self::Instant { scale } if *scale <= MICRO_SCALE => {
                DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
            }
            Self::Timestamp { .. } => DataType::Struct(TIME_PARTS.clone()),
            Self::Instant { .. } => DataType::Struct(INSTANT_PARTS.clone()),
            Self::OffsetTimestamp { .. } => DataType::Struct(OFFSET_PARTS.clone()),
            Self::Uuid => DataType::FixedSizeBinary(16),
        }
    }

    /// The type whose [Arrow form](Self::arrow) holds every value of an Arrow type that some reader
    /// yields; `None` for nested types and for what would lose values.
    pub fn of_arrow(arrow: &DataType) -> Option<Self> {
        Some(match arrow {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => Self::Int16,
            DataType::UInt16 | DataType::Int32 => Self::Int32,
            DataType::UInt32 | DataType::Int64 => Self::Int64,
            DataType::UInt64 => Self::Number { precision: 20, scale: 0 },
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                Self::Number { precision: *precision, scale: u8::try_from(*scale).ok()? }
            }
            DataType::Float16 | DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text { max_chars: None }
            }
            DataType::FixedSizeBinary(_)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => Self::Binary,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(unit) | DataType::Time64(unit) => Self::Time { scale: digits(*unit) },
            DataType::Timestamp(unit, None) => Self::Timestamp { scale: digits(*unit) },
            DataType::Timestamp(unit, Some(_)) => Self::Instant { scale: digits(*unit) },
            DataType::Dictionary(_, values) => Self::of_arrow(values)?,
            _ => return None,
        })
    }

    /// Whether values of this type are exact numbers.
    pub const fn is_exact_number(&self) -> bool {
        matches!(self, Self::Int16 | Self::Int32 | Self::Int64 | Self::Number { .. })
    }
}

const fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::Int16 => f.write_str("int16"),
            Self::Int32 => f.write_str("int32"),
            Self::Int64 => f.write_str("int64"),
            Self::Number { precision, scale } => write!(f, "number({precision},{scale})"),
            Self::Float32 => f.write_str("float32"),
            Self::Float64 => f.write_str("float64"),
            Self::DecFloat => f.write_str("decfloat"),
            Self::Text { max_chars: Some(limit) } => write!(f, "text({limit})"),
            Self::Text { max_chars: None } => f.write_str("text"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Time { scale } => write!(f, "time({scale})"),
            Self::Timestamp { scale } => write!(f, "timestamp({scale})"),
            Self::Instant { scale } => write!(f, "instant({scale})"),
            Self::OffsetTimestamp { scale } => write!(f, "offset timestamp({scale})"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Geography => f.write_str("geography"),
            Self::Geometry => f.write_str("geometry"),
            Self::Vector { dimension: Some(dimension) } => write!(f, "vector({dimension})"),
            Self::Vector { dimension: None } => f.write_str("vector"),
            Self::Other => f.write_str("other"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanosecond_timestamps_travel_in_two_parts_that_tell_their_kind() {
        let (wall, instant) =
            (ColumnType::Timestamp { scale: 9 }, ColumnType::Instant { scale: 9 });
        assert!(matches!(wall.arrow(), DataType::Struct(_)));
        assert_ne!(wall.arrow(), instant.arrow());
        assert!(matches!(
            ColumnType::Timestamp { scale: 6 }.arrow(),
            DataType::Timestamp(TimeUnit::Microsecond, None)
        ));
    }
}
