//! Both servers of the demo, and the configuration that connects them.

use std::path::{Path, PathBuf};

use migrate_core::{BoxError, Error, ErrorKind, Predicate, Result, RunContext, Source, TableRef};
use migrate_engine::assembly::snowflake_source;
use migrate_postgres::{Database, PostgresSettings, classify, sqlx};
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::json;
use snowflake_double::{ColumnNames, Double, User};
use tempfile::TempDir;

use super::data::{
    ACCOUNT, PRIVATE_KEY, PUBLIC_KEY, SOURCE_DATABASE, SOURCE_SCHEMA, TABLES, TARGET_DATABASE,
    TARGET_SCHEMA, TARGET_SQL, USER, WAREHOUSE,
};

/// The demo's servers and files; they end with it.
#[derive(Debug)]
pub(super) struct Stage {
    snowflake: Double,
    postgres: Server,
    database: Database,
    folder: TempDir,
}

impl Stage {
    /// Starts both servers, creates the target tables and writes the configuration.
    pub(super) async fn set(cx: &RunContext) -> Result<Self> {
        let folder = TempDir::with_prefix("migrate-demo-")
            .map_err(|cause| broken("The demo's folder cannot be made", cause))?;
        let (snowflake, postgres) = cx
            .unless_cancelled(async { tokio::try_join!(snowflake(folder.path()), postgres()) })
            .await?;
        let settings = PostgresSettings::from_url(&postgres.url(TARGET_DATABASE))?;
        let database = Database::connect(&settings, 2).await?;
        sqlx::raw_sql(TARGET_SQL)
            .execute(database.pool())
            .await
            .map_err(|cause| classify("The demo's target tables cannot be created", cause))?;
        let stage = Self { snowflake, postgres, database, folder };
        write(&stage.path("key.p8"), PRIVATE_KEY.as_bytes())?;
        write(&stage.config_path(), stage.config().as_bytes())?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn config_path(&self) -> PathBuf {
        self.path("config.json")
    }

    /// A configuration like any other.
    fn config(&self) -> String {
        let tables: Vec<_> = TABLES
            .iter()
            .map(|table| match table.name {
                "flights" => json!({
                    "source": quoted("flights"),
                    "target": "flights",
                    "chunking_columns": ["flight_id"],
                    "chunking_column_types": ["int"],
                    "batch_size": 60_000,
                }),
                name => json!({"source": quoted(name), "target": name}),
            })
            .collect();
        let config = json!({
            "snowflake": {
                "account": ACCOUNT,
                "user": USER,
                "warehouse": WAREHOUSE,
                "rsa_key": self.path("key.p8"),
                "base_url": self.snowflake.base_url(),
            },
            "postgres": {
                "host": self.postgres.host(),
                "port": self.postgres.port(),
                "user": self.postgres.user(),
            },
            "sources": [{
                "source_name": "flights",
                "source_sf_database": SOURCE_DATABASE,
                "source_sf_schema": SOURCE_SCHEMA,
                "target_pg_database": TARGET_DATABASE,
                "target_pg_schema": TARGET_SCHEMA,
                "tables": tables,
            }],
        });
        format!("{config:#}\n")
    }

    /// Rows of each table, counted on both sides.
    pub(super) async fn counts(&self, cx: &RunContext) -> Result<Vec<(&'static str, u64, u64)>> {
        let config = migrate_config::Config::load(
            self.config_path(),
            &migrate_config::Environment::from_map::<&str, &str>([]),
        )?;
        let source = snowflake_source(&config)?;
        let mut counts = Vec::with_capacity(TABLES.len());
        for table in &TABLES {
            let from = TableRef::qualified(SOURCE_DATABASE, SOURCE_SCHEMA, table.name);
            let opened = cx.unless_cancelled(source.open(&from, None)).await?;
            let rows = opened.count(&Predicate::All).await?;
            let mut sql = migrate_core::SqlBuilder::new(migrate_core::Dialect::Postgres);
            sql.text("select count(*) from ")
                .table(&TableRef::in_schema(TARGET_SCHEMA, table.name));
            let stored: i64 = migrate_postgres::bound(&sql.finish())
                .fetch_one(self.database.pool())
                .await
                .and_then(|row| sqlx::Row::try_get(&row, 0))
                .map_err(|cause| classify("A target table cannot be counted", cause))?;
            counts.push((table.name, rows, u64::try_from(stored).unwrap_or_default()));
        }
        Ok(counts)
    }

    pub(super) fn psql_line(&self) -> String {
        self.postgres.psql_line(TARGET_DATABASE)
    }

    /// Ends both servers and removes their files.
    pub(super) async fn clear(self) -> Result<()> {
        self.snowflake.shutdown().await;
        self.database.pool().close().await;
        self.postgres.stop().map_err(|cause| broken("The demo's PostgreSQL does not end", cause))
    }
}

/// Lower-case names need quotes in Snowflake.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

async fn snowflake(folder: &Path) -> Result<Double> {
    let mut builder = Double::builder()
        .account(ACCOUNT)
        .warehouse(WAREHOUSE)
        .user(User::key_pair(USER, PUBLIC_KEY));
    for table in &TABLES {
        let path = folder.join(format!("{}.parquet", table.name));
        write(&path, table.parquet)?;
        let name = format!("{SOURCE_DATABASE}.{SOURCE_SCHEMA}.{}", quoted(table.name));
        builder = builder.parquet(&name, path, ColumnNames::Exact);
    }
    let double = builder.start().await;
    double.map_err(|cause| broken("The stand-in for Snowflake does not start", cause))
}

async fn postgres() -> Result<Server> {
    let start = || -> Result<Server, postgres_sandbox::Error> {
        let search = Search::new().with_report(|step| tracing::info!("{step}"));
        let installation = Installation::find(&search)?;
        Server::start(&installation, ServerOptions::new().durable(true))
    };
    let started = tokio::task::spawn_blocking(start).await;
    started
        .map_err(|cause| broken("Starting PostgreSQL broke off", cause))?
        .map_err(|cause| broken("The demo's PostgreSQL does not start", cause))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content)
        .map_err(|cause| broken("The demo's files cannot be written", cause))
}

fn broken(message: &'static str, cause: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::ResourceExhausted, message)
        .with_source(cause)
        .with_hint("check that the folder for temporary files is writable and has room")
}
