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
use migrate_bench::shop::{self, hash, psql};
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use snowflake_double::{Fault, Outcome, Request, RequestKind};
use tempfile::TempDir;

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
    /// How many times as long the run with faults may take
    #[arg(long, default_value_t = 2.0)]
    limit: f64,
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
    let program = migrate_bench::built(&arguments.program)?;
    let server = Server::start(&Installation::find(&Search::new())?, ServerOptions::new())?;
    println!("{} rows in about {} chunks", arguments.rows, arguments.rows / arguments.chunk_rows);
    let quiet = run(arguments, &program, &server, "quiet", 0.0)?;
    show("undisturbed", &quiet);
    let faulty = run(arguments, &program, &server, "faulty", arguments.fraction)?;
    show("with faults", &faulty);
    let made_up = hash(&server, "postgres", &rows_in_sql(arguments.rows))?;
    let ratio = faulty.wall.as_secs_f64() / quiet.wall.as_secs_f64();
    println!("ratio         {ratio:.2}, limit {:.2}", arguments.limit);
    println!("rows and hash {}", faulty.hash);
    if quiet.hash != made_up || faulty.hash != made_up {
        return Err(format!("the rows differ: {made_up}, {}, {}", quiet.hash, faulty.hash).into());
    }
    println!("              the same in both runs and in the source");
    if ratio > arguments.limit {
        return Err(format!("the faults cost more than {:.2} times", arguments.limit).into());
    }
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
    let double = shop::double(arguments.rows)?;
    let knobs = double.knobs();
    knobs.set_inline_rows(arguments.inline_rows);
    knobs.set_kept_results(1_000);
    let faults = vec![Fault::Status(503), Fault::Status(429), Fault::Cut, Fault::CutMidBody];
    knobs.fail_fraction_of(fraction, arguments.seed, faults)?;
    shop::create_database(server, database)?;
    let folder = TempDir::with_prefix("migrate-faults-")?;
    std::fs::write(
        folder.path().join("config.json"),
        shop::config(server, database, &double, arguments.workers, arguments.chunk_rows)
            .to_string(),
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
