//! Which keys decide the data.

use migrate_config::Environment;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{base, config, parse_with, table, with};

/// An upsert with watermarks, so that every key can play its part.
fn start() -> Value {
    let mut start = base();
    for (key, value) in [
        ("uniqueness_columns", json!(["id", "day"])),
        ("source_watermark", json!("U")),
        ("target_watermark", json!("U")),
        ("column_mapping", json!({"A": "a"})),
        ("on_bad_row", json!("quarantine")),
    ] {
        start = with(start, &format!("/sources/0/tables/0/{key}"), value);
    }
    start
}

fn fingerprint(value: &Value) -> String {
    table(value).fingerprint().to_string()
}

/// Changes after which the same rows are written.
fn neutral() -> Vec<(&'static str, Value)> {
    let table = |key: &'static str, value| (key, value);
    vec![
        ("/snowflake/user", json!("OTHER")),
        ("/snowflake/password", json!("other")),
        ("/snowflake/warehouse", json!("OTHER")),
        ("/snowflake/role", json!("OTHER")),
        ("/snowflake/account", json!("ACME.EU")),
        ("/snowflake/base_url", json!("https://other.example")),
        ("/snowflake/session_parameters", json!({"QUERY_TAG": "x"})),
        ("/snowflake/statement_timeout_seconds", json!(5)),
        ("/postgres/host", json!("other")),
        ("/postgres/port", json!(6000)),
        ("/postgres/password", json!("other")),
        ("/postgres/sslmode", json!("require")),
        ("/parallel_threads", json!(9)),
        ("/batch_size", json!(500)),
        ("/batch_size_copy_mode", json!(500)),
        ("/max_retry_attempts", json!(9)),
        ("/memory_budget", json!("1GiB")),
        ("/lease_seconds", json!(9)),
        ("/lambda_timeout_buffer_seconds", json!(9)),
        ("/status_tracking_database", json!("other")),
        ("/disable_index", json!(true)),
        ("/snapshot", json!("off")),
        ("/create_table", json!("if_missing")),
        ("/on_nonempty", json!("append")),
        ("/sources/0/tables/0/on_bad_row", json!("fail")),
        ("/max_bad_rows", json!(9)),
        ("/max_bad_fraction", json!(0.1)),
        ("/chunking", json!({"strategy": "hash_bucket", "options": {"n": 4}})),
        ("/sources/0/source_name", json!("other")),
        ("/sources/0/source_sf_schema", json!("bi")),
        ("/sources/0/tables/-", json!({"source": "OTHER", "target": "other"})),
        table("/sources/0/tables/0/target_filter", json!("x = 1")),
        table("/sources/0/tables/0/chunking_columns", json!(["ID"])),
        table("/sources/0/tables/0/sort_columns", json!(["ID"])),
        table("/sources/0/tables/0/uniqueness_columns", json!(["day", "id"])),
        table("/sources/0/tables/0/watermark_nulls", json!("always")),
        table("/sources/0/tables/0/column_mapping", json!({"A": "a", "B": "B"})),
        table("/sources/0/tables/0/source_filter", json!("1=1")),
        // A policy that says what holds anyway.
        table("/sources/0/tables/0/column_policies", json!({"A": {"on_nul": "reject"}})),
    ]
}

/// Changes after which other rows may be written.
fn deciding() -> Vec<(&'static str, Value)> {
    vec![
        ("/snowflake/account", json!("other.eu")),
        ("/fidelity", json!("warn")),
        ("/on_fraction", json!("round")),
        ("/on_nul", json!("remove")),
        ("/on_nonjson", json!("null")),
        ("/sources/0/tables/0/column_policies", json!({"A": {"on_nul": "replace"}})),
        ("/sources/0/tables/0/column_policies", json!({"A": {"offset_column": "a_offset"}})),
        ("/insert_only_mode", json!(true)),
        ("/truncate_onstart", json!(true)),
        ("/replace", json!("atomic")),
        ("/watermark_low", json!("target")),
        ("/watermark_overlap_seconds", json!(5)),
        ("/sources/0/source_sf_database", json!("OTHER")),
        ("/sources/0/source_sf_schema", json!("OTHER")),
        ("/sources/0/target_pg_database", json!("other")),
        ("/sources/0/target_pg_schema", json!("other")),
        ("/sources/0/tables/0/source", json!("OTHER")),
        ("/sources/0/tables/0/target", json!("other")),
        ("/sources/0/tables/0/source_filter", json!("A = 1")),
        ("/sources/0/tables/0/uniqueness_columns", json!(["id"])),
        ("/sources/0/tables/0/source_watermark", json!("V")),
        ("/sources/0/tables/0/target_watermark", json!("V")),
        ("/sources/0/tables/0/watermark_nulls", json!("never")),
        ("/sources/0/tables/0/column_mapping", json!({"A": "b"})),
    ]
}

fn apply<'c>(config: Value, changes: impl IntoIterator<Item = &'c (&'static str, Value)>) -> Value {
    changes
        .into_iter()
        .fold(config, |config, (pointer, value)| with(config, pointer, value.clone()))
}

proptest! {
    #[test]
    fn neutral_changes_keep_it(changes in prop::sample::subsequence(neutral(), 0..=neutral().len())) {
        prop_assert_eq!(fingerprint(&apply(start(), &changes)), fingerprint(&start()));
    }

    #[test]
    fn one_deciding_change_among_neutral_ones_changes_it(
        changes in prop::sample::subsequence(neutral(), 0..=neutral().len()),
        change in prop::sample::select(deciding()),
    ) {
        // The deciding change comes last: it may stand at the key of a neutral one.
        let changed = apply(apply(start(), &changes), [&change]);
        prop_assert_ne!(fingerprint(&changed), fingerprint(&start()), "{}", change.0);
    }
}

#[test]
fn each_change_alone_is_judged_as_listed() {
    let before = fingerprint(&start());
    for change in neutral() {
        assert_eq!(fingerprint(&apply(start(), [&change])), before, "{}", change.0);
    }
    let mut seen = vec![before];
    for change in deciding() {
        let after = fingerprint(&apply(start(), [&change]));
        assert!(!seen.contains(&after), "{}", change.0);
        seen.push(after);
    }
}

#[test]
fn every_key_of_a_table_is_judged() {
    let dump = serde_json::to_value(table(&start())).expect("dumps");
    let judged: Vec<_> = [neutral(), deciding()].concat();
    // These are made from other keys, or are not keys.
    let made = ["path", "source_name", "source_kind", "watermark"];
    for key in dump.as_object().expect("an object").keys() {
        let ending = format!("/{key}");
        assert!(
            made.contains(&key.as_str()) || judged.iter().any(|(p, _)| p.ends_with(&ending)),
            "{key} is neither neutral nor deciding"
        );
    }
}

#[test]
fn it_names_the_version_of_its_algorithm_and_stays_the_same() {
    // Stored runs are found by it: a change here needs a new version.
    assert_eq!(
        fingerprint(&start()),
        "v1:6c8cf5c28bf9b74017b1f8df239371db479016dae1e48291e49b0c1066bd8fd2"
    );
}

#[test]
fn a_full_load_does_not_look_at_keys_and_watermarks() {
    let full = with(start(), "/truncate_onstart", json!(true));
    let other = with(full.clone(), "/sources/0/tables/0/uniqueness_columns", json!(["x"]));
    let other = with(other, "/watermark_overlap_seconds", json!(9));
    assert_eq!(fingerprint(&other), fingerprint(&full));
}

#[test]
fn options_of_a_registered_source_count_except_secret_ones() {
    let source = |folder: &str, token: &str| {
        let custom = json!({
            "postgres": {"host": "localhost", "user": "me"},
            "sources": [{
                "source_name": "s", "type": "csv", "folder": "${FOLDER}", "auth": {"token": "${TOKEN}"},
                "target_pg_database": "d", "target_pg_schema": "s",
                "tables": [{"source": "a.csv", "target": "a"}]
            }]
        });
        let environment = Environment::from_map([("FOLDER", folder), ("TOKEN", token)]);
        let config = parse_with(&custom, &environment).expect("valid");
        config.tables().next().expect("a table").fingerprint()
    };
    assert_eq!(source("f", "x"), source("f", "y"));
    assert_ne!(source("f", "x"), source("g", "x"));
}

#[test]
fn files_are_told_apart_by_their_folder() {
    let files = |path: &str| {
        let files = json!({
            "postgres": {"host": "localhost", "user": "me"},
            "sources": [{
                "source_name": "s", "type": "parquet", "path": path,
                "target_pg_database": "d", "target_pg_schema": "s",
                "tables": [{"source": "a.parquet", "target": "a"}]
            }]
        });
        let config = config(&files);
        config.tables().next().expect("a table").fingerprint()
    };
    assert_ne!(files("2013"), files("2014"));
}
