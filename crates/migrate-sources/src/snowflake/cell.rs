//! One cell of Snowflake's JSON results: a text whose form depends on the column's type.
//!
//! | type | text |
//! |---|---|
//! | number | decimal digits, exactly as many after the point as the scale says |
//! | float | decimal or `NaN`, `inf`, `-inf` |
//! | boolean | `1`, `0`, `true`, `false` |
//! | date | days since 1970-01-01 |
//! | time | seconds since midnight with fraction |
//! | timestamp | seconds since 1970-01-01 with fraction; the whole number is negative before |
//! | timestamp with offset | the same, a blank, and minutes east plus 1440 |
//! | binary | upper-case hexadecimal |

/// A text that is not of the form that its type has. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

const NANOS: i128 = 1_000_000_000;

/// Digits that any number of 64 bits without a sign can hold.
const SAFE_DIGITS: usize = 19;

/// A number as its unscaled integer.
pub(super) fn number(text: &str, scale: u8) -> Result<i128, Malformed> {
    let (negative, digits) = sign(text.as_bytes());
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        None => (digits, &[][..]),
        Some(point) => {
            let (whole, fraction) = digits.split_at_checked(point).ok_or(Malformed)?;
            (whole, fraction.get(1..).unwrap_or_default())
        }
    };
    let count = whole.len() + fraction.len();
    let given = u8::try_from(fraction.len()).map_err(|_long| Malformed)?;
    let missing = scale.checked_sub(given).filter(|_| count > 0).ok_or(Malformed)?;
    let mut value = if count <= SAFE_DIGITS {
        // Nearly always, and several times faster.
        i128::from(short(short(0, whole)?, fraction)?)
    } else {
        long(long(0, whole)?, fraction)?
    };
    if missing > 0 {
        let one = 10i128.checked_pow(missing.into()).ok_or(Malformed)?;
        value = value.checked_mul(one).ok_or(Malformed)?;
    }
    Ok(if negative { -value } else { value })
}

/// Appends at most [`SAFE_DIGITS`] digits in all.
fn short(mut value: u64, digits: &[u8]) -> Result<u64, Malformed> {
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Malformed);
        }
        value = value.wrapping_mul(10).wrapping_add(digit.into());
    }
    Ok(value)
}

fn long(value: i128, digits: &[u8]) -> Result<i128, Malformed> {
    digits.iter().try_fold(value, |value, byte| match byte {
        b'0'..=b'9' => shifted(value, byte - b'0'),
        _ => Err(Malformed),
    })
}

fn shifted(value: i128, digit: u8) -> Result<i128, Malformed> {
    value.checked_mul(10).and_then(|value| value.checked_add(digit.into())).ok_or(Malformed)
}

fn sign(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, bytes),
    }
}

pub(super) fn float(text: &str) -> Result<f64, Malformed> {
    // Rust reads `NaN`, `inf`, `-inf` and `Infinity` in any case, which are the spellings in use.
    text.parse().map_err(|_text| Malformed)
}

pub(super) fn boolean(text: &str) -> Result<bool, Malformed> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        other if other.eq_ignore_ascii_case("true") => Ok(true),
        other if other.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Malformed),
    }
}

pub(super) fn date(text: &str) -> Result<i32, Malformed> {
    text.parse().map_err(|_text| Malformed)
}

/// Nanoseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, Malformed> {
    const DAY: i128 = 86_400 * NANOS;
    match nanoseconds(text)? {
        nanos if (0..DAY).contains(&nanos) => i64::try_from(nanos).map_err(|_wide| Malformed),
        _ => Err(Malformed),
    }
}

/// Seconds since 1970, rounded down, and the nanoseconds after that second.
pub(super) fn timestamp(text: &str) -> Result<(i64, i32), Malformed> {
    split(nanoseconds(text)?)
}

/// The same with minutes east of UTC.
pub(super) fn offset_timestamp(text: &str, scale: u8) -> Result<(i64, i32, i32), Malformed> {
    let (nanos, index) = match text.split_once(' ') {
        Some((time, index)) => (nanoseconds(time)?, index.parse().map_err(|_text| Malformed)?),
        None => packed(text, scale)?,
    };
    if !(0..=2880).contains(&index) {
        return Err(Malformed);
    }
    let (seconds, fraction) = split(nanos)?;
    Ok((seconds, fraction, index - 1440))
}

/// An older form: time and offset in one integer, the offset in the low 14 bits.
fn packed(text: &str, scale: u8) -> Result<(i128, i32), Malformed> {
    const OFFSETS: i128 = 1 << 14;
    let packed: i128 = text.parse().map_err(|_text| Malformed)?;
    let unit = 10i128.checked_pow(9_u32.checked_sub(scale.into()).ok_or(Malformed)?);
    let nanos =
        unit.and_then(|unit| packed.div_euclid(OFFSETS).checked_mul(unit)).ok_or(Malformed)?;
    let index = i32::try_from(packed.rem_euclid(OFFSETS)).map_err(|_wide| Malformed)?;
    Ok((nanos, index))
}

/// Decimal seconds as nanoseconds.
fn nanoseconds(text: &str) -> Result<i128, Malformed> {
    number(text, 9)
}

fn split(nanos: i128) -> Result<(i64, i32), Malformed> {
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).map_err(|_wide| Malformed)?;
    let fraction = i32::try_from(nanos.rem_euclid(NANOS)).map_err(|_wide| Malformed)?;
    Ok((seconds, fraction))
}

/// Appends the bytes of a hexadecimal text.
pub(super) fn binary(text: &str, into: &mut Vec<u8>) -> Result<(), Malformed> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(Malformed),
    };
    for pair in text.as_bytes().chunks(2) {
        let [high, low] = pair else { return Err(Malformed) };
        into.push(digit(*high)? << 4 | digit(*low)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_keep_all_38_digits_and_their_scale() {
        assert_eq!(number("-1.50", 2), Ok(-150));
        assert_eq!(
            number("12345678901234567890123456789012345678", 0),
            Ok(12_345_678_901_234_567_890_123_456_789_012_345_678)
        );
        assert_eq!(number("-0.0000000001", 10), Ok(-1));
        assert_eq!(number("7", 3), Ok(7000), "missing zeros are zeros");
        for text in ["", "-", ".", "1.2.3", "1e5", " 1", "1.234"] {
            assert_eq!(number(text, 2), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(timestamp("-0.500000000"), Ok((-1, 500_000_000)));
        assert_eq!(timestamp("1577836800.000001000"), Ok((1_577_836_800, 1000)));
        assert_eq!(timestamp("-62135596800"), Ok((-62_135_596_800, 0)));
        assert_eq!(timestamp("253402300799.999999999"), Ok((253_402_300_799, 999_999_999)));
        assert_eq!(time("45296.123456789"), Ok(45_296_123_456_789));
        assert_eq!(time("86400"), Err(Malformed));
        assert_eq!(time("-1"), Err(Malformed));
    }

    #[test]
    fn offsets_count_from_1440() {
        assert_eq!(offset_timestamp("1577836800.5 1980", 9), Ok((1_577_836_800, 500_000_000, 540)));
        assert_eq!(offset_timestamp("0 0", 9), Ok((0, 0, -1440)));
        assert_eq!(offset_timestamp("0 2880", 9), Ok((0, 0, 1440)));
        assert_eq!(offset_timestamp("0 2881", 9), Err(Malformed));
        let packed = (1_718_429_445_123_i128 << 14) + 1980;
        assert_eq!(offset_timestamp(&packed.to_string(), 3), Ok((1_718_429_445, 123_000_000, 540)));
    }

    #[test]
    fn floats_booleans_and_bytes_have_their_spellings() {
        assert!(float("NaN").expect("NaN").is_nan());
        assert_eq!(float("-inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(float("Infinity"), Ok(f64::INFINITY));
        assert_eq!(
            (boolean("1"), boolean("FALSE"), boolean("2")),
            (Ok(true), Ok(false), Err(Malformed))
        );
        let mut bytes = Vec::new();
        binary("00FF1a", &mut bytes).expect("hexadecimal");
        assert_eq!(bytes, [0, 255, 26]);
        assert_eq!(binary("0", &mut bytes), Err(Malformed));
    }

    proptest! {
        #[test]
        fn a_number_reads_back(high in any::<i64>(), low in any::<u64>(), scale in 0u8..=38) {
            let value = ((i128::from(high) << 60) ^ i128::from(low)) % 10i128.pow(38);
            let text = migrate_core::Decimal::new(value, scale).to_string();
            prop_assert_eq!(number(&text, scale), Ok(value));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in ".{0,40}", scale in any::<u8>()) {
            let mut bytes = Vec::new();
            let answers = (number(&text, scale).is_ok(), timestamp(&text).is_ok(), time(&text).is_ok(),
                offset_timestamp(&text, scale).is_ok(), binary(&text, &mut bytes).is_ok());
            prop_assert!(matches!(answers, (_, _, _, _, _)));
        }
    }
}
