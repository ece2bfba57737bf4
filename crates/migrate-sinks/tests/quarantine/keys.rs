//! Bad rows of modes that know rows by their keys.

use migrate_core::{WriteMode, code};

use super::{Fault, Row, TARGET, insert_only, keys, load, quarantined, row, spoil, upsert, write};
use crate::support::Target;

#[tokio::test]
async fn keys_that_say_nothing_are_set_aside_with_all_their_rows() {
    let target = Target::with(TARGET).await;
    for change in [
        "alter table t drop constraint t_pkey",
        "alter table t alter k drop not null",
        "create unique index on t (k)",
    ] {
        target.execute(change).await;
    }
    let at = |k: i64, at: i64, v: &str| Row {
        at: Some(at),
        v: Some(v.into()),
        u: 1000 + k * 10 + at,
        ..row(k)
    };
    let rows = [
        row(1),
        Row { k: None, ..row(2) },
        at(3, 1, "older"),
        at(3, 2, "a"),
        Row { u: 7, ..at(3, 2, "b") },
        at(4, 1, "older"),
        at(4, 2, "newer"),
    ];
    let summary = write(&target, &quarantined(upsert(), 10), &[&rows]).await.expect("fits");
    assert_eq!((summary.rows_inserted, summary.rows_skipped, summary.rows_rejected), (2, 1, 4));
    let codes = target
        .text("select string_agg(number || ' ' || code, ', ' order by number) from rejected")
        .await;
    assert_eq!(
        codes.as_deref(),
        Some("2 value_refused, 3 ambiguous_key, 4 ambiguous_key, 5 ambiguous_key")
    );
    assert_eq!(
        target.text("select string_agg(v, ' ' order by k) from t").await.as_deref(),
        Some("v1 newer")
    );
}

#[tokio::test]
async fn an_older_row_takes_the_place_of_a_newer_one_that_is_refused() {
    for (fault, mode) in
        [(Fault::Client, upsert()), (Fault::Check, upsert()), (Fault::Check, insert_only())]
    {
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..20).map(row).collect();
        rows.push(Row { at: Some(0), v: Some("oldest".into()), ..row(5) });
        let mut newest = Row { at: Some(9), v: Some("bad".into()), ..row(5) };
        spoil(&mut newest, fault);
        rows.push(newest);
        let summary = write(&target, &quarantined(mode, 1), &[&rows]).await.expect("fits");
        assert_eq!(
            (summary.rows_inserted, summary.rows_skipped, summary.rows_rejected),
            (20, 1, 1)
        );
        assert_eq!(target.text("select v from t where k = 5").await.as_deref(), Some("v5"));
        assert_eq!(target.text("select number::text from rejected").await.as_deref(), Some("22"));
    }
}

#[tokio::test]
async fn an_upsert_with_bad_rows_still_never_writes_an_older_row() {
    let target = Target::with(TARGET).await;
    target.execute("insert into t select k, case when k % 2 = 0 then 5 else 0 end, 'known', 1, 0, k, 1 from generate_series(0, 9) k").await;
    let mut rows: Vec<Row> = (0..12).map(row).collect();
    spoil(&mut rows[3], Fault::Check);
    spoil(&mut rows[4], Fault::Check);
    let summary = write(&target, &quarantined(upsert(), 9), &[&rows]).await.expect("fits");
    // 3 is refused; 4 would not be written, being older, and yet PostgreSQL checks it first.
    let counts =
        [summary.rows_inserted, summary.rows_updated, summary.rows_skipped, summary.rows_rejected];
    assert_eq!(counts, [2, 4, 4, 2]);
    assert_eq!(target.count("t where v = 'known' and k <> 3 and k % 2 = 1").await, 0);
    assert_eq!(target.count("t where v = 'known' and k % 2 = 0").await, 5);
}

#[tokio::test]
async fn a_trigger_that_refuses_a_replacement_leaves_the_old_rows() {
    let target = Target::with(TARGET).await;
    target.execute("insert into t (k, v) values (-1, 'old')").await;
    let mut rows: Vec<Row> = (0..10).map(row).collect();
    spoil(&mut rows[4], Fault::Trigger);
    let plan = quarantined(WriteMode::Replace { keys: vec!["k".into()] }, 5);
    let error = load(&target, &plan, &[&rows]).await.expect_err("shown all or none");
    assert_eq!(error.code(), code::VALUE_REFUSED);
    assert_eq!(keys(&target).await, [-1]);
}
