//! Whether values that differ in the source can become one value in the target. A key made of such
//! values would merge rows that have nothing to do with each other.

use migrate_core::{ColumnType, OnNonjson, OnNul};

use super::array::Element;
use super::codec::Codec;
use super::convert::Conversion;
use super::fraction::FractionRules;
use super::json::JsonRules;

/// What values of a column that differ in the source have lost when they are one in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Twins {
    /// Digits of a second.
    Digits,
    /// Characters that PostgreSQL does not keep.
    Nul,
    /// What JSON has no word for.
    Nonjson,
    /// The spelling: `01` and `1` are different texts and one number.
    Spelling,
    /// The letters' case and the like: spellings of one UUID that differ in nothing else.
    UuidSpelling,
}

impl Twins {
    /// What differs in the source.
    pub(in super::super) fn what(self) -> &'static str {
        match self {
            Self::Digits => "times that differ in digits which the target does not keep",
            Self::Nul => "texts that differ in U+0000",
            Self::Nonjson => "documents that differ in NaN, infinities or undefined",
            Self::Spelling => "texts that spell one value in different ways",
            Self::UuidSpelling => "texts that spell one UUID in different ways",
        }
    }

    /// The next step, where there is one that keeps the target as it is.
    pub(in super::super) fn hint(self) -> &'static str {
        match self {
            Self::Digits => {
                "set \"on_fraction\": \"reject\" for the column, or make the target column text"
            }
            Self::Nul => "set \"on_nul\": \"reject\" for the column",
            Self::Nonjson => "set \"on_nonjson\": \"reject\" for the column",
            Self::Spelling | Self::UuidSpelling => {
                "make the target column text, or convert the column in a view of the source"
            }
        }
    }
}

impl Codec {
    /// What values of `source` lose that may differ in nothing else; none where unequal values stay
    /// unequal or are refused.
    pub(in super::super) fn twins(&self, source: &ColumnType) -> Option<Twins> {
        let is_text = matches!(source, ColumnType::Text { .. });
        match self {
            // Each is tested for being kept whole. A blank at the end of a `char(n)` is refused.
            Self::Bool
            | Self::Int(_)
            | Self::Numeric { .. }
            | Self::Float4
            | Self::Float8
            | Self::Bytea
            | Self::Date => None,
            Self::Text(rules) => (is_text && rules.nul != OnNul::Reject).then_some(Twins::Nul),
            Self::Json(_) if is_text => Some(Twins::Spelling),
            Self::Json(rules) => of_documents(source, *rules, rules.is_binary),
            Self::Uuid => is_text.then_some(Twins::UuidSpelling),
            Self::Time(rules) | Self::Timestamp(rules) => of_times(source, *rules),
            Self::Converted(conversion) => of_converted(conversion, source),
        }
    }
}

fn of_converted(conversion: &Conversion, source: &ColumnType) -> Option<Twins> {
    // A decimal floating point number has been a number before.
    let spelled = matches!(source, ColumnType::Text { .. }).then_some(Twins::Spelling);
    match conversion {
        // Values that do not come back are refused. The offset beside an instant is asked for as such.
        Conversion::ToText(_)
        | Conversion::BoolToInt(_)
        | Conversion::BoolToNumeric(_)
        | Conversion::NumberToBool
        | Conversion::NumberToSingle
        | Conversion::NumberToDouble
        | Conversion::FloatToInt(_)
        | Conversion::FloatToNumeric(_)
        | Conversion::FloatToSingle
        | Conversion::TextToLabel(_)
        | Conversion::BytesToUuid
        | Conversion::DateToTimestamp
        | Conversion::TimestampToDate
        | Conversion::OffsetToInt(_)
        | Conversion::OffsetToInterval
        | Conversion::OffsetToText(_)
        | Conversion::JsonToVector(_)
        | Conversion::Shape { .. } => None,
        Conversion::TextToInt(_)
        | Conversion::TextToNumeric(_)
        | Conversion::TextToSingle
        | Conversion::TextToDouble
        | Conversion::TextToBool
        | Conversion::TextToDate
        | Conversion::TextToTimestamp(_)
        | Conversion::TextToInstant(_)
        | Conversion::TextToTime(_) => spelled,
        Conversion::ToJson(rules) => of_documents(source, *rules, false),
        Conversion::JsonToArray { element, rules, .. } => of_elements(element, source, *rules),
        Conversion::TimeToInterval(rules) | Conversion::Surplus(rules) => of_times(source, *rules),
    }
}

fn of_elements(element: &Element, source: &ColumnType, rules: JsonRules) -> Option<Twins> {
    match element {
        Element::Uuid
        | Element::Date
        | Element::Time(_)
        | Element::Timestamp(_)
        | Element::Instant(_) => Some(Twins::Spelling),
        Element::Text(_) | Element::Json(_) => of_documents(source, rules, true),
        Element::Bool
        | Element::Int(_)
        | Element::Numeric(_)
        | Element::Float4
        | Element::Single
        | Element::SingleAsDouble
        | Element::Float8 => of_documents(source, rules, false),
    }
}

fn of_times(source: &ColumnType, rules: FractionRules) -> Option<Twins> {
    match source {
        ColumnType::Time { scale }
        | ColumnType::Timestamp { scale }
        | ColumnType::Instant { scale }
        | ColumnType::OffsetTimestamp { scale } => rules.cuts(*scale).then_some(Twins::Digits),
        _ => None,
    }
}

/// Numbers and booleans have no word that JSON lacks; of floats NaN and both infinities become one
/// `null`, and each a text of its own.
fn of_documents(source: &ColumnType, rules: JsonRules, has_texts: bool) -> Option<Twins> {
    let is_document = *source == ColumnType::Json;
    let is_float = matches!(source, ColumnType::Float32 | ColumnType::Float64);
    let has_words = match rules.nonjson {
        OnNonjson::Reject => false,
        OnNonjson::Null => is_document || is_float,
        _ => is_document,
    };
    let loses_nul = is_document && has_texts && rules.nul != OnNul::Reject;
    has_words.then_some(Twins::Nonjson).or(loses_nul.then_some(Twins::Nul))
}
