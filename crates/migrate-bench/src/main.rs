//! Measures `migrate` beside `psql` doing the same with ready-made binary files: the server alone is
//! the limit. Both run in turn against one server, so their ratio holds on a noisy machine.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program speaks to people")]

mod case;
mod cases;
mod report;
mod snowflake;
mod stage;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use stage::Stage;

#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure, built for release
    #[arg(long, default_value = "target/release/migrate")]
    program: PathBuf,
    /// Rows of the copied tables
    #[arg(long, default_value_t = 2_000_000)]
    rows: u64,
    /// Rows of the merged tables and of those that are copied by other numbers of workers
    #[arg(long, default_value_t = 1_000_000)]
    merged_rows: u64,
    /// Rows of the table with 250 columns
    #[arg(long, default_value_t = 100_000)]
    wide_rows: u64,
    /// How often each case runs; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The main cases with 1, 5 and 10 times the rows, instead of all cases
    #[arg(long)]
    large: bool,
    /// Only cases whose name holds this text
    #[arg(long, default_value = "")]
    only: String,
    /// Not this case
    #[arg(long)]
    skip: Option<String>,
    /// Says what was missed, but ends well
    #[arg(long)]
    no_limits: bool,
    /// Where the results go as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let stage = Stage::set(&arguments.program)?;
    println!("{}\n\n{}", report::machine(&stage), report::HEADINGS);
    let mut measured = Vec::new();
    let cases: &[_] = if arguments.large { &cases::LARGE } else { &cases::ALL };
    for (name, run) in cases {
        if !name.contains(&arguments.only) || arguments.skip.as_deref() == Some(*name) {
            continue;
        }
        for case in run(&stage, &arguments).map_err(|cause| format!("{name}: {cause}"))? {
            println!("{}", report::line(&case));
            measured.push(case);
        }
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, report::json(&stage, &measured))?;
    }
    stage.clear()?;
    let missed: Vec<String> = measured.iter().flat_map(case::Case::missed).collect();
    for line in &missed {
        println!("missed: {line}");
    }
    if missed.is_empty() || arguments.no_limits {
        return Ok(());
    }
    Err(format!("{} limits were missed", missed.len()).into())
}
