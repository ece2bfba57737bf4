//! Values that texts spell, read without losing a digit.

use migrate_core::value::{EpochDay, EpochTime};

use super::decimal_text::DecimalText;
use super::fraction::FractionRules;
use super::misfit::Misfit;
use super::time;

/// Decimal digits that every double and every single keeps (`DBL_DIG` and `FLT_DIG` of C): that
/// many digits come back as they went in.
pub(super) const DOUBLE_DIGITS: usize = 15;
pub(super) const SINGLE_DIGITS: usize = 6;
/// Digits of a second that a time has.
const NANO_DIGITS: usize = 9;

/// Days as the wire has them.
pub(super) fn date(text: &str) -> Result<i32, Misfit> {
    time::days(date_of(text)?)
}

/// Days since 1970.
fn date_of(text: &str) -> Result<i32, Misfit> {
    let day: EpochDay = plain(text)?.parse().map_err(|_text| Misfit::NotTime)?;
    Ok(day.days())
}

/// Microseconds as the wire has them.
pub(super) fn timestamp(text: &str, rules: FractionRules) -> Result<i64, Misfit> {
    if let Ok(midnight) = date_of(text) {
        return time::micros(i64::from(midnight) * time::MICROS_PER_DAY);
    }
    let fraction = text.rsplit_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.len() > NANO_DIGITS {
        // The calendar would ignore what comes after nanoseconds.
        return Err(Misfit::NotTime);
    }
    let time: EpochTime = plain(text)?.parse().map_err(|_text| Misfit::NotTime)?;
    time::micros(rules.parts(time.seconds(), time.nanos().into())?)
}

/// Years of four digits only: the texts of people, not of calendars.
fn plain(text: &str) -> Result<&str, Misfit> {
    let has_plain_year = text.get(..5).is_some_and(|start| {
        start.ends_with('-') && start.bytes().take(4).all(|byte| byte.is_ascii_digit())
    });
    if has_plain_year && !text.starts_with("0000") { Ok(text) } else { Err(Misfit::NotTime) }
}

pub(super) fn boolean(text: &str) -> Result<bool, Misfit> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Misfit::NotBoolean)
    }
}

/// The double nearest to a decimal number, if it keeps the number: 15 digits come back by rounding.
/// Numbers so small that doubles have fewer digits for them are refused.
pub(super) fn double(given: &DecimalText, nearest: f64) -> Result<f64, Misfit> {
    if !nearest.is_normal() && given.significant() > 0 {
        return Err(Misfit::OutOfRange);
    }
    let is_kept = given.significant() <= DOUBLE_DIGITS;
    if is_kept { Ok(nearest) } else { Err(Misfit::Imprecise(DOUBLE_DIGITS)) }
}

/// The same for a single.
pub(super) fn single(given: &DecimalText, nearest: f32) -> Result<f32, Misfit> {
    if !nearest.is_normal() && given.significant() > 0 {
        return Err(Misfit::OutOfRange);
    }
    let is_kept = given.significant() <= SINGLE_DIGITS;
    if is_kept { Ok(nearest) } else { Err(Misfit::Imprecise(SINGLE_DIGITS)) }
}

/// A float as an integer.
pub(super) fn whole_of(value: f64) -> Result<i64, Misfit> {
    /// 2^63, the first whole number that 64 bits cannot hold.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if !value.is_finite() {
        return Err(Misfit::NotFinite);
    }
    if value == 0.0 && value.is_sign_negative() {
        return Err(Misfit::MinusZero);
    }
    if value.fract() != 0.0 {
        return Err(Misfit::Fraction);
    }
    if !(-LIMIT..LIMIT).contains(&value) {
        return Err(Misfit::OutOfRange);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of 64 bits")]
    Ok(value as i64)
}
