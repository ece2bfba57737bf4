//! What is decided, and what is refused, before a row moves.

use std::sync::Arc;

use migrate_core::memory::{MemorySink, MemorySource, MemoryStore};
use migrate_core::{
    Column, ColumnType, Error, ErrorKind, Event, Outcome, Predicate, RunContext, TableRef,
    TableSchema, WriteMode, code,
};
use migrate_engine::{BadRowPolicy, Migration, NonemptyPolicy, Preview, TableJob};

use crate::support::{arrived, builder, from, job, rows, sink, to, watched};

async fn refusal(job: TableJob, sink: MemorySink) -> Error {
    let store = Arc::new(MemoryStore::new());
    let migration = builder(&Arc::new(sink), &store).table(job).build().expect("complete");
    let previews = migration.plan(&RunContext::new()).await.expect("both ends answer");
    let error = previews.into_iter().next().expect("one table").plan.expect_err("refused");
    let report = migration.run(&RunContext::new()).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Failed, "{error}");
    assert_eq!(report.row_count(), 0);
    error
}

#[tokio::test]
async fn a_plan_writes_nothing() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let migration = builder(&target, &store).table(job()).build().expect("complete");
    let previews = migration.plan(&RunContext::new()).await.expect("plans");
    let Ok(Preview::New(planned)) = &previews[0].plan else { panic!("{previews:?}") };
    assert_eq!(planned.chunks.len(), 10);
    assert_eq!(planned.plan.estimated_rows, Some(100));
    assert!(arrived(&target).is_empty());
    let (cx, events) = watched();
    migration.run(&cx).await.expect("runs");
    let resumed = events.count(|event| matches!(event, Event::RunStarted { resumed: true, .. }));
    assert_eq!(resumed, 0, "the plan left no trace in the ledger");
}

#[tokio::test]
async fn missing_things_are_named() {
    let mut elsewhere = job();
    elsewhere.from = TableRef::bare("nowhere");
    assert_eq!(refusal(elsewhere, sink()).await.code(), code::SOURCE_TABLE_MISSING);
    let mut elsewhere = job();
    elsewhere.to = TableRef::bare("nowhere");
    assert_eq!(refusal(elsewhere, sink()).await.code(), code::TARGET_TABLE_MISSING);
    let mut renamed = job();
    renamed.columns.renamed.insert("ID".into(), "id".into());
    assert_eq!(refusal(renamed, sink()).await.code(), code::COLUMN_MISSING);
}

#[tokio::test]
async fn types_that_do_not_fit_are_listed_before_a_row_moves() {
    let text = ColumnType::Text { max_chars: None };
    let other = TableSchema::new(to(), vec![Column::new("id", text, "text")]);
    let error = refusal(job(), MemorySink::new().with_table(other)).await;
    assert_eq!(error.code(), code::TYPE_MISMATCH);
    assert!(error.to_string().contains("\"id\" Int64 to \"id\" text"), "{error}");
}

#[tokio::test]
async fn a_mode_or_policy_that_is_not_there_is_refused_by_name() {
    let mut upsert = job();
    upsert.mode = WriteMode::Upsert { keys: vec!["id".into()], version: None };
    let error = refusal(upsert, sink()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("upsert"), "{error}");
    let mut quarantine = job();
    quarantine.bad_rows = BadRowPolicy::Quarantine { most_rows: None, most_fraction: None };
    let error = refusal(quarantine, sink()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("bad rows") && error.hint().is_some(), "{error}");
}

#[tokio::test]
async fn a_second_copy_needs_a_word() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let once = builder(&target, &store).table(job()).build().expect("complete");
    once.run(&RunContext::new()).await.expect("runs");
    let again = once.run(&RunContext::new()).await.expect("runs");
    assert_eq!(again.outcome, Outcome::Failed);
    let reason = again.tables[0].reason.as_ref().expect("a reason");
    assert!(reason.contains("truncate_onstart") && reason.contains("on_nonempty"), "{reason}");
    assert_eq!(arrived(&target).len(), 100);

    let emptied = builder(&target, &store).table(job().with_truncate()).build();
    let report = emptied.expect("complete").run(&RunContext::new()).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(arrived(&target).len(), 100);

    let mut append = job();
    append.on_nonempty = NonemptyPolicy::Append;
    let appended = builder(&target, &store).table(append).build().expect("complete");
    let report = appended.run(&RunContext::new()).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
}

#[tokio::test]
async fn one_bad_table_does_not_stop_the_others() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let mut bad = job();
    bad.from = TableRef::bare("nowhere");
    bad.to = TableRef::bare("nowhere");
    let migration = builder(&target, &store).table(bad).table(job()).build().expect("complete");
    let report = migration.run(&RunContext::new()).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Partial);
    let outcomes: Vec<_> = report.tables.iter().map(|table| table.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Completed]);
    assert_eq!(arrived(&target).len(), 100);
}

#[tokio::test]
async fn only_the_filtered_rows_are_counted_and_copied() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let filter = Predicate::range("id", Some(25.into()), Some(60.into()));
    let migration = builder(&target, &store).table(job().with_filter(filter)).build();
    let report = migration.expect("complete").run(&RunContext::new()).await.expect("runs");
    assert_eq!(report.row_count(), 35);
    assert_eq!(arrived(&target), (25..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_chunk_reads_the_moment_that_was_planned() {
    let source = Arc::new(MemorySource::new().with_table(from(), rows(0..100)));
    let target = Arc::new(sink());
    let store = Arc::new(MemoryStore::new());
    let migration = Migration::builder()
        .source(Arc::<MemorySource>::clone(&source))
        .sink(Arc::<MemorySink>::clone(&target))
        .status(store)
        .table(job())
        .build()
        .expect("complete");
    let (cx, _) = watched();
    // The table changes as soon as the plan is stored.
    let changing = ChangeOncePlanned { source: Arc::clone(&source) };
    let cx = cx.with_observer(Arc::new(changing));
    let report = migration.run(&cx).await.expect("runs");
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(arrived(&target), (0..100).collect::<Vec<_>>());
}

#[derive(Debug)]
struct ChangeOncePlanned {
    source: Arc<MemorySource>,
}

impl migrate_core::Observer for ChangeOncePlanned {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::TablePlanned { .. }) {
            self.source.put(from(), rows(0..150));
        }
    }
}

#[tokio::test]
async fn two_jobs_of_one_target_differ_and_need_a_target_with_transactions() {
    let store = Arc::new(MemoryStore::new());
    let target = Arc::new(sink());
    let half = |lower: i64, upper: i64| {
        job().with_filter(Predicate::range("id", Some(lower.into()), Some(upper.into())))
    };
    let mut other_half = half(50, 100);
    other_half.fingerprint = Some("the other half".into());
    let twice = builder(&target, &store).table(half(0, 50)).table(half(0, 50)).build();
    let error = twice.expect("complete").run(&RunContext::new()).await.expect_err("twins");
    assert_eq!(error.kind(), ErrorKind::Config);
    let both = builder(&target, &store).table(half(0, 50)).table(other_half).build();
    let report = both.expect("complete").run(&RunContext::new()).await.expect("runs");
    assert_eq!((report.outcome, report.row_count()), (Outcome::Failed, 0));
    let reason = report.tables[0].reason.as_deref().unwrap_or_default();
    assert!(reason.contains("target of its own"), "{reason}");
}
