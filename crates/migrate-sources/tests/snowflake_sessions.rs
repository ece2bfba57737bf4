//! Sessions that end before their work does.

use std::time::Duration;

use futures::future::try_join_all;
use migrate_core::{ErrorKind, Predicate};
use snowflake_double::{Double, Fault, RequestKind, Rule};

use crate::snowflake_support::{
    are_all_orders, double, everything, fast_time, open, open_with, orders, patient, read, scans,
};

const SOON: Duration = Duration::from_mins(1);

async fn parts() -> Double {
    let double = double().table(orders()).start().await.expect("starts");
    double.knobs().set_inline_rows(0);
    double.knobs().set_chunk_rows(200).expect("not zero");
    double
}

fn logins(double: &Double) -> usize {
    double.count_requests(RequestKind::Login)
}

fn failure(code: &str) -> Fault {
    Fault::Failure { code: code.into(), sql_state: "08001".into(), message: "session".into() }
}

#[tokio::test]
async fn an_expired_session_is_replaced_once() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    for expired in 1..=2 {
        double.expire_sessions();
        assert_eq!(orders.count(&Predicate::All).await.expect("a new session"), 1000);
        let rows = read(orders.as_ref(), everything(&["ID"])).await.expect("the same session");
        assert!(are_all_orders(&rows));
        assert_eq!(logins(&double), 1 + expired);
    }
}

#[tokio::test]
async fn every_number_that_means_a_lost_session_costs_one_login_and_no_more() {
    for code in ["390104", "390110", "390111", "390112", "390113", "390114", "390115", "390195"] {
        let double = parts().await;
        let orders = open(&double, "ORDERS").await;
        let rule = Rule::new(RequestKind::Query, failure(code)).sql_containing("SELECT \"ID\"");
        double.knobs().inject(rule).expect("fits");
        let rows = read(orders.as_ref(), everything(&["ID"])).await.expect(code);
        assert!(are_all_orders(&rows), "{code}");
        assert_eq!(logins(&double), 2, "{code}");
    }
}

#[tokio::test]
async fn sessions_that_are_lost_for_ever_end_in_a_failure_that_may_pass() {
    let double = parts().await;
    let orders = open_with(patient(&double), "ORDERS").await;
    let rule = Rule::new(RequestKind::Query, failure("390114")).sql_containing("COUNT(*)");
    double.knobs().inject(rule.always()).expect("fits");
    let _clock = fast_time(100);
    let error = orders.count(&Predicate::All).await.expect_err("never");
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.hint().is_some_and(|hint| hint.contains("new session")), "{error}");
    assert!(logins(&double) < 10, "{} logins", logins(&double));
}

#[tokio::test]
async fn eight_workers_whose_sessions_end_together_log_in_once_each() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    let scan_all = || try_join_all((0..8).map(|_| read(orders.as_ref(), everything(&["ID"]))));
    // Held, so that all eight have a session of their own.
    double.knobs().set_latency(RequestKind::Query, Duration::from_millis(200));
    double.knobs().set_latency(RequestKind::Login, Duration::from_millis(50));
    scan_all().await.expect("eight sessions");
    let before = logins(&double);
    assert!(before <= 8, "{before}");
    double.expire_sessions();
    let all = scan_all().await.expect("eight new sessions");
    assert!(all.iter().all(|rows| are_all_orders(rows)));
    let after = logins(&double) - before;
    assert!(after <= 8, "{after} logins for eight workers");
}

#[tokio::test]
async fn a_statement_longer_than_its_token_is_not_lost() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    double.knobs().set_in_progress_after(Duration::from_millis(20));
    double.knobs().set_answer_delay(Duration::from_secs(2));
    let an_hour = async {
        let is_polled = |requests: &[snowflake_double::Request]| {
            requests.iter().any(|request| request.kind == RequestKind::Poll)
        };
        double.wait_for(SOON, is_polled).await.expect("it runs");
        double.knobs().set_answer_delay(Duration::ZERO);
        double.advance_clock(Duration::from_mins(61));
    };
    let (rows, ()) = tokio::join!(read(orders.as_ref(), everything(&["ID"])), an_hour);
    assert!(are_all_orders(&rows.expect("found by its id")));
    let refused = double.requests();
    let refused = refused
        .iter()
        .filter(|it| it.kind == RequestKind::Poll)
        .any(|it| it.code() == Some("390112"));
    assert!(refused, "the poll was told that the token is over");
    assert_eq!((scans(&double), logins(&double)), (1, 2));
    assert_eq!(double.aborted(), Vec::<String>::new());
}

#[tokio::test]
async fn a_session_is_not_used_for_the_last_minutes_of_its_token() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    orders.count(&Predicate::All).await.expect("counts");
    assert_eq!(logins(&double), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(51)).await;
    tokio::time::resume();
    double.advance_clock(Duration::from_mins(51));
    orders.count(&Predicate::All).await.expect("counts");
    assert_eq!(logins(&double), 2);
    let requests = double.requests();
    assert!(requests.iter().all(|it| it.code() != Some("390112")), "nobody had to be refused");
}

#[tokio::test]
async fn a_fault_of_the_network_costs_no_login() {
    let double = parts().await;
    let orders = open(&double, "ORDERS").await;
    for fault in [Fault::Status(503), Fault::Cut, Fault::CutMidBody] {
        let rule = Rule::new(RequestKind::Query, fault).sql_containing("COUNT(*)");
        double.knobs().inject(rule).expect("fits");
        assert_eq!(orders.count(&Predicate::All).await.expect("asked again"), 1000);
    }
    assert_eq!(logins(&double), 1);
}
