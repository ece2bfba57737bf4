//! Logins with every kind of proof, and refusals.

use snowflake_connector_rs::{
    AuthConfig, Client, ClientConfig, ErrorKind, KeyPairConfig, SessionConfig,
};
use snowflake_double::{Double, Outcome, RequestKind, User};

use crate::support::{builder, config, value};

const PUBLIC: &str = include_str!("keys/plain.pub");

async fn key_double() -> Double {
    Double::builder()
        .account("acme")
        .user(User::key_pair("mover", PUBLIC))
        .table(crate::support::thousand())
        .start()
        .await
        .unwrap()
}

async fn login(config: ClientConfig) -> snowflake_connector_rs::Result<()> {
    Client::new(config)?.create_session().await.map(|_| ())
}

#[tokio::test]
async fn key_pairs_log_in_plain_and_encrypted() {
    let double = key_double().await;
    let keys = [
        KeyPairConfig::from_pem(include_str!("keys/plain.p8")),
        KeyPairConfig::from_encrypted_pem(include_str!("keys/aes.p8"), b"secret".to_vec()),
        KeyPairConfig::from_encrypted_pem(include_str!("keys/des3.p8"), b"secret".to_vec()),
    ];
    for key in keys {
        let client = Client::new(config(&double, AuthConfig::key_pair(key))).unwrap();
        let session = client.create_session().await.unwrap();
        assert_eq!(value(&session, "select current_user()").await.as_deref(), Some("MOVER"));
    }
    assert_eq!(double.count_requests(RequestKind::Login), 3);
    assert_eq!(double.open_sessions(), 3);
}

#[tokio::test]
async fn a_foreign_key_is_refused() {
    let double = key_double().await;
    let key = KeyPairConfig::from_pem(include_str!("keys/other.p8"));
    let error = login(config(&double, AuthConfig::key_pair(key))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.snowflake_message().unwrap().starts_with("JWT token is invalid."));
    assert_eq!(double.requests()[0].code(), Some("390144"));
}

#[tokio::test]
async fn passwords_and_tokens_must_be_right() {
    let double = builder().user(User::oauth("robot", "token-1")).start().await.unwrap();
    login(config(&double, AuthConfig::password("secret"))).await.unwrap();
    let refused = |auth| login(config(&double, auth));
    let error = refused(AuthConfig::password("wrong")).await.unwrap_err();
    assert_eq!(error.snowflake_message(), Some("Incorrect username or password was specified."));
    refused(AuthConfig::oauth("token-1")).await.unwrap_err();
    let codes: Vec<_> =
        double.requests().iter().map(|request| request.code().map(str::to_owned)).collect();
    assert_eq!(codes, [None, Some("390100".to_owned()), Some("390303".to_owned())]);
}

#[tokio::test]
async fn oauth_tokens_log_in() {
    let double = Double::builder()
        .account("acme")
        .user(User::oauth("mover", "token-1"))
        .start()
        .await
        .unwrap();
    login(config(&double, AuthConfig::oauth("token-1"))).await.unwrap();
    login(config(&double, AuthConfig::oauth("token-2"))).await.unwrap_err();
}

#[tokio::test]
async fn unknown_accounts_users_and_roles_are_refused() {
    let double = builder().role("READER").start().await.unwrap();
    let url = url::Url::parse(double.base_url()).unwrap();
    let at = |user: &str, account: &str| {
        ClientConfig::new(user, account, AuthConfig::password("secret"))
            .with_endpoint(snowflake_connector_rs::EndpointConfig::custom_base_url(url.clone()))
    };
    let error = login(at("mover", "other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("403"), "{error}");
    login(at("nobody", "acme")).await.unwrap_err();
    login(at("MOVER", "acme.eu-central-1")).await.unwrap();
    let role = |name: &str| at("mover", "acme").with_session(SessionConfig::new().with_role(name));
    login(role("reader")).await.unwrap();
    let error = login(role("writer")).await.unwrap_err();
    assert!(error.snowflake_message().unwrap().contains("'WRITER'"));
    let parameters = &double.requests()[3].parameters;
    assert!(parameters.is_empty());
    let users: Vec<_> = double.requests().into_iter().filter_map(|request| request.user).collect();
    assert_eq!(users, ["MOVER", "NOBODY", "MOVER", "MOVER", "MOVER"]);
}

#[tokio::test]
async fn a_key_that_is_no_key_is_reported_at_the_start() {
    let double = Double::builder().user(User::key_pair("mover", "nonsense")).start().await;
    assert!(double.unwrap_err().to_string().contains("MOVER"));
}

#[tokio::test]
async fn sessions_take_their_settings_from_the_login() {
    let double = builder().warehouse("WH").start().await.unwrap();
    let url = url::Url::parse(double.base_url()).unwrap();
    let config = ClientConfig::new("mover", "acme", AuthConfig::password("secret"))
        .with_endpoint(snowflake_connector_rs::EndpointConfig::custom_base_url(url))
        .with_session(
            SessionConfig::new()
                .with_warehouse("wh")
                .with_database("db")
                .with_schema("nope")
                .with_session_parameter("QUERY_TAG", "run 1".into()),
        );
    let session = Client::new(config).unwrap().create_session().await.unwrap();
    let parameters = &double.requests()[0].parameters;
    assert_eq!(parameters.get("QUERY_TAG").map(String::as_str), Some("run 1"));
    assert_eq!(value(&session, "select current_warehouse()").await.as_deref(), Some("WH"));
    assert_eq!(value(&session, "select current_database()").await.as_deref(), Some("DB"));
    assert_eq!(value(&session, "select current_schema()").await, None);
    let tag = session.query("show parameters like 'QUERY_TAG'").await.unwrap();
    let table = tag.collect_table().await.unwrap();
    let row = table.rows::<crate::support::Texts>().unwrap().next().unwrap().unwrap();
    assert_eq!(row.0[1].as_deref(), Some("run 1"));
    assert!(
        double.requests().iter().all(|request| matches!(request.outcome, Outcome::Answered { .. }))
    );
}
