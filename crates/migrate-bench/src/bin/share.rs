//! What it costs to share a run: eight processes of one worker each beside one process of eight, at the
//! same two thousand chunks, by turns. No chunk may be committed twice, no lease be lost.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program speaks to people")]

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use migrate_bench::shop::{self, hash, psql};
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use snowflake_double::Double;
use tempfile::TempDir;

/// How often it is looked whether the first process has registered the run.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure, built for release
    #[arg(long, default_value = "target/release/migrate")]
    program: PathBuf,
    /// Chunks of a hundred rows
    #[arg(long, default_value_t = 2_000)]
    chunks: i64,
    /// Processes, and the workers of the one that does all
    #[arg(long, default_value_t = 8)]
    processes: u32,
    /// Runs of each kind; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How many times as long many processes may take
    #[arg(long, default_value_t = 1.2)]
    limit: f64,
}

const CHUNK_ROWS: i64 = 100;

struct Stage<'a> {
    arguments: &'a Arguments,
    program: PathBuf,
    server: Server,
    double: Double,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = &Arguments::parse();
    let program = migrate_bench::built(&arguments.program)?;
    let server = Server::start(&Installation::find(&Search::new())?, ServerOptions::new())?;
    let double = shop::double(arguments.chunks * CHUNK_ROWS)?;
    double.knobs().set_kept_results(1_000);
    // The stand-in is not measured: it makes each answer once.
    double.keep_answers(|sql| sql.starts_with("SELECT \"") && !sql.contains("LIMIT 0"));
    let stage = Stage { arguments, program, server, double };
    stage.run("first", 1, arguments.processes)?;
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for number in 0..arguments.runs {
        together.push(stage.run(&format!("together_{number}"), arguments.processes, 1)?);
        alone.push(stage.run(&format!("alone_{number}"), 1, arguments.processes)?);
    }
    let (together, alone) = (median(together), median(alone));
    let ratio = together.as_secs_f64() / alone.as_secs_f64();
    println!(
        "median: {:.2} s together, {:.2} s alone",
        together.as_secs_f64(),
        alone.as_secs_f64()
    );
    println!("ratio   {ratio:.2}, limit {}", arguments.limit);
    if ratio > arguments.limit {
        return Err(format!("sharing takes {ratio:.2} times as long").into());
    }
    Ok(())
}

impl Stage<'_> {
    /// One migration by so many processes with so many workers each; how long all of them took.
    fn run(&self, name: &str, processes: u32, workers: u32) -> Result<Duration, Box<dyn Error>> {
        shop::create_database(&self.server, name)?;
        let folder = TempDir::with_prefix("migrate-share-")?;
        let mut config = shop::config(&self.server, name, &self.double, workers, CHUNK_ROWS);
        if let Some(config) = config.as_object_mut() {
            // Without time travel the texts of statements are equal in every run.
            config.insert("snapshot".into(), "off".into());
        }
        std::fs::write(folder.path().join("config.json"), config.to_string())?;
        let started = Instant::now();
        let mut all = vec![self.start(folder.path(), 0, &[])?];
        if processes > 1 {
            let run = self.run_of(name)?;
            for number in 1..processes {
                all.push(self.start(folder.path(), number, &["worker", "--run", &run])?);
            }
        }
        for (number, child) in all.iter_mut().enumerate() {
            let status = child.wait()?;
            let said = std::fs::read_to_string(folder.path().join(format!("stderr-{number}")))?;
            if !status.success() || said.contains("lease was lost") {
                return Err(format!("process {number} ended with {status}: {said}").into());
            }
        }
        let wall = started.elapsed();
        let shares = self.check(name)?;
        println!("{name:<12} {:>7.2} s  chunks by process: {shares}", wall.as_secs_f64());
        Ok(wall)
    }

    fn start(&self, folder: &Path, number: u32, words: &[&str]) -> Result<Child, Box<dyn Error>> {
        let child = Command::new(&self.program)
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join(format!("stderr-{number}")))?)
            .spawn()?;
        Ok(child)
    }

    /// The id of the run that the first process registers.
    fn run_of(&self, database: &str) -> Result<String, Box<dyn Error>> {
        let query = "select run_id from migration_status.migration_runs";
        loop {
            match psql(&self.server, database, query) {
                Ok(run) if !run.is_empty() => return Ok(run),
                // Not registered, or not even installed.
                Ok(_) | Err(_) => sleep(POLL),
            }
        }
    }

    /// Every chunk once, every row there; answers what each process has done.
    fn check(&self, database: &str) -> Result<String, Box<dyn Error>> {
        let rows = self.arguments.chunks * CHUNK_ROWS;
        let ledger = "select status || ' ' || (completed_chunks = total_chunks) || ' ' || \
                      total_rows_copied from migration_status.migration_table_status";
        let again = "select coalesce(sum(crash_count + retry_count + overrun_count), 0) \
                     from migration_status.migration_work_items";
        let found = psql(&self.server, database, ledger)?;
        let wanted = format!("completed true {rows}");
        let tried_again = psql(&self.server, database, again)?;
        if found != wanted || tried_again != "0" {
            return Err(format!("{found} instead of {wanted}, {tried_again} tries again").into());
        }
        let copied = hash(&self.server, database, "orders")?;
        if !copied.starts_with(&format!("{rows} ")) {
            return Err(format!("{copied} instead of {rows} rows").into());
        }
        psql(
            &self.server,
            database,
            "select string_agg(n::text, ' ' order by n) from (select count(*) as n \
             from migration_status.migration_work_items where kind = 'chunk' \
             group by split_part(lease_holder, ' (', 1)) a",
        )
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
