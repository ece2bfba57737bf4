//! A configuration run by the engine, without the command line: Parquet files into PostgreSQL.
//!
//! `cargo run -p migrate-examples --example parquet_to_postgres`
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::error::Error;

use migrate_config::{Config, Environment};
use migrate_core::{Outcome, RunContext};
use migrate_engine::assembly::{Assembly, Registry};
use migrate_postgres::{Database, PostgresSettings, sqlx};
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A private server, so that the example needs nothing; yours has a name and a password.
    let installation = Installation::find(&Search::new().with_report(|step| println!("{step}")))?;
    let server = Server::start(&installation, ServerOptions::new())?;
    let database =
        Database::connect(&PostgresSettings::from_url(&server.url("postgres"))?, 1).await?;
    sqlx::raw_sql("create table airlines (carrier text primary key, name text not null)")
        .execute(database.pool())
        .await?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.json");
    let config = json!({
        "postgres": {"host": server.host(), "port": server.port(), "user": server.user()},
        "sources": [{
            "source_name": "files",
            "type": "parquet",
            "path": concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/migrate-cli/demo"),
            "target_pg_database": "postgres",
            "target_pg_schema": "public",
            "tables": [{"source": "airlines.parquet", "target": "airlines"}],
        }],
    });
    std::fs::write(&path, config.to_string())?;

    let config = Config::load(&path, &Environment::process())?;
    let registry = Registry::with_builtins();
    let migration = Assembly::new(&config, &registry).build().await?;
    let report = migration.run(&RunContext::new()).await?;

    assert_eq!((report.outcome, report.row_count()), (Outcome::Completed, 16));
    let row: (i64,) =
        sqlx::query_as("select count(*) from airlines").fetch_one(database.pool()).await?;
    println!("{} rows arrived", row.0);
    database.pool().close().await;
    server.stop()?;
    Ok(())
}
