//! Dates, times and timestamps as text.
//!
//! Only the ISO forms are read. Snowflake's automatic detection accepts more; text that it might
//! accept is [`Parsed::Unsure`], so that callers refuse instead of guessing.

use chrono::NaiveDate;

use super::{DAY, NANOS, Stamp, day_number};

/// The outcome of reading text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed<T> {
    /// Read.
    Value(T),
    /// Certainly nothing Snowflake would accept.
    Invalid,
    /// Perhaps a form that the double does not know.
    Unsure,
}

impl<T> Parsed<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Value(value) => Parsed::Value(change(value)),
            Self::Invalid => Parsed::Invalid,
            Self::Unsure => Parsed::Unsure,
        }
    }
}

/// Wall-clock time and, if the text names one, the offset in minutes east.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WallClock {
    pub(crate) wall: Stamp,
    pub(crate) offset: Option<i16>,
}

/// Reads `YYYY-MM-DD`, with or without a time behind it.
pub(crate) fn date(text: &str) -> Parsed<i32> {
    timestamp(text).map(|clock| clock.wall.days().unwrap_or_default())
}

/// Reads `HH:MI[:SS[.fraction]]` as nanoseconds since midnight.
pub(crate) fn time(text: &str) -> Parsed<i64> {
    let mut cursor = Cursor { rest: text };
    match cursor.time() {
        Parsed::Unsure => unknown(text),
        _ if !cursor.rest.is_empty() => unknown(text),
        found => found,
    }
}

/// Reads `YYYY-MM-DD[{T| }HH:MI[:SS[.fraction]]][ ][Z|+HH[:]MI|+HH]`.
pub(crate) fn timestamp(text: &str) -> Parsed<WallClock> {
    let mut cursor = Cursor { rest: text };
    let days = cursor.date();
    let mut time = Parsed::Value(0);
    let mut offset = Parsed::Value(None);
    if days != Parsed::Unsure && !cursor.rest.is_empty() {
        if !cursor.take('T') && !cursor.take(' ') {
            return unknown(text);
        }
        time = cursor.time();
        offset = cursor.offset();
    }
    match (days, time, offset) {
        (Parsed::Unsure, ..) | (_, Parsed::Unsure, _) | (.., Parsed::Unsure) => unknown(text),
        (Parsed::Value(days), Parsed::Value(time), Parsed::Value(offset)) => {
            let unit = i64::from(NANOS);
            let nanos = u32::try_from(time % unit).unwrap_or_default();
            let wall = Stamp::new(i64::from(days) * DAY + time / unit, nanos);
            Parsed::Value(WallClock { wall, offset })
        }
        _ => Parsed::Invalid,
    }
}

/// Text without any digit is no date in any format.
fn unknown<T>(text: &str) -> Parsed<T> {
    if text.bytes().any(|byte| byte.is_ascii_digit()) { Parsed::Unsure } else { Parsed::Invalid }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (head, tail) = self.rest.split_at_checked(count)?;
        if !head.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = tail;
        head.parse().ok()
    }

    /// `Unsure` unless it has this form; `Invalid` if there is no such day.
    fn date(&mut self) -> Parsed<i32> {
        let Some((year, month, day)) = self.date_parts() else { return Parsed::Unsure };
        if self.rest.starts_with(|next: char| next.is_ascii_digit()) {
            return Parsed::Unsure;
        }
        NaiveDate::from_ymd_opt(year, month, day)
            .map_or(Parsed::Invalid, |date| Parsed::Value(day_number(date)))
    }

    fn date_parts(&mut self) -> Option<(i32, u32, u32)> {
        let year = self.digits(4)?;
        let month = self.take('-').then(|| self.digits(2))??;
        let day = self.take('-').then(|| self.digits(2))??;
        Some((i32::try_from(year).ok()?, month, day))
    }

    fn time(&mut self) -> Parsed<i64> {
        let Some((hour, minute, second, nanos)) = self.time_parts() else {
            return Parsed::Unsure;
        };
        if hour > 23 || minute > 59 || second > 59 {
            return Parsed::Invalid;
        }
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Parsed::Value(seconds * i64::from(NANOS) + nanos)
    }

    fn time_parts(&mut self) -> Option<(u32, u32, u32, i64)> {
        let hour = self.digits(2)?;
        let minute = self.take(':').then(|| self.digits(2))??;
        let mut second = 0;
        let mut nanos = 0;
        if self.take(':') {
            second = self.digits(2)?;
            if self.take('.') {
                nanos = self.fraction()?;
            }
        }
        Some((hour, minute, second, nanos))
    }

    /// One to nine digits.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 || count > 9 {
            return None;
        }
        let digits = self.digits(count)?;
        Some(i64::from(digits) * 10_i64.pow(u32::try_from(9 - count).ok()?))
    }

    /// The rest of the text as an offset, which may be missing.
    fn offset(&mut self) -> Parsed<Option<i16>> {
        if self.rest.is_empty() {
            return Parsed::Value(None);
        }
        self.take(' ');
        match self.offset_minutes() {
            Some(minutes) if self.rest.is_empty() => Parsed::Value(Some(minutes)),
            _ => Parsed::Unsure,
        }
    }

    fn offset_minutes(&mut self) -> Option<i16> {
        if self.take('Z') {
            return Some(0);
        }
        let sign = if self.take('+') {
            1
        } else if self.take('-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        self.take(':');
        let minutes = if self.rest.is_empty() { 0 } else { self.digits(2)? };
        let total = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
        Some(sign * i16::try_from(total).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> Option<(i64, u32, Option<i16>)> {
        match timestamp(text) {
            Parsed::Value(clock) => Some((clock.wall.seconds, clock.wall.nanos, clock.offset)),
            _ => None,
        }
    }

    #[test]
    fn iso_forms_are_read_to_the_nanosecond() {
        assert_eq!(wall("1970-01-01"), Some((0, 0, None)));
        assert_eq!(wall("1970-01-01 00:00:01.000000001"), Some((1, 1, None)));
        assert_eq!(wall("1970-01-02T00:00Z"), Some((DAY, 0, Some(0))));
        assert_eq!(wall("1970-01-01 05:30:00.5 +05:30"), Some((19_800, 500_000_000, Some(330))));
        assert_eq!(wall("1970-01-01 00:00:00-0800"), Some((0, 0, Some(-480))));
        assert_eq!(wall("0001-01-01"), Some((-62_135_596_800, 0, None)));
        assert_eq!(wall("9999-12-31 23:59:59.999999"), Some((253_402_300_799, 999_999_000, None)));
    }

    #[test]
    fn impossible_dates_are_invalid_and_other_formats_unsure() {
        assert_eq!(date("2023-02-29"), Parsed::Invalid);
        assert_eq!(date("2023-13-01"), Parsed::Invalid);
        assert_eq!(date("abc"), Parsed::Invalid);
        assert_eq!(date(""), Parsed::Invalid);
        for text in ["01/02/2024", "2024-1-1", "20240101", "1700000000", "2024-01-01 10"] {
            assert_eq!(date(text), Parsed::Unsure, "{text}");
        }
    }

    #[test]
    fn times_are_read() {
        assert_eq!(time("00:00"), Parsed::Value(0));
        assert_eq!(time("23:59:59.999999"), Parsed::Value(86_399_999_999_000));
        assert_eq!(time("24:00:00"), Parsed::Invalid);
        assert_eq!(time("1:00"), Parsed::Unsure);
    }
}
