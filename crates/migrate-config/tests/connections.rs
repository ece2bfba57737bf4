//! The ways to reach the databases.

use std::time::Duration;

use migrate_config::{
    Config, Connector, Environment, Severity, SnowflakeAuth, SourceKind, SslMode,
};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{base, config, error, notices, parse, parse_with, with};

fn key(name: &str) -> String {
    format!("{}/tests/fixtures/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn with_auth(auth: &Value) -> Value {
    let mut config = base();
    let snowflake = config["snowflake"].as_object_mut().expect("an object");
    snowflake.remove("password");
    for (key, value) in auth.as_object().expect("an object") {
        snowflake.insert(key.clone(), value.clone());
    }
    config
}

#[test]
fn defaults_are_filled_in() {
    let config = config(&base());
    let postgres = config.postgres.expect("needed");
    assert_eq!((postgres.port, postgres.sslmode), (5432, SslMode::Prefer));
    assert_eq!(postgres.connect_timeout, Duration::from_secs(30));
    assert!(postgres.password.is_none());
    let snowflake = config.snowflake.expect("needed");
    assert_eq!(snowflake.login_timeout, Duration::from_mins(1));
    assert_eq!(snowflake.statement_timeout, Duration::from_hours(4));
    assert_eq!(snowflake.partition_timeout, Duration::from_mins(5));
    assert_eq!(config.run.memory_budget.to_string(), "256MiB");
    assert_eq!(config.run.lease, Duration::from_secs(30));
    assert_eq!(config.run.lambda_timeout_buffer, Duration::from_mins(2));
    assert_eq!((config.target, config.status), (Connector::Postgres, Connector::Postgres));
}

#[test]
fn there_is_exactly_one_way_to_log_in() {
    let auth = |auth: Value| config(&with_auth(&auth)).snowflake.expect("needed").auth;
    assert!(matches!(auth(json!({"password": "p"})), SnowflakeAuth::Password(_)));
    assert!(matches!(auth(json!({"oauth_token": "t"})), SnowflakeAuth::OauthToken(_)));
    let pair = auth(json!({"rsa_key": key("aes.p8"), "rsa_key_passphrase": "open-sesame"}));
    let SnowflakeAuth::KeyPair { private_key, passphrase } = pair else {
        panic!("a key pair, not {pair:?}")
    };
    assert!(private_key.expose_secret().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert_eq!(passphrase.expect("kept").expose_secret(), "open-sesame");

    assert_eq!(error(&with_auth(&json!({}))).message, "There is no way to log in");
    let both = error(&with_auth(&json!({"password": "p", "oauth_token": "t"})));
    assert_eq!(both.path, "snowflake.oauth_token");
    let broken = error(&with_auth(&json!({"oauth_token": "${UNSET}"})));
    assert!(broken.message.contains("UNSET is not set"), "{broken}");
}

#[test]
fn a_key_that_cannot_log_in_is_told_at_its_key() {
    let issue = error(&with_auth(&json!({"rsa_key": key("pkcs1.pem")})));
    assert_eq!(issue.path, "snowflake.rsa_key");
    assert!(issue.hint.expect("a hint").contains("openssl pkcs8 -topk8 -nocrypt -in key.pem"));
    let wrong = json!({"rsa_key": key("aes.p8"), "rsa_key_passphrase": "canary"});
    let issue = error(&with_auth(&wrong));
    assert_eq!(
        (issue.path.as_str(), issue.value.as_deref()),
        ("snowflake.rsa_key_passphrase", Some("***"))
    );
    let unused = with_auth(&json!({"rsa_key": key("plain.p8"), "rsa_key_passphrase": "x"}));
    assert_eq!(
        notices(&unused, Severity::Warning),
        ["snowflake.rsa_key_passphrase: The key is not encrypted, so its passphrase is not used"]
    );
}

proptest! {
    #[test]
    fn a_password_arrives_exactly_as_it_is(password in any::<String>()) {
        prop_assume!(!password.trim().is_empty());
        let written = with(base(), "/postgres/password", json!("${PASSWORD}"));
        let environment = Environment::from_map([("PASSWORD", password.as_str())]);
        let config = parse_with(&written, &environment).expect("valid");
        let read = config.postgres.and_then(|postgres| postgres.password).expect("set");
        prop_assert_eq!(read.expose_secret(), password);
    }
}

#[test]
fn base_urls_are_taken_without_a_slash() {
    for (text, expected) in [
        ("https://acme.example:8443/", "https://acme.example:8443"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("https://[::1]", "https://[::1]"),
    ] {
        let config = config(&with(base(), "/snowflake/base_url", json!(text)));
        assert_eq!(config.snowflake.and_then(|s| s.base_url).as_deref(), Some(expected));
        assert_eq!(config.notices, [], "{text}");
    }
}

#[test]
fn session_parameters_are_scalars_with_names() {
    let parameters = json!({"QUERY_TAG": "nightly", "CLIENT_RESULT_CHUNK_SIZE": 16, "ABORT": true});
    let config = config(&with(base(), "/snowflake/session_parameters", parameters.clone()));
    let snowflake = config.snowflake.expect("needed");
    assert_eq!(Value::Object(snowflake.session_parameters.values().clone()), parameters);
    for wrong in [json!({"A": []}), json!({"A B": 1}), json!({"A": null})] {
        let issue = error(&with(base(), "/snowflake/session_parameters", wrong));
        assert!(issue.path.starts_with("snowflake.session_parameters"), "{issue}");
    }
}

#[test]
fn tls_settings_that_do_not_fit_together_are_told() {
    let certificate = json!(key("certificate.pem"));
    let with_mode = |mode: &str| with(base(), "/postgres/sslmode", json!(mode));
    assert!(notices(&with_mode("verify-full"), Severity::Note)[0].contains("public authorities"));
    let fine = with(with_mode("verify-full"), "/postgres/sslrootcert", certificate.clone());
    assert_eq!(config(&fine).notices, []);
    let any_name = with(with_mode("verify-ca"), "/postgres/sslrootcert", certificate.clone());
    assert!(notices(&any_name, Severity::Warning)[0].contains("public authority"));
    let idle = with(with_mode("require"), "/postgres/sslrootcert", certificate);
    assert!(notices(&idle, Severity::Warning)[0].contains("nobody checks the certificate"));
}

#[test]
fn only_blocks_that_are_needed_must_be_there_and_right() {
    let parquet = json!({
        "snowflake": {"account": "${UNSET}"},
        "postgres": {"host": "localhost", "user": "me"},
        "sources": [{
            "source_name": "files", "type": "parquet", "path": "data",
            "target_pg_database": "d", "target_pg_schema": "s",
            "tables": [{"source": "2013/*.parquet", "target": "flights"}]
        }]
    });
    let config: Config = config(&parquet);
    assert!(config.snowflake.is_none());
    assert_eq!(config.sources[0].kind, SourceKind::Parquet { path: "data".into() });
    let table = config.tables().next().expect("a table");
    assert_eq!(table.source.to_string(), "2013/*.parquet");

    let mut idle = parquet.clone();
    idle["snowflake"] = base()["snowflake"].clone();
    assert!(parse(&idle).expect("valid").snowflake.is_none());
    let typo = with(parquet, "/snowflake/acount", json!("x"));
    assert_eq!(error(&typo).path, "snowflake.acount");
}

#[test]
fn registered_connectors_keep_their_own_keys() {
    let custom = json!({
        "target": {"type": "lake", "bucket": "b", "token": "canary", "depth": {"n": [1, null]}},
        "status": {"type": "memory"},
        "sources": [{
            "source_name": "s", "type": "csv", "folder": "f", "delimiter": ";",
            "tables": [{"source": "a b.csv", "target": "Exact Name"}]
        }]
    });
    let config = parse(&custom).expect("no connection block is needed");
    let Connector::Registered { name, options } = &config.target else { panic!("registered") };
    assert_eq!(
        (name.as_str(), options.values()["depth"].clone()),
        ("lake", json!({"n": [1, null]}))
    );
    let SourceKind::Registered { name, options } = &config.sources[0].kind else {
        panic!("registered")
    };
    assert_eq!((name.as_str(), options.values().len()), ("csv", 2));
    let table = config.tables().next().expect("a table");
    assert_eq!(
        (table.source.name.as_str(), table.target.to_string()),
        ("a b.csv", "Exact Name".to_owned())
    );
    assert!(!format!("{config:?}").contains("canary"));

    let unknown = with(base(), "/target", json!({"type": "postgres", "bucket": 1}));
    assert_eq!(error(&unknown).path, "target.bucket");
}
