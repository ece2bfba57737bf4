//! A world for the program: a double, a database, a folder with its configuration.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use migrate_core::RunStore;
use migrate_postgres::sqlx::postgres::{PgArguments, PgPool};
use migrate_postgres::sqlx::query::Query;
use migrate_postgres::sqlx::{self, AssertSqlSafe, Connection, PgConnection, Postgres, Row};
use migrate_postgres::{Database, PostgresSettings};
use migrate_status::PgStatusStore;
use postgres_sandbox::{Installation, Search, TestDatabase};
use serde_json::{Value as Json, json};
use snowflake_double::{Double, DoubleBuilder, Table, Type, User, Value};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Somebody is at a [gate](World::gate).
pub(crate) const WAITS_AT_GATE: &str = "exists (select from pg_locks \
    where locktype = 'advisory' and not granted \
      and database = (select oid from pg_database where datname = current_database()))";

pub(crate) const PASSWORD: &str = "canary-4711";

pub(crate) struct World {
    pub(crate) double: Double,
    pub(crate) folder: TempDir,
    settings: PostgresSettings,
    connected: Database,
    pool: PgPool,
    database: TestDatabase,
}

/// Where the program waits before it changes the ledger.
pub(crate) struct Gate {
    table: String,
    holder: PgConnection,
}

/// What the program said and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// Tables of the double, and what is in the database.
    pub(crate) async fn new(double: DoubleBuilder, target_sql: &'static str) -> Self {
        Self::in_database(TestDatabase::create().await, double, target_sql).await
    }

    /// The same in a database of a server of the test's own.
    pub(crate) async fn in_database(
        database: TestDatabase,
        double: DoubleBuilder,
        target_sql: &'static str,
    ) -> Self {
        let user = User::password("MOVER", PASSWORD);
        let double = double.account("ACME").warehouse("WH").user(user).start().await;
        let settings = PostgresSettings::from_url(database.url()).expect("url");
        let connected = Database::connect(&settings, 4).await.expect("connects");
        let pool = connected.pool().clone();
        sqlx::raw_sql(target_sql).execute(&pool).await.expect(target_sql);
        let folder = TempDir::new().expect("folder");
        Self { double: double.expect("starts"), folder, settings, connected, pool, database }
    }

    pub(crate) fn database_name(&self) -> String {
        self.settings.database.clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A configuration of these tables; short leases, so that a test does not wait for a minute.
    pub(crate) fn config(&self, tables: &Json) -> Json {
        json!({
            "snowflake": {
                "account": "ACME", "user": "MOVER", "warehouse": "WH", "password": PASSWORD,
                "base_url": self.double.base_url(), "partition_timeout_seconds": 20,
            },
            "postgres": {
                "host": self.settings.host, "port": self.settings.port, "user": self.settings.user,
            },
            "lease_seconds": 1,
            "parallel_threads": 2,
            "sources": [{
                "source_name": "shop",
                "source_sf_database": "DB",
                "source_sf_schema": "PUBLIC",
                "target_pg_database": self.settings.database,
                "target_pg_schema": "public",
                "tables": tables,
            }],
        })
    }

    pub(crate) fn write_config(&self, config: &Json) {
        std::fs::write(self.path("config.json"), config.to_string()).expect("writes");
    }

    pub(crate) fn read_config(&self) -> Json {
        let text = std::fs::read_to_string(self.path("config.json")).expect("reads");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Starts the program in the folder of this world.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        start(self.folder.path(), arguments)
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.start(arguments)).await
    }

    /// The one value of a query, as text.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        made_up(sql).fetch_one(&self.pool).await.expect(sql).try_get(0).expect("a text")
    }

    pub(crate) async fn execute(&self, sql: &str) {
        made_up(sql).execute(&self.pool).await.expect(sql);
    }

    /// A session of somebody else in which these statements have run; dropping it rolls back.
    pub(crate) async fn hold(&self, sql: &'static str) -> PgConnection {
        let mut connection = PgConnection::connect(self.database.url()).await.expect("connects");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect(sql);
        connection
    }

    /// The only session of this world, which is over then: what it sees of others is not the test's.
    pub(crate) async fn alone(&self) -> PgConnection {
        self.pool.close().await;
        self.hold("select").await
    }

    pub(crate) async fn count(&self, table: &str) -> u64 {
        let count = self.text(&format!("select count(*)::text from {table}")).await;
        count.and_then(|text| text.parse().ok()).expect("a count")
    }

    /// Lets whoever records a step as done wait: `step` is a condition on the row `new` of the step.
    /// [`open`](Self::open) takes the gate away.
    pub(crate) async fn gate(&self, step: &str) -> Gate {
        let done = format!("new.status = 'completed' and old.status <> 'completed' and {step}");
        self.gate_before("migration_work_items", &done).await
    }

    /// The same before a change of another table of the ledger, under a condition on `old` and `new`.
    async fn gate_before(&self, table: &str, change: &str) -> Gate {
        PgStatusStore::new(self.connected.clone()).install().await.expect("installs");
        self.execute(
            "create or replace function migration_status.wait() returns trigger language plpgsql as \
             'begin perform pg_advisory_xact_lock(4711); return new; end'",
        )
        .await;
        self.execute(&format!(
            "create trigger wait before update on migration_status.{table} for each row \
             when ({change}) execute function migration_status.wait()"
        ))
        .await;
        let holder = self.hold("begin; select pg_advisory_xact_lock(4711)").await;
        Gate { table: table.to_owned(), holder }
    }

    /// Runs a body in PL/pgSQL after every update of a table of the ledger that a condition on `old`
    /// and `new` holds for.
    pub(crate) async fn after(&self, table: &str, change: &str, body: &str) {
        PgStatusStore::new(self.connected.clone()).install().await.expect("installs");
        self.execute(&format!(
            "create function migration_status.interfere() returns trigger language plpgsql as \
             $body${body}$body$"
        ))
        .await;
        self.execute(&format!(
            "create trigger interfere after update on migration_status.{table} for each row \
             when ({change}) execute function migration_status.interfere()"
        ))
        .await;
    }

    pub(crate) async fn open(&self, gate: Gate) {
        drop(gate.holder);
        self.execute(&format!("drop trigger wait on migration_status.{}", gate.table)).await;
    }

    /// Starts the program and kills it while it waits to record a step as done: `step` is a condition
    /// on the row `new` of the step.
    pub(crate) async fn killed_before_recording(&self, step: &str) {
        let gate = self.gate(step).await;
        self.killed_at(gate).await;
    }

    /// The same before a change of another table of the ledger, under a condition on `old` and `new`.
    pub(crate) async fn killed_before(&self, table: &str, change: &str) {
        let gate = self.gate_before(table, change).await;
        self.killed_at(gate).await;
    }

    async fn killed_at(&self, gate: Gate) {
        let mut child = self.start(&[]);
        tokio::select! {
            () = self.until(WAITS_AT_GATE) => {}
            ended = child.wait() => panic!("it ended before the gate: {ended:?}"),
        }
        child.kill().await.expect("kill -9");
        self.open(gate).await;
    }

    /// A session of somebody else that runs a statement which does not end.
    pub(crate) async fn session_running(&self, sql: &str) -> JoinSet<()> {
        let mut connection = PgConnection::connect(self.database.url()).await.expect("connects");
        let sql = sql.to_owned();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let ended = made_up(&sql).execute(&mut connection).await;
            assert!(ended.is_ok(), "{ended:?}");
        });
        running
    }

    /// The schema of everything but the status tables, as `pg_dump` tells it.
    pub(crate) async fn schema(&self) -> String {
        self.dump(&["--schema-only", "--exclude-schema=migration_status"]).await
    }

    /// What `pg_dump` says of the database.
    pub(crate) async fn dump(&self, arguments: &[&str]) -> String {
        let installed = Installation::find(&Search::new()).expect("a PostgreSQL");
        let dump = Command::new(installed.bin("pg_dump").expect("pg_dump"))
            .args(arguments)
            .arg(format!("--dbname={}", self.database.url()))
            .output();
        let dump = dump.await.expect("pg_dump runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let text = String::from_utf8(dump.stdout).expect("UTF-8");
        // Newer versions write a random key.
        text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
    }

    /// Waits until a condition on the database holds while the program runs.
    ///
    /// # Panics
    ///
    /// When the program ends before that, with what it said.
    pub(crate) async fn until_with(&self, child: Child, sql: &str) -> Child {
        let mut child = child;
        let has_ended = tokio::select! {
            () = self.until(sql) => false,
            _status = child.wait() => true,
        };
        assert!(!has_ended, "ended before {sql}: {:?}", ended(child).await);
        child
    }

    /// Waits until a condition on the database holds.
    pub(crate) async fn until(&self, sql: &str) {
        const DEADLOCK: &str = "40P01";
        let sql = format!("select ({sql})");
        loop {
            match made_up(&sql).fetch_one(&self.pool).await {
                Ok(row) if row.try_get::<Option<bool>, _>(0).expect(&sql) == Some(true) => return,
                Ok(_) => {}
                // Somebody changes the views that are looked at; the next look sees them.
                Err(cause) => {
                    let state = migrate_postgres::sqlstate(&cause);
                    assert_eq!(state.as_deref(), Some(DEADLOCK), "{sql}: {cause}");
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "statements of tests")]
fn made_up(sql: &str) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(sql))
}

pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_migrate"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("SHOP_PASSWORD")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

pub(crate) async fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().await.expect("the program ends");
    let ended = Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    assert!(!ended.stdout.contains(PASSWORD), "a secret on stdout: {}", ended.stdout);
    assert!(!ended.stderr.contains(PASSWORD), "a secret on stderr: {}", ended.stderr);
    ended
}

/// Waits until the program has said something on stderr, and answers all that it has said by then.
///
/// # Panics
///
/// When it ends before that.
pub(crate) async fn until_said(child: &mut Child, words: &str) -> String {
    let stderr = child.stderr.as_mut().expect("piped");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(words) {
        let read = stderr.read_buf(&mut said).await.expect("reads");
        assert!(read > 0, "ended before {words}: {}", String::from_utf8_lossy(&said));
    }
    String::from_utf8(said).expect("UTF-8")
}

/// Sends a signal by name.
pub(crate) async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("still running").to_string();
    let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().await;
    assert!(sent.expect("kill is there").success());
}

/// `ORDERS` with that many rows: id, text, amount, time.
pub(crate) fn orders(rows: i64) -> Table {
    let row = |id: i64| {
        [
            Value::from(id),
            Value::from(format!("order {id}").as_str()),
            Value::lit(format!("{}.{:02}", id / 7, id % 100)),
            Value::lit("2024-01-01 10:11:12.123456"),
        ]
    };
    Table::new("DB.PUBLIC.ORDERS")
        .required_column("id", Type::number(38, 0))
        .column("name", Type::varchar())
        .column("amount", Type::number(12, 2))
        .column("at", Type::timestamp_ntz(6))
        .rows((0..rows).map(row))
}

pub(crate) const ORDERS: &str = "create table orders \
    (id bigint primary key, name text, amount numeric(12,2), at timestamp)";

/// Cut into chunks of a hundred rows.
pub(crate) fn orders_in_chunks() -> Json {
    json!([{
        "source": "ORDERS", "target": "orders",
        "chunking_columns": ["id"], "chunking_column_types": ["int"], "batch_size": 100,
    }])
}
