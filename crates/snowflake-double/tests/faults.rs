//! Scripted faults, seen from the client.

use std::time::Duration;

use snowflake_connector_rs::ErrorKind;
use snowflake_double::{Double, Fault, Outcome, RequestKind, Rule};

use crate::support::{double, rows, session, value};

const ALL: &str = "select id from t order by id";

/// A double whose results come in two inline rows and chunks of 400.
async fn chunked() -> Double {
    let double = double().await;
    double.knobs().set_inline_rows(2);
    double.knobs().set_chunk_rows(400).unwrap();
    double
}

fn inject(double: &Double, kind: RequestKind, fault: Fault) -> snowflake_double::Injected {
    double.knobs().inject(Rule::new(kind, fault)).unwrap()
}

#[tokio::test]
async fn lost_rows_go_unnoticed_by_the_client() {
    let double = chunked().await;
    let session = session(&double).await;
    for (kind, fault, expected) in [
        (RequestKind::Chunk, Fault::ShortRows(1), 999),
        (RequestKind::Chunk, Fault::ShortRows(100), 900),
        (RequestKind::Query, Fault::ShortRows(1), 999),
        (RequestKind::Query, Fault::EmptyInline, 0),
        (RequestKind::Query, Fault::MissingChunk, 600),
        (RequestKind::Query, Fault::DuplicateChunk, 1_400),
    ] {
        let injected = inject(&double, kind, fault.clone());
        assert_eq!(rows(&session, ALL).await.unwrap().len(), expected, "{fault}");
        assert_eq!(injected.fired(), 1);
        assert_eq!(rows(&session, ALL).await.unwrap().len(), 1_000, "once is once");
    }
    let counted = "select count(*) from table(result_scan(last_query_id()))";
    inject(&double, RequestKind::Query, Fault::EmptyInline);
    rows(&session, ALL).await.unwrap();
    assert_eq!(value(&session, counted).await.as_deref(), Some("1000"), "the result is whole");
}

#[tokio::test]
async fn broken_bodies_are_errors_of_the_protocol() {
    let double = chunked().await;
    let session = session(&double).await;
    for (kind, fault) in [
        (RequestKind::Chunk, Fault::WrongColumnCount),
        (RequestKind::Chunk, Fault::Garbage),
        (RequestKind::Query, Fault::WrongColumnCount),
        (RequestKind::Query, Fault::Garbage),
        (RequestKind::Query, Fault::ArrowFormat),
        (RequestKind::Query, Fault::NoQueryId),
        (RequestKind::Query, Fault::NoColumns),
    ] {
        inject(&double, kind, fault.clone());
        let result = rows(&session, ALL).await;
        if fault == Fault::NoColumns {
            assert_eq!(result.unwrap().len(), 0);
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{fault}: {error}");
        }
    }
}

#[tokio::test]
async fn lost_connections_and_statuses_are_errors_of_the_network() {
    let double = chunked().await;
    let session = session(&double).await;
    for fault in [Fault::Status(503), Fault::Cut, Fault::CutMidBody] {
        inject(&double, RequestKind::Query, fault.clone());
        let error = session.query(ALL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{fault}: {error}");
    }
    let ran = double.count_statements(|sql| sql == ALL);
    assert_eq!(ran, 1, "only the answer that was cut in its middle came of a statement");
    let outcomes: Vec<_> = double
        .requests()
        .into_iter()
        .filter(|request| request.kind == RequestKind::Query)
        .map(|request| (request.fault.unwrap(), request.outcome))
        .collect();
    assert!(matches!(outcomes[0], (Fault::Status(503), Outcome::Answered { status: 503, .. })));
    assert_eq!(outcomes[1], (Fault::Cut, Outcome::Cut));
    assert_eq!(outcomes[2], (Fault::CutMidBody, Outcome::Cut));
}

#[tokio::test]
async fn the_client_repeats_chunks_after_passing_faults() {
    let double = chunked().await;
    let session = session(&double).await;
    for fault in [Fault::Status(503), Fault::Cut, Fault::CutMidBody] {
        let injected = inject(&double, RequestKind::Chunk, fault.clone());
        assert_eq!(rows(&session, ALL).await.unwrap().len(), 1_000, "{fault}");
        assert_eq!(injected.fired(), 1, "{fault}");
    }
    inject(&double, RequestKind::Chunk, Fault::Forbidden);
    let error = rows(&session, ALL).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
}

#[tokio::test]
async fn stalls_last_until_the_client_gives_up() {
    let double = chunked().await;
    let session = session(&double).await;
    let short = Duration::from_millis(200);
    for fault in [Fault::Stall, Fault::StallMidBody] {
        let injected = inject(&double, RequestKind::Chunk, fault.clone());
        let download = rows(&session, ALL);
        assert!(tokio::time::timeout(short, download).await.is_err(), "{fault}");
        assert_eq!(injected.fired(), 1);
    }
    inject(&double, RequestKind::Query, Fault::Stall);
    assert!(tokio::time::timeout(short, session.query(ALL)).await.is_err());
    assert_eq!(rows(&session, ALL).await.unwrap().len(), 1_000);
}

#[tokio::test]
async fn rules_choose_statements_and_counts() {
    let double = double().await;
    let session = session(&double).await;
    let rule = Rule::new(RequestKind::Query, Fault::Status(500)).sql_containing("COUNT(").times(2);
    let injected = double.knobs().inject(rule).unwrap();
    for _ in 0..2 {
        assert_eq!(value(&session, "select 1").await.as_deref(), Some("1"));
        session.query("select count(*) from t").await.unwrap_err();
    }
    assert_eq!(value(&session, "select count(*) from t").await.as_deref(), Some("1000"));
    assert_eq!(injected.fired(), 2);
    let failure = Fault::Failure {
        code: "000603".to_owned(),
        sql_state: "XX000".to_owned(),
        message: "internal".to_owned(),
    };
    double.knobs().inject(Rule::new(RequestKind::Query, failure).always()).unwrap();
    for _ in 0..2 {
        let error = session.query("select 1").await.unwrap_err();
        assert_eq!(error.snowflake_code(), Some("000603"));
    }
    double.knobs().clear_faults();
    assert_eq!(value(&session, "select 1").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_share_of_all_requests_fails_repeatably() {
    let outcomes = async |seed| {
        let double = double().await;
        let session = session(&double).await;
        double.knobs().fail_fraction(0.5, seed, Fault::Status(503)).unwrap();
        let mut outcomes = Vec::new();
        for _ in 0..40 {
            outcomes.push(session.query("select 1").await.is_ok());
        }
        outcomes
    };
    let first = outcomes(11).await;
    assert_eq!(outcomes(11).await, first);
    let passed = first.iter().filter(|ok| **ok).count();
    assert!((8..=32).contains(&passed), "{passed}");
}

#[tokio::test]
async fn logins_and_polls_fail_too() {
    let double = double().await;
    inject(&double, RequestKind::Login, Fault::Status(503));
    let client = snowflake_connector_rs::Client::new(crate::support::config(
        &double,
        snowflake_connector_rs::AuthConfig::password("secret"),
    ))
    .unwrap();
    assert_eq!(client.create_session().await.unwrap_err().kind(), ErrorKind::Network);
    let session = client.create_session().await.unwrap();
    double.knobs().set_in_progress_answers(1);
    inject(&double, RequestKind::Poll, Fault::Cut);
    let error = session.query("select 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let id = error.query_id().unwrap().to_owned();
    double.wait_idle(crate::support::SOON).await.unwrap();
    double.knobs().set_in_progress_answers(0);
    let again = format!("select * from table(result_scan('{id}'))");
    assert_eq!(value(&session, &again).await.as_deref(), Some("1"), "the result was kept");
}
