//! How much memory the program takes: the most that was resident, of the process alone, over tables
//! that are long, wide, and have cells of many megabytes. The stand-in for Snowflake runs in a process
//! of its own.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program speaks to people")]
#![expect(clippy::indexing_slicing, reason = "on JSON that is made here, it adds a key")]

mod stand_in;
mod tables;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Parser, Subcommand};
use migrate_bench::measure::{self, Cost};
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::{Value, json};
use stand_in::{PASSWORD, StandIn};
use tables::Content;
use tempfile::TempDir;

#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure
    #[arg(long, default_value = "target/release/migrate")]
    program: PathBuf,
    /// Few rows, for every change
    #[arg(long)]
    small: bool,
    /// So many rows in every case
    #[arg(long)]
    rows: Option<u64>,
    /// Only cases with this in their name
    #[arg(long, default_value = "")]
    only: String,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Stands in for Snowflake with the rows of a Parquet file until its input ends
    #[command(hide = true)]
    StandIn { file: PathBuf, rows_of_a_part: usize },
}

/// Where the rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Parquet,
    /// Parts of this many rows.
    Snowflake(usize),
}

/// A load and the most that it may take.
struct Case {
    name: &'static str,
    from: From,
    content: Content,
    rows: u64,
    few_rows: u64,
    /// Where absent, chunks have 64 MiB.
    chunk_rows: Option<u64>,
    budget: &'static str,
    /// Where absent, as many as the program takes by itself.
    workers: Option<u32>,
    most_mib: u64,
}

const LARGE: Content = Content::LargeCells { bytes: 8_000_000 };

/// More workers than the budget has room for: it decides how many of them have work.
const MANY: Option<u32> = Some(8);

const CASES: [Case; 5] = [
    Case {
        name: "Parquet, cells of 8 MB",
        from: From::Parquet,
        content: LARGE,
        rows: 1_000,
        few_rows: 40,
        chunk_rows: None,
        budget: "128MiB",
        workers: MANY,
        most_mib: 300,
    },
    Case {
        name: "Snowflake, cells of 8 MB",
        from: From::Snowflake(2),
        content: LARGE,
        rows: 200,
        few_rows: 24,
        chunk_rows: None,
        budget: "128MiB",
        workers: MANY,
        most_mib: 300,
    },
    Case {
        name: "Parquet, 250 columns, some cells of 16 MB",
        from: From::Parquet,
        content: Content::Wide,
        rows: 20_000,
        few_rows: 1_000,
        chunk_rows: Some(2_000),
        budget: "128MiB",
        workers: MANY,
        most_mib: 300,
    },
    Case {
        name: "Parquet, 20 columns",
        from: From::Parquet,
        content: Content::Mixed,
        rows: 2_000_000,
        few_rows: 50_000,
        chunk_rows: Some(100_000),
        budget: "256MiB",
        workers: None,
        most_mib: 120,
    },
    Case {
        name: "Snowflake, 20 columns",
        from: From::Snowflake(40_000),
        content: Content::Mixed,
        rows: 2_000_000,
        few_rows: 50_000,
        chunk_rows: Some(100_000),
        budget: "256MiB",
        workers: None,
        most_mib: 200,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    if let Some(Role::StandIn { file, rows_of_a_part }) = &arguments.role {
        return stand_in::serve(file, *rows_of_a_part);
    }
    let program = arguments.program.canonicalize().map_err(|cause| {
        format!("{}: {cause}; fix: cargo build, and --program", arguments.program.display())
    })?;
    let server = Server::start(&Installation::find(&Search::new())?, ServerOptions::new())?;
    println!("{:<42} {:>9}  {:>8}  {:>8}", "case", "rows", "peak", "at most");
    let mut too_large = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(&arguments.only)) {
        let usual = if arguments.small { case.few_rows } else { case.rows };
        let rows = arguments.rows.unwrap_or(usual);
        let Case { name, most_mib, .. } = case;
        let cost = case.run(&program, &server, rows)?;
        let seconds = cost.wall.as_secs_f64();
        println!(
            "{name:<42} {rows:>9}  {:>4} MiB  {most_mib:>4} MiB  {seconds:.1} s",
            cost.peak_mib
        );
        if cost.peak_mib > *most_mib {
            too_large.push(*name);
        }
    }
    server.stop()?;
    if too_large.is_empty() {
        return Ok(());
    }
    Err(format!("more memory than allowed: {}", too_large.join("; ")).into())
}

impl Case {
    fn run(&self, program: &Path, server: &Server, rows: u64) -> Result<Cost, Box<dyn Error>> {
        let folder = TempDir::with_prefix("migrate-memory-")?;
        let file = folder.path().join("rows.parquet");
        self.content.write(&file, rows)?;
        psql(server, "drop schema if exists migration_status cascade")?;
        psql(server, "drop table if exists rows")?;
        psql(server, &format!("create table rows ({})", self.content.columns()))?;
        let stand_in = match self.from {
            From::Parquet => None,
            From::Snowflake(rows_of_a_part) => Some(StandIn::start(&file, rows_of_a_part)?),
        };
        let config = self.config(server, folder.path(), stand_in.as_ref());
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string())?;
        let cost = measure::measure(Command::new(program).arg("--config").arg(&path))?;
        let right = psql(server, &self.content.count_of_right_rows())?;
        if right != rows.to_string() {
            return Err(format!("{}: {right} of {rows} rows are right", self.name).into());
        }
        Ok(cost)
    }

    fn config(&self, server: &Server, folder: &Path, stand_in: Option<&StandIn>) -> Value {
        let mut table = json!({"source": "rows", "target": "rows"});
        if let Some(rows) = self.chunk_rows {
            table["batch_size"] = rows.into();
        }
        let mut source = json!({
            "source_name": "rows", "target_pg_database": "postgres", "target_pg_schema": "public",
        });
        let mut config = json!({
            "postgres": {"host": server.host(), "port": server.port(), "user": server.user()},
            "memory_budget": self.budget,
        });
        if let Some(workers) = self.workers {
            config["parallel_threads"] = workers.into();
        }
        match stand_in {
            None => {
                source["type"] = "parquet".into();
                source["path"] = folder.to_string_lossy().into();
            }
            Some(stand_in) => {
                table["chunking_columns"] = json!(["id"]);
                table["source"] = "ROWS".into();
                source["source_sf_database"] = "DB".into();
                source["source_sf_schema"] = "PUBLIC".into();
                config["snowflake"] = json!({
                    "account": "ACME", "user": "MOVER", "warehouse": "WH", "password": PASSWORD,
                    "base_url": stand_in.base_url(),
                });
            }
        }
        source["tables"] = json!([table]);
        config["sources"] = json!([source]);
        config
    }
}

fn psql(server: &Server, sql: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(server.bin("psql")?)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
        .arg(server.url("postgres"))
        .args(["-c", sql])
        .output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Err(format!("{sql}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
