//! Exact decimal numbers of up to 38 digits.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most digits that Snowflake's `NUMBER` and Arrow's `Decimal128` hold.
pub const MAX_DIGITS: u8 = 38;

/// `unscaled / 10^scale`, exact. Equality and order go by value: `1.50` equals `1.5`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal {
    unscaled: i128,
    scale: u8,
}

impl Decimal {
    /// `unscaled / 10^scale`; scales above 38 are cut to 38 digits by no one, so keep within them.
    pub const fn new(unscaled: i128, scale: u8) -> Self {
        Self { unscaled, scale }
    }

    /// All digits as one integer.
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// Digits after the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// The value as an integer, if it is one and fits.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.rescaled(0)?).ok()
    }

    /// The number that a text holds, in decimal or scientific notation between blanks, rounded half
    /// away from zero to a whole one: what Snowflake's `TRY_TO_NUMBER` answers. `None` where it
    /// holds none, or one of more than 38 digits.
    pub fn whole_number_in(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_in(exponent)?),
            None => (text, 0),
        };
        let (negative, body) = match mantissa.as_bytes().split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, mantissa.as_bytes()),
        };
        let point = body.iter().position(|byte| *byte == b'.');
        let digits: Vec<u8> =
            (0..).zip(body).filter(|(at, _)| Some(*at) != point).map(|(_, byte)| *byte).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // Digits before the point once the exponent has moved it.
        let whole_digits = i64::try_from(point.unwrap_or(body.len())).ok()? + exponent;
        let mut unscaled: i128 = 0;
        for at in 0..whole_digits {
            let digit = usize::try_from(at).ok().and_then(|at| digits.get(at));
            if digit.is_none() && unscaled == 0 {
                break;
            }
            let digit = digit.map_or(0, |byte| i128::from(byte - b'0'));
            unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
        }
        let first_dropped = usize::try_from(whole_digits).ok().and_then(|at| digits.get(at));
        if first_dropped.is_some_and(|byte| *byte >= b'5') {
            unscaled = unscaled.checked_add(1)?;
        }
        let fits = unscaled < 10i128.pow(u32::from(MAX_DIGITS));
        fits.then_some(Self::new(if negative { -unscaled } else { unscaled }, 0))
    }

    /// The unscaled value at another scale, if it can be had without losing a digit.
    pub fn rescaled(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            self.unscaled.checked_mul(10i128.checked_pow(u32::from(scale - self.scale))?)
        } else {
            let divisor = 10i128.checked_pow(u32::from(self.scale - scale))?;
            (self.unscaled % divisor == 0).then_some(self.unscaled / divisor)
        }
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::new(value.into(), 0)
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        Self::new(value.into(), 0)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Bringing the coarser side to the finer scale can overflow; then it is the larger in size.
        let scale = self.scale.max(other.scale);
        match (self.rescaled(scale), other.rescaled(scale)) {
            (Some(left), Some(right)) => left.cmp(&right),
            (None, _) => self.unscaled.cmp(&0),
            (_, None) => 0.cmp(&other.unscaled),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// An exponent of at most six digits; larger ones lead beyond 38 digits or to zero anyway.
fn exponent_in(text: &str) -> Option<i64> {
    const MAX_EXPONENT_DIGITS: usize = 6;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_plain = (1..=MAX_EXPONENT_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

/// A text is not a decimal number of at most 38 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidDecimal;

impl fmt::Display for InvalidDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a decimal number of at most {MAX_DIGITS} digits")
    }
}

impl std::error::Error for InvalidDecimal {}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        let (negative, body) = match text.as_bytes().split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text.as_bytes()),
        };
        let mut unscaled: i128 = 0;
        let mut scale: Option<u8> = None;
        let mut any_digit = false;
        for byte in body {
            match byte {
                b'0'..=b'9' => {
                    any_digit = true;
                    unscaled = unscaled
                        .checked_mul(10)
                        .and_then(|value| value.checked_add(i128::from(byte - b'0')))
                        .ok_or(InvalidDecimal)?;
                    scale = match scale {
                        Some(digits) => Some(digits.checked_add(1).ok_or(InvalidDecimal)?),
                        None => None,
                    };
                }
                b'.' if scale.is_none() => scale = Some(0),
                _ => return Err(InvalidDecimal),
            }
        }
        let scale = scale.unwrap_or(0);
        if !any_digit || scale > MAX_DIGITS {
            return Err(InvalidDecimal);
        }
        Ok(Self::new(if negative { -unscaled } else { unscaled }, scale))
    }
}

impl TryFrom<String> for Decimal {
    type Error = InvalidDecimal;

    fn try_from(text: String) -> Result<Self, InvalidDecimal> {
        text.parse()
    }
}

impl From<Decimal> for String {
    fn from(value: Decimal) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect(text)
    }

    #[test]
    fn text_form_keeps_every_digit() {
        for text in [
            "0",
            "-1.50",
            "0.001",
            "99999999999999999999999999999999999999",
            "-0.00000000000000000000000000000000000001",
        ] {
            assert_eq!(decimal(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for text in
            ["", "-", ".", "1.2.3", "1e5", "NaN", " 1", "1700000000000000000000000000000000000000"]
        {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_found_in_texts_and_rounded_half_away_from_zero() {
        for (text, number) in [
            ("007", "7"),
            (" -12 ", "-12"),
            ("10.5", "11"),
            ("-0.5", "-1"),
            ("0.49", "0"),
            ("1.25e1", "13"),
            ("5e-1", "1"),
            ("5e-2", "0"),
            (".5", "1"),
            ("1.", "1"),
            ("0e999999", "0"),
            ("+99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(Decimal::whole_number_in(text), Some(decimal(number)), "{text}");
        }
        for text in [
            "",
            " ",
            ".",
            "-",
            "1 2",
            "1.2.3",
            "abc",
            "1e",
            "1e1.5",
            "NaN",
            "\t1",
            "--1",
            "0x10",
            "99999999999999999999999999999999999999.5",
            "1e38",
            "1e999999",
        ] {
            assert_eq!(Decimal::whole_number_in(text), None, "{text}");
        }
    }

    #[test]
    fn order_goes_by_value_even_where_scales_cannot_be_aligned() {
        assert_eq!(decimal("1.50"), decimal("1.5"));
        assert!(decimal("-2") < decimal("-1.99999999999999999999999999999999999"));
        let huge = decimal("99999999999999999999999999999999999999");
        let tiny = Decimal::new(1, 38);
        assert!(huge > tiny);
        assert!(tiny < huge);
        assert!(Decimal::new(-huge.unscaled(), 0) < tiny);
    }

    proptest! {
        #[test]
        fn text_round_trips(unscaled in any::<i64>(), scale in 0u8..=38) {
            let value = Decimal::new(unscaled.into(), scale);
            let back: Decimal = value.to_string().parse().expect("own text");
            prop_assert_eq!(back.unscaled(), value.unscaled());
            prop_assert_eq!(back.scale(), value.scale());
        }
    }
}
