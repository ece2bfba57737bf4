//! A store in a database of its own, and small pieces to put into it.

use std::time::Duration;

use migrate_core::{
    Chunk, ChunkId, Claim, Extent, Lease, LoadPlan, NewPlan, PlanStore, Predicate, RunHandle,
    RunId, RunRequest, RunStore, TableId, TablePlan, TableRef, TableRequest, WorkKind, WorkQueue,
    WorkerId,
};
use migrate_postgres::{Database, PostgresSettings, sqlx};
use migrate_status::PgStatusStore;
use postgres_sandbox::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool};

pub(crate) struct Ledger {
    pub(crate) store: PgStatusStore,
    pub(crate) database: Database,
    /// Dropped last.
    server: TestDatabase,
}

impl Ledger {
    pub(crate) async fn empty() -> Self {
        let server = TestDatabase::create().await;
        let settings = PostgresSettings::from_url(server.url()).expect("url");
        let database = Database::connect(&settings, 12).await.expect("connects");
        Self { store: PgStatusStore::new(database.clone()), database, server }
    }

    pub(crate) async fn installed() -> Self {
        let ledger = Self::empty().await;
        ledger.store.install().await.expect("installs");
        ledger
    }

    /// Connections of another process.
    pub(crate) async fn another_database(&self) -> Database {
        let settings = PostgresSettings::from_url(self.server.url()).expect("url");
        Database::connect(&settings, 4).await.expect("connects")
    }

    /// Runs a statement that the test has put together.
    #[expect(clippy::disallowed_methods, reason = "statements of tests")]
    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::query(AssertSqlSafe(sql)).execute(self.pool()).await.expect("runs");
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn begin(&self, tables: &[TableRequest]) -> RunHandle {
        let request = RunRequest::new(RunId::random(), tables.to_vec(), "test");
        self.store.begin_run(&request).await.expect("begins")
    }

    /// A run of one table with this many chunks, prepared.
    pub(crate) async fn planned(&self, chunk_count: u32) -> TableId {
        let run = self.begin(&[table("t", "f")]).await;
        let id = run.tables[0].id;
        self.save(id, &plan("t"), &chunks(chunk_count)).await;
        id
    }

    pub(crate) async fn save(
        &self,
        table: TableId,
        plan: &TablePlan,
        chunks: &[Chunk],
    ) -> TablePlan {
        let plans = self.store.save_plans(&[NewPlan { table, plan, chunks }]).await;
        plans.expect("saves").remove(0)
    }

    pub(crate) async fn claim(&self, table: TableId) -> Claim {
        self.claim_for(table, Duration::from_secs(30)).await
    }

    pub(crate) async fn claim_for(&self, table: TableId, ttl: Duration) -> Claim {
        let worker = WorkerId("w1".into());
        self.store.claim(table, WorkKind::Chunk, &worker, ttl).await.expect("claims")
    }

    pub(crate) async fn lease(&self, table: TableId) -> Lease {
        match self.claim(table).await {
            Claim::Leased(lease) => *lease,
            other => panic!("no chunk to be had: {other:?}"),
        }
    }

    /// Until this many sessions wait for locks.
    pub(crate) async fn until_waiting(&self, sessions: i64) {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity \
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(self.pool())
            .await
            .expect("answers");
            if waiting >= sessions {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets every lease run out.
    pub(crate) async fn expire_leases(&self) {
        sqlx::query(
            "update migration_status.migration_work_items \
             set lease_until = now() - interval '1 second' where status = 'in_progress'",
        )
        .execute(self.pool())
        .await
        .expect("expires");
    }
}

pub(crate) fn table(name: &str, fingerprint: &str) -> TableRequest {
    TableRequest {
        source_name: "analytics".into(),
        source: TableRef::qualified("DB", "BI", name.to_uppercase()),
        target: TableRef::qualified("sales", "public", name),
        fingerprint: fingerprint.into(),
    }
}

pub(crate) fn plan(name: &str) -> TablePlan {
    let wanted = table(name, "f");
    TablePlan::new(wanted.source, wanted.target, LoadPlan::append(Vec::new()))
}

pub(crate) fn chunks(count: u32) -> Vec<Chunk> {
    let everything = Extent::Rows { predicate: Predicate::All };
    (0..count)
        .map(|id| Chunk::new(ChunkId(id), everything.clone()).with_rows(Some(10), Some(10)))
        .collect()
}
