//! Values that texts spell, read without losing a digit.

use migrate_core::value::{DayTime, EpochDay, EpochTime};

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
const SECONDS_PER_DAY: i64 = 86_400;

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
    let read = time(text)?;
    time::micros(rules.parts(read.seconds(), read.nanos().into())?)
}

/// A day or a time of a day, with all its digits.
pub(super) fn time(text: &str) -> Result<EpochTime, Misfit> {
    if let Ok(midnight) = date_of(text) {
        return EpochTime::new(i64::from(midnight) * SECONDS_PER_DAY, 0).ok_or(Misfit::NotTime);
    }
    let fraction = text.rsplit_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.len() > NANO_DIGITS {
        // The calendar would ignore what comes after nanoseconds.
        return Err(Misfit::NotTime);
    }
    plain(text)?.parse().map_err(|_text| Misfit::NotTime)
}

/// A time of day as microseconds: `10:11`, `10:11:12.123`.
pub(super) fn time_of_day(text: &str, rules: FractionRules) -> Result<i64, Misfit> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let has_form = match clock.as_bytes() {
        [_, _, b':', _, _] => fraction == "0",
        [_, _, b':', _, _, b':', second, _] => *second < b'6',
        _ => false,
    };
    let has_digits = clock.bytes().all(|byte| byte == b':' || byte.is_ascii_digit())
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !has_form || !has_digits || fraction.len() > NANO_DIGITS {
        return Err(Misfit::NotTime);
    }
    let time: DayTime = text.parse().map_err(|_text| Misfit::NotTime)?;
    rules.nanos(i64::try_from(time.nanos()).map_err(|_wide| Misfit::NotTime)?)
}

/// An instant as microseconds as the wire has them: a time of a day with its offset from UTC, such as
/// `2024-01-01T10:11:12Z`, `2024-01-01 10:11:12.123 +0530`.
pub(super) fn instant(text: &str, rules: FractionRules) -> Result<i64, Misfit> {
    let clock = text.find(':').ok_or(Misfit::NotTime)?;
    let from = text.rfind(['Z', 'z', '+', '-']).filter(|at| *at > clock).ok_or(Misfit::NoZone)?;
    let (wall, zone) = text.split_at_checked(from).ok_or(Misfit::NotTime)?;
    let wall = time(wall.strip_suffix(' ').unwrap_or(wall))?;
    let seconds = wall.seconds().checked_sub(offset_seconds(zone).ok_or(Misfit::NotTime)?);
    let seconds = seconds.ok_or(Misfit::BeyondCalendar)?;
    time::micros(rules.parts(seconds, wall.nanos().into())?)
}

/// Seconds east of UTC: `Z`, `+05`, `+05:30`, `-0800`.
fn offset_seconds(zone: &str) -> Option<i64> {
    /// The server knows no zone farther from UTC.
    const MOST_HOURS: i64 = 15;
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone.get(1..)?;
    let (hours, minutes) = match (digits.len(), digits.split_once(':')) {
        (2, None) => (digits, "00"),
        (4, None) => digits.split_at_checked(2)?,
        (5, Some((hours, minutes))) => (hours, minutes),
        _ => return None,
    };
    let number = |text: &str| -> Option<i64> {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= MOST_HOURS && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Years of four digits only: the texts of people, not of calendars.
fn plain(text: &str) -> Result<&str, Misfit> {
    let has_plain_year = text.get(..5).is_some_and(|start| {
        start.ends_with('-') && start.bytes().take(4).all(|byte| byte.is_ascii_digit())
    });
    if has_plain_year && !text.starts_with("0000") { Ok(text) } else { Err(Misfit::NotTime) }
}

/// The words, and the digits that PostgreSQL takes for them.
pub(super) fn boolean(text: &str) -> Result<bool, Misfit> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Misfit::NotBoolean),
    }
}

/// The double that keeps a decimal number: one of few enough digits comes back by rounding, any other
/// if it is the shortest spelling of its double. Numbers so small that doubles have fewer digits
/// for them are kept in the second way only.
pub(super) fn double(text: &str) -> Result<f64, Misfit> {
    let given = DecimalText::parse(text).ok_or(Misfit::NotNumber)?;
    let parse = |text: &str| text.parse::<f64>().ok();
    let nearest = parse(text).ok_or(Misfit::NotNumber)?;
    let is_plain = nearest.is_normal() || given.significant() == 0;
    let is_own = || {
        let is_same = |text: &str| parse(text).map(f64::to_bits) == Some(nearest.to_bits());
        spells(&given, &format!("{nearest:e}"), is_same)
    };
    kept(&given, DOUBLE_DIGITS, is_plain, is_own).map(|()| nearest)
}

/// The same for a single.
pub(super) fn single(text: &str) -> Result<f32, Misfit> {
    let given = DecimalText::parse(text).ok_or(Misfit::NotNumber)?;
    let parse = |text: &str| text.parse::<f32>().ok();
    let nearest = parse(text).ok_or(Misfit::NotNumber)?;
    let is_plain = nearest.is_normal() || given.significant() == 0;
    let is_own = || {
        let is_same = |text: &str| parse(text).map(f32::to_bits) == Some(nearest.to_bits());
        spells(&given, &format!("{nearest:e}"), is_same)
    };
    kept(&given, SINGLE_DIGITS, is_plain, is_own).map(|()| nearest)
}

fn kept(
    given: &DecimalText,
    digits: usize,
    is_plain: bool,
    is_own: impl Fn() -> bool,
) -> Result<(), Misfit> {
    if (is_plain && given.significant() <= digits) || is_own() {
        Ok(())
    } else if is_plain {
        Err(Misfit::Imprecise(digits))
    } else {
        Err(Misfit::OutOfRange)
    }
}

/// Whether a number is the shortest spelling of a float. One that lies halfway between two floats is
/// the spelling of neither: the server spells them with more digits.
fn spells(given: &DecimalText, shortest: &str, is_same: impl Fn(&str) -> bool) -> bool {
    DecimalText::parse(shortest).is_some_and(|spelled| spelled.equals(given))
        && given.neighbours().is_some_and(|both| both.iter().all(|text| is_same(text)))
}

/// What floats have beside numbers, as people and databases spell it.
pub(super) fn special(text: &str) -> Option<f64> {
    let (sign, word) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    if ["inf", "infinity"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return Some(sign * f64::INFINITY);
    }
    text.eq_ignore_ascii_case("nan").then_some(f64::NAN)
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

#[cfg(test)]
mod tests {
    use super::*;

    const MICROS: FractionRules = FractionRules { digits: 6, policy: None };

    #[test]
    fn floats_are_rounded_once_and_keep_what_they_can_spell() {
        assert_eq!(double("0.30000000000000004"), Ok(0.300_000_000_000_000_04));
        assert_eq!(double("9007199254740992"), Ok(9_007_199_254_740_992.0));
        assert_eq!(double("9007199254740993"), Err(Misfit::Imprecise(15)));
        assert_eq!(double("1.2345678901234567e+20"), Ok(1.234_567_890_123_456_7e20));
        assert_eq!(double("5e-324"), Ok(5e-324));
        assert_eq!(double("4e-324"), Err(Misfit::OutOfRange));
        assert_eq!(double("1e309"), Err(Misfit::OutOfRange));
        assert_eq!(single("16777216"), Ok(16_777_216.0));
        assert_eq!(single("16777217"), Err(Misfit::Imprecise(6)));
        // Halfway between two singles, and the shortest spelling of one of them.
        assert_eq!(single("-42980890"), Err(Misfit::Imprecise(6)));
        assert_eq!(double("18014398509481990"), Err(Misfit::Imprecise(15)));
        // By way of a double, this would be rounded twice, to 1.
        assert_eq!(single("1.00000005960464484"), Err(Misfit::Imprecise(6)));
        assert!(double("-0").is_ok_and(f64::is_sign_negative));
        assert_eq!(double(" 1"), Err(Misfit::NotNumber));
        assert_eq!(special("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(special("nan").is_some_and(f64::is_nan));
        assert_eq!(special("-nan").or(special("infinite")).or(special("")), None);
    }

    #[test]
    fn an_instant_is_a_time_with_its_offset() {
        let at = |text| instant(text, MICROS);
        let utc = at("2024-01-01T10:11:12.5Z");
        assert!(utc.is_ok());
        for same in [
            "2024-01-01 10:11:12.5+00",
            "2024-01-01 15:41:12.500 +0530",
            "2023-12-31 19:11:12.5-15:00",
        ] {
            assert_eq!(at(same), utc, "{same}");
        }
        assert_eq!(at("2024-01-01 10:11:12"), Err(Misfit::NoZone));
        for text in [
            "2024-01-01",
            "2024-01-01-05",
            "x10:11Z",
            "2024-01-01 10:11:12 +5:30",
            "2024-01-01 10:11:12+16",
            "2024-01-01 10:11:12+0a",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_has_two_digits_of_each() {
        assert_eq!(time_of_day("10:11", MICROS), Ok(36_660_000_000));
        assert_eq!(time_of_day("00:00:00.000001", MICROS), Ok(1));
        for text in [
            "",
            "1:02:03",
            "10:11:60",
            "24:00:00",
            "10:11.5",
            "10:11:12.",
            " 10:11:12",
            "10:11:12.0000000001",
            "10:11:12+01",
            "é:11:12",
        ] {
            assert_eq!(time_of_day(text, MICROS), Err(Misfit::NotTime), "{text}");
        }
    }
}
