//! Exact arithmetic on NUMBER: 38 digits, with 256-bit intermediate values.
//!
//! The result types follow Snowflake's manual, "Arithmetic operators". Where the manual does not
//! say how surplus digits are treated, the caller refuses rather than guesses.

use arrow::datatypes::i256;

/// Most digits of a NUMBER.
pub(crate) const MAX_PRECISION: u8 = 38;

const POWERS: [i128; 39] = powers();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the bounds")]
const fn powers() -> [i128; 39] {
    let mut table = [1_i128; 39];
    let mut exponent = 1;
    while exponent < table.len() {
        table[exponent] = table[exponent - 1] * 10;
        exponent += 1;
    }
    table
}

/// Precision and scale of a NUMBER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) precision: u8,
    pub(crate) scale: u8,
}

impl Shape {
    pub(crate) const fn new(precision: u8, scale: u8) -> Self {
        Self { precision, scale }
    }

    /// The shape of a literal or bind with these digits.
    pub(crate) fn of(unscaled: i128, scale: u8) -> Self {
        Self::new(digits(unscaled).max(scale).max(1), scale)
    }

    const fn lead(self) -> u8 {
        self.precision.saturating_sub(self.scale)
    }

    fn limited(lead: u8, scale: u8) -> Self {
        Self::new(lead.saturating_add(scale).clamp(1, MAX_PRECISION), scale)
    }

    /// Shape of a sum or difference.
    pub(crate) fn sum(self, other: Self) -> Self {
        Self::limited(self.lead().max(other.lead()) + 1, self.scale.max(other.scale))
    }

    /// Shape of a product.
    pub(crate) fn product(self, other: Self) -> Self {
        let scale = (self.scale + other.scale).min(self.scale.max(other.scale).max(12));
        Self::limited(self.lead() + other.lead(), scale)
    }

    /// Shape of a quotient.
    pub(crate) fn quotient(self, other: Self) -> Self {
        let scale = self.scale.max((self.scale + 6).min(12));
        Self::limited(self.lead() + other.scale, scale)
    }

    /// Shape of a remainder: wide enough for either side.
    pub(crate) fn remainder(self, other: Self) -> Self {
        self.common(other)
    }

    /// The shape that holds the values of both, if 38 digits suffice.
    pub(crate) fn common(self, other: Self) -> Self {
        Self::limited(self.lead().max(other.lead()), self.scale.max(other.scale))
    }
}

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberFault {
    /// More than 38 digits.
    Overflow,
    /// The divisor is zero.
    DivisionByZero,
    /// Digits would be lost in a way that the manual does not describe.
    Inexact,
}

/// Ten to the power of `exponent`, up to 38.
pub(crate) fn pow10(exponent: u8) -> Option<i128> {
    POWERS.get(usize::from(exponent)).copied()
}

/// Decimal digits of a number; zero has none.
pub(crate) fn digits(unscaled: i128) -> u8 {
    let magnitude = unscaled.unsigned_abs();
    let count = POWERS.iter().take_while(|power| power.unsigned_abs() <= magnitude).count();
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// Whether a number has at most `precision` digits.
pub(crate) fn fits(unscaled: i128, precision: u8) -> bool {
    pow10(precision).is_some_and(|limit| unscaled.unsigned_abs() < limit.unsigned_abs())
}

/// Moves a number from one scale to another, rounding half away from zero; `None` on overflow.
pub(crate) fn rescale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return unscaled.checked_mul(pow10(to - from)?);
    }
    let divisor = pow10(from - to)?;
    let quotient = unscaled / divisor;
    let rest = (unscaled % divisor).unsigned_abs();
    if rest * 2 >= divisor.unsigned_abs() {
        Some(quotient + unscaled.signum())
    } else {
        Some(quotient)
    }
}

/// A number cast to a shape; `None` when it has too many digits.
pub(crate) fn cast(unscaled: i128, from_scale: u8, to: Shape) -> Option<i128> {
    rescale(unscaled, from_scale, to.scale).filter(|value| fits(*value, to.precision))
}

/// Compares two numbers of any scales exactly.
pub(crate) fn compare(a: i128, a_scale: u8, b: i128, b_scale: u8) -> std::cmp::Ordering {
    if a_scale == b_scale {
        return a.cmp(&b);
    }
    let scale = a_scale.max(b_scale);
    match (widen(a, scale - a_scale), widen(b, scale - b_scale)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // Two 38-digit numbers always fit 256 bits once aligned; the sign decides if not.
        _ => a.signum().cmp(&b.signum()),
    }
}

/// The sum (or difference) at the wider scale.
pub(crate) fn add(
    (a, a_scale): (i128, u8),
    (b, b_scale): (i128, u8),
    to: Shape,
) -> Result<i128, NumberFault> {
    let a = widen(a, to.scale - a_scale.min(to.scale)).ok_or(NumberFault::Overflow)?;
    let b = widen(b, to.scale - b_scale.min(to.scale)).ok_or(NumberFault::Overflow)?;
    narrow(a.checked_add(b))
}

/// The product, which may not lose digits.
pub(crate) fn multiply(
    (a, a_scale): (i128, u8),
    (b, b_scale): (i128, u8),
    to: Shape,
) -> Result<i128, NumberFault> {
    let product =
        i256::from_i128(a).checked_mul(i256::from_i128(b)).ok_or(NumberFault::Overflow)?;
    let surplus = (a_scale + b_scale).saturating_sub(to.scale);
    if surplus == 0 {
        return narrow(Some(product));
    }
    let divisor = i256::from_i128(pow10(surplus).ok_or(NumberFault::Inexact)?);
    let rest = product.checked_rem(divisor).ok_or(NumberFault::Inexact)?;
    if rest != i256::ZERO {
        return Err(NumberFault::Inexact);
    }
    narrow(product.checked_div(divisor))
}

/// The quotient, rounded half away from zero.
pub(crate) fn divide(
    (a, a_scale): (i128, u8),
    (b, b_scale): (i128, u8),
    to: Shape,
) -> Result<i128, NumberFault> {
    if b == 0 {
        return Err(NumberFault::DivisionByZero);
    }
    let shift = (to.scale + b_scale).saturating_sub(a_scale);
    let dividend = widen(a, shift).ok_or(NumberFault::Overflow)?;
    let divisor = i256::from_i128(b);
    let quotient = dividend.checked_div(divisor).ok_or(NumberFault::Overflow)?;
    let rest = dividend.checked_rem(divisor).ok_or(NumberFault::Overflow)?;
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2)).ok_or(NumberFault::Overflow)?;
    if twice < divisor.wrapping_abs() {
        return narrow(Some(quotient));
    }
    narrow(quotient.checked_add(i256::from_i128(a.signum() * b.signum())))
}

/// The remainder, with the sign of the dividend.
pub(crate) fn remainder(
    (a, a_scale): (i128, u8),
    (b, b_scale): (i128, u8),
    to: Shape,
) -> Result<i128, NumberFault> {
    if b == 0 {
        return Err(NumberFault::DivisionByZero);
    }
    let a = widen(a, to.scale - a_scale.min(to.scale)).ok_or(NumberFault::Overflow)?;
    let b = widen(b, to.scale - b_scale.min(to.scale)).ok_or(NumberFault::Overflow)?;
    narrow(a.checked_rem(b))
}

/// The nearest double.
pub(crate) fn to_f64(unscaled: i128, scale: u8) -> f64 {
    // Both sides exact, so one correctly rounded division gives the nearest double.
    if unscaled.unsigned_abs() < (1 << 53) && scale <= 22 {
        return as_f64(unscaled) / pow10(scale).map_or(1.0, as_f64);
    }
    text(unscaled, scale).parse().unwrap_or(f64::NAN)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "callers pass values below 2^53 or powers up to 10^22"
)]
fn as_f64(value: i128) -> f64 {
    value as f64
}

/// Appends the decimal text with exactly `scale` digits after the point.
pub(crate) fn write(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let mut buffer = [b'0'; 48];
    let magnitude = unscaled.unsigned_abs();
    let least = usize::from(scale) + 1;
    let used = if let Ok(mut rest) = u64::try_from(magnitude) {
        fill(&mut buffer, least, || {
            let digit = rest % 10;
            rest /= 10;
            (u8::try_from(digit).unwrap_or(0), rest == 0)
        })
    } else {
        let mut rest = magnitude;
        fill(&mut buffer, least, || {
            let digit = rest % 10;
            rest /= 10;
            (u8::try_from(digit).unwrap_or(0), rest == 0)
        })
    };
    if unscaled < 0 {
        out.push(b'-');
    }
    let (whole, fraction) = buffer.split_at(buffer.len() - usize::from(scale));
    let skip = whole.len() + usize::from(scale) - used;
    out.extend_from_slice(whole.get(skip..).unwrap_or_default());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

fn fill(buffer: &mut [u8], least: usize, mut next: impl FnMut() -> (u8, bool)) -> usize {
    let mut count = 0;
    let mut is_done = false;
    for slot in buffer.iter_mut().rev() {
        if is_done && count >= least {
            break;
        }
        let (digit, is_highest) = next();
        *slot = b'0' + digit;
        count += 1;
        is_done = is_highest;
    }
    count
}

/// The decimal text with exactly `scale` digits after the point.
pub(crate) fn text(unscaled: i128, scale: u8) -> String {
    let mut out = Vec::with_capacity(44);
    write(&mut out, unscaled, scale);
    String::from_utf8(out).unwrap_or_default()
}

fn widen(value: i128, shift: u8) -> Option<i256> {
    let mut wide = i256::from_i128(value);
    let mut rest = shift;
    while rest > 0 {
        let step = rest.min(MAX_PRECISION);
        wide = wide.checked_mul(i256::from_i128(pow10(step)?))?;
        rest -= step;
    }
    Some(wide)
}

fn narrow(value: Option<i256>) -> Result<i128, NumberFault> {
    value
        .and_then(i256::to_i128)
        .filter(|value| fits(*value, MAX_PRECISION))
        .ok_or(NumberFault::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

    #[test]
    fn text_has_exactly_the_scale_of_the_type() {
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(0, 2), "0.00");
        assert_eq!(text(-1, 10), "-0.0000000001");
        assert_eq!(text(150, 2), "1.50");
        assert_eq!(text(MAX, 0), "9".repeat(38));
        assert_eq!(text(-MAX, 37), format!("-9.{}", "9".repeat(37)));
        assert_eq!(text(1 << 64, 0), "18446744073709551616");
    }

    #[test]
    fn rescaling_rounds_half_away_from_zero() {
        assert_eq!(rescale(15, 1, 0), Some(2));
        assert_eq!(rescale(-15, 1, 0), Some(-2));
        assert_eq!(rescale(14, 1, 0), Some(1));
        assert_eq!(rescale(25, 1, 0), Some(3));
        assert_eq!(rescale(MAX, 37, 0), Some(10));
        assert_eq!(rescale(MAX, 0, 1), None);
    }

    #[test]
    fn result_shapes_follow_the_manual() {
        let a = Shape::new(4, 2);
        let b = Shape::new(2, 1);
        assert_eq!(a.sum(b), Shape::new(5, 2));
        assert_eq!(a.product(b), Shape::new(6, 3));
        assert_eq!(a.quotient(b), Shape::new(11, 8));
        let tiny = Shape::new(13, 13);
        assert_eq!(Shape::new(1, 1).product(tiny), Shape::new(13, 13));
        assert_eq!(Shape::new(38, 0).quotient(Shape::new(38, 0)), Shape::new(38, 6));
    }

    #[test]
    fn sums_and_products_reach_38_digits_and_no_further() {
        let wide = Shape::new(38, 0);
        assert_eq!(add((MAX, 0), (0, 0), wide), Ok(MAX));
        assert_eq!(add((MAX, 0), (1, 0), wide), Err(NumberFault::Overflow));
        assert_eq!(multiply((MAX, 0), (1, 0), wide), Ok(MAX));
        assert_eq!(multiply((MAX, 0), (10, 0), wide), Err(NumberFault::Overflow));
        assert_eq!(multiply((1, 13), (1, 13), Shape::new(13, 13)), Err(NumberFault::Inexact));
    }

    #[test]
    fn quotients_round_and_zero_divisors_are_refused() {
        let shape = Shape::new(1, 0).quotient(Shape::new(1, 0));
        assert_eq!(divide((2, 0), (3, 0), shape), Ok(666_667));
        assert_eq!(divide((-2, 0), (3, 0), shape), Ok(-666_667));
        assert_eq!(divide((1, 0), (2, 0), shape), Ok(500_000));
        assert_eq!(divide((1, 0), (0, 0), shape), Err(NumberFault::DivisionByZero));
        assert_eq!(divide((MAX, 0), (1, 37), Shape::new(38, 6)), Err(NumberFault::Overflow));
    }

    #[test]
    fn remainders_take_the_sign_of_the_dividend() {
        let shape = Shape::new(3, 1);
        assert_eq!(remainder((-70, 1), (3, 0), shape), Ok(-10));
        assert_eq!(remainder((75, 1), (-2, 0), shape), Ok(15));
    }

    #[test]
    fn comparison_is_exact_over_scales() {
        use std::cmp::Ordering;
        assert_eq!(compare(10, 1, 1, 0), Ordering::Equal);
        assert_eq!(compare(MAX, 37, MAX, 0), Ordering::Less);
        assert_eq!(compare(-MAX, 0, 1, 37), Ordering::Less);
    }

    #[test]
    fn doubles_are_the_nearest() {
        assert_eq!(to_f64(1, 1).to_bits(), 0.1_f64.to_bits());
        assert_eq!(
            to_f64(12_345_678_901_234_567_890, 2).to_bits(),
            123_456_789_012_345_678.90_f64.to_bits()
        );
    }
}
