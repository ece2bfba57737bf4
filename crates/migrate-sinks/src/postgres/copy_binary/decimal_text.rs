//! Decimal numbers as digits and an exponent: what texts, JSON and floats spell.

use super::super::pg_type::NumericLimits;
use super::misfit::Misfit;
use super::numeric;

/// A finite decimal number, without zeros at either end of its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DecimalText {
    is_negative: bool,
    /// ASCII digits; none for zero.
    digits: Vec<u8>,
    /// Power of ten of the last digit.
    exponent: i32,
    /// Digits after the point, as written.
    scale: u32,
}

/// Exponents beyond this are beyond any type of PostgreSQL.
const MOST_EXPONENT: i32 = 150_000;

impl DecimalText {
    /// Reads `-12.50`, `1e-7`; no blanks, no NaN.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (is_negative, body) = match bytes.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, bytes),
        };
        let mark = body.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, power) = match mark {
            Some(at) => {
                let power = std::str::from_utf8(body.get(at + 1..)?).ok()?;
                (body.get(..at)?, power.parse::<i32>().ok()?)
            }
            None => (body, 0),
        };
        let mut parts = mantissa.splitn(2, |byte| *byte == b'.');
        let (whole, fraction) = (parts.next()?, parts.next().unwrap_or_default());
        let mut digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let written = i32::try_from(fraction.len()).ok()?;
        let lowest = power.checked_sub(written)?;
        if power.abs() > MOST_EXPONENT || lowest.abs() > MOST_EXPONENT {
            return None;
        }
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - zeros);
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        let exponent = if digits.is_empty() { 0 } else { lowest + i32::try_from(zeros).ok()? };
        Some(Self { is_negative, digits, exponent, scale: u32::try_from(-lowest).unwrap_or(0) })
    }

    /// The shortest decimal that reads back as the same double.
    pub(super) fn of_float(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self::parse(&format!("{value:e}"))).flatten()
    }

    /// Digits that tell it from other numbers.
    pub(super) fn significant(&self) -> usize {
        self.digits.len()
    }

    /// Numbers a little below and above it, by a part of its last digit.
    pub(super) fn neighbours(&self) -> Option<[String; 2]> {
        let sign = if self.is_negative { "-" } else { "" };
        let digits = std::str::from_utf8(&self.digits).ok()?;
        // No zero ends the digits, so that one can be taken away.
        let (first, last) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
        let last = last.parse::<u8>().ok()?.checked_sub(1)?;
        let exponent = self.exponent - 5;
        Some([
            format!("{sign}{first}{last}99999e{exponent}"),
            format!("{sign}{digits}00001e{exponent}"),
        ])
    }

    /// Whether two texts spell the same number.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.digits == other.digits
            && self.exponent == other.exponent
            && (self.is_negative == other.is_negative || self.digits.is_empty())
    }

    /// The value as an integer.
    pub(super) fn whole(&self) -> Result<i64, Misfit> {
        const MOST_DIGITS: usize = 19;
        if self.digits.is_empty() {
            return Ok(0);
        }
        let zeros = usize::try_from(self.exponent).map_err(|_fraction| Misfit::Fraction)?;
        if self.digits.len() + zeros > MOST_DIGITS {
            return Err(Misfit::OutOfRange);
        }
        let mut value: i128 = 0;
        for digit in self.digits.iter().copied().chain(std::iter::repeat_n(b'0', zeros)) {
            value = value * 10 + i128::from(digit - b'0');
        }
        let signed = if self.is_negative { -value } else { value };
        i64::try_from(signed).map_err(|_wide| Misfit::OutOfRange)
    }

    /// Appends it as a `numeric`.
    pub(super) fn write(
        &self,
        limits: Option<NumericLimits>,
        out: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        if let Some(limits) = limits {
            self.check(limits)?;
        }
        numeric::write_digits(self.is_negative, &self.digits, self.exponent, self.scale, out)
            .ok_or(Misfit::OutOfRange)
    }

    /// `numeric(p,s)` would round to its scale without a word.
    fn check(&self, limits: NumericLimits) -> Result<(), Misfit> {
        let length = i32::try_from(self.digits.len()).map_err(|_long| Misfit::OutOfRange)?;
        let fits = self.digits.is_empty()
            || (self.exponent >= -limits.scale
                && length + self.exponent <= limits.precision - limits.scale);
        if fits { Ok(()) } else { Err(Misfit::MoreDigits(limits)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DecimalText {
        DecimalText::parse(text).expect(text)
    }

    #[test]
    fn one_number_has_many_spellings() {
        for (one, other) in
            [("1.50", "15e-1"), ("-0.00120", "-1.2E-3"), ("0", "-0.0"), ("100", "1e+2")]
        {
            assert!(read(one).equals(&read(other)), "{one} {other}");
        }
        assert!(!read("1").equals(&read("-1")));
        for text in ["", "-", ".", "1e", "e5", "1.2.3", "NaN", " 1", "0x1", "1e999999", "1_0"] {
            assert_eq!(DecimalText::parse(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_told_from_fractions_and_from_too_wide_ones() {
        assert_eq!(read("-9223372036854775808").whole(), Ok(i64::MIN));
        assert_eq!(read("9223372036854775808").whole(), Err(Misfit::OutOfRange));
        assert_eq!(read("1.0e3").whole(), Ok(1000));
        assert_eq!(read("0.5").whole(), Err(Misfit::Fraction));
    }
}
