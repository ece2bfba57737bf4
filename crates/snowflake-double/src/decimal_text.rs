//! Decimal numbers as text, of any length, read exactly.
//!
//! NUMBER literals, binds and casts from VARCHAR go through here, so that a value is rounded once,
//! at the scale it is cast to.

use crate::number::{self, Shape};

/// A decimal number: `digits * 10^exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecimalText {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl DecimalText {
    /// Reads `[+-]digits[.digits][e[+-]digits]`; blanks around it are ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|byte| byte - b'0')
            .skip_while(|digit| *digit == 0)
            .collect();
        let exponent = exponent - i64::try_from(fraction.len()).ok()?;
        Some(Self { negative, digits, exponent })
    }

    /// Digits after the point that the text spells out, zeros included.
    pub(crate) fn scale(&self) -> u64 {
        u64::try_from(-self.exponent).unwrap_or(0)
    }

    /// The value at a scale, rounded half away from zero; `None` beyond 38 digits.
    pub(crate) fn at_scale(&self, scale: u8) -> Option<i128> {
        let shift = self.exponent + i64::from(scale);
        let mut value: i128 = 0;
        let kept = if shift >= 0 {
            self.digits.len()
        } else {
            let drop = usize::try_from(-shift).ok()?;
            self.digits.len().saturating_sub(drop)
        };
        for digit in self.digits.iter().take(kept) {
            value = value.checked_mul(10)?.checked_add(i128::from(*digit))?;
        }
        if shift > 0 && value != 0 {
            value = value.checked_mul(number::pow10(u8::try_from(shift).ok()?)?)?;
        }
        if shift < 0 && self.first_dropped(shift, kept) >= 5 {
            value = value.checked_add(1)?;
        }
        let value = if self.negative { -value } else { value };
        number::fits(value, number::MAX_PRECISION).then_some(value)
    }

    /// The value cast to a shape; `None` when it has too many digits.
    pub(crate) fn cast(&self, shape: Shape) -> Option<i128> {
        self.at_scale(shape.scale).filter(|value| number::fits(*value, shape.precision))
    }

    /// The value with exactly the digits of the text, if a NUMBER can hold them.
    pub(crate) fn exact(&self) -> Option<(i128, u8)> {
        let scale = u8::try_from(self.scale()).ok().filter(|scale| *scale <= 37)?;
        Some((self.at_scale(scale)?, scale))
    }

    fn first_dropped(&self, shift: i64, kept: usize) -> u8 {
        // With more dropped places than digits, the first dropped digit is a leading zero.
        let drop = usize::try_from(-shift).unwrap_or(usize::MAX);
        if drop > self.digits.len() { 0 } else { self.digits.get(kept).copied().unwrap_or(0) }
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, scale: u8) -> Option<i128> {
        DecimalText::parse(text)?.at_scale(scale)
    }

    #[test]
    fn text_is_rounded_once_at_the_wanted_scale() {
        assert_eq!(at("1.5", 0), Some(2));
        assert_eq!(at("-1.5", 0), Some(-2));
        assert_eq!(at("1.4999999999999999999999999999999999999999999", 0), Some(1));
        assert_eq!(at("0.05", 1), Some(1));
        assert_eq!(at("0.004", 1), Some(0));
        assert_eq!(at("0.0000000000000000000000000000000000000000001", 10), Some(0));
        assert_eq!(at(" 12e2 ", 0), Some(1200));
        assert_eq!(at("1.234E+2", 1), Some(1234));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", " ", ".", "-", "1.2.3", "1e", "0x10", "1 2", "NaN", "1,000"] {
            assert!(DecimalText::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn literals_keep_their_digits() {
        let parse = |text: &str| DecimalText::parse(text).and_then(|value| value.exact());
        assert_eq!(parse("1.50"), Some((150, 2)));
        assert_eq!(parse("1e10"), Some((10_000_000_000, 0)));
        assert_eq!(parse("1.5e-3"), Some((15, 4)));
        assert_eq!(parse(&"9".repeat(38)), Some((10_i128.pow(38) - 1, 0)));
        assert_eq!(parse(&"9".repeat(39)), None);
    }
}
