//! Examples that need arguments, run as a user would run them.

#[path = "../custom_sink.rs"]
#[allow(dead_code, reason = "its main")]
mod custom_sink;
#[path = "../custom_strategy.rs"]
#[allow(dead_code, reason = "its main")]
mod custom_strategy;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Date32Array, RecordBatch};
use migrate_postgres::{Database, PostgresSettings, sqlx};
use parquet::arrow::ArrowWriter;
use postgres_sandbox::TestDatabase;
use serde_json::json;

/// Cargo builds examples beside the tests of their package.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps");
    profile.join("examples").join(name)
}

#[tokio::test]
async fn a_strategy_of_ones_own_is_found_by_its_name() {
    let folder = tempfile::tempdir().expect("folder");
    let days: ArrayRef =
        Arc::new(Date32Array::from(vec![Some(-1), Some(0), None, Some(31), Some(32)]));
    let rows = RecordBatch::try_from_iter([("day", days)]).expect("one column");
    let file = std::fs::File::create(folder.path().join("events.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).expect("writer");
    writer.write(&rows).expect("writes");
    writer.close().expect("closes");
    let server = TestDatabase::create().await;
    let target = PostgresSettings::from_url(server.url()).expect("url");
    let database = Database::connect(&target, 1).await.expect("connects");
    sqlx::raw_sql("create table events (day date)").execute(database.pool()).await.expect("table");
    let run = |options: serde_json::Value| -> Output {
        let config = json!({
            "postgres": {"host": target.host, "port": target.port, "user": target.user},
            "sources": [{
                "source_name": "files", "type": "parquet", "path": folder.path(),
                "target_pg_database": target.database, "target_pg_schema": "public",
                "tables": [{
                    "source": "events", "target": "events", "chunking_columns": ["day"],
                    "chunking": {"strategy": "calendar", "options": options},
                }],
            }],
        });
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).expect("writes");
        let mut command = Command::new(example("custom_strategy"));
        command
            .arg("plan")
            .current_dir(folder.path())
            .output()
            .expect("examples are built by `cargo test`, unless it is told which targets")
    };

    let planned = run(json!({"unit": "month"}));
    let stdout = String::from_utf8_lossy(&planned.stdout);
    assert!(planned.status.success(), "{planned:?}");
    for line in [
        "strategy  calendar: as the calendar goes",
        "(\"day\" < 1970-01-01 or \"day\" is null)",
        "1970-01-01 <= \"day\" < 1970-02-01",
        "\"day\" >= 1970-02-01",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }

    let refused = run(json!({"units": "month"}));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("unknown field `units`"), "{stderr}");
}
