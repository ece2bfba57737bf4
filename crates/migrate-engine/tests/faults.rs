//! Whatever call of whatever component fails: a run ends right or says that it did not, no row is
//! there twice, and the next run of the same job ends with exactly the source's rows.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use migrate_core::memory::{MemorySource, MemoryStore};
use migrate_core::testkit::faults::{Fault, Faults, Faulty};
use migrate_core::{Deadline, ErrorKind, Outcome, Sink, Source, StatusStore, code};
use migrate_engine::{Migration, MigrationBuilder};

use crate::support::{self, arrived, from, job, rows, sink, watched};

#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Source,
    Sink,
    Store,
}

/// Components in memory, one of which fails.
struct Setting {
    source: Arc<dyn Source>,
    memory: Arc<migrate_core::memory::MemorySink>,
    store: Arc<dyn StatusStore>,
}

impl Setting {
    fn new() -> Self {
        let source = MemorySource::new().with_table(from(), rows(0..100));
        let (memory, store) = (Arc::new(sink()), Arc::new(MemoryStore::new()));
        Self { source: Arc::new(source), memory, store }
    }

    fn migration(&self, at: At, faults: &Faults) -> Migration {
        let sink = Arc::clone(&self.memory) as Arc<dyn Sink>;
        let faults = |here| if at == here { faults.clone() } else { Faults::new() };
        let source = Faulty::new(Arc::clone(&self.source), faults(At::Source));
        let sink = Faulty::new(sink, faults(At::Sink));
        let store = Faulty::new(Arc::clone(&self.store), faults(At::Store));
        let builder: MigrationBuilder = Migration::builder();
        let builder = builder.source(Arc::new(source)).sink(Arc::new(sink)).status(Arc::new(store));
        builder.table(job()).build().expect("complete")
    }
}

async fn ends_right_or_says_so(at: At, method: &'static str, nth: u32, fault: Fault) {
    let what = format!("{fault:?} at call {nth} of {method} of the {at:?}");
    let setting = Setting::new();
    let faults = Faults::new().at(method, nth, fault);
    let first = setting.migration(at, &faults).run(&watched().0).await;
    assert_eq!(faults.met(), 1, "nothing happened: {what}");
    let mut there = arrived(&setting.memory);
    let count = there.len();
    there.dedup();
    assert_eq!(there.len(), count, "a row is there twice after {what}");
    if first.is_ok_and(|report| report.outcome == Outcome::Completed) {
        assert_eq!(there, (0..100).collect::<Vec<_>>(), "completed after {what}");
    }
    let report = setting.migration(at, &Faults::new()).run(&watched().0).await;
    // Where all was done and only the answer was lost, the job begins anew and finds rows.
    if count < 100 {
        let report = report.unwrap_or_else(|error| panic!("the next run after {what}: {error}"));
        assert_eq!(report.outcome, Outcome::Completed, "the next run after {what}: {report:?}");
    }
    assert_eq!(arrived(&setting.memory), (0..100).collect::<Vec<_>>(), "{what}");
}

#[tokio::test]
async fn whichever_call_fails_no_row_is_lost_or_doubled() {
    let of_source = ["check", "pin", "open", "histograms", "scan"];
    let of_sink = ["check", "open", "is_empty", "settle_plan", "prepare", "write_chunk", "finish"];
    let of_store = [
        "install",
        "begin_run",
        "pin_snapshot",
        "save_plans",
        "claim",
        "complete",
        "progress",
        "finish_table",
        "finish_run",
    ];
    let calls = of_source.map(|method| (At::Source, method)).into_iter();
    let calls = calls.chain(of_sink.map(|method| (At::Sink, method)));
    let calls = calls.chain(of_store.map(|method| (At::Store, method)));
    let mut cases = Vec::new();
    for (at, method) in calls {
        let nths: &[u32] = if matches!(method, "write_chunk" | "scan" | "claim" | "complete") {
            &[1, 2, 5]
        } else {
            &[1]
        };
        for nth in nths {
            for fault in [
                Fault::Rejecting(ErrorKind::Connection),
                Fault::Rejecting(ErrorKind::Internal),
                Fault::FailAfterWrite,
                Fault::Disconnecting,
            ] {
                cases.push(ends_right_or_says_so(at, method, *nth, fault));
            }
        }
    }
    join_all(cases).await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_its_run_and_the_next_run_completes() {
    for (at, method) in [(At::Source, "scan"), (At::Sink, "write_chunk")] {
        let setting = Setting::new();
        let (cx, _) = watched();
        let cancel = cx.cancel.clone();
        // The next chunk ends the run.
        let stop = Fault::slow(move || {
            cancel.cancel();
            std::future::ready(())
        });
        let faults = Faults::new().at(method, 1, Fault::Hanging).at(method, 2, stop);
        let report = setting.migration(at, &faults).run(&cx).await.expect("pauses");
        assert_eq!((report.outcome, faults.met()), (Outcome::Paused, 2), "{method}: {report:?}");
        let report = setting.migration(at, &Faults::new()).run(&watched().0).await.expect("runs");
        assert_eq!(report.outcome, Outcome::Completed, "{method}");
        assert_eq!(arrived(&setting.memory), (0..100).collect::<Vec<_>>());
    }
}

/// A budget that holds one chunk at a time says nothing about the chunks that wait for it.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_waited_for_memory_has_not_had_its_time() {
    let setting = Setting::new();
    let hanging = Faults::new().at("scan", 1, Fault::Hanging);
    let of_store = Faults::new();
    let source = Faulty::new(Arc::clone(&setting.source), hanging.clone());
    let migration = Migration::builder()
        .source(Arc::new(source))
        .sink(Arc::clone(&setting.memory) as Arc<dyn Sink>)
        .status(Arc::new(Faulty::new(Arc::clone(&setting.store), of_store.clone())))
        .workers(std::num::NonZeroU32::new(3).expect("not zero"))
        .memory_budget(std::num::NonZeroU64::MIN)
        .table(job())
        .build()
        .expect("complete");
    let deadline = Deadline::within(Duration::from_secs(10));
    let report = migration.run(&watched().0.with_deadline(deadline)).await.expect("pauses");
    assert_eq!((report.outcome, hanging.met()), (Outcome::Paused, 1), "{report:?}");
    let settled = (of_store.calls("overrun"), of_store.calls("release"));
    assert_eq!(settled, (1, 2), "one had its time, two waited for memory");
}

#[tokio::test]
async fn a_slow_call_is_waited_for() {
    let setting = Setting::new();
    let slow = || Fault::slow(tokio::task::yield_now);
    let faults = Faults::new().at("write_chunk", 1, slow()).at("write_chunk", 4, slow());
    let report = setting.migration(At::Sink, &faults).run(&watched().0).await.expect("runs");
    assert_eq!((report.outcome, faults.met()), (Outcome::Completed, 2));
    assert_eq!(arrived(&setting.memory), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_chunk_of_which_the_sink_has_read_less_is_not_completed() {
    let forgetful = support::Faulty::saying(|_, _, mut summary| {
        summary.rows_read -= 1;
        summary.rows_inserted -= 1;
        Ok(summary)
    });
    let mut job = job();
    job.max_attempts = std::num::NonZeroU32::MIN;
    let store = Arc::new(MemoryStore::new());
    let migration =
        support::builder(&Arc::new(forgetful), &store).table(job).build().expect("complete");
    let report = migration.run(&watched().0).await.expect("ends");
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.tables[0].completed_chunk_count, 0);
    let reason = report.tables[0].reason.clone().expect("a reason");
    assert!(reason.contains("read another number of rows"), "{reason}");
    assert_eq!(code::ROW_COUNT_MISMATCH.kind().retry(), migrate_core::Retry::AfterDelay);
}
