//! Which encoding a pair of types gets, and what becomes of its values: one table for both, so that
//! no pair has a verdict without an encoder or the reverse.

use std::sync::Arc;

use migrate_core::{ColumnPair, ColumnType, Fidelity, MICRO_SCALE, OnFraction, OnNul, ValuePart};

use super::super::pg_type::{NumericLimits, PgType};
use super::array::Element;
use super::cell::IntegerWidth;
use super::convert::Conversion;
use super::fraction::FractionRules;
use super::json::JsonRules;
use super::read::{DOUBLE_DIGITS, SINGLE_DIGITS};
use super::shape::WGS84;
use super::verdict;
use super::wire::TextRules;

/// How the values of one column are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Codec {
    Bool,
    /// Exact numbers into `int2`, `int4`, `int8`.
    Int(IntegerWidth),
    /// Exact numbers into `numeric`, with the limits that the server would round to.
    Numeric {
        limits: Option<NumericLimits>,
    },
    Float4,
    Float8,
    /// Text into text-like types.
    Text(TextRules),
    /// JSON text into `json` and `jsonb`.
    Json(JsonRules),
    /// Text that spells a UUID, or 16 bytes.
    Uuid,
    Bytea,
    Date,
    Time(FractionRules),
    Timestamp(FractionRules),
    /// What is more than a copy of bytes.
    Converted(Conversion),
}

/// The codec for a pair of columns and the verdict on it, or the reason why there is none.
pub(in super::super) fn choose(
    pair: &ColumnPair,
    target: &PgType,
) -> Result<(Codec, Fidelity), String> {
    let rules = Rules::of(pair, target);
    let chosen = match pair.part {
        ValuePart::Offset => offset(target, &rules),
        _ => whole(&pair.column_type, target, &rules),
    };
    chosen.ok_or_else(|| why_not(pair, target))
}

/// How what the target does not keep of a time is staged beside it, so that rows can be told apart
/// by it; none where every digit is kept.
pub(in super::super) fn choose_surplus(pair: &ColumnPair, target: &PgType) -> Option<Codec> {
    let rules = Rules::of(pair, target);
    let (digits, fraction) = match pair.column_type {
        ColumnType::Time { scale }
        | ColumnType::Timestamp { scale }
        | ColumnType::Instant { scale }
        | ColumnType::OffsetTimestamp { scale } => (scale, rules.fraction),
        ColumnType::Text { .. } => (NANO_SCALE, rules.fraction_of_text()),
        _ => return None,
    };
    let keeps_times = match target {
        PgType::Timestamp { .. } => true,
        PgType::Time { .. } | PgType::Timestamptz { .. } | PgType::Interval { .. } => {
            !matches!(pair.column_type, ColumnType::Text { .. })
        }
        _ => false,
    };
    (keeps_times && fraction.cuts(digits))
        .then_some(Codec::Converted(Conversion::Surplus(fraction)))
}

/// What the pair's policies mean for its target column.
struct Rules<'p> {
    pair: &'p ColumnPair,
    text: TextRules,
    json: JsonRules,
    fraction: FractionRules,
}

impl<'p> Rules<'p> {
    fn of(pair: &'p ColumnPair, target: &PgType) -> Self {
        let policy = &pair.policy;
        let max_chars = match target {
            PgType::Varchar { max_chars } => *max_chars,
            PgType::Char { max_chars } => Some(*max_chars),
            _ => None,
        };
        let digits = match target {
            PgType::Time { digits }
            | PgType::Timestamp { digits }
            | PgType::Timestamptz { digits }
            | PgType::Interval { digits } => *digits,
            _ => MICRO_SCALE,
        };
        let is_binary = *target == PgType::Jsonb;
        Self {
            pair,
            text: TextRules {
                max_chars,
                is_padded: matches!(target, PgType::Char { .. }),
                nul: policy.on_nul,
            },
            json: JsonRules { is_binary, nonjson: policy.on_nonjson, nul: policy.on_nul },
            fraction: FractionRules { digits, policy: policy.on_fraction },
        }
    }

    /// What becomes of documents that may hold what JSON has no word for, or `jsonb` no character.
    fn of_documents(&self, is_binary: bool) -> Fidelity {
        let policy = &self.pair.policy;
        let nul = if is_binary { policy.on_nul } else { OnNul::Reject };
        verdict::unless_nul(nul, verdict::nonjson(policy.on_nonjson))
    }

    /// A text has as many digits as it has: none is cut without a word.
    fn fraction_of_text(&self) -> FractionRules {
        let policy = self.fraction.policy.or(Some(OnFraction::Reject));
        FractionRules { policy, ..self.fraction }
    }
}

/// Digits of a second that a text may spell.
const NANO_SCALE: u8 = 9;

type Chosen = Option<(Codec, Fidelity)>;

fn whole(source: &ColumnType, target: &PgType, rules: &Rules<'_>) -> Chosen {
    use ColumnType as From;
    match source {
        From::Boolean => boolean(target, rules),
        From::Int16 | From::Int32 | From::Int64 | From::Number { .. } => {
            number(source, target, rules)
        }
        From::Float32 | From::Float64 => float(source, target, rules),
        From::DecFloat => decfloat(target, rules),
        From::Text { max_chars } => text(*max_chars, target, rules),
        From::Binary => binary(target),
        From::Date => date(target, rules),
        From::Time { scale } => time(*scale, target, rules),
        From::Timestamp { scale } => timestamp(*scale, target, rules),
        From::Instant { scale } | From::OffsetTimestamp { scale } => instant(*scale, target, rules),
        From::Uuid => match target {
            PgType::Uuid => Some((Codec::Uuid, Fidelity::Exact)),
            _ => spelled(target, rules),
        },
        From::Json => json(target, rules),
        From::Geography | From::Geometry => shape(source, target, rules),
        From::Vector { dimension } => vector(*dimension, target, rules),
        // Text of a form that only the source knows.
        _ => as_it_is(target, rules),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the last word of functions that may have no pair")]
fn converted(conversion: Conversion, fidelity: Fidelity) -> Chosen {
    Some((Codec::Converted(conversion), fidelity))
}

/// Values written out: nothing is lost, and a limit is tested.
fn spelled(target: &PgType, rules: &Rules<'_>) -> Chosen {
    let fidelity = spelling(target)?;
    converted(Conversion::ToText(rules.text), fidelity)
}

/// Texts of the source that are kept as they are.
fn as_it_is(target: &PgType, rules: &Rules<'_>) -> Chosen {
    spelling(target).map(|fidelity| (Codec::Text(rules.text), fidelity))
}

fn spelling(target: &PgType) -> Option<Fidelity> {
    match target {
        PgType::Text | PgType::Varchar { max_chars: None } => Some(Fidelity::Widened),
        PgType::Varchar { .. } | PgType::Char { .. } => Some(Fidelity::Checked),
        _ => None,
    }
}

/// Numbers and booleans as JSON documents.
fn document(target: &PgType, rules: &Rules<'_>, fidelity: Fidelity) -> Chosen {
    match target {
        PgType::Json | PgType::Jsonb => converted(Conversion::ToJson(rules.json), fidelity),
        _ => spelled(target, rules),
    }
}

fn width(target: &PgType) -> Option<IntegerWidth> {
    match target {
        PgType::Int2 => Some(IntegerWidth::Two),
        PgType::Int4 => Some(IntegerWidth::Four),
        PgType::Int8 => Some(IntegerWidth::Eight),
        _ => None,
    }
}

fn boolean(target: &PgType, rules: &Rules<'_>) -> Chosen {
    if let Some(width) = width(target) {
        return converted(Conversion::BoolToInt(width), Fidelity::Widened);
    }
    match target {
        PgType::Bool => Some((Codec::Bool, Fidelity::Exact)),
        PgType::Numeric { limits } => {
            let one_digit = ColumnType::Number { precision: 1, scale: 0 };
            let fidelity = match verdict::numeric(&one_digit, *limits) {
                Fidelity::Exact => Fidelity::Widened,
                other => other,
            };
            converted(Conversion::BoolToNumeric(*limits), fidelity)
        }
        _ => document(target, rules, Fidelity::Widened),
    }
}

fn number(source: &ColumnType, target: &PgType, rules: &Rules<'_>) -> Chosen {
    if let Some(width) = width(target) {
        return Some((Codec::Int(width), verdict::integer(source, width)));
    }
    match target {
        PgType::Bool => converted(Conversion::NumberToBool, Fidelity::Checked),
        PgType::Numeric { limits } => {
            Some((Codec::Numeric { limits: *limits }, verdict::numeric(source, *limits)))
        }
        PgType::Float4 => {
            converted(Conversion::NumberToSingle, verdict::float(source, SINGLE_DIGITS))
        }
        PgType::Float8 => {
            converted(Conversion::NumberToDouble, verdict::float(source, DOUBLE_DIGITS))
        }
        _ => document(target, rules, Fidelity::Widened),
    }
}

fn float(source: &ColumnType, target: &PgType, rules: &Rules<'_>) -> Chosen {
    if let Some(width) = width(target) {
        return converted(Conversion::FloatToInt(width), Fidelity::Checked);
    }
    match (source, target) {
        (ColumnType::Float32, PgType::Float4) => Some((Codec::Float4, Fidelity::Exact)),
        (ColumnType::Float64, PgType::Float8) => Some((Codec::Float8, Fidelity::Exact)),
        (_, PgType::Float8) => Some((Codec::Float8, Fidelity::Widened)),
        (_, PgType::Float4) => converted(Conversion::FloatToSingle, Fidelity::Checked),
        (_, PgType::Numeric { limits }) => {
            // Minus zero has no numeric form.
            converted(Conversion::FloatToNumeric(*limits), Fidelity::Checked)
        }
        // NaN and infinities have no JSON form.
        _ => document(target, rules, rules.of_documents(false)),
    }
}

fn decfloat(target: &PgType, rules: &Rules<'_>) -> Chosen {
    if let Some(width) = width(target) {
        return converted(Conversion::TextToInt(width), Fidelity::Checked);
    }
    match target {
        PgType::Numeric { limits } => {
            converted(Conversion::TextToNumeric(*limits), Fidelity::Checked)
        }
        PgType::Float4 => converted(Conversion::NumberToSingle, Fidelity::Checked),
        PgType::Float8 => converted(Conversion::NumberToDouble, Fidelity::Checked),
        PgType::Json | PgType::Jsonb => Some((Codec::Json(rules.json), Fidelity::Widened)),
        _ => as_it_is(target, rules),
    }
}

fn text(source_limit: Option<u32>, target: &PgType, rules: &Rules<'_>) -> Chosen {
    let to_text = |limit| {
        let fidelity = verdict::text(source_limit, limit);
        (Codec::Text(rules.text), verdict::unless_nul(rules.pair.policy.on_nul, fidelity))
    };
    if let Some(width) = width(target) {
        return converted(Conversion::TextToInt(width), Fidelity::Checked);
    }
    let conversion = match target {
        PgType::Text => return Some(to_text(None)),
        PgType::Varchar { max_chars } => return Some(to_text(*max_chars)),
        // The server pads with blanks; those of the text's own are tested for.
        PgType::Char { .. } => {
            let fidelity = verdict::unless_nul(rules.pair.policy.on_nul, Fidelity::Checked);
            return Some((Codec::Text(rules.text), fidelity));
        }
        PgType::Json | PgType::Jsonb => {
            return Some((Codec::Json(rules.json), rules.of_documents(rules.json.is_binary)));
        }
        PgType::Uuid => return Some((Codec::Uuid, Fidelity::Checked)),
        PgType::Bool => Conversion::TextToBool,
        PgType::Float4 => Conversion::TextToSingle,
        PgType::Float8 => Conversion::TextToDouble,
        PgType::Numeric { limits } => Conversion::TextToNumeric(*limits),
        PgType::Date => Conversion::TextToDate,
        PgType::Time { .. } | PgType::Timestamp { .. } | PgType::Timestamptz { .. } => {
            return text_to_time(target, rules.fraction_of_text());
        }
        PgType::Enum { labels } => Conversion::TextToLabel(Arc::clone(labels)),
        _ => return None,
    };
    converted(conversion, Fidelity::Checked)
}

fn text_to_time(target: &PgType, fraction: FractionRules) -> Chosen {
    let fidelity = verdict::fraction(NANO_SCALE, fraction, Fidelity::Checked);
    match target {
        PgType::Time { .. } => converted(Conversion::TextToTime(fraction), fidelity),
        PgType::Timestamp { .. } => converted(Conversion::TextToTimestamp(fraction), fidelity),
        _ => {
            let fidelity = verdict::with(
                fidelity,
                "the instant is kept, the offset that a text spells is not",
            );
            converted(Conversion::TextToInstant(fraction), fidelity)
        }
    }
}

fn binary(target: &PgType) -> Chosen {
    match target {
        PgType::Bytea => Some((Codec::Bytea, Fidelity::Exact)),
        PgType::Uuid => converted(Conversion::BytesToUuid, Fidelity::Checked),
        _ => None,
    }
}

fn date(target: &PgType, rules: &Rules<'_>) -> Chosen {
    match target {
        PgType::Date => Some((Codec::Date, Fidelity::Exact)),
        PgType::Timestamp { .. } => converted(Conversion::DateToTimestamp, Fidelity::Widened),
        PgType::Timestamptz { .. } => converted(
            Conversion::DateToTimestamp,
            verdict::lossy("a day without zone is taken for its first moment in UTC"),
        ),
        _ => spelled(target, rules),
    }
}

fn time(scale: u8, target: &PgType, rules: &Rules<'_>) -> Chosen {
    let fidelity = |best| verdict::fraction(scale, rules.fraction, best);
    match target {
        PgType::Time { .. } => Some((Codec::Time(rules.fraction), fidelity(Fidelity::Exact))),
        PgType::Interval { .. } => {
            converted(Conversion::TimeToInterval(rules.fraction), fidelity(Fidelity::Widened))
        }
        _ => spelled(target, rules),
    }
}

fn timestamp(scale: u8, target: &PgType, rules: &Rules<'_>) -> Chosen {
    let codec = Codec::Timestamp(rules.fraction);
    match target {
        PgType::Timestamp { .. } => {
            Some((codec, verdict::fraction(scale, rules.fraction, Fidelity::Exact)))
        }
        PgType::Timestamptz { .. } => {
            Some((codec, verdict::lossy("a time without zone is taken for UTC")))
        }
        PgType::Date => converted(Conversion::TimestampToDate, Fidelity::Checked),
        _ => spelled(target, rules),
    }
}

fn instant(scale: u8, target: &PgType, rules: &Rules<'_>) -> Chosen {
    let codec = Codec::Timestamp(rules.fraction);
    match target {
        PgType::Timestamptz { .. } => {
            let fidelity = verdict::fraction(scale, rules.fraction, Fidelity::Exact);
            let drops_offset = matches!(rules.pair.column_type, ColumnType::OffsetTimestamp { .. })
                && !rules.pair.policy.offset_is_kept;
            let fidelity = if drops_offset { verdict::without_offset(fidelity) } else { fidelity };
            Some((codec, fidelity))
        }
        PgType::Timestamp { .. } => {
            Some((codec, verdict::lossy("an instant becomes the clock of UTC and loses its zone")))
        }
        _ => spelled(target, rules),
    }
}

fn offset(target: &PgType, rules: &Rules<'_>) -> Chosen {
    if let Some(width) = width(target) {
        return converted(Conversion::OffsetToInt(width), Fidelity::Exact);
    }
    match target {
        PgType::Interval { .. } => converted(Conversion::OffsetToInterval, Fidelity::Exact),
        _ => {
            let fidelity = spelling(target)?;
            converted(Conversion::OffsetToText(rules.text), fidelity)
        }
    }
}

fn json(target: &PgType, rules: &Rules<'_>) -> Chosen {
    match target {
        PgType::Json | PgType::Jsonb => {
            // JSON's own words are kept as they are; the others are refused or replaced.
            Some((Codec::Json(rules.json), rules.of_documents(rules.json.is_binary)))
        }
        PgType::Array { element, element_oid } => {
            let has_texts =
                matches!(**element, PgType::Text | PgType::Varchar { .. } | PgType::Jsonb);
            let fidelity = rules.of_documents(has_texts);
            let rules = JsonRules { is_binary: **element == PgType::Jsonb, ..rules.json };
            array(element, *element_oid, rules, fidelity)
        }
        _ => as_it_is(target, rules),
    }
}

/// Each element is tested.
fn array(element: &PgType, element_oid: u32, rules: JsonRules, fidelity: Fidelity) -> Chosen {
    let element = Element::of(element, rules)?;
    converted(Conversion::JsonToArray { element, element_oid, rules }, fidelity)
}

fn shape(source: &ColumnType, target: &PgType, rules: &Rules<'_>) -> Chosen {
    let srid = (*source == ColumnType::Geography).then_some(WGS84);
    match (source, target) {
        (_, PgType::Geometry) | (ColumnType::Geography, PgType::Geography) => {
            converted(Conversion::Shape { srid }, Fidelity::Checked)
        }
        (ColumnType::Geography, PgType::Json | PgType::Jsonb) => {
            Some((Codec::Json(rules.json), Fidelity::Checked))
        }
        _ => as_it_is(target, rules),
    }
}

fn vector(dimension: Option<u32>, target: &PgType, rules: &Rules<'_>) -> Chosen {
    match target {
        PgType::Vector { dimension: wanted } => {
            let is_same = wanted.is_none() || wanted.map(u32::from) == dimension;
            let fidelity = if is_same { Fidelity::Exact } else { Fidelity::Checked };
            converted(Conversion::JsonToVector(*wanted), fidelity)
        }
        PgType::Array { element, element_oid } => {
            let element = match **element {
                PgType::Float4 => Element::Single,
                PgType::Float8 => Element::SingleAsDouble,
                PgType::Int4 | PgType::Int8 => Element::of(element, rules.json)?,
                _ => return None,
            };
            let (element_oid, rules) = (*element_oid, rules.json);
            converted(Conversion::JsonToArray { element, element_oid, rules }, Fidelity::Checked)
        }
        PgType::Json | PgType::Jsonb => Some((Codec::Json(rules.json), Fidelity::Widened)),
        _ => as_it_is(target, rules),
    }
}

fn why_not(pair: &ColumnPair, target: &PgType) -> String {
    let source = &pair.column_type;
    match (source, target) {
        (_, PgType::Other) => "there is no encoding for the target type".to_owned(),
        (ColumnType::Binary, PgType::Text | PgType::Varchar { .. } | PgType::Char { .. }) => {
            "bytes have no text form of their own; convert them in a view".to_owned()
        }
        (ColumnType::Geometry, PgType::Json | PgType::Jsonb | PgType::Geography) => {
            "the shape would lose its reference system".to_owned()
        }
        (ColumnType::Json, _) => {
            "a semi-structured value has no type of its own; convert it in a view".to_owned()
        }
        _ => format!("{source} has no form as {target}"),
    }
}
