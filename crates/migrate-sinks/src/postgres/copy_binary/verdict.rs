//! What becomes of values, judged by their types alone.

use migrate_core::{ColumnType, Fidelity, MICRO_SCALE, OnFraction, OnNonjson, OnNul};

use super::super::pg_type::NumericLimits;
use super::cell::IntegerWidth;
use super::fraction::FractionRules;

pub(super) fn lossy(why: &str) -> Fidelity {
    Fidelity::Lossy { why: why.to_owned(), by_choice: false }
}

fn by_choice(why: impl Into<String>) -> Fidelity {
    Fidelity::Lossy { why: why.into(), by_choice: true }
}

/// An integer type of PostgreSQL holds every number of some digits.
pub(super) fn integer(source: &ColumnType, width: IntegerWidth) -> Fidelity {
    let safe_digits = match width {
        IntegerWidth::Two => 4,
        IntegerWidth::Four => 9,
        IntegerWidth::Eight => 18,
    };
    match (source, width) {
        (ColumnType::Int16, IntegerWidth::Two)
        | (ColumnType::Int32, IntegerWidth::Four)
        | (ColumnType::Int64, IntegerWidth::Eight) => Fidelity::Exact,
        (ColumnType::Int16, _) | (ColumnType::Int32, IntegerWidth::Eight) => Fidelity::Widened,
        (ColumnType::Number { precision, scale: 0 }, _) if *precision <= safe_digits => {
            Fidelity::Exact
        }
        _ => Fidelity::Checked,
    }
}

/// Digits in all and after the point.
fn digits(source: &ColumnType) -> Option<(i32, i32)> {
    match source {
        ColumnType::Int16 => Some((5, 0)),
        ColumnType::Int32 => Some((10, 0)),
        ColumnType::Int64 => Some((19, 0)),
        ColumnType::Number { precision, scale } => Some(((*precision).into(), (*scale).into())),
        _ => None,
    }
}

pub(super) fn numeric(source: &ColumnType, limits: Option<NumericLimits>) -> Fidelity {
    match (digits(source), limits) {
        (Some(_), None) => Fidelity::Widened,
        (Some((precision, scale)), Some(limits))
            if limits.precision == precision && limits.scale == scale =>
        {
            Fidelity::Exact
        }
        (Some((precision, scale)), Some(limits))
            if limits.scale >= scale && limits.precision - limits.scale >= precision - scale =>
        {
            Fidelity::Widened
        }
        _ => Fidelity::Checked,
    }
}

/// A float keeps every decimal number of some digits.
pub(super) fn float(source: &ColumnType, kept: usize) -> Fidelity {
    let kept = i32::try_from(kept).unwrap_or(i32::MAX);
    match digits(source) {
        Some((precision, _)) if precision <= kept => Fidelity::Widened,
        _ => Fidelity::Checked,
    }
}

pub(super) fn text(source_limit: Option<u32>, target_limit: Option<usize>) -> Fidelity {
    match (source_limit.and_then(|limit| usize::try_from(limit).ok()), target_limit) {
        (source, target) if source == target => Fidelity::Exact,
        (_, None) => Fidelity::Widened,
        (Some(source), Some(target)) if source <= target => Fidelity::Widened,
        _ => Fidelity::Checked,
    }
}

/// A time of so many digits in a column of fewer; `best` where no digit is lost.
pub(super) fn fraction(source_digits: u8, rules: FractionRules, best: Fidelity) -> Fidelity {
    let digits = rules.digits;
    if source_digits <= digits {
        return best;
    }
    if !rules.cuts(source_digits) {
        // Each time is tested.
        return Fidelity::Checked;
    }
    by_choice(match rules.policy {
        Some(OnFraction::Round) => format!("times are rounded to {digits} digits"),
        Some(_) => format!("times are cut to {digits} digits"),
        None => format!(
            "digits of a second beyond {MICRO_SCALE} are cut (`on_fraction` has other choices)"
        ),
    })
}

/// A timestamp whose offset nobody keeps.
pub(super) fn without_offset(fidelity: Fidelity) -> Fidelity {
    with(fidelity, "the instant is kept, its offset is not (`offset_column` keeps it)")
}

/// One more thing that the user has chosen to lose.
pub(super) fn with(fidelity: Fidelity, what: &str) -> Fidelity {
    match fidelity {
        Fidelity::Lossy { why, by_choice } => {
            Fidelity::Lossy { why: format!("{why}; {what}"), by_choice }
        }
        _ => by_choice(what),
    }
}

/// Texts whose U+0000 the user has given up.
pub(super) fn unless_nul(policy: OnNul, fidelity: Fidelity) -> Fidelity {
    let what = match policy {
        OnNul::Remove => "U+0000 is left out",
        OnNul::Replace => "U+FFFD takes the place of U+0000",
        _ => return fidelity,
    };
    with(fidelity, what)
}

/// Semi-structured values as JSON.
pub(super) fn nonjson(policy: OnNonjson) -> Fidelity {
    match policy {
        OnNonjson::Null => by_choice("null takes the place of NaN, infinities and undefined"),
        OnNonjson::Text => by_choice("NaN, infinities and undefined become texts"),
        _ => Fidelity::Checked,
    }
}
