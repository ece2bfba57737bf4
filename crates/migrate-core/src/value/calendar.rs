//! Units of the calendar.

use chrono::{DateTime, Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{EpochDay, EpochTime, Scalar};

/// A unit in which people look at a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// A calendar year.
    Year,
    /// A calendar month.
    Month,
    /// A day; that of an instant is a day in UTC.
    Day,
    /// An hour of a day.
    Hour,
}

impl CalendarUnit {
    /// All units, the longest first.
    pub const ALL: [Self; 4] = [Self::Year, Self::Month, Self::Day, Self::Hour];

    /// The first moment of the unit in which a date or time lies; `None` for other values, and for
    /// the hour of a date.
    pub fn start(self, of: &Scalar) -> Option<Scalar> {
        match of {
            Scalar::Date(day) => self.first_day(*day).map(Scalar::Date),
            Scalar::Timestamp(time) => self.first_second(*time).map(Scalar::Timestamp),
            Scalar::Instant(time) => self.first_second(*time).map(Scalar::Instant),
            _ => None,
        }
    }

    fn first_day(self, day: EpochDay) -> Option<EpochDay> {
        let date = NaiveDate::from_epoch_days(day.days())?;
        let first = match self {
            Self::Year => date.with_ordinal(1)?,
            Self::Month => date.with_day(1)?,
            Self::Day => date,
            Self::Hour => return None,
        };
        EpochDay::new(first.to_epoch_days())
    }

    fn first_second(self, time: EpochTime) -> Option<EpochTime> {
        const HOUR: i64 = 3_600;
        if self == Self::Hour {
            return EpochTime::new(time.seconds().div_euclid(HOUR) * HOUR, 0);
        }
        let date = DateTime::from_timestamp(time.seconds(), 0)?.date_naive();
        let day = self.first_day(EpochDay::new(date.to_epoch_days())?)?;
        EpochTime::new(i64::from(day.days()) * 24 * HOUR, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_start_before_1970_as_after_it() {
        let time = |text: &str| Scalar::Timestamp(text.parse().expect(text));
        let moment = time("1969-12-31 23:59:59.999999999");
        let starts = CalendarUnit::ALL.map(|unit| unit.start(&moment).expect("a time"));
        let expected = [
            "1969-01-01 00:00:00",
            "1969-12-01 00:00:00",
            "1969-12-31 00:00:00",
            "1969-12-31 23:00:00",
        ];
        assert_eq!(starts, expected.map(time));
        let date = Scalar::Date("0001-02-28".parse().expect("date"));
        let month = CalendarUnit::Month.start(&date).expect("a date");
        assert_eq!(month.to_string(), "0001-02-01");
        assert_eq!(CalendarUnit::Hour.start(&date), None);
    }
}
