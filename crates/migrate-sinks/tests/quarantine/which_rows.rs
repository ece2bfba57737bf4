//! Which rows are set aside: exactly the bad ones, whatever is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use migrate_core::WriteMode;

use super::{
    FAULTS, Fault, Row, TARGET, insert_only, keys, load, quarantined, rejected, row, spoil, upsert,
    what_is_kept_is_the_row, write,
};
use crate::support::Target;

#[tokio::test]
async fn exactly_the_bad_rows_are_set_aside_in_every_mode_for_every_reason() {
    let replace = WriteMode::Replace { keys: vec!["k".into()] };
    for mode in [WriteMode::Copy, upsert(), insert_only(), replace] {
        // What a trigger refuses is seen when rows are shown, not before.
        let is_replaced = matches!(mode, WriteMode::Replace { .. });
        let target = Target::with(TARGET).await;
        let mut rows: Vec<Row> = (0..600).map(row).collect();
        let mut expected = Vec::new();
        for (step, (fault, sqlstate)) in FAULTS.into_iter().enumerate() {
            if is_replaced && fault == Fault::Trigger {
                continue;
            }
            // One alone, two side by side, one beside a bad row of another kind.
            for at in [
                20 + step,
                100 + 10 * step,
                101 + 10 * step + usize::from(fault == Fault::Unique),
                599 - 3 * step,
            ] {
                if fault == Fault::Unique && at % 2 == 0 {
                    continue;
                }
                spoil(&mut rows[at], fault);
                expected.push((i64::try_from(at).expect("small") + 1, sqlstate.to_owned()));
            }
        }
        expected.sort();
        // A row whose unique number is that of a bad row is a good one.
        let bad: BTreeSet<usize> = expected
            .iter()
            .map(|(number, _)| usize::try_from(number - 1).expect("small"))
            .collect();
        for at in bad.iter().copied().filter(|at| rows[*at].u != rows[*at].k.expect("a key")) {
            assert!(!bad.contains(&(at - 1)), "the row before {at} must be good");
        }
        let plan = quarantined(mode.clone(), 100);
        let pieces = [&rows[..7], &rows[7..250], &rows[250..]];
        let summary = load(&target, &plan, &pieces)
            .await
            .unwrap_or_else(|error| panic!("{mode}: {}", error.report()));
        assert_eq!(rejected(&target).await, expected, "{mode}");
        let good: Vec<i64> =
            (0..600).filter(|k| !bad.contains(&usize::try_from(*k).expect("small"))).collect();
        assert_eq!(keys(&target).await, good, "{mode}");
        assert_eq!(summary.rows_read, 600, "{mode}");
        assert_eq!(summary.rows_inserted, good.len() as u64, "{mode}");
        assert_eq!(summary.rows_rejected, bad.len() as u64, "{mode}");
        assert!(summary.is_balanced(), "{mode}: {summary:?}");
        what_is_kept_is_the_row(&target, &plan, &rows).await;
    }
}

#[tokio::test]
async fn a_chunk_of_bad_rows_alone_is_set_aside_as_a_whole() {
    for mode in [WriteMode::Copy, upsert(), insert_only()] {
        for (fault, sqlstate) in FAULTS {
            let target = Target::with(TARGET).await;
            let known = if fault == Fault::Unique { 1 } else { 1001 };
            target
                .execute(&format!(
                    "insert into t (k, v, u) select -k, '', k - 2 + {known} from generate_series(1, 40) k"
                ))
                .await;
            let mut rows: Vec<Row> = (1..=40).map(row).collect();
            for row in &mut rows {
                spoil(row, fault);
            }
            let summary = write(&target, &quarantined(mode.clone(), 40), &[&rows]).await;
            let summary = summary.unwrap_or_else(|error| panic!("{mode} {fault:?}: {error}"));
            assert_eq!((summary.rows_inserted, summary.rows_rejected), (0, 40), "{mode} {fault:?}");
            let expected: Vec<_> = (1..=40).map(|at| (at, sqlstate.to_owned())).collect();
            assert_eq!(rejected(&target).await, expected, "{mode} {fault:?}");
            assert_eq!(target.count("t").await, 40);
        }
    }
}

#[tokio::test]
async fn a_row_that_a_trigger_drops_is_set_aside() {
    let target = Target::with(TARGET).await;
    let mut rows: Vec<Row> = (0..50).map(row).collect();
    rows[33].n = 8;
    let summary = write(&target, &quarantined(WriteMode::Copy, 1), &[&rows]).await.expect("fits");
    assert_eq!((summary.rows_inserted, summary.rows_rejected), (49, 1));
    let reason = target.text("select reason from rejected where number = 34").await;
    assert!(reason.is_some_and(|reason| reason.contains("drops the row")));
}

#[tokio::test]
async fn deferred_constraints_are_looked_at_in_time() {
    let target = Target::with(TARGET).await;
    target.execute("alter table t alter constraint t_p_fkey deferrable initially deferred").await;
    let mut rows: Vec<Row> = (0..50).map(row).collect();
    spoil(&mut rows[20], Fault::ForeignKey);
    for mode in [WriteMode::Copy, upsert()] {
        target.execute("truncate t, rejected").await;
        let summary = write(&target, &quarantined(mode, 1), &[&rows]).await.expect("commits");
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (49, 1));
        assert_eq!(rejected(&target).await, [(21, "23503".to_owned())]);
    }
}

#[tokio::test]
async fn a_row_may_reference_a_later_row_of_its_own_table() {
    for mode in [WriteMode::Copy, upsert()] {
        let target = Target::with(TARGET).await;
        target.execute("alter table t drop constraint t_p_fkey").await;
        target.execute("alter table t add foreign key (p) references t (k)").await;
        let mut rows: Vec<Row> = (0..50).map(row).collect();
        for row in &mut rows {
            // Each references the next one, the last itself.
            row.p = row.u + i64::from(row.u < 49);
        }
        // Nobody tells which row that is, so good rows are tried without those that they reference.
        spoil(&mut rows[10], Fault::ForeignKey);
        let summary = write(&target, &quarantined(mode.clone(), 50), &[&rows]).await;
        let summary = summary.unwrap_or_else(|error| panic!("{mode}: {}", error.report()));
        // Row 10 is bad, and those before it reference it, directly or not.
        assert_eq!((summary.rows_inserted, summary.rows_rejected), (39, 11), "{mode}");
        assert_eq!(keys(&target).await, (11..50).collect::<Vec<_>>(), "{mode}");
    }
}

#[tokio::test]
async fn what_postgresql_cannot_hold_is_kept_all_the_same() {
    let target = Target::with(TARGET).await;
    let mut rows: Vec<Row> = (0..3).map(row).collect();
    rows[1].v = Some("a\u{0}b é 🚀".into());
    let plan = quarantined(WriteMode::Copy, 1);
    write(&target, &plan, &[&rows]).await.expect("fits");
    what_is_kept_is_the_row(&target, &plan, &rows).await;
}

/// Random chunks against a model that knows rows, not statements.
#[tokio::test]
async fn any_mixture_of_bad_rows_ends_as_the_model_says() {
    let target = Target::with(TARGET).await;
    let mut seed = 4711_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..24_u64 {
        target.execute("truncate t, rejected").await;
        let size = random(400);
        let density = 1 + random(30);
        let mut rows: Vec<Row> = (0..i64::try_from(size).expect("small")).map(row).collect();
        let mut bad: BTreeMap<i64, &str> = BTreeMap::new();
        for (at, row) in rows.iter_mut().enumerate() {
            if random(density) == 0 {
                // Unique numbers are told by the other test: here they would depend on each other.
                let (fault, sqlstate) = FAULTS[usize::try_from(random(4)).expect("small")];
                spoil(row, fault);
                bad.insert(i64::try_from(at).expect("small") + 1, sqlstate);
            }
        }
        let mode = [WriteMode::Copy, upsert(), insert_only()]
            [usize::try_from(round % 3).expect("small")]
        .clone();
        let cut = usize::try_from(random(size + 1)).expect("small");
        let pieces = [&rows[..cut], &rows[cut..]];
        let summary = write(&target, &quarantined(mode.clone(), 1000), &pieces).await;
        let summary = summary.unwrap_or_else(|error| panic!("{round} {mode}: {}", error.report()));
        assert_eq!(summary.rows_rejected, bad.len() as u64, "{round} {mode}");
        let found = rejected(&target).await;
        let expected: Vec<_> = bad.iter().map(|(at, state)| (*at, (*state).to_owned())).collect();
        assert_eq!(found, expected, "{round} {mode}");
        let good: Vec<i64> = (0..i64::try_from(size).expect("small"))
            .filter(|k| !bad.contains_key(&(k + 1)))
            .collect();
        assert_eq!(keys(&target).await, good, "{round} {mode}");
    }
}
