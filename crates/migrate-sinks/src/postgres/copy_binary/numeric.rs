//! `numeric` on the wire: groups of four decimal digits, straight from a 128-bit integer.

use super::super::pg_type::NumericLimits;
use super::misfit::Misfit;

/// Decimal digits per group.
const GROUP: u32 = 4;
const BASE: u64 = 10_000;
const TWO: u64 = BASE * BASE;
const NEGATIVE: u16 = 0x4000;

/// Appends length and body of one value, `unscaled / 10^scale`.
///
/// The body is: number of groups, weight of the first (as a power of 10,000), sign, digits after
/// the point to show, and the groups (`numeric_send` in the server's sources).
#[expect(clippy::cast_possible_truncation, reason = "at most 12 groups, scale <= 38")]
pub(super) fn write(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let scale = u32::from(scale);
    let groups = Groups::of(unscaled.unsigned_abs(), scale);
    let used_bytes = groups.used_bytes();
    let fraction_groups = scale.div_ceil(GROUP) as i16;
    let weight = if used_bytes == 0 { 0 } else { i16::from(groups.count) - 1 - fraction_groups };
    let sign: u16 = if unscaled < 0 { NEGATIVE } else { 0 };
    let [.., l0, l1] = (8 + used_bytes as u32).to_be_bytes();
    let [c0, c1] = ((used_bytes / 2) as u16).to_be_bytes();
    let [w0, w1] = weight.to_be_bytes();
    let [s0, s1] = sign.to_be_bytes();
    let [d0, d1] = (scale as u16).to_be_bytes();
    out.extend_from_slice(&[0, 0, l0, l1, c0, c1, w0, w1, s0, s1, d0, d1]);
    // A copy of a known length is several times faster than one of few bytes of any length.
    out.extend_from_slice(&groups.first.to_be_bytes());
    let mut copied_bytes = 16;
    if used_bytes > copied_bytes {
        out.extend_from_slice(&groups.second.to_be_bytes());
        copied_bytes += 16;
    }
    out.truncate(out.len() + used_bytes - copied_bytes);
}

/// What `numeric(p,s)` holds of integers of one scale. The server would round to its scale without a
/// word.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumericFit {
    /// Ends in digits beyond the scale of the column, which have to be zero.
    surplus: Option<i128>,
    /// The first magnitude that is too large, counted in units of the column.
    bound: u128,
    misfit: Misfit,
}

impl NumericFit {
    pub(super) fn new(scale: u8, limits: Option<NumericLimits>) -> Self {
        let Some(limits) = limits else {
            return Self { surplus: None, bound: u128::MAX, misfit: Misfit::OutOfRange };
        };
        let surplus = i32::from(scale) - limits.scale;
        let divisor = u32::try_from(surplus).ok().filter(|surplus| *surplus > 0);
        // Digits that a value may have so that the whole part keeps within precision - scale.
        let most_digits = limits.precision - (-surplus).max(0);
        let bound = match u32::try_from(most_digits) {
            Ok(digits) => 10u128.checked_pow(digits).unwrap_or(u128::MAX),
            Err(_negative) => 1,
        };
        Self {
            // What exceeds 128 bits divides nothing but zero.
            surplus: divisor.map(|digits| 10i128.checked_pow(digits).unwrap_or(i128::MAX)),
            bound,
            misfit: Misfit::MoreDigits(limits),
        }
    }

    pub(super) fn check(&self, unscaled: i128) -> Result<(), Misfit> {
        let value = match self.surplus {
            None => unscaled,
            Some(one) if unscaled % one == 0 => unscaled / one,
            Some(_) => return Err(self.misfit),
        };
        if value.unsigned_abs() < self.bound { Ok(()) } else { Err(self.misfit) }
    }
}

/// Appends length and body of a number given by its digits (ASCII, none for zero) and the power of
/// ten of the last one; `None` where `numeric` cannot hold it.
pub(super) fn write_digits(
    is_negative: bool,
    digits: &[u8],
    exponent: i32,
    shown_scale: u32,
    out: &mut Vec<u8>,
) -> Option<()> {
    // Digits after the point that `numeric` can show (`NUMERIC_DSCALE_MAX` in the server's sources).
    const MOST_SCALE: u32 = 0x3fff;
    let shown_scale =
        u16::try_from(shown_scale).ok().filter(|scale| u32::from(*scale) <= MOST_SCALE)?;
    let group = i32::try_from(GROUP).ok()?;
    let zeros_after = usize::try_from(exponent.rem_euclid(group)).ok()?;
    let length = digits.len() + zeros_after;
    let zeros_before = length.next_multiple_of(4) - length;
    let padded: Vec<u8> = std::iter::repeat_n(b'0', zeros_before)
        .chain(digits.iter().copied())
        .chain(std::iter::repeat_n(b'0', zeros_after))
        .collect();
    let groups: Vec<u16> = padded
        .chunks(4)
        .map(|group| group.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
        .collect();
    let groups = if digits.is_empty() { &[] } else { groups.as_slice() };
    let count = i16::try_from(groups.len()).ok()?;
    let weight = if groups.is_empty() {
        0
    } else {
        i16::try_from(exponent.div_euclid(group)).ok()?.checked_add(count - 1)?
    };
    let sign: u16 = if is_negative && count > 0 { NEGATIVE } else { 0 };
    out.extend_from_slice(&u32::try_from(8 + 2 * groups.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&shown_scale.to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Some(())
}

/// Appends NaN or an infinity, which have a sign and no digits. Infinities: PostgreSQL 14 and newer;
/// older servers refuse them.
pub(super) fn write_special(value: f64, out: &mut Vec<u8>) {
    let sign: u16 = if value.is_nan() {
        0xc000
    } else if value > 0.0 {
        0xd000
    } else {
        0xf000
    };
    let [s0, s1] = sign.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0, s0, s1, 0, 0]);
}

/// Groups of digits as the wire has them, pushed from the right to the left. They stay in registers: small
/// pieces that are written to memory and read back as a whole make the processor wait.
struct Groups {
    /// The first eight groups, from the most significant bits on.
    first: u128,
    /// What comes after them.
    second: u128,
    count: u8,
    /// Groups of zeros at the right end.
    zeros: u8,
}

impl Groups {
    /// A group does not straddle the point: the last one is filled up with zeros on the right.
    fn of(magnitude: u128, scale: u32) -> Self {
        let mut groups = Self { first: 0, second: 0, count: 0, zeros: 0 };
        let (filled, fill) = match scale % GROUP {
            0 => (BASE, 1),
            1 => (10, 1_000),
            2 => (100, 100),
            _ => (1_000, 10),
        };
        match u64::try_from(magnitude) {
            // Nearly every value there is; division of 64-bit numbers is several times faster.
            Ok(magnitude) => {
                groups.push(magnitude % filled * fill);
                groups.push_all(magnitude / filled);
            }
            Err(_wide) => {
                let filled = u128::from(filled);
                groups.push(low(magnitude % filled) * fill);
                groups.push_wide(magnitude / filled);
            }
        }
        groups
    }

    fn push_wide(&mut self, mut value: u128) {
        /// Four groups, which fit 64 bits.
        const FOUR: u128 = 10u128.pow(16);
        while value > u128::from(u64::MAX) {
            let four = low(value % FOUR);
            self.push_two(four % TWO);
            self.push_two(four / TWO);
            value /= FOUR;
        }
        self.push_all(low(value));
    }

    fn push_all(&mut self, mut value: u64) {
        while value >= TWO {
            self.push_two(value % TWO);
            value /= TWO;
        }
        while value > 0 {
            self.push(value % BASE);
            value /= BASE;
        }
    }

    fn push_two(&mut self, two: u64) {
        self.push(two % BASE);
        self.push(two / BASE);
    }

    #[inline]
    fn push(&mut self, group: u64) {
        self.zeros += u8::from(group == 0 && self.zeros == self.count);
        self.count += 1;
        self.second = self.second >> 16 | self.first << 112;
        self.first = self.first >> 16 | u128::from(group) << 112;
    }

    /// Bytes of the groups before the zeros at the right end.
    fn used_bytes(&self) -> usize {
        2 * usize::from(self.count - self.zeros)
    }
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is zero")]
const fn low(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the wire form back, slowly, into sign, digits and exponent.
    fn text(unscaled: i128, scale: u8) -> String {
        let mut bytes = Vec::new();
        write(unscaled, scale, &mut bytes);
        let short = |at: usize| i16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        assert_eq!(length as usize, bytes.len() - 4);
        let (count, weight, sign, shown) = (short(4), short(6), short(8), short(10));
        assert_eq!(bytes.len(), 12 + 2 * usize::try_from(count).expect("count"));
        let group = |index: i16| {
            let position = weight - index;
            if (0..count).contains(&position) {
                short(12 + 2 * usize::try_from(position).expect("position"))
            } else {
                0
            }
        };
        let digits = |groups: Vec<i16>| {
            groups.into_iter().fold(String::new(), |text, at| format!("{text}{:04}", group(at)))
        };
        let whole = digits((0..=weight.max(0)).rev().collect());
        let fraction = digits((-10..0).rev().collect());
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let shown = usize::try_from(shown).expect("scale");
        assert!(fraction[shown..].bytes().all(|byte| byte == b'0'), "digits beyond the scale");
        let sign = if sign == 0x4000 { "-" } else { "" };
        let point = if shown > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{}", &fraction[..shown])
    }

    #[test]
    fn extremes_keep_every_digit() {
        for expected in [
            "0",
            "0.00",
            "-1.50",
            "10000",
            "0.0001",
            "99999999999999999999999999999999999999",
            "-0.99999999999999999999999999999999999999",
            "1234567890123456789012345678.1234567891",
            "0.00000000000000000000000000000000000001",
            "9223372036854775808",
        ] {
            let decimal: migrate_core::Decimal = expected.parse().expect(expected);
            assert_eq!(text(decimal.unscaled(), decimal.scale()), expected);
        }
    }

    #[test]
    fn digits_and_exponents_make_the_same_bytes_as_integers_and_scales() {
        for (digits, exponent, scale) in [
            ("", 0, 0_u8),
            ("1", 0, 0),
            ("15", -1, 2),
            ("1", 4, 0),
            ("1", -4, 4),
            ("12345678901234567890123456789012345678", -10, 10),
            ("1", -38, 38),
            ("9", 37, 0),
        ] {
            let value: i128 = if digits.is_empty() { 0 } else { digits.parse().expect(digits) };
            let shift = u32::try_from(exponent + i32::from(scale)).expect("not below the scale");
            let (mut by_integer, mut by_digits) = (Vec::new(), Vec::new());
            write(-value * 10i128.pow(shift), scale, &mut by_integer);
            write_digits(true, digits.as_bytes(), exponent, scale.into(), &mut by_digits);
            assert_eq!(by_digits, by_integer, "{digits} {exponent}");
        }
    }

    proptest! {
        #[test]
        fn every_value_keeps_its_digits(high in any::<i64>(), low in any::<u64>(), scale in 0u8..=38) {
            let wide = (i128::from(high) << 62) ^ i128::from(low);
            let unscaled = wide % 10i128.pow(38);
            let expected = migrate_core::Decimal::new(unscaled, scale).to_string();
            prop_assert_eq!(text(unscaled, scale), expected);
        }
    }
}
