//! A secret in any place shows up nowhere.

use migrate_config::{Config, Environment, MASK};
use serde_json::{Value, json};

use crate::support::{base, none, parse, parse_with, with};

const CANARY: &str = "hunter2-canary";

fn shows(config: &Config) -> String {
    let fingerprints: Vec<_> = config.tables().map(|t| t.fingerprint().to_string()).collect();
    let dump = serde_json::to_string(config).expect("dumps");
    format!("{config:?}\n{config:#?}\n{dump}\n{fingerprints:?}")
}

#[test]
fn no_dump_of_a_configuration_shows_a_secret() {
    let canaries = [
        ("/snowflake/password", json!(CANARY)),
        ("/postgres/password", json!(CANARY)),
        ("/snowflake/session_parameters", json!({"TAG": "${CANARY}", "TOKEN": CANARY})),
        ("/target", json!({"type": "x", "api_key": CANARY, "deep": [{"url": "${CANARY}"}]})),
        ("/status", json!({"type": "y", "url": "${CANARY}"})),
        ("/chunking", json!({"strategy": "x", "options": {"secret": {"any": [CANARY, 1]}}})),
        (
            "/sources/-",
            json!({
                "source_name": "s", "type": "csv", "auth": {"token": CANARY, "pin_token": 90_210_777}, "url": "${CANARY}",
                "tables": [{"source": "a", "target": "a"}]
            }),
        ),
    ];
    let written = canaries.into_iter().fold(base(), |c, (pointer, value)| with(c, pointer, value));
    let environment = Environment::from_map([("CANARY", CANARY)]);
    let config = parse_with(&written, &environment).expect("valid");
    let shown = shows(&config);
    assert!(!shown.contains(CANARY) && shown.contains(MASK), "{shown}");
    assert!(!shown.contains("90210777"), "{shown}");

    let mut token = with(base(), "/snowflake/oauth_token", json!(CANARY));
    token["snowflake"].as_object_mut().expect("an object").remove("password");
    let shown = shows(&parse(&token).expect("valid"));
    assert!(!shown.contains(CANARY) && shown.contains(MASK), "{shown}");
    assert!(!format!("{environment:?}").contains(CANARY));
}

#[test]
fn a_private_key_is_not_shown() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/aes.p8");
    let mut written = base();
    let snowflake = written["snowflake"].as_object_mut().expect("an object");
    snowflake.remove("password");
    snowflake.insert("rsa_key".into(), json!(path));
    snowflake.insert("rsa_key_passphrase".into(), json!("open-sesame"));
    let shown = shows(&parse(&written).expect("valid"));
    let key = std::fs::read_to_string(path).expect("readable");
    let line = key.lines().nth(3).expect("a line");
    assert!(!shown.contains(line) && !shown.contains("open-sesame"), "{shown}");
}

/// Each key gets the canary, as it is and through a variable, so that most of them are mistakes.
#[test]
fn no_message_shows_a_secret_or_what_came_through_a_variable() {
    let secret = [
        "/snowflake/password",
        "/snowflake/oauth_token",
        "/snowflake/rsa_key",
        "/snowflake/rsa_key_passphrase",
        "/postgres/password",
    ];
    let open = [
        "/snowflake/account",
        "/snowflake/base_url",
        "/snowflake/session_parameters",
        "/postgres/host",
        "/postgres/port",
        "/postgres/sslmode",
        "/postgres/sslrootcert",
        "/parallel_threads",
        "/memory_budget",
        "/target",
        "/sources",
        "/sources/0/source_sf_schema",
        "/sources/0/target_pg_database",
        "/sources/0/target_pg_schema",
        "/sources/0/tables",
        "/sources/0/tables/0/source",
        "/sources/0/tables/0/uniqueness_columns",
        "/sources/0/tables/0/chunking_column_types",
        "/sources/0/tables/0/truncate_onstart",
        "/sources/0/tables/0/unknown",
        "/sources/0/tables/0/column_mapping",
        "/sources/0/tables/0/fidelity",
    ];
    let strange = format!("{CANARY} \"!/@");
    let silent_with = |pointer: &str, value: Value, canary: &str| {
        let environment = Environment::from_map([("CANARY", canary)]);
        let config = with(base(), pointer, value);
        let text = match parse_with(&config, &environment) {
            Ok(config) => format!("{:?}", config.notices),
            Err(errors) => {
                let debug = format!("{errors}{errors:?}{}", serde_json::json!(errors));
                format!("{debug}{}", migrate_core::Error::from(errors).report())
            }
        };
        assert!(!text.contains(CANARY), "{pointer}: {text}");
    };
    let silent = |pointer: &str, value: Value| {
        silent_with(pointer, value.clone(), &strange);
        silent_with(pointer, value, CANARY);
    };
    for pointer in secret {
        for value in [json!(strange), json!([strange]), json!({"a": strange}), json!("${CANARY}")] {
            silent(pointer, value);
        }
    }
    for pointer in open {
        silent(pointer, json!("${CANARY}"));
        silent(pointer, json!(["${CANARY}"]));
        silent(pointer, json!({"${CANARY}": "${CANARY}", "b": "${CANARY}"}));
    }
}

#[test]
fn a_hidden_value_is_told_by_the_name_of_its_variable() {
    let config = with(base(), "/postgres/port", json!("${PORT}"));
    let errors = parse_with(&config, &Environment::from_map([("PORT", "x")])).expect_err("no port");
    assert!(errors.to_string().contains("(value=*** from ${PORT})"), "{errors}");
}

#[test]
fn broken_json_is_told_without_its_text() {
    for text in ["{\"password\": hunter2}", "{\"password\": \"hunter2\" x}", "{\"a\": 'hunter2'}"] {
        let errors = Config::parse("config.json", text, &none()).expect_err("broken");
        assert!(!format!("{errors}{errors:?}").contains("hunter2"), "{errors}");
    }
}
