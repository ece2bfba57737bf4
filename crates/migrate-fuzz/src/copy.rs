//! The encoder of `COPY … (format binary)`, beside a little reader of that format.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Field, Float64Type, Schema, TimestampMicrosecondType,
};
use migrate_core::{ColumnPair, ColumnType, OnFraction, OnNonjson, OnNul, ValuePart};
use migrate_sinks::internals::{CopiedRows, TargetType, copy_rows};
use migrate_sources::internals::decode_cells;
use serde_json::value::RawValue;

use crate::cells::kind;
use crate::spell::decimal;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const DAYS_TO_2000: i64 = 10_957;

/// Stands behind each row, so that a field of a wrong length is seen.
const LAST: i64 = 0x0102_0304_0506_0708;

/// A cell of any text, on its way into any column under any policy, is written or refused. What is
/// written has the fields and lengths that it says, and where a type allows to tell, it is the same value.
///
/// # Panics
///
/// Where that does not hold.
pub fn copy(data: &[u8]) {
    let [which, digits, target, policy, text @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut pair = ColumnPair::new("c", "c", kind(*which, *digits));
    pair.policy.on_fraction =
        [None, Some(OnFraction::Truncate), Some(OnFraction::Round), Some(OnFraction::Reject)]
            .get(usize::from(policy % 4))
            .copied()
            .flatten();
    pair.policy.on_nul = one_of(&[OnNul::Reject, OnNul::Remove, OnNul::Replace], policy >> 2);
    pair.policy.on_nonjson =
        one_of(&[OnNonjson::Reject, OnNonjson::Null, OnNonjson::Text], policy >> 4);
    let has_offset = matches!(pair.column_type, ColumnType::OffsetTimestamp { .. });
    if has_offset && policy & 0x40 != 0 {
        pair.part = ValuePart::Offset;
    }
    let Ok(cell) = decode_cells(&pair.column_type, &[Some(text), None]) else { return };
    let target = target_type(*target, *digits);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![LAST, LAST]));
    let last = (ColumnPair::new("n", "n", ColumnType::Int64), TargetType::new("int8", -1));
    let field = |name, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
    let schema = Schema::new(vec![field("c", &cell), field("n", &numbers)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(&cell), numbers])
        .unwrap_or_else(|cause| panic!("{text:?} as {}: {cause}", pair.column_type));
    let Some(copied) = copy_rows(&[(pair.clone(), target.clone()), last], &batch) else { return };
    let Ok(CopiedRows { together, one_by_one, .. }) = copied else { return };
    assert_eq!(together, one_by_one, "{text:?}: rows differ when they are written one by one");

    let mut reader = Reader { rest: &together };
    let first = reader.row();
    let second = reader.row();
    assert!(reader.rest.is_empty(), "{text:?}: bytes are left");
    assert!(
        first.is_some() && second.is_none(),
        "{text:?}: NULL has become a value or the reverse"
    );
    same_value(&pair, &target, cell.as_ref(), first.unwrap_or_default(), text);
}

fn one_of<T: Copy + Default>(choices: &[T], which: u8) -> T {
    choices.get(usize::from(which % 4)).copied().unwrap_or_default()
}

/// A type as the catalog tells it.
fn target_type(which: u8, digits: u8) -> TargetType {
    const PLAIN: [&str; 20] = [
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "text",
        "varchar",
        "bytea",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "interval",
        "uuid",
        "json",
        "jsonb",
        "bpchar",
        "int8",
    ];
    const ELEMENTS: [(&str, u32); 9] = [
        ("bool", 16),
        ("int4", 23),
        ("int8", 20),
        ("numeric", 1700),
        ("float4", 700),
        ("float8", 701),
        ("text", 25),
        ("uuid", 2950),
        ("jsonb", 3802),
    ];
    let which = usize::from(which);
    if let Some((element, oid)) = ELEMENTS.get((which % 40).wrapping_sub(PLAIN.len() + 11)) {
        return TargetType::new("_array", -1).with_element(TargetType::new(element, -1), *oid);
    }
    match which % 40 {
        // Each with limits of its own.
        20 => TargetType::new(
            "numeric",
            (i32::from(digits % 38 + 1) << 16 | i32::from(digits % 7)) + 4,
        ),
        21 => TargetType::new("varchar", i32::from(digits % 16) + 5),
        22 => TargetType::new("bpchar", i32::from(digits % 16) + 5),
        23 => TargetType::new("time", i32::from(digits % 7)),
        24 => TargetType::new("timestamp", i32::from(digits % 7)),
        25 => TargetType::new("timestamptz", i32::from(digits % 7)),
        26 => TargetType::new("mood", -1).with_labels(&["sad", "ok", "happy"]),
        27 => TargetType::new("geometry", -1).of_extension("postgis"),
        28 => TargetType::new("geography", -1).of_extension("postgis"),
        29 => TargetType::new("vector", i32::from(digits % 8)).of_extension("vector"),
        30 => TargetType::new("vector", -1).of_extension("vector"),
        other => TargetType::new(PLAIN.get(other % PLAIN.len()).copied().unwrap_or("text"), -1),
    }
}

/// Takes the format apart by the manual's words, at COPY, "Binary Format".
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The first field of a row; the second one must be as it was given.
    fn row(&mut self) -> Option<&'a [u8]> {
        assert_eq!(self.bytes(2), 2_i16.to_be_bytes(), "a row of two fields");
        let first = self.field();
        assert_eq!(self.field(), Some(&LAST.to_be_bytes()[..]), "the field behind is another one");
        first
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = self.bytes(4).try_into().map_or(0, i32::from_be_bytes);
        if length == -1 {
            return None;
        }
        let length = usize::try_from(length).unwrap_or_else(|_| panic!("a length of {length}"));
        Some(self.bytes(length))
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or_else(|| panic!("{count} bytes of {}", self.rest.len()));
        self.rest = rest;
        bytes
    }
}

/// Whether a written field says what the cell says, for types where another way to tell exists.
fn same_value(pair: &ColumnPair, target: &TargetType, cell: &dyn Array, field: &[u8], text: &str) {
    let as_integer = || match *field {
        [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
        [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        _ => field.try_into().ok().map(i64::from_be_bytes),
    };
    let integer = || as_integer().unwrap_or_else(|| panic!("{text:?}: {field:?} is no integer"));
    let fits = |length: usize| assert_eq!(field.len(), length, "{text:?} as {target:?}");
    match target.name() {
        "bool" => assert!(matches!(field, [0 | 1]), "{text:?}: {field:?} is no boolean"),
        "int2" => fits(2),
        "int4" | "float4" | "date" => fits(4),
        "int8" | "float8" | "time" | "timestamp" | "timestamptz" => fits(8),
        "uuid" | "interval" => fits(16),
        _ => {}
    }
    if !pair.part.is_whole() {
        return;
    }
    match (&pair.column_type, target.name()) {
        (ColumnType::Number { scale, .. }, "int2" | "int4" | "int8") => {
            let unscaled = cell.as_primitive::<Decimal128Type>().value(0);
            let one = 10_i128.checked_pow((*scale).into());
            let back = one.and_then(|one| one.checked_mul(integer().into()));
            assert_eq!(back.unwrap_or(0), unscaled, "{text:?} has become {}", integer());
        }
        (ColumnType::Number { scale, .. }, "numeric") => {
            let unscaled = cell.as_primitive::<Decimal128Type>().value(0);
            let given = trimmed(&decimal(unscaled, (*scale).into()));
            assert_eq!(trimmed(&numeric(field)), given, "{text:?} has become another number");
        }
        (ColumnType::Float64, "float8") => {
            let given = cell.as_primitive::<Float64Type>().value(0);
            assert_eq!(field, given.to_be_bytes(), "{text:?} has lost bits");
        }
        (ColumnType::Date, "date") => {
            let given = i64::from(cell.as_primitive::<Date32Type>().value(0));
            assert_eq!(integer() + DAYS_TO_2000, given, "{text:?} is another day");
        }
        (
            ColumnType::Timestamp { scale } | ColumnType::Instant { scale },
            "timestamp" | "timestamptz",
        ) if *scale <= 6 && target.modifier() < 0 => {
            let given = cell.as_primitive::<TimestampMicrosecondType>().value(0);
            let back = i128::from(integer()) + i128::from(DAYS_TO_2000) * 86_400_000_000;
            assert_eq!(back, i128::from(given), "{text:?} is another moment");
        }
        (ColumnType::Text { .. }, "text" | "varchar" | "bpchar") if !text.contains('\0') => {
            assert_eq!(field, text.as_bytes(), "the text is another one");
        }
        (ColumnType::Binary, "bytea") => {
            assert_eq!(field, cell.as_binary::<i32>().value(0), "{text:?} has other bytes");
        }
        (ColumnType::Json | ColumnType::Text { .. }, "json") => same_document(text, field),
        (ColumnType::Json | ColumnType::Text { .. }, "jsonb") => match field.split_first() {
            Some((1, document)) => same_document(text, document),
            other => panic!("{text:?}: {other:?} is no jsonb"),
        },
        _ => {}
    }
}

/// JSON stays as it is, but for U+0000 where a policy says so. What is none, the server refuses.
fn same_document(text: &str, written: &[u8]) {
    let given: Result<&RawValue, _> = serde_json::from_str(text);
    if given.is_ok() && !text.contains("\\u0000") {
        assert_eq!(written, text.as_bytes(), "the document is another one");
    }
}

/// A `numeric` as digits: groups of four, the position of the first group, a sign.
fn numeric(field: &[u8]) -> String {
    let words: Vec<i32> = field
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |word, byte| word << 8 | i32::from(*byte)))
        .collect();
    let [count, weight, sign, scale, groups @ ..] = words.as_slice() else {
        panic!("{field:?} is no numeric");
    };
    let weight = i64::from(*weight) - if *weight > 0x7fff { 0x1_0000 } else { 0 };
    assert_eq!(usize::try_from(*count).ok(), Some(groups.len()), "{field:?} has other groups");
    assert!(groups.iter().all(|group| *group < 10_000), "{field:?} has a wide group");
    assert!((0..=0x3fff).contains(scale), "{field:?} has a wide scale");
    let group = |position: i64| {
        let at = usize::try_from(weight - position).ok();
        at.and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
    let spelled = |positions: RangeInclusive<i64>| -> String {
        let groups = positions.rev().map(|at| format!("{:04}", group(at)));
        groups.collect::<Vec<_>>().concat()
    };
    let whole = spelled(0..=weight.max(0));
    let last = weight - i64::try_from(groups.len()).unwrap_or(0) + 1;
    let fraction = spelled(last.min(0)..=-1);
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        other => panic!("a sign of {other:#x}"),
    };
    format!("{sign}{whole}.{fraction}")
}

/// The number without zeros that say nothing.
fn trimmed(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if whole.is_empty() && fraction.is_empty() { "" } else { sign };
    format!("{sign}{whole}.{fraction}")
}
