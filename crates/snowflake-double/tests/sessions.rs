//! Session tokens and what sessions remember.

use std::time::Duration;

use snowflake_connector_rs::ErrorKind;
use snowflake_double::RequestKind;

use crate::support::{builder, double, session, value};

#[tokio::test]
async fn tokens_end_after_their_life() {
    let double = double().await;
    let old = session(&double).await;
    double.advance_clock(Duration::from_secs(3_599));
    assert_eq!(value(&old, "select 1").await.as_deref(), Some("1"));
    double.advance_clock(Duration::from_secs(1));
    let error = old.query("select 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    let new = session(&double).await;
    assert_eq!(value(&new, "select 1").await.as_deref(), Some("1"));
    double.expire_sessions();
    assert_eq!(new.query("select 1").await.unwrap_err().kind(), ErrorKind::SessionExpired);
    assert_eq!(double.statements().len(), 2, "refused statements do not run");
}

#[tokio::test]
async fn the_life_of_tokens_can_be_set() {
    let double = double().await;
    double.knobs().set_session_life(Duration::from_secs(10));
    let session = session(&double).await;
    double.advance_clock(Duration::from_secs(10));
    let error = session.query("select 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert_eq!(double.requests().pop().unwrap().code(), Some("390112"));
}

#[tokio::test]
async fn sessions_keep_what_statements_set() {
    let double = builder().start().await.unwrap();
    let session = session(&double).await;
    session.query("use schema db.sc").await.unwrap();
    session.query("use role loader").await.unwrap();
    session.query("use warehouse big").await.unwrap();
    for (function, expected) in
        [("current_schema()", "SC"), ("current_role()", "LOADER"), ("current_warehouse()", "BIG")]
    {
        let sql = format!("select {function}");
        assert_eq!(value(&session, &sql).await.as_deref(), Some(expected));
    }
    session.query("alter session set timezone = '+05:30'").await.unwrap();
    let sql = "select '1970-01-01 05:30:00'::timestamp_ltz";
    assert_eq!(value(&session, sql).await.as_deref(), Some("0.000000000"));
    let error = session.query("alter session set nonsense = 1").await.unwrap_err();
    assert!(error.snowflake_message().unwrap().contains("NONSENSE"));
}

#[tokio::test]
async fn requests_name_their_session() {
    let double = double().await;
    let first = session(&double).await;
    let second = session(&double).await;
    value(&first, "select 1").await;
    value(&second, "select 2").await;
    let sessions: Vec<_> = double
        .requests()
        .into_iter()
        .filter(|request| request.kind == RequestKind::Query)
        .map(|request| (request.sql.unwrap().to_string(), request.session.unwrap()))
        .collect();
    assert_eq!(sessions, [("select 1".to_owned(), 1), ("select 2".to_owned(), 2)]);
}

#[tokio::test]
async fn a_double_ends_with_its_handle() {
    let double = double().await;
    let session = session(&double).await;
    double.shutdown().await;
    let error = session.query("select 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}
