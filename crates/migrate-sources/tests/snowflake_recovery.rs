//! Results that are found again instead of being made again.

use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use migrate_core::{ErrorKind, Predicate, RunContext, Source};
use migrate_sources::SnowflakeSource;
use snowflake_double::{Double, Fault, Request, RequestKind, RowOrder, Rule, Value};

use crate::snowflake_support::{
    are_all_orders, double, everything, fast_time, ids, open, open_with, orders, patient, read,
    scans, settings, table,
};

const SOON: Duration = Duration::from_mins(1);

async fn parts() -> Double {
    let double = double().table(orders()).start().await.expect("starts");
    double.knobs().set_inline_rows(0);
    double.knobs().set_chunk_rows(200).expect("not zero");
    // Nothing may rely on the order of a stored result.
    double.knobs().set_row_order(RowOrder::Shuffled(11));
    double
}

fn inject(double: &Double, rule: Rule) {
    double.knobs().inject(rule).expect("the fault fits its request");
}

fn of_scan(kind: RequestKind, fault: Fault) -> Rule {
    Rule::new(kind, fault).sql_containing("SELECT \"ID\"")
}

fn has(kind: RequestKind, sql: &'static str) -> impl Fn(&[Request]) -> bool + Send + Sync {
    move |requests| {
        requests.iter().any(|request| {
            request.kind == kind && request.sql.as_ref().is_some_and(|it| it.contains(sql))
        })
    }
}

#[tokio::test]
async fn a_lost_poll_does_not_make_the_statement_run_again() {
    let faults =
        [Fault::Status(503), Fault::Status(429), Fault::Cut, Fault::CutMidBody, Fault::Garbage];
    for fault in faults {
        let double = parts().await;
        let orders = open(&double, "ORDERS").await;
        double.knobs().set_in_progress_answers(2);
        inject(&double, of_scan(RequestKind::Poll, fault.clone()));
        let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("found again");
        assert!(are_all_orders(&rows), "{fault}");
        assert_eq!(scans(&double), 1, "{fault}");
        assert_eq!(double.aborted(), Vec::<String>::new(), "{fault}: what is found is not ended");
    }
}

#[tokio::test]
async fn a_statement_that_failed_unseen_has_failed_with_its_own_number() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    double.knobs().set_in_progress_after(Duration::from_millis(20));
    double.knobs().set_answer_delay(Duration::from_millis(200));
    let failure = Fault::Failure {
        code: "100038".into(),
        sql_state: "22018".into(),
        message: "Numeric value 'cell' is not recognized".into(),
    };
    inject(&double, of_scan(RequestKind::Query, failure));
    inject(&double, of_scan(RequestKind::Poll, Fault::Cut).always());
    let error = read(orders.as_ref(), everything(&["ID"])).await.expect_err("it failed");
    assert_eq!(error.context("snowflake_code"), Some("100038"), "{error}");
    assert_eq!(scans(&double), 1);
}

#[tokio::test]
async fn links_that_expired_are_made_anew_before_the_first_rows_are_out() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    inject(&double, of_scan(RequestKind::Chunk, Fault::Forbidden).always());
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("new links");
    assert!(are_all_orders(&rows));
    assert_eq!(scans(&double), 1);
}

#[tokio::test]
async fn links_that_expire_by_the_clock_are_made_anew() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    let stream = orders.scan(everything(&["ID"]), &RunContext::new()).await.expect("ready");
    drop(stream);
    double.advance_clock(Duration::from_hours(7));
    // The same scan, its session an hour too old and its links dead.
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("read from the store");
    assert!(are_all_orders(&rows));
    assert_eq!(scans(&double), 1);
}

#[tokio::test]
async fn rows_that_are_out_are_never_followed_by_the_same_rows() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    inject(&double, of_scan(RequestKind::Chunk, Fault::Forbidden).after(2).always());
    let mut stream = orders.scan(everything(&["ID"]), &RunContext::new()).await.expect("ready");
    let mut seen = Vec::new();
    let error = loop {
        match stream.next().await.expect("not the end") {
            Ok(batch) => seen.extend(ids(&[batch])),
            Err(error) => break error,
        }
    };
    assert_eq!((seen.len(), error.kind()), (400, ErrorKind::Connection));
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("the second try");
    assert!(are_all_orders(&rows), "from its beginning");
    assert_eq!(scans(&double), 1, "without running the statement again");
}

#[tokio::test]
async fn a_sorted_scan_is_sorted_again() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    let sorted = || everything(&["ID", "Name"]).with_order(vec!["Name".into(), "ID".into()]);
    let expected = ids(&read(orders.as_ref(), sorted()).await.expect("undisturbed"));
    let again = open(&double, "ORDERS").await;
    inject(&double, of_scan(RequestKind::Chunk, Fault::Forbidden).always());
    let rows = read(again.as_ref(), sorted()).await.expect("new links");
    assert_eq!(ids(&rows), expected);
    assert_eq!(scans(&double), 2, "once for each");
}

#[tokio::test]
async fn an_order_that_the_result_does_not_hold_makes_the_statement_run_again() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    double.knobs().set_in_progress_answers(1);
    let request = everything(&["ID"]).with_order(vec!["Name".into()]);
    inject(&double, of_scan(RequestKind::Poll, Fault::Cut));
    let rows = read(orders.as_ref(), request).await.expect("run again");
    assert!(are_all_orders(&rows));
    assert_eq!(scans(&double), 2);
}

#[tokio::test]
async fn a_result_that_is_gone_is_made_again() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    inject(&double, of_scan(RequestKind::Chunk, Fault::Forbidden).after(2));
    read(orders.as_ref(), everything(&["ID"])).await.expect_err("links expired");
    // The next statement pushes the only result out.
    double.knobs().set_kept_results(1);
    orders.count(&Predicate::All).await.expect("counts");
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("made again");
    assert!(are_all_orders(&rows));
    assert_eq!(scans(&double), 2);
}

#[tokio::test]
async fn a_result_that_came_short_is_read_again_whole() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    inject(&double, of_scan(RequestKind::Chunk, Fault::ShortRows(3)));
    read(orders.as_ref(), everything(&["ID"])).await.expect_err("three rows short");
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("whole");
    assert!(are_all_orders(&rows));
    assert_eq!(scans(&double), 1);
}

#[tokio::test]
async fn a_result_of_one_moment_never_answers_for_another() {
    let double = parts().await;
    let source = SnowflakeSource::new(settings(&double)).expect("valid");
    let before = source.pin().await.expect("pins");
    let old = source.open(&table("ORDERS"), before.as_ref()).await.expect("opens");
    inject(&double, Rule::new(RequestKind::Chunk, Fault::Forbidden).after(1));
    read(old.as_ref(), everything(&["ID"])).await.expect_err("links expired");
    double.knobs().clear_faults();
    double.replace_rows("DB.PUBLIC.ORDERS", [[Value::from(7), Value::from("new")]]).expect("rows");
    let after = source.pin().await.expect("pins");
    let new = source.open(&table("ORDERS"), after.as_ref()).await.expect("opens");
    assert_eq!(ids(&read(new.as_ref(), everything(&["ID"])).await.expect("rows")), [7]);
    assert!(are_all_orders(&read(old.as_ref(), everything(&["ID"])).await.expect("rows")));
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_ended_before_it_is_sent_again() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    // The answer that is lost is one of them: the statement has not ended when it is aborted.
    double.knobs().set_in_progress_answers(2);
    inject(&double, of_scan(RequestKind::Query, Fault::CutMidBody));
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("the second submission");
    assert!(are_all_orders(&rows));
    double.wait_for(SOON, has(RequestKind::Abort, "SELECT \"ID\"")).await.expect("ended");
    let is_answered = |requests: &[Request]| {
        let mut aborts = requests.iter().filter(|request| request.kind == RequestKind::Abort);
        aborts.any(|abort| abort.status().is_some())
    };
    double.wait_for(SOON, is_answered).await.expect("an answer");
    assert_eq!(double.aborted().len(), 1, "the first one, and only that");
}

#[tokio::test]
async fn stalls_of_the_account_end_by_our_own_limits() {
    let kinds = [RequestKind::Login, RequestKind::Query, RequestKind::Poll];
    let cases = kinds
        .iter()
        .flat_map(|kind| [Fault::Stall, Fault::StallMidBody].map(|fault| (*kind, fault)));
    let heals = cases.map(|(kind, fault)| async move {
        let double = parts().await;
        let mut brief = settings(&double);
        brief.login_timeout = Duration::from_secs(2);
        brief.answer_timeout = Duration::from_secs(2);
        let source = SnowflakeSource::new(brief).expect("valid");
        if kind == RequestKind::Login {
            inject(&double, Rule::new(kind, fault.clone()));
        }
        let orders = source.open(&table("ORDERS"), None).await.expect("opens");
        if kind == RequestKind::Poll {
            double.knobs().set_in_progress_answers(1);
        }
        if kind != RequestKind::Login {
            inject(&double, of_scan(kind, fault.clone()));
        }
        let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("heals");
        assert!(are_all_orders(&rows), "{kind:?} {fault}");
        let stalled = |it: &Request| it.fault.as_ref() == Some(&fault);
        assert_eq!(double.requests().iter().filter(|it| stalled(it)).count(), 1);
    });
    join_all(heals).await;
}

#[tokio::test]
async fn a_statement_outlives_the_wait_for_its_answer() {
    let double = parts().await;
    let mut brief = settings(&double);
    brief.answer_timeout = Duration::from_millis(500);
    let orders = open_with(brief, "ORDERS").await;
    double.knobs().set_in_progress_after(Duration::from_millis(20));
    double.knobs().set_answer_delay(Duration::from_millis(1_500));
    let answering = async {
        double.wait_for(SOON, has(RequestKind::Poll, "SELECT \"ID\"")).await.expect("polled");
        double.knobs().set_answer_delay(Duration::ZERO);
    };
    let (rows, ()) = tokio::join!(read(orders.as_ref(), everything(&["ID"])), answering);
    assert!(are_all_orders(&rows.expect("found by its id")));
    assert_eq!(scans(&double), 1);
}

#[tokio::test]
async fn an_answer_after_twenty_minutes_of_polling_is_an_answer() {
    let double = parts().await;
    let mut settings = patient(&double);
    settings.answer_timeout = Duration::from_hours(4);
    let orders = open_with(settings, "ORDERS").await;
    double.knobs().set_in_progress_answers(250);
    let began = tokio::time::Instant::now();
    let clock = fast_time(1_000);
    let request = everything(&["ID"]).with_expected_rows(Some(1000));
    let rows = read(orders.as_ref(), request).await.expect("patience");
    drop(clock);
    assert!(are_all_orders(&rows));
    assert!(began.elapsed() >= Duration::from_mins(20), "{:?}", began.elapsed());
    assert_eq!(double.count_requests(RequestKind::Poll), 250);
    assert_eq!(scans(&double), 1);
}

#[tokio::test]
async fn giving_up_while_a_lost_statement_is_looked_for_ends_it() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    double.knobs().set_in_progress_answers(1);
    inject(&double, of_scan(RequestKind::Query, Fault::Hold));
    inject(&double, of_scan(RequestKind::Poll, Fault::Cut));
    let cx = RunContext::new();
    let cancelling = async {
        double.wait_for(SOON, has(RequestKind::Query, "QUERY_HISTORY")).await.expect("looked for");
        // Its own session cannot end it any more.
        double.expire_sessions();
        cx.cancel.cancel();
    };
    let (scan, ()) = tokio::join!(orders.scan(everything(&["ID"]), &cx), cancelling);
    assert_eq!(scan.err().expect("cancelled").kind(), ErrorKind::Cancelled);
    double.wait_idle(SOON).await.expect("nothing runs on");
    assert!(double.count_statements(|sql| sql.contains("SYSTEM$CANCEL_QUERY")) > 0);
}

#[tokio::test]
async fn a_long_count_is_found_again_too() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    double.knobs().set_in_progress_answers(1);
    inject(&double, Rule::new(RequestKind::Poll, Fault::Cut).sql_containing("COUNT(*)"));
    assert_eq!(orders.count(&Predicate::All).await.expect("found"), 1000);
    let counts = double.count_statements(|sql| sql.starts_with("SELECT COUNT(*)"));
    assert_eq!(counts, 1);
}

#[tokio::test]
async fn a_dropped_stream_leaves_its_result_for_the_next_try() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    let mut stream = orders.scan(everything(&["ID"]), &RunContext::new()).await.expect("ready");
    stream.try_next().await.expect("a batch");
    drop(stream);
    let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("rows");
    assert!(are_all_orders(&rows));
    assert_eq!(scans(&double), 1);
    read(orders.as_ref(), everything(&["ID"])).await.expect("rows");
    assert_eq!(scans(&double), 2, "a result is not trusted for ever");
}
