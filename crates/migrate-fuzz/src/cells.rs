//! The cells of Snowflake's JSON results.

use migrate_core::ColumnType;
use migrate_sources::internals::decode_cells;

use crate::spell::spell;

/// A cell of any text is read or refused. What is read is of the column's form, and reads the same
/// when it is spelled out again.
///
/// # Panics
///
/// Where that does not hold.
pub fn cells(data: &[u8]) {
    let [which, digits, text @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let kind = kind(*which, *digits);
    let Ok(array) = decode_cells(&kind, &[Some(text), None]) else { return };
    assert_eq!(array.data_type(), &kind.arrow(), "{text:?} as {kind} has another form");
    assert!(array.len() == 2 && array.is_valid(0) && array.is_null(1), "{text:?} as {kind}");
    let spelled = spell(&kind, array.as_ref());
    let again = decode_cells(&kind, &[Some(&spelled), None]);
    let again = again.unwrap_or_else(|error| panic!("{text:?} as {kind} is {spelled}: {error}"));
    // NaN is not equal to itself; its spelling is.
    let is_same = again == array || spell(&kind, again.as_ref()) == spelled;
    assert!(is_same, "{text:?} as {kind} has become {spelled}");
}

/// A type that Snowflake sends.
pub(crate) fn kind(which: u8, digits: u8) -> ColumnType {
    let scale = digits % 10;
    match which % 14 {
        0 => ColumnType::Number { precision: 38, scale: digits % 39 },
        1 => ColumnType::Float64,
        2 => ColumnType::Text { max_chars: None },
        3 => ColumnType::Boolean,
        4 => ColumnType::Date,
        5 => ColumnType::Time { scale },
        6 => ColumnType::Timestamp { scale },
        7 => ColumnType::Instant { scale },
        8 => ColumnType::OffsetTimestamp { scale },
        9 => ColumnType::Binary,
        10 => ColumnType::Json,
        11 => ColumnType::DecFloat,
        12 => ColumnType::Geography,
        _ => ColumnType::Vector { dimension: Some(digits.into()) },
    }
}
