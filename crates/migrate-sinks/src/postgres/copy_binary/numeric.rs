//! `numeric` on the wire: groups of four decimal digits, straight from a 128-bit integer.

/// Decimal digits per group.
const GROUP: u32 = 4;
const BASE: u64 = 10_000;
const NEGATIVE: u16 = 0x4000;

/// Appends length and body of one value, `unscaled / 10^scale`.
///
/// The body is: number of groups, weight of the first (as a power of 10,000), sign, digits after
/// the point to show, and the groups (`numeric_send` in the server's sources).
pub(super) fn write(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let mut groups = Groups::new();
    let magnitude = unscaled.unsigned_abs();
    let scale = u32::from(scale);
    match (u64::try_from(magnitude), 10u64.checked_pow(scale)) {
        // Nearly every value there is; division of 64-bit numbers is several times faster.
        (Ok(magnitude), Some(one)) => {
            groups.fraction(u128::from(magnitude % one), scale);
            groups.whole_small(magnitude / one);
        }
        _ => {
            // 10^38 fits 128 bits, and Arrow's scale is at most 38.
            let one = 10u128.pow(scale.min(38));
            groups.fraction(magnitude % one, scale);
            groups.whole(magnitude / one);
        }
    }
    let (digits, weight) = groups.trimmed();
    let sign: u16 = if unscaled < 0 { NEGATIVE } else { 0 };
    // At most 20 groups: the counts fit 16 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 20 groups of 2 bytes, scale <= 38"
    )]
    let (count, length) = (digits.len() as u16, 8 + 2 * digits.len() as u32);
    #[expect(clippy::cast_possible_truncation, reason = "scale <= 38")]
    let display_scale = scale as u16;
    let [l0, l1, l2, l3] = length.to_be_bytes();
    let [c0, c1] = count.to_be_bytes();
    let [w0, w1] = weight.to_be_bytes();
    let [s0, s1] = sign.to_be_bytes();
    let [d0, d1] = display_scale.to_be_bytes();
    out.extend_from_slice(&[l0, l1, l2, l3, c0, c1, w0, w1, s0, s1, d0, d1]);
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
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

/// Groups around the decimal point: 38 digits make at most 10 on either side.
struct Groups {
    slots: [u16; 20],
    /// First used slot; the whole part ends before slot 10.
    start: usize,
    end: usize,
}

const POINT: usize = 10;

impl Groups {
    fn new() -> Self {
        Self { slots: [0; 20], start: POINT, end: POINT }
    }

    fn whole_small(&mut self, mut value: u64) {
        while value > 0 {
            self.push_front(value % BASE);
            value /= BASE;
        }
    }

    fn whole(&mut self, mut value: u128) {
        while value > u128::from(u64::MAX) {
            let group = value % u128::from(BASE);
            self.push_front(u64::try_from(group).unwrap_or_default());
            value /= u128::from(BASE);
        }
        self.whole_small(u64::try_from(value).unwrap_or_default());
    }

    fn push_front(&mut self, group: u64) {
        self.start -= 1;
        if let Some(slot) = self.slots.get_mut(self.start) {
            *slot = u16::try_from(group).unwrap_or_default();
        }
    }

    /// `value` has `scale` digits; the last group is filled up with zeros on the right.
    fn fraction(&mut self, mut value: u128, scale: u32) {
        let mut digits_left = scale;
        while digits_left > 0 && value > 0 {
            let (group, rest) = if digits_left >= GROUP {
                let one = 10u128.pow(digits_left - GROUP);
                (value / one, value % one)
            } else {
                (value * 10u128.pow(GROUP - digits_left), 0)
            };
            if let Some(slot) = self.slots.get_mut(self.end) {
                *slot = u16::try_from(group).unwrap_or_default();
            }
            self.end += 1;
            value = rest;
            digits_left = digits_left.saturating_sub(GROUP);
        }
    }

    /// The groups without zero groups at either end, and the weight of the first one.
    fn trimmed(&self) -> (&[u16], i16) {
        let used = self.slots.get(self.start..self.end).unwrap_or_default();
        let leading = used.iter().take_while(|group| **group == 0).count();
        let trailing = used.iter().rev().take_while(|group| **group == 0).count();
        let digits = used.get(leading..used.len().saturating_sub(trailing)).unwrap_or_default();
        if digits.is_empty() {
            return (&[], 0);
        }
        let first = i16::try_from(self.start + leading).unwrap_or_default();
        let weight = i16::try_from(POINT).unwrap_or_default() - 1 - first;
        (digits, weight)
    }
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
