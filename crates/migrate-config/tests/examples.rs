//! The files that users copy.

use std::path::PathBuf;

use migrate_config::{Config, Environment, SourceKind};

fn example(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples")).join(name)
}

/// The example names a key file that only its reader has; everything else comes from the example.
fn environment() -> Environment {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/plain.p8");
    Environment::from_map([("SNOWFLAKE_RSA_KEY", key)])
        .with_env_file(example("env.example"))
        .expect("readable")
}

#[test]
fn the_example_is_valid_with_the_example_environment() {
    let environment = environment();
    assert_eq!(environment.notes(), []);
    let config = Config::load(example("config.json"), &environment).expect("valid");
    assert_eq!(config.notices, []);
    assert!(config.sources.iter().any(|s| matches!(s.kind, SourceKind::Snowflake { .. })));
    assert!(config.tables().count() >= 3);
}

#[test]
fn the_example_without_variables_names_each_of_them() {
    let errors = Config::load(example("config.json"), &crate::support::none()).expect_err("unset");
    let names = ["SNOWFLAKE_ACCOUNT", "SNOWFLAKE_RSA_KEY", "POSTGRES_HOST", "POSTGRES_PASSWORD"];
    for name in names {
        assert!(errors.to_string().contains(&format!("{name} is not set")), "{errors}");
    }
}
