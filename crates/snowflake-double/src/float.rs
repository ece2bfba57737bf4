//! FLOAT: text, order and casts to NUMBER.
//!
//! Snowflake orders NaN above everything and equal to itself, and takes both zeros for one.

use std::cmp::Ordering;
use std::io::Write as _;

use crate::decimal_text::DecimalText;
use crate::number::Shape;

/// What becomes of a double that is cast to NUMBER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatCast {
    /// The rounded number.
    Number(i128),
    /// Too many digits.
    OutOfRange,
    /// NaN or an infinity.
    NotFinite,
    /// Rounding the exact binary value and rounding the scaled double give different numbers.
    Ambiguous,
}

/// Compares as Snowflake orders doubles.
pub(crate) fn compare(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// Bits that are equal for equal doubles.
pub(crate) fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

/// Reads a double; the non-finite ones in any case.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let text = text.trim_matches(' ');
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let value = match body.to_ascii_lowercase().as_str() {
        "nan" => return Some(f64::NAN),
        "inf" | "infinity" => f64::INFINITY,
        _ if DecimalText::parse(text).is_some() => {
            return text.parse().ok().filter(|value: &f64| value.is_finite());
        }
        _ => return None,
    };
    Some(if text.starts_with('-') { -value } else { value })
}

/// Appends the shortest text that reads back as the same double.
pub(crate) fn write(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    let result = if value.is_nan() {
        out.write_all(b"NaN")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 { b"inf" } else { b"-inf" })
    } else if value == 0.0 || (1e-5..1e16).contains(&magnitude) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
    debug_assert!(result.is_ok(), "invariant: writing to memory cannot fail");
}

/// Digits of a double in a JSON result.
const SHOWN_DIGITS: usize = 10;

/// Appends the text of a JSON result, which is shorter than the double: 10 significant digits.
pub(crate) fn write_shortened(out: &mut Vec<u8>, value: f64) {
    let shown = format!("{value:.*e}", SHOWN_DIGITS - 1);
    match shown.parse::<f64>() {
        Ok(shortened) if shortened.is_finite() || !value.is_finite() => write(out, shortened),
        // Rounded up beyond the greatest double.
        _ => out.extend_from_slice(shown.as_bytes()),
    }
}

/// The text in the format `TME`: 17 significant digits, without zeros at their end. Nothing for what
/// has no digits.
pub(crate) fn scientific(value: f64) -> Option<String> {
    let shown = value.is_finite().then(|| format!("{value:.16E}"))?;
    let (digits, exponent) = shown.split_once('E')?;
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{digits}E{exponent}"))
}

/// Casts to NUMBER, rounding half away from zero.
pub(crate) fn to_number(value: f64, shape: Shape) -> FloatCast {
    if !value.is_finite() {
        return FloatCast::NotFinite;
    }
    // 1074 digits after the point spell out every double exactly.
    let exact = DecimalText::parse(&format!("{value:.1074}"));
    let Some(exact) = exact.and_then(|text| text.cast(shape)) else {
        return FloatCast::OutOfRange;
    };
    let scaled = (value * 10_f64.powi(i32::from(shape.scale))).round();
    let rounded = DecimalText::parse(&format!("{scaled:.0}")).and_then(|text| text.at_scale(0));
    // Above 2^53 the scaled double has no fraction left to round, only its own error.
    if scaled.abs() < 9_007_199_254_740_992.0 && rounded != Some(exact) {
        return FloatCast::Ambiguous;
    }
    FloatCast::Number(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nan_is_equal_to_itself_and_above_everything() {
        assert_eq!(compare(f64::NAN, f64::NAN), Ordering::Equal);
        assert_eq!(compare(f64::NAN, f64::INFINITY), Ordering::Greater);
        assert_eq!(compare(-0.0, 0.0), Ordering::Equal);
        assert_eq!(canonical_bits(-0.0), canonical_bits(0.0));
        assert_eq!(canonical_bits(-f64::NAN), canonical_bits(f64::NAN));
    }

    #[test]
    fn text_reads_back_as_the_same_double() {
        for value in [0.1, 1e308, 5e-324, -1.5, 0.0, 123_456.789, f64::MAX, 1e16, 1e-7] {
            assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1e308), "1e308");
        assert_eq!(text(f64::NEG_INFINITY), "-inf");
        assert_eq!(text(f64::NAN), "NaN");
    }

    #[test]
    fn a_result_shows_few_digits_and_the_scientific_text_all() {
        let shown = |value| {
            let mut out = Vec::new();
            write_shortened(&mut out, value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(0.300_000_000_000_000_04), "0.3");
        assert_eq!(shown(1.0 / 3.0), "0.3333333333");
        assert_eq!(shown(f64::MAX), "1.797693135e308");
        assert_eq!(shown(f64::NAN), "NaN");
        assert_eq!(shown(f64::NEG_INFINITY), "-inf");
        assert_eq!(shown(1e308), "1e308");
        for value in [0.300_000_000_000_000_04, f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 1e22] {
            let text = scientific(value).unwrap();
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(scientific(-12.5).as_deref(), Some("-1.25E1"));
        assert_eq!(scientific(f64::NAN), None);
    }

    #[test]
    fn text_is_read_with_its_special_values() {
        assert_eq!(parse(" -Infinity "), Some(f64::NEG_INFINITY));
        assert_eq!(parse("inf"), Some(f64::INFINITY));
        assert!(parse("nAn").unwrap().is_nan());
        assert_eq!(parse("1e3"), Some(1000.0));
        assert_eq!(parse("1e400"), None);
        assert_eq!(parse("0x1"), None);
        assert_eq!(parse("infinit"), None);
    }

    #[test]
    fn casts_to_number_are_exact_or_refused() {
        let money = Shape::new(10, 2);
        assert_eq!(to_number(1.5, Shape::new(38, 0)), FloatCast::Number(2));
        assert_eq!(to_number(-2.5, Shape::new(38, 0)), FloatCast::Number(-3));
        assert_eq!(to_number(0.1, money), FloatCast::Number(10));
        assert_eq!(to_number(1.115, money), FloatCast::Ambiguous);
        assert_eq!(to_number(1e9, money), FloatCast::OutOfRange);
        assert_eq!(to_number(f64::NAN, money), FloatCast::NotFinite);
        assert_eq!(to_number(1e22, Shape::new(38, 0)), FloatCast::Number(10_i128.pow(22)));
    }
}
