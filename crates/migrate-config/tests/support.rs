//! A configuration to start from, and ways to change it.

use migrate_config::{Config, ConfigErrors, ConfigIssue, Environment, Severity, TableConfig};
use serde_json::{Value, json};

/// The smallest configuration of one Snowflake table.
pub(crate) fn base() -> Value {
    json!({
        "snowflake": {"account": "acme.eu", "user": "U", "warehouse": "W", "password": "sesame"},
        "postgres": {"host": "localhost", "user": "me"},
        "sources": [{
            "source_name": "analytics",
            "source_sf_database": "ANALYTICS",
            "source_sf_schema": "BI",
            "target_pg_database": "warehouse",
            "target_pg_schema": "public",
            "tables": [{"source": "ORDERS", "target": "orders"}]
        }]
    })
}

/// Sets the value at a JSON pointer; its parent must be there.
pub(crate) fn with(mut config: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match config.pointer_mut(parent).expect(parent) {
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        Value::Array(items) => items.push(value),
        other => panic!("{parent} holds {other}"),
    }
    config
}

/// Sets a key of the one table.
pub(crate) fn with_table(key: &str, value: Value) -> Value {
    with(base(), &format!("/sources/0/tables/0/{key}"), value)
}

pub(crate) fn none() -> Environment {
    Environment::from_map::<String, String>([])
}

pub(crate) fn parse(config: &Value) -> Result<Config, ConfigErrors> {
    parse_with(config, &none())
}

pub(crate) fn parse_with(
    config: &Value,
    environment: &Environment,
) -> Result<Config, ConfigErrors> {
    let text = serde_json::to_string_pretty(config).expect("JSON");
    Config::parse("config.json", &text, environment)
}

/// The configuration, which must be fine.
pub(crate) fn config(config: &Value) -> Config {
    parse(config).expect("a fine configuration")
}

/// The one table of a configuration that must be fine.
pub(crate) fn table(value: &Value) -> TableConfig {
    config(value).tables().next().expect("a table").clone()
}

/// The only error of a configuration.
pub(crate) fn error(config: &Value) -> ConfigIssue {
    let errors = parse(config).expect_err("a mistake");
    let mut found: Vec<_> = errors.errors().cloned().collect();
    assert_eq!(found.len(), 1, "{errors}");
    found.remove(0)
}

/// Paths and messages of the warnings and notes of a configuration that is fine.
pub(crate) fn notices(value: &Value, severity: Severity) -> Vec<String> {
    let config = config(value);
    let found = config.notices.iter().filter(|notice| notice.severity == severity);
    found.map(|notice| format!("{}: {}", notice.path, notice.message)).collect()
}
