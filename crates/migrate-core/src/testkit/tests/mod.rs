//! The suites on the implementations in memory, and on wrong ones: a rule that nobody can break
//! proves nothing.

mod memory;
mod wrong_ends;
mod wrong_store;

use crate::testkit::{MemoryLedger, Testkit};

#[tokio::test]
async fn the_ledger_in_memory_keeps_every_rule() {
    let report = Testkit::new().store(|| async { Ok(MemoryLedger::default()) }).await;
    report.expect_kept();
    let needs_transactions = |rule: &&str| rule.contains("record") || rule.contains("set_aside");
    assert!(report.skipped().iter().all(needs_transactions), "{report}");
}

#[tokio::test]
async fn a_rule_that_does_not_end_is_broken_by_name() {
    let kit = Testkit::new().with_patience(|| std::future::ready(()));
    let endless = || async { std::future::pending::<crate::Result<MemoryLedger>>().await };
    let report = kit.store(endless).await;
    assert_eq!(report.broken().len(), report.rules().len());
    assert!(report.to_string().contains("it does not end"), "{report}");
}

#[tokio::test]
async fn a_subject_that_panics_breaks_its_rules_and_the_others_are_tried() {
    let panics = || async {
        assert!(std::env::args().len() == 0, "on purpose");
        Ok(MemoryLedger::default())
    };
    let report = Testkit::new().store(panics).await;
    assert_eq!(report.broken().len(), report.rules().len());
    assert!(report.to_string().contains("it panicked: on purpose"), "{report}");
}
