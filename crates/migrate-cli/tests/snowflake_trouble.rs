//! A source in trouble, seen from the program: what heals leaves no trace but time, what does not ends
//! with the next step.

use std::time::Duration;

use serde_json::json;
use snowflake_double::{Double, Fault, Request, RequestKind, RowOrder, Rule};

use crate::support::{ORDERS, World, ended, orders, orders_in_chunks};

const SOON: Duration = Duration::from_mins(1);

/// Ten chunks whose rows come in two parts each, in any order.
async fn world() -> World {
    let world = World::new(Double::builder().table(orders(1000)), ORDERS).await;
    let knobs = world.double.knobs();
    knobs.set_inline_rows(0);
    knobs.set_chunk_rows(50).expect("not zero");
    knobs.set_row_order(RowOrder::Shuffled(3));
    world.write_config(&world.config(&orders_in_chunks()));
    world
}

fn scans(world: &World) -> usize {
    world.double.count_statements(|sql| sql.starts_with("SELECT \"id\", "))
}

async fn holds_all(world: &World) {
    assert_eq!(world.count("orders").await, 1000);
    let sum = world.text("select sum(id)::text from orders").await;
    assert_eq!(sum.as_deref(), Some("499500"));
}

#[tokio::test]
async fn lost_polls_and_expired_links_run_no_statement_twice() {
    let world = world().await;
    let knobs = world.double.knobs();
    knobs.set_in_progress_answers(1);
    let of_rows = |kind, fault| Rule::new(kind, fault).sql_containing("SELECT \"id\", ");
    knobs.inject(of_rows(RequestKind::Poll, Fault::Status(503)).times(3)).expect("fits");
    knobs.inject(of_rows(RequestKind::Poll, Fault::Cut).times(2)).expect("fits");
    // The first part of some chunks, and the second part of others.
    knobs.inject(of_rows(RequestKind::Chunk, Fault::Forbidden).after(3).times(4)).expect("fits");
    let done = world.run(&[]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    holds_all(&world).await;
    assert_eq!(scans(&world), 10, "one for each chunk");
}

#[tokio::test]
async fn sessions_that_end_in_the_middle_of_a_run_are_opened_again() {
    let world = world().await;
    world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(50));
    let running = world.start(&[]);
    let is_loading = |requests: &[Request]| {
        requests.iter().filter(|request| request.kind == RequestKind::Chunk).count() > 4
    };
    world.double.wait_for(SOON, is_loading).await.expect("loads");
    world.double.expire_sessions();
    let done = ended(running).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    holds_all(&world).await;
    assert_eq!(scans(&world), 10);
}

#[tokio::test]
async fn a_login_that_is_refused_for_good_says_whom_to_ask() {
    let world = world().await;
    let mut config = world.config(&orders_in_chunks());
    config["snowflake"]["account"] = json!("NOBODY");
    world.write_config(&config);
    let refused = world.run(&[]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("correct `snowflake.account`"), "{}", refused.stderr);
    assert!(world.double.count_requests(RequestKind::Login) <= 2, "nobody knocks on and on");
}

#[tokio::test]
async fn a_number_that_nobody_knows_fails_after_one_more_try() {
    let world = world().await;
    let failure = Fault::Failure {
        code: "999999".into(),
        sql_state: "XX000".into(),
        message: "made up".into(),
    };
    let rule = Rule::new(RequestKind::Query, failure).sql_containing("SELECT \"id\", ");
    let injected = world.double.knobs().inject(rule.always()).expect("fits");
    let failed = world.run(&[]).await;
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("999999"), "{}", failed.stderr);
    assert!(failed.stderr.contains("list of errors"), "{}", failed.stderr);
    assert!(injected.fired() <= 2 * 10, "{} tries of ten chunks", injected.fired());
    assert_eq!(world.count("orders").await, 0);
}
