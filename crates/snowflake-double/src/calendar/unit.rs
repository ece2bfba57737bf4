//! Parts of dates and times: truncation, addition, difference, extraction.

use std::str::FromStr;

use chrono::{Datelike as _, Months, NaiveDate};

use super::{DAY, NANOS, Stamp, civil, day_number};

/// A date or time part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl FromStr for Unit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "year" | "y" | "yy" | "yyy" | "yyyy" | "yr" | "years" | "yrs" => Self::Year,
            "quarter" | "q" | "qtr" | "qtrs" | "quarters" => Self::Quarter,
            "month" | "mm" | "mon" | "mons" | "months" => Self::Month,
            "week" | "w" | "wk" | "weekofyear" | "woy" | "wy" | "weeks" => Self::Week,
            "day" | "d" | "dd" | "days" | "dayofmonth" => Self::Day,
            "hour" | "h" | "hh" | "hr" | "hours" | "hrs" => Self::Hour,
            "minute" | "m" | "mi" | "min" | "minutes" | "mins" => Self::Minute,
            "second" | "s" | "sec" | "seconds" | "secs" => Self::Second,
            "millisecond" | "ms" | "msec" | "milliseconds" => Self::Millisecond,
            "microsecond" | "us" | "usec" | "microseconds" => Self::Microsecond,
            "nanosecond" | "ns" | "nsec" | "nanosec" | "nsecond" | "nanoseconds" | "nanosecs" => {
                Self::Nanosecond
            }
            _ => return Err(()),
        })
    }
}

impl Unit {
    /// Whether the unit is shorter than a day.
    pub(crate) const fn is_time(self) -> bool {
        self.nanos().is_some()
    }

    const fn nanos(self) -> Option<i128> {
        match self {
            Self::Hour => Some(3_600 * NANOS as i128),
            Self::Minute => Some(60 * NANOS as i128),
            Self::Second => Some(NANOS as i128),
            Self::Millisecond => Some(1_000_000),
            Self::Microsecond => Some(1_000),
            Self::Nanosecond => Some(1),
            _ => None,
        }
    }

    /// The first day of the year, quarter, month or (Monday) week.
    pub(crate) fn truncate_day(self, days: i32) -> Option<i32> {
        let date = civil(days)?;
        let start = match self {
            Self::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1)?,
            Self::Quarter => {
                NaiveDate::from_ymd_opt(date.year(), (date.month() - 1) / 3 * 3 + 1, 1)?
            }
            Self::Month => NaiveDate::from_ymd_opt(date.year(), date.month(), 1)?,
            Self::Week => {
                let back = i32::try_from(date.weekday().num_days_from_monday()).ok()?;
                return days.checked_sub(back);
            }
            _ => date,
        };
        Some(day_number(start))
    }

    /// The start of the unit that a wall-clock time falls in.
    pub(crate) fn truncate(self, wall: Stamp) -> Option<Stamp> {
        match self.nanos() {
            Some(unit) => {
                let total = wall.total_nanos();
                Stamp::from_nanos(total - total.rem_euclid(unit))
            }
            None => Some(Stamp::midnight(self.truncate_day(wall.days()?)?)),
        }
    }

    /// Adds whole units of a day or longer to a date; months end at the last day.
    pub(crate) fn add_days(self, days: i32, amount: i64) -> Option<i32> {
        let months = match self {
            Self::Year => amount.checked_mul(12)?,
            Self::Quarter => amount.checked_mul(3)?,
            Self::Month => amount,
            Self::Week => return days.checked_add(i32::try_from(amount.checked_mul(7)?).ok()?),
            _ => return days.checked_add(i32::try_from(amount).ok()?),
        };
        let date = civil(days)?;
        let step = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        let moved =
            if months < 0 { date.checked_sub_months(step) } else { date.checked_add_months(step) };
        moved.map(day_number)
    }

    /// Adds whole units to a wall-clock time.
    pub(crate) fn add(self, wall: Stamp, amount: i64) -> Option<Stamp> {
        if let Some(unit) = self.nanos() {
            let delta = unit.checked_mul(i128::from(amount))?;
            return Stamp::from_nanos(wall.total_nanos().checked_add(delta)?);
        }
        let days = self.add_days(wall.days()?, amount)?;
        Some(Stamp::new(i64::from(days) * DAY + wall.seconds.rem_euclid(DAY), wall.nanos))
    }

    /// How many starts of this unit lie between two wall-clock times.
    pub(crate) fn between(self, from: Stamp, to: Stamp) -> Option<i64> {
        let index = |wall: Stamp| -> Option<i128> {
            if let Some(unit) = self.nanos() {
                return Some(wall.total_nanos().div_euclid(unit));
            }
            let days = wall.days()?;
            let date = civil(days)?;
            let months = i64::from(date.year()) * 12 + i64::from(date.month0());
            Some(i128::from(match self {
                Self::Year => i64::from(date.year()),
                Self::Quarter => months.div_euclid(3),
                Self::Month => months,
                // 1970-01-05 was a Monday.
                Self::Week => (i64::from(days) + 3).div_euclid(7),
                _ => i64::from(days),
            }))
        };
        i64::try_from(index(to)? - index(from)?).ok()
    }

    /// The unit's number within the next longer one, as `YEAR`, `MONTH`, `HOUR` give it.
    pub(crate) fn extract(self, wall: Stamp) -> Option<i64> {
        let date = civil(wall.days()?)?;
        let time = wall.time_of_day() / i64::from(NANOS);
        Some(match self {
            Self::Year => i64::from(date.year()),
            Self::Quarter => i64::from(date.month0() / 3 + 1),
            Self::Month => i64::from(date.month()),
            Self::Week => i64::from(date.iso_week().week()),
            Self::Day => i64::from(date.day()),
            Self::Hour => time / 3_600,
            Self::Minute => time / 60 % 60,
            Self::Second => time % 60,
            Self::Nanosecond => i64::from(wall.nanos),
            Self::Millisecond | Self::Microsecond => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Parsed, timestamp};

    fn wall(text: &str) -> Stamp {
        match timestamp(text) {
            Parsed::Value(clock) => clock.wall,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn truncation_finds_the_start_of_the_unit() {
        let moment = wall("2024-05-15 10:11:12.123456789");
        for (unit, start) in [
            ("year", "2024-01-01"),
            ("quarter", "2024-04-01"),
            ("month", "2024-05-01"),
            ("week", "2024-05-13"),
            ("day", "2024-05-15"),
            ("hour", "2024-05-15 10:00"),
            ("minute", "2024-05-15 10:11"),
            ("second", "2024-05-15 10:11:12"),
            ("ms", "2024-05-15 10:11:12.123"),
        ] {
            assert_eq!(unit.parse::<Unit>().unwrap().truncate(moment), Some(wall(start)), "{unit}");
        }
        let before = wall("1969-12-31 23:59:59.5");
        assert_eq!(Unit::Second.truncate(before), Some(wall("1969-12-31 23:59:59")));
    }

    #[test]
    fn months_end_at_their_last_day() {
        let add = |unit: Unit, text, amount| unit.add(wall(text), amount);
        assert_eq!(add(Unit::Month, "2024-01-31 01:00", 1), Some(wall("2024-02-29 01:00")));
        assert_eq!(add(Unit::Year, "2024-02-29", -1), Some(wall("2023-02-28")));
        assert_eq!(add(Unit::Hour, "1970-01-01", -1), Some(wall("1969-12-31 23:00")));
        assert_eq!(add(Unit::Week, "2024-01-01", 2), Some(wall("2024-01-15")));
    }

    #[test]
    fn differences_count_the_boundaries_crossed() {
        let between = |unit: Unit, from, to| unit.between(wall(from), wall(to));
        assert_eq!(between(Unit::Year, "2023-12-31", "2024-01-01"), Some(1));
        assert_eq!(between(Unit::Day, "2024-01-01 23:59", "2024-01-02 00:01"), Some(1));
        assert_eq!(between(Unit::Week, "2024-05-12", "2024-05-13"), Some(1));
        assert_eq!(between(Unit::Hour, "2024-01-01 01:59", "2024-01-01 00:00"), Some(-1));
        assert_eq!(between(Unit::Quarter, "2024-03-31", "2024-04-01"), Some(1));
    }
}
