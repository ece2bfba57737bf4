//! Why a value does not fit its column.

use std::fmt;

use super::super::pg_type::NumericLimits;

/// Why a value does not fit. Never the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    OutOfRange,
    MoreDigits(NumericLimits),
    Fraction,
    Imprecise(usize),
    NotFinite,
    NotBoolean,
    TooLong(usize),
    NulCharacter,
    NotNumber,
    NotTime,
    NoZone,
    NotUuid,
    NotLabel,
    NotJson,
    RepeatedKey,
    MinusZero,
    BlankAtEnd,
    NotArray,
    Element(&'static str),
    Dimension(usize),
    NotShape,
    NotMidnight,
    FinerThan(u8),
    BeyondCalendar,
    TooLarge,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("the number is beyond the range of the target type"),
            Self::MoreDigits(limits) => write!(f, "the number has more digits than {limits} keeps"),
            Self::Fraction => f.write_str("the number has a fraction, the target type has none"),
            Self::Imprecise(digits) => {
                write!(f, "the number has more than the {digits} digits that the target type keeps")
            }
            Self::NotFinite => {
                f.write_str("the number is NaN or infinite, the target type knows neither")
            }
            Self::NotBoolean => f.write_str("the value is neither true nor false, neither 1 nor 0"),
            Self::TooLong(most) => write!(f, "the text is longer than {most} characters"),
            Self::NulCharacter => f.write_str(
                "the text contains U+0000, which PostgreSQL refuses (`on_nul` has other choices)",
            ),
            Self::NotNumber => f.write_str("the text is not a number"),
            Self::NotTime => f.write_str("the text is not a date or time in ISO form"),
            Self::NoZone => f.write_str(
                "the text names no offset from UTC, so it names no instant (`timestamp` takes it)",
            ),
            Self::NotUuid => f.write_str("the value is not a UUID"),
            Self::NotLabel => f.write_str("the text is not a label of the enumeration"),
            Self::NotJson => f.write_str(
                "the value holds NaN, an infinity or undefined, which JSON has no word for \
                 (`on_nonjson` has other choices)",
            ),
            Self::RepeatedKey => f.write_str(
                "an object has a key twice, of which `jsonb` keeps only the last (`json` keeps both)",
            ),
            Self::MinusZero => {
                f.write_str("the number is minus zero, of which the target type loses the sign")
            }
            Self::BlankAtEnd => f.write_str(
                "the text ends in a blank, which `char(n)` loses (`varchar(n)` and `text` keep it)",
            ),
            Self::NotArray => f.write_str("the value is not a JSON array"),
            Self::Element(wanted) => write!(f, "an element of the array is not {wanted}"),
            Self::Dimension(wanted) => write!(f, "the vector has not {wanted} elements"),
            Self::NotShape => f.write_str("the value is not a shape that PostGIS has"),
            Self::NotMidnight => f.write_str("the time is not midnight, so a date would lose it"),
            Self::FinerThan(digits) => {
                write!(f, "the time is finer than the {digits} fraction digits of the target type")
            }
            Self::BeyondCalendar => f.write_str("the time is beyond the target type's calendar"),
            Self::TooLarge => f.write_str("the value is larger than 1 GiB"),
        }
    }
}
