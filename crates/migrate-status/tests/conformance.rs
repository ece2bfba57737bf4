//! Both ledgers keep every rule of a status store.

use std::sync::Arc;
use std::time::Duration;

use migrate_core::testkit::Testkit;
use migrate_core::testkit::store::{Ending, StoreFixture};
use migrate_core::{
    ErrorKind, Result, RunId, RunRequest, RunStore, SqlStatement, StatusStore, async_trait,
};
use migrate_postgres::{execute, sqlx};
use migrate_status::{PgStatusStore, SqliteStatusStore};
use sqlx::Connection;

use crate::support::{Ledger, table};

/// Moves every moment that the ledger decides by into the past.
const PASS: &str = "\
    do $$ begin \
        update migration_status.migration_work_items \
        set lease_until = lease_until - %s, not_before = not_before - %s; \
        update migration_status.migration_runs set heartbeat_at = heartbeat_at - %s; \
    end $$";

struct PgLedger(Ledger);

impl std::fmt::Debug for PgLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PgLedger")
    }
}

#[async_trait]
impl StoreFixture for PgLedger {
    fn store(&self) -> Arc<dyn StatusStore> {
        Arc::new(self.0.store.clone())
    }

    async fn other_process(&self) -> Result<Arc<dyn StatusStore>> {
        Ok(Arc::new(PgStatusStore::new(self.0.another_database().await)))
    }

    async fn pass(&self, time: Duration) -> Result<()> {
        let interval = format!("interval '{} milliseconds'", time.as_millis());
        self.0.execute(&PASS.replace("%s", &interval)).await;
        Ok(())
    }

    async fn transact(&self, statements: &[SqlStatement], end: Ending) -> Result<Vec<u64>> {
        let mut connection = self.0.database.acquire().await?;
        let mut tx = connection.begin().await.expect("begins");
        let mut changed = Vec::new();
        for statement in statements {
            changed.push(execute(&mut tx, statement).await.expect("runs"));
        }
        match end {
            Ending::Commit => tx.commit().await.expect("commits"),
            Ending::RollBack => tx.rollback().await.expect("rolls back"),
        }
        Ok(changed)
    }
}

#[tokio::test]
async fn the_ledger_in_postgres_keeps_every_rule() {
    let kit = Testkit::new().with_patience(|| tokio::time::sleep(Duration::from_mins(2)));
    let report = kit.store(|| async { Ok(PgLedger(Ledger::empty().await)) }).await;
    report.expect_kept();
    assert_eq!(report.skipped(), [""; 0]);
}

#[derive(Debug)]
struct FileLedger(tempfile::TempDir);

impl FileLedger {
    fn open(&self) -> SqliteStatusStore {
        SqliteStatusStore::new(self.0.path().join("ledger.sqlite"))
    }
}

#[async_trait]
impl StoreFixture for FileLedger {
    fn store(&self) -> Arc<dyn StatusStore> {
        Arc::new(self.open())
    }

    async fn other_process(&self) -> Result<Arc<dyn StatusStore>> {
        Ok(Arc::new(self.open()))
    }

    async fn pass(&self, time: Duration) -> Result<()> {
        let options = sqlx::sqlite::SqliteConnectOptions::new();
        let options = options.filename(self.open().path()).busy_timeout(Duration::from_secs(30));
        let mut file = sqlx::SqliteConnection::connect_with(&options).await.expect("opens");
        for sql in [
            "update migration_work_items \
             set lease_until = lease_until - ?1, not_before = not_before - ?1",
            "update migration_runs set heartbeat_at = heartbeat_at - ?1",
        ] {
            let moved = sqlx::query(sql).bind(i64::try_from(time.as_millis()).expect("small"));
            moved.execute(&mut file).await.expect("moves");
        }
        file.close().await.expect("closes");
        Ok(())
    }
}

#[tokio::test]
async fn the_ledger_in_a_file_keeps_every_rule() {
    let kit = Testkit::new().with_patience(|| tokio::time::sleep(Duration::from_mins(2)));
    let fresh = || async { Ok(FileLedger(tempfile::tempdir().expect("folder"))) };
    let report = kit.store(fresh).await;
    report.expect_kept();
    let needs_transactions = |rule: &&str| rule.contains("record") || rule.contains("set_aside");
    assert!(report.skipped().iter().all(needs_transactions), "{report}");
}

#[tokio::test]
async fn a_preview_makes_no_file_and_a_newer_file_is_refused() {
    let folder = FileLedger(tempfile::tempdir().expect("folder"));
    let store = folder.open();
    let request = RunRequest::new(RunId::random(), vec![table("t", "f")], "test");
    assert!(store.preview_run(&request).await.expect("previews").is_none());
    assert!(!store.path().exists());
    store.install().await.expect("installs");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(store.path());
    let mut file = sqlx::SqliteConnection::connect_with(&options).await.expect("opens");
    sqlx::query("pragma user_version = 2").execute(&mut file).await.expect("is newer");
    let error = folder.open().install().await.expect_err("newer");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 2"), "{error}");
}
