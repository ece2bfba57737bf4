//! The program of this crate, for other tests to start and kill.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The command, with pipes.
pub(super) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postgres-sandbox"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A program that was started.
pub(super) struct Program {
    pub(super) child: Child,
    /// Kept open, so that the program can go on printing.
    _output: BufReader<ChildStdout>,
    values: HashMap<String, String>,
}

impl Program {
    /// What the program printed after `key=`.
    pub(super) fn value(&self, key: &str) -> &str {
        &self.values[key]
    }

    /// As printed, or the last word of the line that stops a detached server.
    pub(super) fn pid_of_server(&self) -> u32 {
        let of_stop_line = || self.value("stop").rsplit(' ').next();
        self.values.get("pid").map(String::as_str).or_else(of_stop_line).unwrap().parse().unwrap()
    }

    pub(super) fn folder_of_server(&self) -> PathBuf {
        PathBuf::from(self.value("folder"))
    }
}

/// Starts the program and reads its `key=value` lines up to the given key.
pub(super) fn start(arguments: &[&str], last_key: &str) -> Program {
    let mut child = command(arguments).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut values = HashMap::new();
    let mut line = String::new();
    while !values.contains_key(last_key) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended early: {values:?}");
        if let Some((key, value)) = line.trim_end().split_once('=') {
            values.insert(key.to_owned(), value.to_owned());
        }
    }
    Program { child, _output: output, values }
}
