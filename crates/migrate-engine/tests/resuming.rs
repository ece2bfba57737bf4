//! Several processes, crashes, and runs that take over.

use std::sync::Arc;
use std::time::Duration;

use migrate_core::memory::MemoryStore;
use migrate_core::{
    Claim, Event, Outcome, Resume, RunContext, RunId, RunRequest, RunStore, WorkKind, WorkQueue,
    WorkerId, code,
};

use crate::support::{arrived, builder, job, request, sink, watched};

#[tokio::test]
async fn eight_processes_share_one_run_and_copy_every_chunk_once() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let (cx, events) = watched();
    let processes = (0..8).map(|number| {
        let migration = builder(&target, &store)
            .table(job())
            .invoked_by(format!("process {number}"))
            .build()
            .expect("complete");
        let cx = cx.clone();
        async move { migration.run(&cx).await.expect("runs") }
    });
    let reports = futures::future::join_all(processes).await;
    for report in &reports {
        assert_eq!(report.outcome, Outcome::Completed);
        assert_eq!(report.run, reports[0].run);
        assert_eq!(report.row_count(), 100);
    }
    assert_eq!(reports.iter().map(|report| report.committed_rows).sum::<u64>(), 100);
    assert_eq!(events.count(|event| matches!(event, Event::ChunkCompleted { .. })), 10);
    assert_eq!(arrived(&target), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dead_process_is_waited_for_and_then_replaced() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let migration = builder(&target, &store).table(job()).build().expect("complete");
    // Another process plans, claims a chunk and dies.
    let (cx, _) = watched();
    let stop_at_first_chunk = StopAtFirstChunk(cx.cancel.clone());
    let cx = cx.with_observer(Arc::new(stop_at_first_chunk));
    let paused = migration.run(&cx).await.expect("pauses");
    assert_eq!(paused.outcome, Outcome::Paused);
    let table = table_of(&store, paused.run).await;
    let worker = WorkerId("dead host pid 1, worker 1".into());
    let ttl = Duration::from_millis(300);
    let claim = store.claim(table, WorkKind::Chunk, &worker, ttl).await.expect("claims");
    assert!(matches!(claim, Claim::Leased(_)));

    let (cx, events) = watched();
    let report = migration.run(&cx).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(arrived(&target), (0..100).collect::<Vec<_>>());
    let waited = |event: &Event| matches!(event, Event::LeaseAwaited { holder, .. } if holder.starts_with("dead host"));
    assert_eq!(events.count(waited), 1, "it says once whom it waits for");
}

#[derive(Debug)]
struct StopAtFirstChunk(tokio_util::sync::CancellationToken);

impl migrate_core::Observer for StopAtFirstChunk {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::ChunkCompleted { .. }) {
            self.0.cancel();
        }
    }
}

/// The id of the one table of a run.
async fn table_of(store: &MemoryStore, run: RunId) -> migrate_core::TableId {
    let request =
        RunRequest::new(RunId::random(), vec![request()], "test").with_resume(Resume::Run(run));
    store.begin_run(&request).await.expect("adopts").tables[0].id
}

#[tokio::test]
async fn a_run_that_does_not_resume_refuses_while_the_other_is_alive() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let migration = builder(&target, &store).table(job()).build().expect("complete");
    let (cx, _) = watched();
    let cx = cx.clone().with_observer(Arc::new(StopAtFirstChunk(cx.cancel.clone())));
    let paused = migration.run(&cx).await.expect("pauses");
    let table = table_of(&store, paused.run).await;
    let worker = WorkerId("other host".into());
    let lease = store.claim(table, WorkKind::Chunk, &worker, Duration::from_mins(1)).await;
    let Ok(Claim::Leased(lease)) = lease else { panic!("leased") };

    let anew = builder(&target, &store)
        .table(job().with_truncate())
        .resume(Resume::Never)
        .build()
        .expect("complete");
    let error = anew.run(&RunContext::new()).await.expect_err("busy");
    assert_eq!(error.code(), code::TARGET_BUSY);

    store.release(&lease).await.expect("gives it back");
    let report = anew.run(&RunContext::new()).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(arrived(&target), (0..100).collect::<Vec<_>>());
    let late = store.claim(table, WorkKind::Chunk, &worker, Duration::from_mins(1)).await;
    assert!(matches!(late, Ok(Claim::Drained { .. })), "the old run gets nothing more: {late:?}");
}
