//! Dates, times and timestamps: arithmetic on plain numbers.
//!
//! A date is a number of days since 1970-01-01, a time a number of nanoseconds since midnight, a
//! timestamp whole seconds plus nanoseconds. Years 1 to 9999 with nanoseconds do not fit 64 bits,
//! hence the two parts.

mod format;
mod parse;
mod unit;

use chrono::{Datelike as _, NaiveDate};

pub(crate) use format::{Pattern, Shown};
pub(crate) use parse::{Parsed, date, time, timestamp};
pub(crate) use unit::Unit;

/// Nanoseconds of a second.
pub(crate) const NANOS: u32 = 1_000_000_000;
/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// Nanoseconds of a day.
pub(crate) const DAY_NANOS: i64 = DAY * NANOS as i64;
/// Days between chrono's day 0 and 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;

/// Seconds since 1970-01-01 00:00:00, rounded down, and the nanoseconds above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Stamp {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl Stamp {
    pub(crate) const fn new(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos }
    }

    /// Midnight of a day.
    pub(crate) fn midnight(days: i32) -> Self {
        Self::new(i64::from(days) * DAY, 0)
    }

    /// From nanoseconds since the epoch.
    pub(crate) fn from_nanos(nanos: i128) -> Option<Self> {
        let unit = i128::from(NANOS);
        let seconds = i64::try_from(nanos.div_euclid(unit)).ok()?;
        Some(Self::new(seconds, u32::try_from(nanos.rem_euclid(unit)).ok()?))
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn total_nanos(self) -> i128 {
        i128::from(self.seconds) * i128::from(NANOS) + i128::from(self.nanos)
    }

    /// The day it falls on.
    pub(crate) fn days(self) -> Option<i32> {
        i32::try_from(self.seconds.div_euclid(DAY)).ok()
    }

    /// Nanoseconds since midnight.
    pub(crate) fn time_of_day(self) -> i64 {
        self.seconds.rem_euclid(DAY) * i64::from(NANOS) + i64::from(self.nanos)
    }

    /// The same wall clock `minutes` further east.
    pub(crate) fn shifted(self, minutes: i32) -> Self {
        Self::new(self.seconds.saturating_add(i64::from(minutes) * 60), self.nanos)
    }

    /// Seconds since the epoch as a decimal with `scale` digits; surplus digits are cut.
    pub(crate) fn scaled(self, scale: u8) -> i128 {
        let unit = 10_i128.pow(u32::from(scale.min(9)));
        let step = i128::from(NANOS) / unit;
        i128::from(self.seconds) * unit + i128::from(self.nanos) / step
    }

    /// Whether the fraction has at most `scale` digits.
    pub(crate) fn fits_scale(self, scale: u8) -> bool {
        i64::from(self.nanos) % fraction_step(scale) == 0
    }
}

/// Nanoseconds of the last digit of a fraction with `scale` digits.
pub(crate) fn fraction_step(scale: u8) -> i64 {
    10_i64.pow(9 - u32::from(scale.min(9)))
}

/// The calendar date of a day number.
pub(crate) fn civil(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_FROM_CE)?)
}

/// The day number of a calendar date.
pub(crate) fn day_number(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH_FROM_CE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_at_the_ends_of_the_range() {
        for (year, month, day, number) in
            [(1970, 1, 1, 0), (1, 1, 1, -719_162), (9999, 12, 31, 2_932_896), (1969, 12, 31, -1)]
        {
            let date = NaiveDate::from_ymd_opt(year, month, day).unwrap();
            assert_eq!(day_number(date), number);
            assert_eq!(civil(number), Some(date));
        }
    }

    #[test]
    fn instants_before_1970_keep_a_positive_fraction() {
        let stamp = Stamp::from_nanos(-500_000_000).unwrap();
        assert_eq!(stamp, Stamp::new(-1, 500_000_000));
        assert_eq!(stamp.scaled(9), -500_000_000);
        assert_eq!(stamp.scaled(1), -5);
        assert_eq!(stamp.days(), Some(-1));
        assert_eq!(stamp.time_of_day(), DAY_NANOS - 500_000_000);
    }

    #[test]
    fn fractions_are_measured_against_the_scale() {
        assert!(Stamp::new(0, 123_000_000).fits_scale(3));
        assert!(!Stamp::new(0, 123_400_000).fits_scale(3));
        assert!(Stamp::new(0, 1).fits_scale(9));
    }
}
