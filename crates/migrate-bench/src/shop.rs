//! A shop's orders: in a stand-in for Snowflake, and in a database that waits for them.

use std::error::Error;
use std::process::Command;

use postgres_sandbox::Server;
use serde_json::{Value, json};
use snowflake_double::{Double, Table, Type, User, Value as Cell};

const PASSWORD: &str = "only-here";

const COLUMNS: &str =
    "id bigint primary key, name text, amount numeric(12,2), at timestamp, ratio double precision";

/// The stand-in with that many orders.
///
/// # Errors
///
/// When it does not start.
pub fn double(rows: i64) -> Result<Double, Box<dyn Error>> {
    let double = Double::builder()
        .account("ACME")
        .warehouse("WH")
        .user(User::password("MOVER", PASSWORD))
        .table(orders(rows));
    // The double brings a runtime of its own; this one only waits for its start.
    let starting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(starting.block_on(double.start())?)
}

/// `ORDERS` with that many rows.
fn orders(rows: i64) -> Table {
    let row = |id: i64| {
        [
            Cell::from(id),
            Cell::from(format!("order {id}").as_str()),
            Cell::lit(format!("{}.{:02}", id / 7, id % 100)),
            Cell::lit(format!("2024-01-01 10:11:{:02}.{:06}", id % 60, id % 1_000_000)),
            Cell::lit(format!("{}.5", id % 1_000)),
        ]
    };
    Table::new("DB.PUBLIC.ORDERS")
        .required_column("id", Type::number(38, 0))
        .column("name", Type::varchar())
        .column("amount", Type::number(12, 2))
        .column("at", Type::timestamp_ntz(6))
        .column("ratio", Type::Float)
        .rows((0..rows).map(row))
}

/// Makes a database with an empty table for them.
///
/// # Errors
///
/// What psql says.
pub fn create_database(server: &Server, database: &str) -> Result<(), Box<dyn Error>> {
    psql(server, "postgres", &format!("create database {database}"))?;
    psql(server, database, &format!("create table orders ({COLUMNS})"))?;
    Ok(())
}

/// Count and a hash that does not depend on the order of the rows.
///
/// # Errors
///
/// What psql says.
pub fn hash(server: &Server, database: &str, rows: &str) -> Result<String, Box<dyn Error>> {
    let row = "id::text || '|' || name || '|' || amount || '|' || at || '|' || ratio";
    psql(
        server,
        database,
        &format!("select count(*) || ' ' || sum(hashtextextended({row}, 0)::numeric) from {rows}"),
    )
}

/// What a statement answers, as text.
///
/// # Errors
///
/// What psql says.
pub fn psql(server: &Server, database: &str, sql: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(server.bin("psql")?)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
        .arg(server.url(database))
        .args(["-c", sql])
        .output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Err(format!("{sql}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// A configuration that moves them, with so many workers in chunks of so many rows.
pub fn config(
    server: &Server,
    database: &str,
    double: &Double,
    workers: u32,
    chunk_rows: i64,
) -> Value {
    json!({
        "snowflake": {
            "account": "ACME", "user": "MOVER", "warehouse": "WH", "password": PASSWORD,
            "base_url": double.base_url(),
        },
        "postgres": {"host": server.host(), "port": server.port(), "user": server.user()},
        "parallel_threads": workers,
        "sources": [{
            "source_name": "shop", "source_sf_database": "DB", "source_sf_schema": "PUBLIC",
            "target_pg_database": database, "target_pg_schema": "public",
            "tables": [{
                "source": "ORDERS", "target": "orders", "chunking_columns": ["id"],
                "chunking_column_types": ["int"], "batch_size": chunk_rows,
            }],
        }],
    })
}
