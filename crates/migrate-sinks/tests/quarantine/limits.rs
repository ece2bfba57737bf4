//! How many rows may be set aside, what finding them costs, and what is no matter of rows.

use migrate_core::{CommitGuarantee, Error, ErrorKind, RunContext, WriteMode, code};

use super::{
    Fault, Row, TARGET, given, keys, quarantined, rejected, row, spoil, upsert,
    what_is_kept_is_the_row, write,
};
use crate::support::{Target, batch, batches, chunk};

#[tokio::test]
async fn one_row_more_than_the_limit_fails_the_chunk_and_leaves_nothing() {
    for mode in [WriteMode::Copy, upsert()] {
        for fault in [Fault::Client, Fault::Check] {
            for limit in [0, 4] {
                let target = Target::with(TARGET).await;
                let mut rows: Vec<Row> = (0..100).map(row).collect();
                for row in rows.iter_mut().skip(10).take(usize::try_from(limit).expect("small") + 1)
                {
                    spoil(row, fault);
                }
                let error = write(&target, &quarantined(mode.clone(), limit), &[&rows]).await;
                let error = error.expect_err("one too many");
                assert_eq!(error.code(), code::TOO_MANY_BAD_ROWS, "{}", error.report());
                assert_eq!(error.context("table"), Some("public.t"));
                assert!(error.to_string().contains(&format!("the {limit} that may")), "{error}");
                assert!(error.hint().is_some_and(|hint| hint.contains("max_bad_rows")), "{error}");
                for table in ["t", "rejected", "completed"] {
                    assert_eq!(target.count(table).await, 0, "{table}");
                }
                rows[10] = row(10);
                let fits = write(&target, &quarantined(mode.clone(), limit), &[&rows]).await;
                assert_eq!(fits.expect("as many as may").rows_rejected, limit);
            }
        }
    }
}

#[tokio::test]
async fn few_bad_rows_among_many_cost_few_tries() {
    for (fault, most, mode) in [
        (Fault::Check, 10, WriteMode::Copy),
        (Fault::ForeignKey, 100, WriteMode::Copy),
        (Fault::Check, 100, upsert()),
        (Fault::Client, 1, upsert()),
    ] {
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..10_000).map(row).collect();
        for at in [17, 5000, 9999] {
            spoil(&mut rows[at], fault);
        }
        let summary = write(&target, &quarantined(mode.clone(), 3), &[&rows]).await.expect("fits");
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (9997, 3));
        let tries: i64 = target
            .text("select last_value::text from tries")
            .await
            .expect("a number")
            .parse()
            .expect("digits");
        assert!(tries <= most, "{mode} {fault:?}: {tries} tries");
    }
}

#[tokio::test]
async fn what_an_early_piece_has_set_aside_stays_when_a_later_one_is_taken_back() {
    for mode in [WriteMode::Copy, upsert()] {
        let target = Target::with(TARGET).await;
        // Pieces of four rows, cut within a batch and between batches.
        let wide = |k: i64| Row { v: Some(format!("{k}").repeat((1200 << 10) / 2)), ..row(k) };
        let mut rows: Vec<Row> = (10..30).map(wide).collect();
        for (at, fault) in [(0, Fault::Client), (1, Fault::Check), (6, Fault::ForeignKey)] {
            spoil(&mut rows[at], fault);
        }
        spoil(&mut rows[19], Fault::Check);
        let plan = quarantined(mode.clone(), 4);
        let summary = write(&target, &plan, &[&rows[..6], &rows[6..7], &rows[7..]]).await;
        let summary = summary.unwrap_or_else(|error| panic!("{mode}: {}", error.report()));
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (16, 4), "{mode}");
        let numbers: Vec<i64> = rejected(&target).await.into_iter().map(|row| row.0).collect();
        assert_eq!(numbers, [1, 2, 7, 20], "{mode}");
        what_is_kept_is_the_row(&target, &plan, &rows).await;
        let good = (10..30).filter(|k| ![10, 11, 16, 29].contains(k)).collect::<Vec<_>>();
        assert_eq!(keys(&target).await, good, "{mode}");
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_data_is_passed_on_at_once() {
    for mode in [WriteMode::Copy, upsert()] {
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..1000).map(row).collect();
        rows[500].n = 53;
        let error = write(&target, &quarantined(mode, 1000), &[&rows]).await.expect_err("full");
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert_eq!(target.text("select last_value::text from tries").await.as_deref(), Some("1"));
        assert_eq!(target.count("t").await + target.count("rejected").await, 0);
    }
}

#[tokio::test]
async fn without_a_place_for_them_no_row_is_set_aside() {
    let target = Target::with(TARGET).await;
    let table = target.table("t").await;
    assert!(table.capabilities().quarantine);
    assert!(matches!(table.capabilities().commit, CommitGuarantee::Transactional(_)));
    let rows = batches(vec![Ok(batch(given(&[row(1)])))]);
    let plan = quarantined(WriteMode::Copy, 1);
    let error: Error = table
        .write_chunk(&plan, &chunk(), rows, None, &RunContext::new())
        .await
        .expect_err("nowhere to keep them");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
