//! Runs a statement on a Parquet file through the real client; says how long it took and what the
//! process weighed.
//!
//! `cargo run --release -p snowflake-double --example scan -- flights.parquet "select * from t"`

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use snowflake_connector_rs::{AuthConfig, Client, ClientConfig, EndpointConfig, SessionConfig};
use snowflake_double::{ColumnNames, Double, User};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a Parquet file")?;
    let started = Instant::now();
    let double = Double::builder()
        .account("acme")
        .user(User::password("mover", "secret"))
        .parquet("DEMO.PUBLIC.T", &path, ColumnNames::Upper)
        .start()
        .await?;
    let sql = arguments.next().unwrap_or_else(|| "select * from t".to_owned());
    let mut out = std::io::stdout();
    writeln!(
        out,
        "loaded in {:?}, {} bytes, {}",
        started.elapsed(),
        double.table_bytes(),
        memory()
    )?;

    let config = ClientConfig::new("mover", "acme", AuthConfig::password("secret"))
        .with_endpoint(EndpointConfig::custom_base_url(double.base_url().parse()?))
        .with_session(SessionConfig::new().with_database("DEMO").with_schema("PUBLIC"));
    let session = Client::new(config)?.create_session().await?;
    for round in 1..=4 {
        let started = Instant::now();
        let mut cursor = session.query(sql.clone()).await?;
        let answered = started.elapsed();
        let mut rows = 0;
        while let Some(table) = cursor.next_table().await? {
            rows += table.row_count();
        }
        writeln!(
            out,
            "round {round}: {rows} rows in {:?} (answer after {answered:?}), {}",
            started.elapsed(),
            memory()
        )?;
    }
    Ok(())
}

/// Resident memory of this process, client included.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines =
        status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}
