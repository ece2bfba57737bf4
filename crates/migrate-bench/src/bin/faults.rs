//! What failing requests cost: the same migration from a stand-in for Snowflake, undisturbed and with
//! a share of all requests failing at random. Both end with the same rows, compared by a hash that
//! PostgreSQL computes, and with a third copy of the rows that PostgreSQL makes up by itself.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program speaks to people")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::json;
use snowflake_double::{Double, Fault, Outcome, Request, RequestKind, Table, Type, User, Value};
use tempfile::TempDir;

const PASSWORD: &str = "only-here";

const COLUMNS: &str =
    "id bigint primary key, name text, amount numeric(12,2), at timestamp, ratio double precision";

#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure, built for release
    #[arg(long, default_value = "target/release/migrate")]
    program: PathBuf,
    /// Rows of the table
    #[arg(long, default_value_t = 2_000_000)]
    rows: i64,
    /// Rows of a chunk
    #[arg(long, default_value_t = 500)]
    chunk_rows: i64,
    /// Share of all requests that fail
    #[arg(long, default_value_t = 0.05)]
    fraction: f64,
    /// Rows inside an answer; with fewer than a chunk has, parts are downloaded too
    #[arg(long, default_value_t = 250)]
    inline_rows: usize,
    /// Workers
    #[arg(long, default_value_t = 8)]
    workers: u32,
    /// Which random failures
    #[arg(long, default_value_t = 11)]
    seed: u64,
}

/// What one run took and left.
struct Ran {
    wall: Duration,
    requests: usize,
    failed: usize,
    scans: usize,
    hash: String,
    retried_chunks: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = &Arguments::parse();
    let program = arguments.program.canonicalize().map_err(|cause| {
        format!("{}: {cause}; fix: cargo build --release", arguments.program.display())
    })?;
    let server = Server::start(&Installation::find(&Search::new())?, ServerOptions::new())?;
    println!("{} rows in about {} chunks", arguments.rows, arguments.rows / arguments.chunk_rows);
    let quiet = run(arguments, &program, &server, "quiet", 0.0)?;
    show("undisturbed", &quiet);
    let faulty = run(arguments, &program, &server, "faulty", arguments.fraction)?;
    show("with faults", &faulty);
    let made_up = hash(&server, "postgres", &rows_in_sql(arguments.rows))?;
    println!("ratio         {:.2}", faulty.wall.as_secs_f64() / quiet.wall.as_secs_f64());
    println!("rows and hash {}", faulty.hash);
    if quiet.hash != made_up || faulty.hash != made_up {
        return Err(format!("the rows differ: {made_up}, {}, {}", quiet.hash, faulty.hash).into());
    }
    println!("              the same in both runs and in the source");
    Ok(())
}

fn show(name: &str, ran: &Ran) {
    println!(
        "{name:<13} {:>7.2} s  {:>6} requests, {:>4} failed; {} scans; chunks by: {}",
        ran.wall.as_secs_f64(),
        ran.requests,
        ran.failed,
        ran.scans,
        ran.retried_chunks,
    );
}

fn run(
    arguments: &Arguments,
    program: &Path,
    server: &Server,
    database: &str,
    fraction: f64,
) -> Result<Ran, Box<dyn Error>> {
    let double = Double::builder()
        .account("ACME")
        .warehouse("WH")
        .user(User::password("MOVER", PASSWORD))
        .table(source(arguments.rows));
    // The double brings a runtime of its own; this one only waits for its start.
    let starting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let double = starting.block_on(double.start())?;
    let knobs = double.knobs();
    knobs.set_inline_rows(arguments.inline_rows);
    knobs.set_kept_results(1_000);
    let faults = vec![Fault::Status(503), Fault::Status(429), Fault::Cut, Fault::CutMidBody];
    knobs.fail_fraction_of(fraction, arguments.seed, faults)?;
    psql(server, "postgres", &format!("create database {database}"))?;
    psql(server, database, &format!("create table orders ({COLUMNS})"))?;
    let folder = TempDir::with_prefix("migrate-faults-")?;
    std::fs::write(
        folder.path().join("config.json"),
        config(arguments, server, database, &double).to_string(),
    )?;
    let errors = std::fs::File::create(folder.path().join("stderr"))?;
    let started = Instant::now();
    let status = Command::new(program)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .status()?;
    let wall = started.elapsed();
    if !status.success() {
        let said = std::fs::read_to_string(folder.path().join("stderr"))?;
        return Err(format!("the program ended with {status}: {said}").into());
    }
    let requests = double.requests();
    let is_scan = |sql: &str| sql.starts_with("SELECT \"id\", ");
    let retried = "select string_agg(tries || ' retries: ' || count, ', ' order by tries) from \
                   (select retry_count as tries, count(*) from \
                   migration_status.migration_work_items where kind = 'chunk' group by 1) a";
    Ok(Ran {
        wall,
        requests: requests.iter().filter(|request| request.kind != RequestKind::Other).count(),
        failed: requests.iter().filter(|request| has_failed(request)).count(),
        scans: double.count_statements(is_scan),
        hash: hash(server, database, "orders")?,
        retried_chunks: psql(server, database, retried)?,
    })
}

fn has_failed(request: &Request) -> bool {
    let is_refused = request.status().is_some_and(|status| status >= 400);
    is_refused || request.outcome == Outcome::Cut
}

/// `ORDERS` with that many rows.
fn source(rows: i64) -> Table {
    let row = |id: i64| {
        [
            Value::from(id),
            Value::from(format!("order {id}").as_str()),
            Value::lit(format!("{}.{:02}", id / 7, id % 100)),
            Value::lit(format!("2024-01-01 10:11:{:02}.{:06}", id % 60, id % 1_000_000)),
            Value::lit(format!("{}.5", id % 1_000)),
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

/// The same rows, made by PostgreSQL.
fn rows_in_sql(rows: i64) -> String {
    format!(
        "(select i as id, 'order ' || i as name, \
         ((i / 7) || '.' || lpad((i % 100)::text, 2, '0'))::numeric(12,2) as amount, \
         ('2024-01-01 10:11:' || lpad((i % 60)::text, 2, '0') || '.' \
          || lpad((i % 1000000)::text, 6, '0'))::timestamp as at, \
         (i % 1000) + 0.5::double precision as ratio \
         from generate_series(0::bigint, {}) i) t",
        rows - 1
    )
}

/// Count and a hash that does not depend on the order of the rows.
fn hash(server: &Server, database: &str, rows: &str) -> Result<String, Box<dyn Error>> {
    let row = "id::text || '|' || name || '|' || amount || '|' || at || '|' || ratio";
    psql(
        server,
        database,
        &format!("select count(*) || ' ' || sum(hashtextextended({row}, 0)::numeric) from {rows}"),
    )
}

fn psql(server: &Server, database: &str, sql: &str) -> Result<String, Box<dyn Error>> {
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

fn config(
    arguments: &Arguments,
    server: &Server,
    database: &str,
    double: &Double,
) -> serde_json::Value {
    json!({
        "snowflake": {
            "account": "ACME", "user": "MOVER", "warehouse": "WH", "password": PASSWORD,
            "base_url": double.base_url(),
        },
        "postgres": {"host": server.host(), "port": server.port(), "user": server.user()},
        "parallel_threads": arguments.workers,
        "sources": [{
            "source_name": "shop", "source_sf_database": "DB", "source_sf_schema": "PUBLIC",
            "target_pg_database": database, "target_pg_schema": "public",
            "tables": [{
                "source": "ORDERS", "target": "orders", "chunking_columns": ["id"],
                "chunking_column_types": ["int"], "batch_size": arguments.chunk_rows,
            }],
        }],
    })
}
