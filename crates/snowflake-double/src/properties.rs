//! Rules that hold for all values, tried on random ones.

use proptest::prelude::*;

use crate::calendar::{Parsed, Pattern, Shown, Stamp, timestamp};
use crate::decimal_text::DecimalText;
use crate::float;
use crate::number::{self, Shape};
use crate::sql::{KeyMaker, Order, Ty, like};
use crate::table::Cell;
use crate::wire::{Layout, json};

const LIMIT: i128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;

fn unscaled() -> impl Strategy<Value = i128> {
    prop_oneof![-1_000..1_000_i128, (-LIMIT + 1)..LIMIT]
}

fn key(maker: &KeyMaker, cell: Cell<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    maker.append(cell, &mut out);
    out
}

/// LIKE as its definition says it.
fn like_by_definition(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| like_by_definition(&text[skip..], rest)),
        Some(('_', rest)) => !text.is_empty() && like_by_definition(&text[1..], rest),
        Some((letter, rest)) => {
            text.first() == Some(letter) && like_by_definition(&text[1..], rest)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_text_of_a_number_reads_back(value in unscaled(), scale in 0..=37_u8) {
        let text = number::text(value, scale);
        let read = DecimalText::parse(&text).and_then(|text| text.exact());
        prop_assert_eq!(read, Some((value, scale)));
        let point = text.find('.').map_or(0, |point| text.len() - point - 1);
        prop_assert_eq!(point, usize::from(scale));
    }

    #[test]
    fn sums_are_undone_by_differences(a in unscaled(), b in unscaled(), s in 0..20_u8, t in 0..20_u8) {
        let shape = Shape::new(38, s).sum(Shape::new(38, t));
        if let Ok(sum) = number::add((a, s), (b, t), shape) {
            let back = number::add((sum, shape.scale), (-b, t), shape);
            prop_assert!(back.is_ok_and(|back| number::compare(back, shape.scale, a, s).is_eq()));
        }
    }

    #[test]
    fn quotients_are_off_by_half_a_digit_at_most(a in -LIMIT / 1_000_000..LIMIT / 1_000_000, b in 1..1_000_000_i128) {
        let shape = Shape::new(32, 0).quotient(Shape::new(6, 0));
        if let Ok(quotient) = number::divide((a, 0), (b, 0), shape) {
            let error = a.checked_mul(1_000_000).map(|scaled| (scaled - quotient * b).abs() * 2);
            prop_assert!(error.is_none_or(|error| error <= b));
        }
    }

    #[test]
    fn keys_are_equal_exactly_if_numbers_are(a in -3_000..3_000_i128, b in -3_000..3_000_i128, s in 0..4_u8, t in 0..4_u8) {
        let (left, right) = (Ty::number(10, s), Ty::number(10, t));
        let (left_key, right_key) = KeyMaker::paired(&left, &right).unwrap();
        let order = Order::of(&left, &right).unwrap();
        let (a, b) = (Cell::Number(a), Cell::Number(b));
        prop_assert_eq!(key(&left_key, a) == key(&right_key, b), order.compare(a, b).is_eq());
    }

    #[test]
    fn keys_are_equal_exactly_if_doubles_are(a in any::<f64>(), b in prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(f64::NAN)]) {
        let ty = crate::types::Type::Float.into();
        let maker = KeyMaker::of(&ty).unwrap();
        let order = Order::within(&ty).unwrap();
        for (x, y) in [(a, b), (b, b), (b, -b)] {
            let (x, y) = (Cell::Float(x), Cell::Float(y));
            prop_assert_eq!(key(&maker, x) == key(&maker, y), order.compare(x, y).is_eq());
        }
    }

    #[test]
    fn the_text_of_a_double_reads_back(value in any::<f64>()) {
        let mut out = Vec::new();
        float::write(&mut out, value);
        let read = float::parse(std::str::from_utf8(&out).unwrap()).unwrap();
        prop_assert_eq!(float::canonical_bits(read), float::canonical_bits(value));
    }

    #[test]
    fn like_does_what_its_definition_says(text in "[ab%]{0,8}", pattern in "[ab%_]{0,6}") {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = like_by_definition(&letters(&text), &letters(&pattern));
        prop_assert_eq!(like(&text, &pattern, None, false), expected);
    }

    #[test]
    fn timestamps_read_back_from_their_text(seconds in -62_135_596_800..253_402_300_800_i64, nanos in 0..1_000_000_000_u32, offset in -1_439..1_440_i16) {
        let wall = Stamp::new(seconds, nanos);
        let shown = Shown { wall, offset: Some(i32::from(offset)), scale: 9 };
        let pattern = Pattern::parse("YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM").unwrap();
        let text = pattern.show(shown).unwrap();
        match timestamp(&text) {
            Parsed::Value(clock) => {
                prop_assert_eq!(clock.wall, wall);
                prop_assert_eq!(clock.offset, Some(offset));
            }
            other => prop_assert!(false, "{}: {:?}", text, other),
        }
    }

    #[test]
    fn indenting_changes_nothing_but_white_space(depth in 0..4_u32, seed in any::<u64>(), width in 0..5_usize) {
        let text = random_json(depth, &mut crate::fault::SplitMix::new(seed));
        let indented = json::indented(&text, width);
        prop_assert_eq!(json::compact(&indented), json::compact(&text));
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        prop_assert_eq!(value(&indented), value(&text));
    }

    #[test]
    fn layouts_place_every_row_once(rows in 0..500_usize, inline in 0..100_usize, chunk in 1..90_usize) {
        let layout = Layout::new(rows, inline, chunk);
        let placed: Vec<usize> =
            std::iter::once(layout.inline).chain(layout.chunks).flatten().collect();
        prop_assert_eq!(placed, (0..rows).collect::<Vec<_>>());
    }
}

fn random_json(depth: u32, random: &mut crate::fault::SplitMix) -> String {
    let kind = random.next() % if depth == 0 { 3 } else { 5 };
    let parts = |random: &mut crate::fault::SplitMix| {
        let count = random.next() % 3;
        (0..count).map(|_| random_json(depth.saturating_sub(1), random)).collect::<Vec<_>>()
    };
    match kind {
        0 => "-1.50e3".to_owned(),
        1 => "null".to_owned(),
        2 => "\"a, {[: \\\" \\\\\"".to_owned(),
        3 => format!("[ {} ]", parts(random).join(" , ")),
        _ => {
            let members = parts(random);
            let members =
                members.iter().enumerate().map(|(key, value)| format!("\"{key}\":{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
    }
}
