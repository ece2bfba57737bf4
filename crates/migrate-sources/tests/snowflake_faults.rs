//! What the guard around the client has to notice, bound and hide.

use std::num::NonZeroU64;
use std::time::Duration;

use futures::TryStreamExt;
use migrate_core::{
    ErrorKind, HistogramRequest, Key, KeyHistogram, Predicate, RunContext, Source, code,
};
use migrate_sources::{SnowflakeAuth, SnowflakeSource};
use snowflake_double::{Double, Fault, RequestKind, Rule};

use crate::snowflake_support::{
    CANARY, double, everything, open, orders, read, row_count, settings, source, table,
};

async fn parts() -> Double {
    let double = double().table(orders()).start().await.expect("starts");
    double.knobs().set_inline_rows(0);
    double.knobs().set_chunk_rows(200).expect("not zero");
    double
}

fn inject(double: &Double, rule: Rule) {
    double.knobs().inject(rule).expect("the fault fits its request");
}

#[tokio::test]
async fn a_result_that_lacks_rows_is_an_error() {
    let faults: [(RequestKind, Fault); 4] = [
        (RequestKind::Chunk, Fault::ShortRows(1)),
        (RequestKind::Query, Fault::MissingChunk),
        (RequestKind::Query, Fault::DuplicateChunk),
        (RequestKind::Query, Fault::EmptyInline),
    ];
    for (kind, fault) in faults {
        let double = parts().await;
        if matches!(fault, Fault::EmptyInline) {
            double.knobs().set_inline_rows(5000);
        }
        let orders = open(&double, "ORDERS").await;
        let said = format!("{fault:?}");
        let rule = match kind {
            RequestKind::Query => Rule::new(kind, fault).sql_containing("SELECT \"ID\""),
            _ => Rule::new(kind, fault),
        };
        inject(&double, rule);
        let error = read(orders.as_ref(), everything(&["ID"])).await.expect_err(&said);
        assert_eq!(error.code(), code::ROW_COUNT_MISMATCH, "{said}");
        let again = read(orders.as_ref(), everything(&["ID"])).await.expect("the fault is over");
        assert_eq!(row_count(&again), 1000);
    }
}

#[tokio::test]
async fn a_count_without_a_row_is_asked_again() {
    let double = double().table(orders()).start().await.expect("starts");
    let orders = open(&double, "ORDERS").await;
    inject(&double, Rule::new(RequestKind::Query, Fault::EmptyInline).sql_containing("COUNT(*)"));
    assert_eq!(orders.count(&Predicate::All).await.expect("the second answer"), 1000);
}

#[tokio::test]
async fn a_histogram_without_a_row_is_no_empty_table() {
    let double = double().table(orders()).start().await.expect("starts");
    let orders = open(&double, "ORDERS").await;
    let key = Key::column("ID");
    let request = HistogramRequest::new(&key, NonZeroU64::MIN.saturating_add(99));
    inject(&double, Rule::new(RequestKind::Query, Fault::EmptyInline).sql_containing("BUCKETS"));
    let error = orders.histograms(&request).await.expect_err("incomplete");
    assert_eq!(error.code(), code::ROW_COUNT_MISMATCH);
    let again = orders.histograms(&request).await.expect("the fault is over");
    let rows = |one: &KeyHistogram| one.buckets.iter().map(|bucket| bucket.rows).sum::<u64>();
    assert_eq!(again.iter().map(|one| one.nulls + rows(one)).sum::<u64>(), 1000);
}

#[tokio::test]
async fn a_part_that_stalls_is_asked_for_again_and_given_up_in_the_end() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    inject(&double, Rule::new(RequestKind::Chunk, Fault::StallMidBody));
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("the second try");
    assert_eq!(row_count(&rows), 1000);
    inject(&double, Rule::new(RequestKind::Chunk, Fault::Stall).always());
    let error = read(orders.as_ref(), everything(&["ID"])).await.expect_err("stalls for good");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn links_that_are_refused_for_good_are_a_failure_that_shows_no_address() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    inject(&double, Rule::new(RequestKind::Chunk, Fault::Forbidden).always());
    let error = read(orders.as_ref(), everything(&["ID"])).await.expect_err("403");
    assert_eq!(error.kind(), ErrorKind::Connection);
    let report = error.report().to_string();
    assert!(report.contains("403") && !report.contains("http"), "{report}");
}

#[tokio::test]
async fn a_login_survives_a_server_that_is_briefly_away() {
    let double = double().table(orders()).start().await.expect("starts");
    inject(&double, Rule::new(RequestKind::Login, Fault::Status(503)));
    source(&double).check().await.expect("the second login");
    assert_eq!(double.count_requests(RequestKind::Login), 2);
}

#[tokio::test]
async fn a_wait_that_is_given_up_ends_the_statement_on_the_server() {
    let double = double().table(orders()).start().await.expect("starts");
    let orders = open(&double, "ORDERS").await;
    let held = Rule::new(RequestKind::Query, Fault::Hold).sql_containing("SELECT \"ID\"");
    inject(&double, held.always());
    let cx = RunContext::new();
    let cancelling = async {
        let arrived = || double.count_statements(|sql| sql.contains("SELECT \"ID\"")) > 0;
        while !arrived() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cx.cancel.cancel();
    };
    let (scan, ()) = tokio::join!(orders.scan(everything(&["ID"]), &cx), cancelling);
    assert_eq!(scan.err().expect("cancelled").kind(), ErrorKind::Cancelled);
    assert_eq!(double.aborted().len(), 1, "and the server knows");
}

#[tokio::test]
async fn dropping_a_scan_ends_the_statement_on_the_server_too() {
    let double = double().table(orders()).start().await.expect("starts");
    let orders = open(&double, "ORDERS").await;
    let held = Rule::new(RequestKind::Query, Fault::Hold).sql_containing("SELECT \"ID\"");
    inject(&double, held.always());
    let cx = RunContext::new();
    let scan = orders.scan(everything(&["ID"]), &cx);
    assert!(tokio::time::timeout(Duration::from_millis(300), scan).await.is_err());
    while double.aborted().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_asks_for_no_more_parts() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    let mut rows = orders.scan(everything(&["ID"]), &RunContext::new()).await.expect("scan");
    rows.try_next().await.expect("the first batch");
    drop(rows);
    let asked = double.count_requests(RequestKind::Chunk);
    assert!(asked < 5, "{asked} of 5 parts were fetched");
}

#[tokio::test]
async fn refusals_name_what_to_correct_and_no_secret() {
    let double = double().table(orders()).start().await.expect("starts");
    let mut wrong = settings(&double);
    wrong.auth = SnowflakeAuth::Password(format!("{CANARY}-wrong").into());
    let error = SnowflakeSource::new(wrong).expect("valid").check().await.expect_err("password");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error:?} {}", error.report()).contains(CANARY), "{error:?}");

    let mut elsewhere = settings(&double);
    elsewhere.account = "NOBODY".into();
    let error = SnowflakeSource::new(elsewhere).expect("valid").check().await.expect_err("account");
    assert!(error.to_string().contains("snowflake.account"), "{error}");

    let mut idle = settings(&double);
    idle.warehouse = "NOWHERE".into();
    let error = SnowflakeSource::new(idle).expect("valid").check().await.expect_err("warehouse");
    assert!(error.to_string().contains("snowflake.warehouse"), "{error}");

    let mut gone = settings(&double);
    gone.base_url = Some("http://127.0.0.1:9/".parse().expect("a URL"));
    let error = SnowflakeSource::new(gone).expect("valid").check().await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.report().to_string().contains("refused"), "{}", error.report());
}

#[tokio::test]
async fn a_result_of_another_shape_is_not_read() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    let scan = || Rule::new(RequestKind::Query, Fault::NoColumns).sql_containing("SELECT \"ID\"");
    inject(&double, scan());
    read(orders.as_ref(), everything(&["ID"])).await.expect_err("no columns");
    inject(&double, Rule::new(RequestKind::Chunk, Fault::WrongColumnCount).always());
    let error = read(orders.as_ref(), everything(&["ID"])).await.expect_err("rows of two columns");
    assert_eq!(error.kind(), ErrorKind::Connection);
    double.knobs().clear_faults();
    let moment = source(&double).pin().await.expect("pins");
    source(&double).open(&table("ORDERS"), moment.as_ref()).await.expect("still fine");
}
