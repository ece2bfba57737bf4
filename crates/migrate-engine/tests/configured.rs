//! Registered components and the ledger in a file, by their names in a configuration.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use migrate_config::{Config, Environment};
use migrate_core::memory::MemorySource;
use migrate_core::{ChunkId, Error, ErrorKind, Outcome, Sink, Source};
use migrate_engine::RunReport;
use migrate_engine::assembly::{Assembly, Registry};
use serde_json::json;

use crate::support::{Faulty, arrived, from, rows, to, watched};

const ROWS: i64 = 1_000;

fn config(folder: &Path) -> Config {
    let text = json!({
        "target": {"type": "memory"},
        "status": {"type": "sqlite", "path": folder.join("ledger.sqlite")},
        "max_retry_attempts": 0,
        "sources": [{
            "source_name": "numbers",
            "type": "memory",
            "tables": [{
                "source": "from", "target": "to", "chunking_columns": ["id"], "batch_size": 100,
            }],
        }],
    });
    let none = Environment::from_map::<&str, &str>([]);
    Config::parse("config.json", &text.to_string(), &none).expect("valid")
}

/// One invocation of the program, with a sink that outlives it.
async fn run(folder: &Path, sink: &Faulty) -> RunReport {
    let sink = sink.clone();
    let registry = Registry::with_builtins()
        .source("memory", |_options| {
            let source = MemorySource::new().with_table(from(), rows(0..ROWS));
            Ok(Arc::new(source) as Arc<dyn Source>)
        })
        .sink("memory", move |_options| Ok(Arc::new(sink.clone()) as Arc<dyn Sink>));
    let config = config(folder);
    let migration = Assembly::new(&config, &registry).build().await.expect("known by name");
    migration.run(&watched().0).await.expect("a report")
}

#[tokio::test]
async fn a_ledger_in_a_file_lets_the_next_invocation_write_only_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let is_away = Arc::new(AtomicBool::new(true));
    let has_left = Arc::clone(&is_away);
    let sink = Faulty::before(move |_, write| {
        let fails = write >= 4 && has_left.load(Ordering::SeqCst);
        fails.then(|| Error::new(ErrorKind::Connection, "The target is away"))
    });
    let first = run(folder.path(), &sink).await;
    assert_ne!(first.outcome, Outcome::Completed);
    let there = sink.inner.chunks(&to());
    assert_eq!(there.len(), 4);
    let begun = sink.written().len();

    is_away.store(false, Ordering::SeqCst);
    let second = run(folder.path(), &sink).await;
    assert_eq!(second.outcome, Outcome::Completed, "{second:?}");
    assert!(second.resumed && second.run == first.run, "the same run went on");
    let again = sink.written().split_off(begun);
    assert_eq!(again.len(), 6, "{again:?}");
    assert!(again.iter().all(|chunk| !there.contains(&ChunkId(*chunk))), "{again:?}");
    assert_eq!(arrived(&sink.inner), (0..ROWS).collect::<Vec<_>>());
}
