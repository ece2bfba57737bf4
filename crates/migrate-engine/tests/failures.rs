//! What may pass is repeated, what cannot pass is not, and nothing turns failed into completed.

use std::sync::Arc;

use migrate_core::memory::MemoryStore;
use migrate_core::{ChunkId, Error, ErrorKind, Event, Outcome};

use crate::support::{Faulty, arrived, builder, job, watched};

fn broken(kind: ErrorKind) -> Error {
    Error::new(kind, "On purpose")
}

#[tokio::test]
async fn a_failure_that_passes_is_repeated_until_the_rows_are_there() {
    let sink = Faulty::before(|_, write| (write < 5).then(|| broken(ErrorKind::Connection)));
    let store = Arc::new(MemoryStore::new());
    let migration =
        builder(&Arc::new(sink.clone()), &store).table(job()).build().expect("complete");
    let (cx, events) = watched();
    let report = migration.run(&cx).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(arrived(&sink.inner), (0..100).collect::<Vec<_>>());
    assert_eq!(events.count(|event| matches!(event, Event::ChunkRetried { .. })), 5);
}

#[tokio::test]
async fn a_chunk_is_given_up_after_its_tries_and_the_others_go_on() {
    let sink =
        Faulty::before(|chunk, _| (chunk.id == ChunkId(3)).then(|| broken(ErrorKind::Timeout)));
    let store = Arc::new(MemoryStore::new());
    let migration =
        builder(&Arc::new(sink.clone()), &store).table(job()).build().expect("complete");
    let (cx, events) = watched();
    let report = migration.run(&cx).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(arrived(&sink.inner).len(), 90);
    assert_eq!(report.tables[0].completed_chunk_count, 9);
    assert_eq!(report.tables[0].reason.as_deref(), Some("On purpose (table=to, chunk=3)"));
    assert_eq!(events.count(|event| matches!(event, Event::ChunkRetried { .. })), 2);
    assert_eq!(events.count(|event| matches!(event, Event::ChunkFailed { .. })), 1);
}

#[tokio::test]
async fn what_cannot_pass_is_tried_once() {
    let sink = Faulty::before(|_, _| Some(broken(ErrorKind::DataInvalid)));
    let store = Arc::new(MemoryStore::new());
    let migration =
        builder(&Arc::new(sink.clone()), &store).table(job()).build().expect("complete");
    let (cx, events) = watched();
    let report = migration.run(&cx).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.row_count(), 0);
    assert_eq!(events.count(|event| matches!(event, Event::ChunkRetried { .. })), 0);
}

#[tokio::test]
async fn a_lost_answer_doubles_no_row() {
    let sink = Faulty::after(|chunk, write| {
        (chunk.id == ChunkId(0) && write < 3).then(|| broken(ErrorKind::Connection))
    });
    let store = Arc::new(MemoryStore::new());
    let migration =
        builder(&Arc::new(sink.clone()), &store).table(job()).build().expect("complete");
    let report = migration.run(&watched().0).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(arrived(&sink.inner), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cancelled_run_is_paused_and_the_next_one_goes_on() {
    let (cx, _) = watched();
    let cancel = cx.cancel.clone();
    let sink = Faulty::before(move |_, write| {
        if write == 4 {
            cancel.cancel();
        }
        None
    });
    let store = Arc::new(MemoryStore::new());
    let migration =
        builder(&Arc::new(sink.clone()), &store).table(job()).build().expect("complete");
    let first = migration.run(&cx).await.expect("pauses");
    assert_eq!(first.outcome, Outcome::Paused);
    let half = arrived(&sink.inner).len();
    assert!((1..100).contains(&half), "{half} rows before the pause");

    let (cx, events) = watched();
    let second = migration.run(&cx).await.expect("resumes");
    assert_eq!((second.outcome, second.resumed), (Outcome::Completed, true));
    assert_eq!(second.run, first.run);
    assert_eq!(arrived(&sink.inner), (0..100).collect::<Vec<_>>());
    let copied = events.count(|event| matches!(event, Event::ChunkCompleted { .. }));
    assert_eq!(copied, 10 - half / 10, "only what was left");
    assert_eq!(second.row_count(), 100, "rows add up over both");
}

#[tokio::test]
async fn a_worker_that_panics_is_no_success() {
    let sink = Faulty::before(|_, write| {
        assert!(write < 2, "on purpose");
        None
    });
    let store = Arc::new(MemoryStore::new());
    let migration = builder(&Arc::new(sink), &store).table(job()).build().expect("complete");
    let report = migration.run(&watched().0).await.expect("ends");
    assert!(matches!(report.outcome, Outcome::Failed | Outcome::Partial), "{}", report.outcome);
    assert!(report.tables[0].reason.as_ref().is_some_and(|why| why.contains("broke off")));
}

/// Writes of chunks in their order, and how often each chunk was tried.
fn tried(sink: &Faulty) -> (Vec<u32>, std::collections::BTreeMap<u32, usize>) {
    let order = sink.written();
    let mut tries = std::collections::BTreeMap::new();
    for chunk in &order {
        *tries.entry(*chunk).or_default() += 1;
    }
    (order, tries)
}

#[tokio::test]
async fn a_chunk_is_tried_exactly_as_often_as_the_limit_says_and_numbered_in_the_store() {
    for limit in [1, 2] {
        let sink = Faulty::before(|chunk, _| {
            (chunk.id == ChunkId(3)).then(|| broken(ErrorKind::Connection))
        });
        let store = Arc::new(MemoryStore::new());
        let mut job = job();
        job.max_attempts = std::num::NonZeroU32::new(limit).expect("not zero");
        let migration =
            builder(&Arc::new(sink.clone()), &store).table(job).build().expect("complete");
        let (cx, events) = watched();
        let report = migration.run(&cx).await.expect("runs");
        assert_eq!(report.outcome, Outcome::Partial);
        let (_, tries) = tried(&sink);
        assert_eq!(tries[&3], limit as usize, "{tries:?}");
        assert!(tries.iter().all(|(chunk, tries)| *chunk == 3 || *tries == 1), "{tries:?}");
        let started = |attempt| {
            events.count(|event| {
                matches!(event, Event::ChunkStarted { chunk: ChunkId(3), attempt: a, .. } if *a == attempt)
            })
        };
        let numbers: Vec<usize> = (1..=limit + 1).map(started).collect();
        assert_eq!(numbers[..limit as usize], vec![1; limit as usize]);
        assert_eq!(numbers[limit as usize], 0, "no try beyond the limit");
    }
}

#[tokio::test]
async fn while_a_chunk_rests_the_others_go_first() {
    let sink = Faulty::before(|_, write| (write == 0).then(|| broken(ErrorKind::Throttled)));
    let store = Arc::new(MemoryStore::new());
    let one = std::num::NonZeroU32::MIN;
    let migration = builder(&Arc::new(sink.clone()), &store)
        .table(job())
        .workers(one)
        .build()
        .expect("complete");
    let report = migration.run(&watched().0).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    let (order, _) = tried(&sink);
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0], "nobody waits for the one that rests");
}
