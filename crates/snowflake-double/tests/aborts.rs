//! Statements in progress, and their end before their time.

use std::time::Duration;

use snowflake_connector_rs::{ErrorKind, QueryCancelStatus};
use snowflake_double::{Double, Fault, RequestKind, Rule};

use crate::support::{SOON, double, rows, session, value};

/// Waits until a statement was submitted.
async fn submitted(double: &Double, part: &'static str) {
    let is_it = move |requests: &[snowflake_double::Request]| {
        requests.iter().any(|request| {
            request.query_id.is_some()
                && request.sql.as_deref().is_some_and(|sql| sql.contains(part))
        })
    };
    double.wait_for(SOON, is_it).await.unwrap();
}

#[tokio::test]
async fn statements_in_progress_are_polled() {
    let double = double().await;
    let session = session(&double).await;
    for (count, detached) in [(1, false), (2, true)] {
        let before = double.count_requests(RequestKind::Poll);
        if detached {
            double.knobs().set_detached_answers(count);
        } else {
            double.knobs().set_in_progress_answers(count);
        }
        assert_eq!(rows(&session, "select id from t").await.unwrap().len(), 1_000);
        let polls = double.count_requests(RequestKind::Poll) - before;
        assert_eq!(polls, usize::try_from(count).unwrap());
    }
    let codes: Vec<_> = double
        .requests()
        .into_iter()
        .filter(|request| matches!(request.kind, RequestKind::Query | RequestKind::Poll))
        .map(|request| request.code().map(str::to_owned))
        .collect();
    let in_progress = |code: &str| Some(code.to_owned());
    assert_eq!(
        codes,
        [in_progress("333333"), None, in_progress("333334"), in_progress("333334"), None]
    );
    assert_eq!(double.statements().len(), 2);
}

#[tokio::test]
async fn a_long_statement_is_polled_too() {
    let double = double().await;
    double.knobs().set_in_progress_after(Duration::ZERO);
    double.knobs().set_answer_delay(Duration::from_millis(50));
    let session = session(&double).await;
    assert_eq!(value(&session, "select 1").await.as_deref(), Some("1"));
    assert!(double.count_requests(RequestKind::Poll) >= 1);
}

#[tokio::test]
async fn an_abort_ends_waiting_held_and_polled_statements() {
    let double = double().await;
    let session = session(&double).await;
    double
        .knobs()
        .inject(Rule::new(RequestKind::Query, Fault::Hold).sql_containing("held"))
        .unwrap();
    let cases = [
        ("call system$wait(600)", 0, Duration::ZERO),
        ("select 'held'", 0, Duration::ZERO),
        ("select 'slow'", 0, Duration::from_mins(10)),
    ];
    for (sql, polls, delay) in cases {
        double.knobs().set_in_progress_answers(polls);
        double.knobs().set_answer_delay(delay);
        let handle = session.query_handle(sql).unwrap();
        let canceller = handle.canceller();
        let ((), result) = tokio::join!(
            async {
                submitted(&double, sql).await;
                assert_eq!(canceller.cancel().await.unwrap(), QueryCancelStatus::Accepted);
            },
            handle.execute(),
        );
        let error = result.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{sql}: {error}");
        assert_eq!(error.snowflake_code(), Some("000604"), "{sql}");
    }
    assert_eq!(double.aborted().len(), 3);
}

#[tokio::test]
async fn a_statement_that_is_said_to_run_can_be_aborted() {
    let double = double().await;
    double.knobs().set_in_progress_answers(1_000);
    let session = session(&double).await;
    let handle = session.query_handle("select id from t").unwrap();
    let canceller = handle.canceller();
    let ((), result) = tokio::join!(
        async {
            double
                .wait_for(SOON, |requests| {
                    requests.iter().any(|request| request.kind == RequestKind::Poll)
                })
                .await
                .unwrap();
            canceller.cancel().await.unwrap();
        },
        handle.execute(),
    );
    assert_eq!(result.err().unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(double.aborted().len(), 1);
}

#[tokio::test]
async fn dropping_the_client_aborts_nothing() {
    let double = double().await;
    let session = session(&double).await;
    {
        let query = session.query("call system$wait(600)");
        tokio::select! {
            _ = query => panic!("the statement is longer than the test"),
            () = submitted(&double, "system$wait") => {}
        }
    }
    assert!(double.wait_idle(Duration::from_millis(50)).await.is_err(), "it runs on");
    assert!(double.aborted().is_empty());
    assert_eq!(double.count_requests(RequestKind::Abort), 0);
}

#[tokio::test]
async fn statements_end_at_their_timeout() {
    let double = double().await;
    let session = session(&double).await;
    session.query("alter session set statement_timeout_in_seconds = 1").await.unwrap();
    let error = session.query("call system$wait(600)").await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("000630"));
    assert!(error.snowflake_message().unwrap().contains("1 second(s)"));
}
