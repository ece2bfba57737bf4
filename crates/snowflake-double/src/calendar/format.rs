//! Dates, times and timestamps shown through Snowflake's format elements.
//!
//! Elements that the double does not know are refused when the pattern is read.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDate};

use super::{NANOS, Stamp, civil};

/// A parsed format, such as `YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    elements: Vec<Element>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Year4,
    Year2,
    Month,
    MonthShort,
    MonthLong,
    Day,
    WeekdayShort,
    Hour24,
    Hour12,
    Meridiem,
    Minute,
    Second,
    Fraction(Option<u8>),
    OffsetHour,
    OffsetMinute,
    Literal(String),
}

/// What a pattern shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Wall-clock time.
    pub(crate) wall: Stamp,
    /// Minutes east, for types with a zone.
    pub(crate) offset: Option<i32>,
    /// Digits of the fraction that the type keeps.
    pub(crate) scale: u8,
}

const KEYWORDS: [(&str, Element); 19] = [
    ("YYYY", Element::Year4),
    ("YY", Element::Year2),
    ("MMMM", Element::MonthLong),
    ("MON", Element::MonthShort),
    ("MM", Element::Month),
    ("DD", Element::Day),
    ("DY", Element::WeekdayShort),
    ("HH24", Element::Hour24),
    ("HH12", Element::Hour12),
    ("AM", Element::Meridiem),
    ("PM", Element::Meridiem),
    ("MI", Element::Minute),
    ("SS", Element::Second),
    ("FF3", Element::Fraction(Some(3))),
    ("FF6", Element::Fraction(Some(6))),
    ("FF9", Element::Fraction(Some(9))),
    ("FF", Element::Fraction(None)),
    ("TZH", Element::OffsetHour),
    ("TZM", Element::OffsetMinute),
];

impl Pattern {
    /// Reads a pattern; the error is the first part that is not known.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut elements = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((element, tail)) = keyword(rest) {
                elements.push(element);
                rest = tail;
            } else if first == '"' {
                let body = rest.get(1..).unwrap_or_default();
                let Some((quoted, tail)) = body.split_once('"') else {
                    return Err(rest.to_owned());
                };
                elements.push(Element::Literal(quoted.to_owned()));
                rest = tail;
            } else if first.is_alphanumeric() && first != 'T' {
                return Err(rest.to_owned());
            } else {
                elements.push(Element::Literal(first.to_string()));
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
        Ok(Self { elements })
    }

    /// Shows a value; `None` if the year has not four digits or the pattern needs a zone that the
    /// value does not have.
    pub(crate) fn show(&self, shown: Shown) -> Option<String> {
        let date = civil(shown.wall.days()?)?;
        if !(0..=9999).contains(&date.year()) {
            return None;
        }
        let mut out = String::with_capacity(32);
        for element in &self.elements {
            append(&mut out, element, date, shown)?;
        }
        Some(out)
    }
}

fn keyword(text: &str) -> Option<(Element, &str)> {
    // The longest keywords of a letter come first in the table.
    for (name, element) in &KEYWORDS {
        let Some((head, tail)) = text.split_at_checked(name.len()) else { continue };
        if !head.eq_ignore_ascii_case(name) {
            continue;
        }
        if *element == Element::Fraction(None)
            && let Some(digit) = tail.chars().next().and_then(|next| next.to_digit(10))
        {
            // Without digits it is not documented what becomes of the point before them.
            let scale = u8::try_from(digit).ok().filter(|scale| *scale > 0)?;
            return Some((Element::Fraction(Some(scale)), tail.get(1..).unwrap_or_default()));
        }
        return Some((element.clone(), tail));
    }
    None
}

fn append(out: &mut String, element: &Element, date: NaiveDate, shown: Shown) -> Option<()> {
    let time = shown.wall.time_of_day() / i64::from(NANOS);
    let hour = time / 3600;
    match element {
        Element::Year4 => write!(out, "{:04}", date.year()).ok(),
        Element::Year2 => write!(out, "{:02}", date.year() % 100).ok(),
        Element::Month => write!(out, "{:02}", date.month()).ok(),
        Element::MonthShort => write!(out, "{}", date.format("%b")).ok(),
        Element::MonthLong => write!(out, "{}", date.format("%B")).ok(),
        Element::Day => write!(out, "{:02}", date.day()).ok(),
        Element::WeekdayShort => write!(out, "{}", date.format("%a")).ok(),
        Element::Hour24 => write!(out, "{hour:02}").ok(),
        Element::Hour12 => write!(out, "{:02}", if hour % 12 == 0 { 12 } else { hour % 12 }).ok(),
        Element::Meridiem => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }).ok(),
        Element::Minute => write!(out, "{:02}", time / 60 % 60).ok(),
        Element::Second => write!(out, "{:02}", time % 60).ok(),
        Element::Fraction(digits) => fraction(out, shown, digits.unwrap_or(shown.scale)),
        Element::OffsetHour => {
            let offset = shown.offset?;
            write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60).ok()
        }
        Element::OffsetMinute => write!(out, "{:02}", shown.offset?.abs() % 60).ok(),
        Element::Literal(text) => {
            out.push_str(text);
            Some(())
        }
    }
}

fn fraction(out: &mut String, shown: Shown, digits: u8) -> Option<()> {
    if digits == 0 {
        return None;
    }
    let shortened = i64::from(shown.wall.nanos) / super::fraction_step(digits);
    write!(out, "{shortened:0width$}", width = usize::from(digits)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pattern: &str, seconds: i64, nanos: u32, offset: Option<i32>) -> Option<String> {
        let wall = Stamp::new(seconds, nanos);
        Pattern::parse(pattern).unwrap().show(Shown { wall, offset, scale: 9 })
    }

    #[test]
    fn default_formats_are_shown() {
        assert_eq!(
            show("YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM", 1_700_000_000, 123_456_789, Some(-480)),
            Some("2023-11-14 22:13:20.123 -0800".to_owned())
        );
        assert_eq!(show("YYYY-MM-DD", 0, 0, None), Some("1970-01-01".to_owned()));
        assert_eq!(show("HH24:MI:SS", 3_661, 5, None), Some("01:01:01".to_owned()));
    }

    #[test]
    fn quoted_text_and_full_fractions_are_shown() {
        assert_eq!(
            show("YYYY-MM-DD\"T\"HH24:MI:SS.FF9TZH:TZM", -1, 1, Some(330)),
            Some("1969-12-31T23:59:59.000000001+05:30".to_owned())
        );
        assert_eq!(show("SS.FF", 0, 7, None), Some("00.000000007".to_owned()));
        assert_eq!(show("HH12 AM", 0, 0, None), Some("12 AM".to_owned()));
    }

    #[test]
    fn unknown_elements_and_missing_zones_are_refused() {
        assert!(Pattern::parse("YYYY-QQ").is_err());
        assert_eq!(show("TZH", 0, 0, None), None);
        assert_eq!(show("YYYY", -62_200_000_000_000, 0, None), None);
    }
}
