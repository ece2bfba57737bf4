//! The stand-in for Snowflake, in a process of its own.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use snowflake_double::{ColumnNames, Double, User};

pub(crate) const PASSWORD: &str = "only-here";

/// A running stand-in; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct StandIn {
    process: Child,
    base_url: String,
}

impl StandIn {
    /// Starts one with table `DB.PUBLIC.ROWS`.
    pub(crate) fn start(file: &Path, rows_of_a_part: usize) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("stand-in")
            .arg(file)
            .arg(rows_of_a_part.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut base_url = String::new();
        let stdout = process.stdout.take().ok_or("the stand-in has no output")?;
        BufReader::new(stdout).read_line(&mut base_url)?;
        let base_url = base_url.trim().to_owned();
        if base_url.is_empty() {
            return Err(format!("the stand-in ended: {}", process.wait()?).into());
        }
        Ok(Self { process, base_url })
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // The end of its input ends it; nothing is left to be done where that fails.
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Stands in until the input ends.
pub(crate) fn serve(file: &Path, rows_of_a_part: usize) -> Result<(), Box<dyn Error>> {
    let double = Double::builder()
        .account("ACME")
        .warehouse("WH")
        .user(User::password("MOVER", PASSWORD))
        .parquet("DB.PUBLIC.ROWS", file, ColumnNames::Exact);
    // The double brings a runtime of its own; this one only waits for its start.
    let starting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let double = starting.block_on(double.start())?;
    let knobs = double.knobs();
    knobs.set_inline_rows(1);
    knobs.set_chunk_rows(rows_of_a_part)?;
    println!("{}", double.base_url());
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
