//! Global, then source, then table: the innermost value that is set counts.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{base, config, with};

/// Every inherited key with three values, and the value in force where nobody sets it.
fn inherited() -> Vec<(&'static str, [Value; 3], Value)> {
    vec![
        ("parallel_threads", [json!(1), json!(2), json!(3)], json!(null)),
        ("batch_size", [json!(100), json!(200), json!(300)], json!(null)),
        ("batch_size_copy_mode", [json!(100), json!(200), json!(300)], json!(null)),
        ("insert_only_mode", [json!(true), json!(false), json!(true)], json!(false)),
        ("max_retry_attempts", [json!(1), json!(2), json!(4)], json!(3)),
        ("truncate_onstart", [json!(true), json!(false), json!(true)], json!(false)),
        ("disable_index", [json!(true), json!(false), json!(true)], json!(false)),
        ("snapshot", [json!("require"), json!("off"), json!("prefer")], json!("prefer")),
        ("fidelity", [json!("warn"), json!("strict"), json!("warn")], json!("strict")),
        ("on_fraction", [json!("truncate"), json!("round"), json!("reject")], json!(null)),
        ("on_nul", [json!("remove"), json!("replace"), json!("reject")], json!("reject")),
        ("on_nonjson", [json!("null"), json!("text"), json!("reject")], json!("reject")),
        ("on_bad_row", [json!("quarantine"), json!("fail"), json!("quarantine")], json!("fail")),
        ("max_bad_rows", [json!(0), json!(1), json!(2)], json!(null)),
        ("max_bad_fraction", [json!(0.0), json!(0.5), json!(1.0)], json!(null)),
        (
            "create_table",
            [json!("if_missing"), json!("never"), json!("if_missing")],
            json!("never"),
        ),
        ("replace", [json!("atomic"), json!("off"), json!("atomic")], json!("off")),
        ("on_nonempty", [json!("append"), json!("refuse"), json!("append")], json!("refuse")),
        (
            "chunking",
            ["a", "b", "c"].map(|name| json!({"strategy": name, "options": {"n": 1}})),
            json!(null),
        ),
    ]
}

/// The same for keys that end up in the watermark.
fn of_watermark() -> Vec<(&'static str, &'static str, [Value; 3], Value)> {
    vec![
        (
            "watermark_low",
            "low",
            [json!("target"), json!("last_window"), json!("target")],
            json!("last_window"),
        ),
        (
            "watermark_nulls",
            "nulls",
            [json!("always"), json!("never"), json!("first_load")],
            json!(null),
        ),
        ("watermark_overlap_seconds", "overlap_seconds", [json!(1), json!(2), json!(3)], json!(0)),
    ]
}

const LEVELS: [&str; 3] = ["", "/sources/0", "/sources/0/tables/0"];

/// Sets `key` at the levels of which `mask` has the bit; gives the value that must be in force.
fn set(config: Value, key: &str, values: &[Value; 3], default: &Value, mask: u8) -> (Value, Value) {
    let mut result = (config, default.clone());
    for (bit, (level, value)) in LEVELS.iter().zip(values).enumerate() {
        if mask & (1 << bit) != 0 {
            result = (with(result.0, &format!("{level}/{key}"), value.clone()), value.clone());
        }
    }
    result
}

proptest! {
    #[test]
    fn the_innermost_value_counts(masks in prop::collection::vec(0_u8..8, 19)) {
        let mut written = base();
        let mut expected = Vec::new();
        for ((key, values, default), mask) in inherited().iter().zip(&masks) {
            let value;
            (written, value) = set(written, key, values, default, *mask);
            expected.push((*key, value));
        }
        let config = config(&written);
        let dump = serde_json::to_value(config.tables().next()).expect("dumps");
        for (key, value) in expected {
            prop_assert_eq!(&dump[key], &value, "{}", key);
        }
    }

    #[test]
    fn the_innermost_policy_of_watermarks_counts(masks in prop::collection::vec(0_u8..8, 3)) {
        let mut written = with(base(), "/sources/0/tables/0/source_watermark", json!("U"));
        written = with(written, "/sources/0/tables/0/target_watermark", json!("U"));
        let mut expected = Vec::new();
        for ((key, field, values, default), mask) in of_watermark().iter().zip(&masks) {
            let value;
            (written, value) = set(written, key, values, default, *mask);
            expected.push((*field, value));
        }
        let config = config(&written);
        let dump = serde_json::to_value(config.tables().next()).expect("dumps");
        for (field, value) in expected {
            prop_assert_eq!(&dump["watermark"][field], &value, "{}", field);
        }
    }
}

#[test]
fn the_lists_above_name_every_inherited_key() {
    let dump = serde_json::to_value(config(&base()).tables().next()).expect("dumps");
    for (key, ..) in inherited() {
        assert!(dump.get(key).is_some(), "{key}");
    }
    assert_eq!(inherited().len(), 19);
}
