//! The configuration that users of the older tool have.

use migrate_config::{Config, Environment, LoadMode, SnowflakeAuth};
use secrecy::ExposeSecret;

const README: &str = include_str!("fixtures/readme.json");

fn environment() -> Environment {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/plain.p8");
    Environment::from_map([
        ("SNOWFLAKE_ACCOUNT", "myaccount.us-east-1"),
        ("SNOWFLAKE_USER", "myuser"),
        ("SNOWFLAKE_WAREHOUSE", "COMPUTE_WH"),
        ("SNOWFLAKE_RSA_KEY", key),
        ("POSTGRES_HOST", "localhost"),
        ("POSTGRES_USER", "postgres"),
        ("POSTGRES_PASSWORD", "my\"pass\\word\n$x"),
    ])
}

#[test]
fn it_is_read_unchanged() {
    let config = Config::parse("config.json", README, &environment()).expect("valid");
    assert_eq!(config.notices, []);
    let snowflake = config.snowflake.as_ref().expect("needed");
    assert_eq!(snowflake.account, "myaccount.us-east-1");
    assert!(matches!(snowflake.auth, SnowflakeAuth::KeyPair { .. }));
    let password = config.postgres.as_ref().and_then(|postgres| postgres.password.as_ref());
    assert_eq!(password.expect("set").expose_secret(), "my\"pass\\word\n$x");

    let table = config.tables().next().expect("one table");
    assert_eq!(table.source.to_string(), "ANALYTICS.BI.DIMPAYER");
    assert_eq!(table.target.to_string(), "conflict_management.analytics_dev.dimpayer");
    assert_eq!(table.source_filter.as_deref(), Some("\"Is Active\" = TRUE"));
    assert_eq!(table.chunking_columns[0].name.as_str(), "Payer Id");
    assert_eq!(table.uniqueness_columns[0].as_str(), "Payer Id");
    assert_eq!(table.load_mode(), LoadMode::Upsert);
    assert_eq!(table.settings.batch_size.map(u64::from), Some(10_000));
    assert!(table.watermark.is_some() && table.column_mapping.is_empty());
}

#[test]
fn comments_and_trailing_commas_change_nothing() {
    let plain = Config::parse("config.json", README, &environment()).expect("valid");
    let commented = README
        .replace("\"parallel_threads\": 4,", "\"parallel_threads\": 4, // Increase for more")
        .replace("\"disable_index\": false", "/* keep */ \"disable_index\": false,");
    assert_ne!(commented, README);
    let commented = Config::parse("config.json", &commented, &environment()).expect("valid");
    let dump = |config: &Config| serde_json::to_value(config).expect("dumps");
    assert_eq!(dump(&commented), dump(&plain));
}

#[test]
fn five_mistakes_are_told_at_once_with_their_places() {
    let broken = README
        .replace("\"batch_size\": 10000", "\"batchsize\": 10000")
        .replace("${POSTGRES_HOST}", "${POSTGRES_HOTS}")
        .replace("[\"uuid\"]", "[\"guid\"]")
        .replace("\"target\": \"dimpayer\"", "\"target\": \"dim payer\"")
        .replace("\"truncate_onstart\": false", "\"truncate_onstart\": \"no\"");
    let errors = Config::parse("config.json", &broken, &environment()).expect_err("broken");
    let told: Vec<_> = errors.errors().map(|issue| (issue.path.as_str(), issue.line)).collect();
    assert_eq!(
        told,
        [
            ("postgres.host", Some(9)),
            ("batchsize", Some(14)),
            ("sources[0].tables[0].target", Some(27)),
            ("sources[0].tables[0].chunking_column_types[0]", Some(30)),
            ("sources[0].tables[0].truncate_onstart", Some(35)),
        ]
    );
    let text = migrate_core::Error::from(errors).to_string();
    assert_eq!(text.lines().count(), 6, "{text}");
    for words in [
        "config.json:14:3: batchsize: Unknown key \"batchsize\"; fix: did you mean \"batch_size\"?",
        "Environment variable POSTGRES_HOTS is not set; fix: set POSTGRES_HOTS in",
        "(value=\"dim payer\"); fix: if this is its exact name, write \"\\\"dim payer\\\"\"",
        "Unknown word (value=\"guid\"); fix: use one of: int, bigint,",
        "Expected true or false, found text (value=\"no\")",
    ] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
}

#[test]
fn every_unset_variable_is_named_with_its_place() {
    let errors =
        Config::parse("config.json", README, &crate::support::none()).expect_err("nothing is set");
    let text = errors.to_string();
    assert_eq!(errors.errors().count(), 7, "{text}");
    for (path, name) in
        [("snowflake.rsa_key", "SNOWFLAKE_RSA_KEY"), ("postgres.password", "POSTGRES_PASSWORD")]
    {
        let words = format!("{path}: Environment variable {name} is not set");
        assert!(text.contains(&words), "{words} is missing in\n{text}");
    }
}
