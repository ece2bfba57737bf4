//! Points in time with nanoseconds from year 1 to 9999, which do not fit one 64-bit integer.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01 00:00:00 (negative before) and nanoseconds after that second.
///
/// Whether this is a wall clock time or an instant in UTC is the business of the
/// [`Scalar`](super::Scalar) around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EpochTime {
    seconds: i64,
    nanos: u32,
}

/// A text is not a date or time in ISO form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTime;

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date or time in ISO form")
    }
}

impl std::error::Error for InvalidTime {}

impl EpochTime {
    /// `None` when `nanos` is a second or more, or the year is beyond what a calendar can print.
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        (nanos < 1_000_000_000 && DateTime::from_timestamp(seconds, 0).is_some())
            .then_some(Self { seconds, nanos })
    }

    /// From microseconds since the epoch.
    pub fn from_micros(micros: i64) -> Option<Self> {
        let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).ok()?;
        Self::new(micros.div_euclid(1_000_000), nanos)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`seconds`](Self::seconds).
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Microseconds since the epoch; `None` when a finer fraction would be lost.
    pub fn to_micros(self) -> Option<i64> {
        let fraction = i64::from(self.nanos);
        if fraction % 1_000 != 0 {
            return None;
        }
        self.seconds.checked_mul(1_000_000)?.checked_add(fraction / 1_000)
    }
}

impl fmt::Display for EpochTime {
    /// `2024-01-01 10:11:12.123456789`, with as many fraction digits as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.seconds, self.nanos) {
            Some(time) => write!(f, "{}", time.naive_utc()),
            None => Err(fmt::Error),
        }
    }
}

impl FromStr for EpochTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let time: NaiveDateTime =
            text.replacen(' ', "T", 1).parse().map_err(|_cause| InvalidTime)?;
        let utc = time.and_utc();
        Self::new(utc.timestamp(), utc.timestamp_subsec_nanos()).ok_or(InvalidTime)
    }
}

impl TryFrom<String> for EpochTime {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl From<EpochTime> for String {
    fn from(value: EpochTime) -> Self {
        value.to_string()
    }
}

/// A calendar day as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EpochDay(i32);

impl EpochDay {
    /// `None` beyond what a calendar can print (about 262,000 years either way).
    pub fn new(days: i32) -> Option<Self> {
        NaiveDate::from_epoch_days(days).map(|_| Self(days))
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }
}

impl fmt::Display for EpochDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NaiveDate::from_epoch_days(self.0) {
            Some(date) => write!(f, "{date}"),
            None => Err(fmt::Error),
        }
    }
}

impl FromStr for EpochDay {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let date: NaiveDate = text.parse().map_err(|_cause| InvalidTime)?;
        Ok(Self(date.to_epoch_days()))
    }
}

impl TryFrom<String> for EpochDay {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl From<EpochDay> for String {
    fn from(value: EpochDay) -> Self {
        value.to_string()
    }
}

/// A time of day as nanoseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(u64);

impl DayTime {
    const NANOS_PER_DAY: u64 = 86_400_000_000_000;

    /// `None` from 24:00:00 on.
    pub fn new(nanos: u64) -> Option<Self> {
        (nanos < Self::NANOS_PER_DAY).then_some(Self(nanos))
    }

    /// Nanoseconds since midnight.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u32::try_from(self.0 / 1_000_000_000).map_err(|_cause| fmt::Error)?;
        let nanos = u32::try_from(self.0 % 1_000_000_000).map_err(|_cause| fmt::Error)?;
        match NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos) {
            Some(time) => write!(f, "{time}"),
            None => Err(fmt::Error),
        }
    }
}

impl FromStr for DayTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let time: NaiveTime = text.parse().map_err(|_cause| InvalidTime)?;
        let seconds = u64::from(time.num_seconds_from_midnight());
        // A leap second is written as a fraction of a second or more; it has no place here.
        Self::new(seconds * 1_000_000_000 + u64::from(time.nanosecond())).ok_or(InvalidTime)
    }
}

impl TryFrom<String> for DayTime {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl From<DayTime> for String {
    fn from(value: DayTime) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_nanoseconds_on_both_sides_of_the_epoch() {
        for (text, seconds, nanos) in [
            ("1970-01-01 00:00:00", 0, 0),
            ("1969-12-31 23:59:59.500", -1, 500_000_000),
            ("0001-01-01 00:00:00", -62_135_596_800, 0),
            ("9999-12-31 23:59:59.999999999", 253_402_300_799, 999_999_999),
        ] {
            let time: EpochTime = text.parse().expect(text);
            assert_eq!((time.seconds(), time.nanos()), (seconds, nanos), "{text}");
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn micros_round_trip_or_say_that_they_cannot() {
        let time = EpochTime::from_micros(-1).expect("in range");
        assert_eq!((time.seconds(), time.nanos()), (-1, 999_999_000));
        assert_eq!(time.to_micros(), Some(-1));
        assert_eq!(EpochTime::new(0, 1).and_then(EpochTime::to_micros), None);
    }

    #[test]
    fn days_and_times_of_day_round_trip() {
        for text in ["0001-01-01", "1969-12-31", "2024-02-29", "9999-12-31"] {
            assert_eq!(text.parse::<EpochDay>().expect(text).to_string(), text);
        }
        for text in ["00:00:00", "10:11:12.123456789", "23:59:59.999999"] {
            assert_eq!(text.parse::<DayTime>().expect(text).to_string(), text);
        }
        assert!("24:00:00".parse::<DayTime>().is_err());
        assert!("2023-02-29".parse::<EpochDay>().is_err());
    }
}
