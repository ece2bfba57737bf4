//! Each kind of mistake: where it is told, in which words, and that correct neighbours stay silent.

use migrate_config::{Config, Environment, Severity};
use serde_json::{Value, json};

use crate::support::{base, config, error, none, notices, parse, parse_with, with, with_table};

/// One wrong value, the path that must be told, and words of message or hint.
#[test]
fn wrong_values_are_told_at_their_path() {
    let table = "/sources/0/tables/0";
    let cases: Vec<(String, Value, &str)> = vec![
        ("/postgres/port".into(), json!(0), "from 1 to 65535"),
        ("/postgres/port".into(), json!("5432x"), "from 1 to 65535"),
        ("/postgres/port".into(), json!(5432.5), "whole number"),
        ("/postgres/port".into(), json!([]), "found an array"),
        ("/postgres/host".into(), json!("postgres://localhost"), "no host name"),
        ("/postgres/host".into(), json!("localhost:5433"), "\"port\""),
        ("/postgres/host".into(), json!(""), "is empty"),
        ("/postgres/host".into(), json!(7), "Expected text in quotes, found a number"),
        ("/postgres/sslmode".into(), json!("verify_full"), "did you mean \"verify-full\"?"),
        ("/postgres/sslrootcert".into(), json!("no/such.pem"), "does not exist"),
        ("/postgres/connect_timeout_seconds".into(), json!(0), "from 1 to 3600"),
        ("/snowflake/account".into(), json!("https://x.y"), "account identifier"),
        ("/snowflake/account".into(), json!("x.snowflakecomputing.com"), "what stands before"),
        ("/snowflake/base_url".into(), json!("https://u:p@host"), "Expected http"),
        ("/snowflake/base_url".into(), json!("https://host/path"), "Expected http"),
        ("/snowflake/base_url".into(), json!("https://host?x=1"), "Expected http"),
        ("/snowflake/base_url".into(), json!("ftp://host"), "Expected http"),
        ("/snowflake/base_url".into(), json!("https://host:99999"), "Expected http"),
        ("/snowflake/statement_timeout_seconds".into(), json!(604_801), "to 604800"),
        ("/snowflake/session_parameters".into(), json!("x"), "Expected an object"),
        ("/parallel_threads".into(), json!(257), "from 1 to 256"),
        ("/parallel_threads".into(), json!(0), "from 1 to 256"),
        ("/batch_size".into(), json!(99), "from 100"),
        ("/batch_size".into(), json!(true), "found a boolean"),
        ("/max_retry_attempts".into(), json!(-1), "from 0 to 100"),
        ("/lambda_timeout_buffer_seconds".into(), json!(900), "from 0 to 840"),
        ("/lease_seconds".into(), json!(0), "from 1 to 3600"),
        ("/memory_budget".into(), json!("16MiB"), "at least 32MiB"),
        ("/memory_budget".into(), json!("lots"), "\"32MiB\""),
        ("/max_bad_fraction".into(), json!(1.5), "from 0 to 1"),
        ("/on_bad_row".into(), json!("ignore"), "use one of: fail, quarantine"),
        ("/chunking".into(), json!({}), "Key \"strategy\" is missing"),
        ("/target".into(), json!("postgres"), "Expected an object"),
        ("/sources".into(), json!([]), "There is no source"),
        ("/sources".into(), json!({}), "Expected an array"),
        ("/sources/0/source_sf_schema".into(), json!("a-b"), "\"\\\"a-b\\\"\""),
        ("/sources/0/tables".into(), json!([7]), "Expected an object"),
        (format!("{table}/source"), json!("a.b"), "one plain identifier"),
        (format!("{table}/source"), json!("\"a"), "quotes do not match"),
        (format!("{table}/enabled"), json!("maybe"), "true or false"),
        (format!("{table}/source_filter"), json!(true), "Expected text"),
        (format!("{table}/uniqueness_columns"), json!("ID"), "Expected an array"),
        (format!("{table}/uniqueness_columns"), json!([7]), "Expected text"),
        (format!("{table}/uniqueness_columns"), json!(["A", null]), "An element is null"),
        (format!("{table}/uniqueness_columns"), json!([""]), "An element is empty"),
        (format!("{table}/column_mapping"), json!([]), "Expected an object"),
        (format!("{table}/column_mapping"), json!({"A": "x", "B": "x"}), "have one target"),
        (format!("{table}/column_mapping"), json!({"": "x"}), "no name"),
        (format!("{table}/column_mapping"), json!({"A": ""}), "has no value"),
        (format!("{table}/watermark_low"), json!("newest"), "use one of: last_window, target"),
    ];
    for (pointer, value, words) in cases {
        let issue = error(&with(base(), &pointer, value.clone()));
        let text = issue.to_string();
        assert!(text.contains(words), "{pointer} {value}: {words} is missing in {text}");
        assert!(issue.hint.is_some() && issue.line.is_some(), "{text}");
        let key = pointer.rsplit('/').next().expect("a key");
        assert!(issue.path.contains(key), "{pointer} is told at {}", issue.path);
    }
}

#[test]
fn missing_keys_are_told_with_what_to_add() {
    for (object, key) in [
        ("", "sources"),
        ("", "snowflake"),
        ("", "postgres"),
        ("/snowflake", "account"),
        ("/snowflake", "user"),
        ("/snowflake", "warehouse"),
        ("/postgres", "host"),
        ("/postgres", "user"),
        ("/sources/0", "source_name"),
        ("/sources/0", "source_sf_database"),
        ("/sources/0", "target_pg_database"),
        ("/sources/0", "target_pg_schema"),
        ("/sources/0", "tables"),
        ("/sources/0/tables/0", "source"),
        ("/sources/0/tables/0", "target"),
    ] {
        for absent in [None, Some(Value::Null)] {
            let mut config = base();
            let object = config.pointer_mut(object).and_then(Value::as_object_mut).expect("there");
            match absent {
                Some(null) => object.insert(key.to_owned(), null),
                None => object.remove(key),
            };
            let issue = error(&config);
            assert_eq!(issue.message, format!("Key \"{key}\" is missing"));
            assert!(issue.path.ends_with(key), "{issue}");
            assert!(issue.hint.expect("a hint").starts_with(&format!("add \"{key}\": ")));
        }
    }
}

#[test]
fn unknown_keys_are_told_everywhere_also_in_disabled_parts() {
    for (pointer, hint) in [
        ("/batchsize", "did you mean \"batch_size\"?"),
        ("/snowflake/wharehouse", "did you mean \"warehouse\"?"),
        ("/snowflake/private_key", "use \"rsa_key\""),
        ("/postgres/database", "\"target_pg_database\""),
        ("/sources/0/uniqueness_columns", "move it to an entry of \"tables\""),
        ("/sources/0/tables/0/truncate_on_start", "did you mean \"truncate_onstart\"?"),
        ("/sources/0/tables/0/tables_filter", "\"enabled\": false"),
        ("/sources/0/tables/0/zebra", "known keys here: batch_size, "),
        ("/sources/0/tables/0/_comment", "// …"),
    ] {
        let issue = error(&with(base(), pointer, json!("canary")));
        let text = issue.to_string();
        assert!(text.contains("Unknown key") && text.contains(hint), "{text}");
        assert!(!text.contains("canary"), "{text}");

        let disabled = with(with(base(), pointer, json!(1)), "/sources/0/enabled", json!(false));
        assert_eq!(parse(&disabled).expect_err(pointer).errors().count(), 1);
        let disabled = with(with_table("enabled", json!(false)), pointer, json!(1));
        assert_eq!(parse(&disabled).expect_err(pointer).errors().count(), 1);
    }
}

#[test]
fn inside_disabled_parts_values_and_variables_do_not_matter() {
    let mut odd = base();
    odd["sources"][0]["tables"]
        .as_array_mut()
        .expect("tables")
        .push(json!({"enabled": false, "source": "${UNSET}", "batch_size": -1}));
    odd["sources"].as_array_mut().expect("sources").push(json!({
        "enabled": false, "source_name": "old", "source_sf_schema": "${UNSET}",
        "tables": [{"source": 7, "target": "${UNSET"}]
    }));
    let config = config(&odd);
    assert_eq!(config.tables().count(), 1);
    assert_eq!(config.sources[0].disabled_table_count, 1);
    assert_eq!(config.disabled_sources, ["old"]);
}

#[test]
fn null_and_blank_mean_not_set() {
    let plain = serde_json::to_value(config(&base())).expect("dumps");
    let mut odd = base();
    for key in [
        "enabled",
        "source_filter",
        "chunking_columns",
        "chunking_column_types",
        "sort_columns",
        "uniqueness_columns",
        "source_watermark",
        "target_watermark",
        "column_mapping",
        "batch_size",
        "parallel_threads",
        "truncate_onstart",
        "chunking",
        "replace",
        "snapshot",
    ] {
        odd = with(odd, &format!("/sources/0/tables/0/{key}"), Value::Null);
    }
    odd = with(odd, "/postgres/port", json!("${PORT:-}"));
    odd = with(odd, "/snowflake/rsa_key", json!("${KEY:-}"));
    odd = with(odd, "/sources/0/tables/0/target_filter", json!("  "));
    assert_eq!(serde_json::to_value(config(&odd)).expect("dumps"), plain);
}

#[test]
fn numbers_and_booleans_may_come_as_text() {
    let odd = with(base(), "/postgres/port", json!("${PORT}"));
    let odd = with(odd, "/sources/0/tables/0/truncate_onstart", json!("${FULL}"));
    let environment = Environment::from_map([("PORT", "6432"), ("FULL", "True")]);
    let config = parse_with(&odd, &environment).expect("valid");
    assert_eq!(config.postgres.as_ref().map(|postgres| postgres.port), Some(6432));
    assert!(config.tables().all(|table| table.settings.truncate_onstart));
}

#[test]
fn names_of_sources_are_unique_among_enabled_ones() {
    let mut twice = base();
    let copy = twice["sources"][0].clone();
    twice["sources"].as_array_mut().expect("sources").push(copy);
    let issue = error(&twice);
    assert_eq!(issue.path, "sources[1].source_name");
    assert!(issue.message.contains("sources[0]"), "{issue}");
    config(&with(twice, "/sources/1/enabled", json!(false)));
}

#[test]
fn two_entries_may_share_a_target_only_if_none_empties_it() {
    let twice = with(base(), "/sources/0/tables/-", json!({"source": "B", "target": "Orders"}));
    config(&twice);
    for (key, value, word) in
        [("truncate_onstart", json!(true), "truncated"), ("replace", json!("atomic"), "replaced")]
    {
        for table in [0, 1] {
            let pointer = format!("/sources/0/tables/{table}/{key}");
            let issue = error(&with(twice.clone(), &pointer, value.clone()));
            assert_eq!(issue.path, "sources[0].tables[1].target");
            assert!(issue.message.contains("sources[0].tables[0]"), "{issue}");
            assert!(issue.message.ends_with(word), "{issue}");
        }
    }
}

#[test]
fn doubtful_settings_are_warnings() {
    let mut no_tables = base();
    no_tables["sources"][0]["tables"] = json!([]);
    for (value, words) in [
        (with(base(), "/parallel_threads", json!(21)), "21 threads are a lot"),
        (with_table("uniqueness_columns", json!([])), "list of key columns is empty"),
        (with_table("uniqueness_columns", json!(["A", "A"])), "stands twice"),
        (with_table("source_watermark", json!("U")), "Only one of the two watermarks"),
        (with_table("chunking_column_types", json!(["int"])), "types and no columns"),
        (with_table("max_bad_rows", json!(5)), "has no effect"),
        (with_table("watermark_nulls", json!("never")), "has no effect without watermarks"),
        (with_table("enabled", json!(false)), "No table is enabled"),
        (no_tables, "The source has no table"),
        (with(base(), "/sources/0/enabled", json!(false)), "No source is enabled"),
        (with(base(), "/sources/0/target_pg_database", json!("DWH")), "read in lower case"),
        (with(base(), "/snowflake/base_url", json!("http://acme.example")), "unencrypted"),
        (with(base(), "/snowflake/rsa_key_passphrase", json!("x")), "passphrase is not used"),
        (with(base(), "/status_tracking_database", json!("other")), "stay in warehouse"),
    ] {
        let warnings = notices(&value, Severity::Warning);
        assert!(warnings.len() == 1 && warnings[0].contains(words), "{words}: {warnings:?}");
    }
    assert_eq!(config(&base()).notices, []);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let error = Config::load("no/such/config.json", &none()).expect_err("missing");
    assert!(error.to_string().contains("no/such/config.json: The configuration file cannot be"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0xff, 0xfe, b'{', 0]).expect("written");
    let error = Config::load(file.path(), &none()).expect_err("UTF-16");
    assert!(error.to_string().contains("save it as UTF-8"), "{error}");
}

#[test]
fn what_the_env_file_told_is_among_the_notices() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "canary text\n").expect("written");
    let environment = none().with_env_file(file.path()).expect("readable");
    let config = parse_with(&base(), &environment).expect("valid");
    let [notice] = config.notices.as_slice() else { panic!("{:?}", config.notices) };
    assert_eq!((notice.severity, notice.line), (Severity::Warning, Some(1)));
    assert!(!notice.to_string().contains("canary"), "{notice}");
}

#[test]
fn line_and_column_are_those_of_the_file() {
    let text = "{\n  // first\n  \"postgres\": {\"host\": \"é\", \"port\": \"x\"},\n";
    let rest = "  \"sources\": [{\"enabled\": false, \"tables\": []}]\n}";
    let errors = Config::parse("c.json", &format!("{text}{rest}"), &none()).expect_err("port");
    let places: Vec<_> = errors.errors().map(|e| (e.line, e.column, e.path.as_str())).collect();
    assert_eq!(places, [(Some(3), Some(3), "postgres.user"), (Some(3), Some(29), "postgres.port")]);
}
