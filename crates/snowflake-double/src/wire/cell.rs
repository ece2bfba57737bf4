//! Values as the texts of JSON cells.

use std::io::Write as _;

use crate::calendar::Stamp;
use crate::table::Cell;
use crate::types::Type;
use crate::{float, number};

use super::json;

/// How texts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Blanks per level of semi-structured values.
    pub(crate) indent: usize,
    /// Whether letters beyond ASCII are written as `\u` escapes, with surrogate pairs.
    pub(crate) ascii: bool,
}

/// Appends a cell: a JSON string, or `null`.
pub(crate) fn write(out: &mut Vec<u8>, cell: Cell<'_>, ty: Type, style: Style) {
    if cell.is_null() {
        out.extend_from_slice(b"null");
        return;
    }
    out.push(b'"');
    match cell {
        Cell::Null => {}
        Cell::Number(value) => match ty {
            Type::Number { scale, .. } => number::write(out, value, scale),
            _ => number::write(out, value, 0),
        },
        Cell::Float(value) => float::write_shortened(out, value),
        Cell::Boolean(value) => out.push(if value { b'1' } else { b'0' }),
        Cell::Text(text) => write_text(out, text, ty, style),
        Cell::Bytes(bytes) => hex(out, bytes),
        Cell::Date(days) => number::write(out, i128::from(days), 0),
        Cell::Time(nanos) => {
            let scale = ty.fraction_digits().unwrap_or(9);
            let shortened = i128::from(nanos) / i128::from(crate::calendar::fraction_step(scale));
            number::write(out, shortened, scale);
        }
        Cell::Stamp(stamp) => write_stamp(out, stamp, ty),
        Cell::Zoned(stamp, offset) => {
            write_stamp(out, stamp, ty);
            out.push(b' ');
            number::write(out, i128::from(offset) + 1440, 0);
        }
    }
    out.push(b'"');
}

fn write_stamp(out: &mut Vec<u8>, stamp: Stamp, ty: Type) {
    let scale = ty.fraction_digits().unwrap_or(9);
    number::write(out, stamp.scaled(scale), scale);
}

fn write_text(out: &mut Vec<u8>, text: &str, ty: Type, style: Style) {
    match ty {
        Type::Variant | Type::Object | Type::Array => {
            escape(out, &json::indented(text, style.indent), style.ascii);
        }
        _ => escape(out, text, style.ascii),
    }
}

/// Upper-case hexadecimal.
pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 });
        }
    }
}

/// Appends the inside of a JSON string.
fn escape(out: &mut Vec<u8>, text: &str, ascii: bool) {
    let needs_escape = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let mut rest = text;
    loop {
        let bytes = rest.as_bytes();
        let stop = bytes.iter().position(|byte| needs_escape(byte) || (ascii && *byte >= 0x80));
        let Some((plain, tail)) = stop.and_then(|stop| rest.split_at_checked(stop)) else {
            out.extend_from_slice(bytes);
            return;
        };
        out.extend_from_slice(plain.as_bytes());
        let mut letters = tail.chars();
        if let Some(letter) = letters.next() {
            escape_letter(out, letter);
        }
        rest = letters.as_str();
    }
}

fn escape_letter(out: &mut Vec<u8>, letter: char) {
    let short = match letter {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let result = write!(out, "\\u{unit:04x}");
                debug_assert!(result.is_ok(), "invariant: writing to memory cannot fail");
            }
            return;
        }
    };
    out.extend([b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::DAY_NANOS;

    const STYLE: Style = Style { indent: 0, ascii: false };

    fn text(cell: Cell<'_>, ty: Type) -> String {
        let mut out = Vec::new();
        write(&mut out, cell, ty, STYLE);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_type_has_its_encoding() {
        let half = Stamp::new(-1, 500_000_000);
        for (cell, ty, expected) in [
            (Cell::Null, Type::Date, "null"),
            (Cell::Number(-150), Type::number(38, 2), "\"-1.50\""),
            (
                Cell::Number(10_i128.pow(38) - 1),
                Type::number(38, 37),
                "\"9.9999999999999999999999999999999999999\"",
            ),
            (Cell::Float(f64::NAN), Type::Float, "\"NaN\""),
            (Cell::Float(f64::INFINITY), Type::Float, "\"inf\""),
            (Cell::Boolean(true), Type::Boolean, "\"1\""),
            (Cell::Boolean(false), Type::Boolean, "\"0\""),
            (Cell::Date(-719_162), Type::Date, "\"-719162\""),
            (Cell::Date(2_932_896), Type::Date, "\"2932896\""),
            (Cell::Time(45_296_123_456_789), Type::time(9), "\"45296.123456789\""),
            (Cell::Time(DAY_NANOS - 1_000), Type::time(6), "\"86399.999999\""),
            (Cell::Time(0), Type::time(0), "\"0\""),
            (
                Cell::Stamp(Stamp::new(1_577_836_800, 1_000)),
                Type::timestamp_ntz(9),
                "\"1577836800.000001000\"",
            ),
            (Cell::Stamp(half), Type::timestamp_ltz(9), "\"-0.500000000\""),
            (Cell::Stamp(half), Type::timestamp_ltz(1), "\"-0.5\""),
            (
                Cell::Zoned(Stamp::new(1_577_836_800, 500_000_000), 540),
                Type::timestamp_tz(1),
                "\"1577836800.5 1980\"",
            ),
            (Cell::Zoned(Stamp::new(0, 0), -1440), Type::timestamp_tz(0), "\"0 0\""),
            (Cell::Zoned(Stamp::new(0, 0), 1440), Type::timestamp_tz(0), "\"0 2880\""),
            (Cell::Bytes(&[0, 255, 16]), Type::binary(), "\"00FF10\""),
            (Cell::Bytes(&[]), Type::binary(), "\"\""),
            (Cell::Text(""), Type::varchar(), "\"\""),
            (Cell::Text("null"), Type::Variant, "\"null\""),
            (
                Cell::Text("{\"a\": [undefined, NaN]}"),
                Type::Variant,
                "\"{\\\"a\\\":[undefined,NaN]}\"",
            ),
        ] {
            assert_eq!(text(cell, ty), expected);
        }
    }

    #[test]
    fn texts_are_escaped_so_that_json_reads_them_back() {
        let hard = "q\" b\\ n\n t\t z\0 d\u{7f} é \u{1f680} \u{8}\u{c}\r";
        let plain = text(Cell::Text(hard), Type::varchar());
        assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), hard);
        let mut out = Vec::new();
        write(&mut out, Cell::Text(hard), Type::varchar(), Style { indent: 0, ascii: true });
        let ascii = String::from_utf8(out).unwrap();
        assert!(ascii.is_ascii());
        assert!(ascii.contains("\\ud83d\\ude80"));
        assert_eq!(serde_json::from_str::<String>(&ascii).unwrap(), hard);
    }
}
