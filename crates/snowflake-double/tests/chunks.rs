//! Chunks: packing, headers, links, rendering.

use std::time::Duration;

use snowflake_connector_rs::ErrorKind;
use snowflake_double::{
    ChunkHeaders, Compression, Letters, Outcome, Rendering, RequestKind, Table, Type, Value,
};

use crate::support::{builder, double, rows, session, value};

const ALL: &str = "select id, name, n from t order by id";

#[tokio::test]
async fn every_packing_delivers_the_same_rows() {
    let double = double().await;
    double.knobs().set_inline_rows(0);
    double.knobs().set_chunk_rows(128).unwrap();
    let session = session(&double).await;
    let expected = rows(&session, ALL).await.unwrap();
    assert_eq!(expected.len(), 1_000);
    for compression in [Compression::None, Compression::Gzip, Compression::GzipWithHeader] {
        for rendering in [Rendering::OnDemand, Rendering::Ahead] {
            for letters in [Letters::Plain, Letters::Escaped] {
                double.knobs().set_compression(compression);
                double.knobs().set_rendering(rendering);
                double.knobs().set_letters(letters);
                let found = rows(&session, ALL).await.unwrap();
                assert!(found == expected, "{compression:?} {rendering:?} {letters:?}");
            }
        }
    }
}

/// A table that changes shows that the second answer is not evaluated.
#[tokio::test]
async fn kept_answers_are_handed_out_again_and_others_are_not() {
    let double = double().await;
    double.knobs().set_inline_rows(10);
    double.knobs().set_chunk_rows(128).unwrap();
    let session = session(&double).await;
    double.keep_answers(|sql| sql == ALL);
    let first = rows(&session, ALL).await.unwrap();
    double.replace_rows("DB.SC.T", Vec::<[Value; 3]>::new()).unwrap();
    assert!(rows(&session, ALL).await.unwrap() == first);
    assert_eq!(first.len(), 1_000);
    let other = format!("{ALL} desc");
    assert_eq!(rows(&session, &other).await.unwrap().len(), 0);
}

#[tokio::test]
async fn chunks_come_from_another_host_without_the_session_token() {
    let double = double().await;
    double.knobs().set_inline_rows(10);
    double.knobs().set_chunk_rows(400).unwrap();
    let session = session(&double).await;
    rows(&session, ALL).await.unwrap();
    let host = |url: &str| url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
    assert_ne!(host(double.base_url()), host(double.chunk_url()));
    let connections = double.connections();
    assert_eq!(connections.chunks, 3);
    assert_eq!(connections.account, 2, "a login and a statement");
    let chunks: Vec<_> = double
        .requests()
        .into_iter()
        .filter(|request| request.kind == RequestKind::Chunk)
        .map(|request| {
            assert_eq!(request.status(), Some(200), "a token would have been refused");
            assert_eq!(request.sql.as_deref(), Some(ALL));
            request.chunk.unwrap()
        })
        .collect();
    let mut sorted = chunks;
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2]);
}

#[tokio::test]
async fn headers_are_asked_for_and_sent() {
    let double = double().await;
    double.knobs().set_inline_rows(0);
    let session = session(&double).await;
    let named = vec![("x-amz-test".to_owned(), "1".to_owned())];
    for headers in
        [ChunkHeaders::Named(named), ChunkHeaders::Key("a2V5".to_owned()), ChunkHeaders::Empty]
    {
        double.knobs().set_chunk_headers(headers);
        assert_eq!(rows(&session, ALL).await.unwrap().len(), 1_000);
    }
}

#[tokio::test]
async fn links_expire_with_xml() {
    let double = double().await;
    double.knobs().set_inline_rows(0);
    let session = session(&double).await;
    let cursor = session.query(ALL).await.unwrap();
    double.advance_clock(Duration::from_hours(6));
    let error = cursor.collect_table().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    let last = double.requests().pop().unwrap();
    assert_eq!((last.kind, last.status()), (RequestKind::Chunk, Some(403)));
    double.knobs().set_session_life(Duration::from_hours(1));
}

#[tokio::test]
async fn chunks_of_forgotten_results_are_gone() {
    let double = double().await;
    double.knobs().set_inline_rows(0);
    double.knobs().set_kept_results(1);
    let session = session(&double).await;
    let cursor = session.query(ALL).await.unwrap();
    session.query("select 1").await.unwrap();
    let error = cursor.collect_table().await.unwrap_err();
    assert!(error.to_string().contains("NoSuchKey"), "{error}");
}

#[tokio::test]
async fn long_texts_pass() {
    let long = "x\"é".repeat(1 << 20);
    let table =
        Table::new("DB.SC.L").column("S", Type::varchar()).row([Value::from(long.as_str())]);
    let double = builder().table(table).start().await.unwrap();
    double.knobs().set_inline_rows(0);
    let session = session(&double).await;
    assert_eq!(value(&session, "select s from l").await, Some(long));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_mark() {
    let double = double().await;
    double.knobs().set_inline_rows(0);
    double.knobs().set_latency(RequestKind::Chunk, Duration::from_mins(10));
    let session = session(&double).await;
    let cursor = session.query(ALL).await.unwrap();
    let download = cursor.collect_table();
    tokio::select! {
        _ = download => panic!("the latency is longer than the test"),
        seen = double.wait_for(crate::support::SOON, |requests| {
            requests.iter().any(|request| request.kind == RequestKind::Chunk)
        }) => seen.unwrap(),
    }
    double
        .wait_for(crate::support::SOON, |requests| {
            requests.iter().any(|request| {
                request.kind == RequestKind::Chunk && request.outcome == Outcome::Abandoned
            })
        })
        .await
        .unwrap();
}
