//! Measures `migrate` beside `psql` doing the same with ready-made binary files: the server alone is
//! the limit. Both run in turn against one server, so their ratio holds on a noisy machine.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program speaks to people")]

mod data;
mod measure;
mod stage;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use measure::{Cost, median};
use serde_json::{Value, json};
use stage::Stage;

#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure, built for release
    #[arg(long, default_value = "target/release/migrate")]
    program: PathBuf,
    /// Rows of the copied table
    #[arg(long, default_value_t = 2_000_000)]
    rows: u64,
    /// Rows of the merged table
    #[arg(long, default_value_t = 1_000_000)]
    merged_rows: u64,
    /// How often each case runs; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the results go as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// An upsert may cost this much of the same statements typed into psql.
const MOST_FOR_UPSERT: f64 = 1.15;

/// A case and its limit.
struct Case {
    name: &'static str,
    /// Most that we may take, as a multiple of what psql takes.
    most: Option<f64>,
    ours: Cost,
    limit: Cost,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let stage = Stage::set(&arguments.program)?;
    println!("{}", stage.header());
    let cases = [
        copy(&stage, arguments.rows, arguments.rounds)?,
        merge(&stage, arguments.merged_rows, arguments.rounds)?,
    ];
    println!("case                        psql     migrate  ratio  CPU      peak");
    for case in &cases {
        let Case { name, ours, limit, .. } = case;
        println!(
            "{name:<26} {:>6.2} s  {:>6.2} s  {:>5.2}  {:>5.2} s  {:>4} MiB",
            limit.wall.as_secs_f64(),
            ours.wall.as_secs_f64(),
            case.ratio(),
            ours.cpu.as_secs_f64(),
            ours.peak_mib,
        );
    }
    if let Some(path) = &arguments.json {
        let cases: Vec<Value> = cases.iter().map(Case::json).collect();
        std::fs::write(path, format!("{:#}\n", json!({"on": stage.header(), "cases": cases})))?;
    }
    stage.clear()?;
    let too_slow = cases.iter().find(|case| case.most.is_some_and(|most| case.ratio() > most));
    match too_slow {
        Some(case) => Err(format!(
            "{} took {:.2} times as long as psql, which is more than {:.2}",
            case.name,
            case.ratio(),
            case.most.unwrap_or_default()
        )
        .into()),
        None => Ok(()),
    }
}

impl Case {
    fn ratio(&self) -> f64 {
        self.ours.wall.as_secs_f64() / self.limit.wall.as_secs_f64()
    }

    fn json(&self) -> Value {
        json!({
            "case": self.name,
            "psql_seconds": self.limit.wall.as_secs_f64(),
            "seconds": self.ours.wall.as_secs_f64(),
            "cpu_seconds": self.ours.cpu.as_secs_f64(),
            "peak_mib": self.ours.peak_mib,
        })
    }
}

/// Parquet into an empty table, beside `\copy` of the same rows.
fn copy(stage: &Stage, rows: u64, rounds: usize) -> Result<Case, Box<dyn Error>> {
    stage.create("copied")?;
    stage.write("copied", rows, 1)?;
    let config = stage.configure("copied", json!({"truncate_onstart": true}))?;
    stage.migrate(&config)?;
    stage.dump("copied")?;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        stage.sql("truncate copied; checkpoint")?;
        limit.push(stage.psql("\\copy copied from 'copied.bin' (format binary)")?);
        stage.sql("truncate copied; checkpoint")?;
        ours.push(stage.migrate(&config)?);
    }
    Ok(Case { name: "Parquet, copied", most: None, ours: median(ours), limit: median(limit) })
}

/// Every row changed by key, beside the same statements typed into psql.
fn merge(stage: &Stage, rows: u64, rounds: usize) -> Result<Case, Box<dyn Error>> {
    stage.create("changed")?;
    stage.create("merged")?;
    stage.write("changed", rows, 2)?;
    let load = stage.configure("changed", json!({"truncate_onstart": true}))?;
    stage.migrate(&load)?;
    stage.dump("changed")?;
    stage.write("merged", rows, 1)?;
    let before = stage.configure("merged", json!({"truncate_onstart": true}))?;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        stage.migrate(&before)?;
        stage.sql("checkpoint")?;
        limit.push(stage.psql(&stage::merge_script("merged", "changed"))?);
        stage.migrate(&before)?;
        stage.sql("checkpoint")?;
        let merge =
            stage.configure_as("changed", "merged", json!({"uniqueness_columns": ["id"]}))?;
        ours.push(stage.migrate(&merge)?);
        let equal = stage.value(
            "select (select count(*) from merged join changed using (id) \
             where merged::text = changed::text)",
        )?;
        if equal != rows.to_string() {
            return Err(format!("{equal} of {rows} rows are as they should be").into());
        }
    }
    Ok(Case {
        name: "upsert, all rows changed",
        most: Some(MOST_FOR_UPSERT),
        ours: median(ours),
        limit: median(limit),
    })
}
