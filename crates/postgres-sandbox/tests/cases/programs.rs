//! Programs for other tests to start and kill: this test binary, run again for one test.
//!
//! They do nothing unless [`start`] started them.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use postgres_sandbox::ServerOptions;

/// Set for a process that one of these tests starts.
const MARKER: &str = "POSTGRES_SANDBOX_TEST_PROGRAM";

/// Runs a server until the end of standard input.
#[test]
#[ignore = "a program for other tests to start"]
fn with_a_server() {
    if is_program() {
        let server = super::start(ServerOptions::new());
        println!("\nfolder={}", server.folder().unwrap().display());
        println!("pid={}", server.pid().unwrap());
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
}

/// Leaves a server behind.
#[test]
#[ignore = "a program for other tests to start"]
fn with_a_detached_server() {
    if is_program() {
        let detached = super::start(ServerOptions::new()).detach().unwrap();
        println!("\nfolder={}", detached.folder().unwrap().display());
        println!("pid={}", detached.stop_line().rsplit(' ').next().unwrap());
        println!("psql={}", detached.psql_line());
        println!("stop={}", detached.stop_line());
    }
}

#[expect(clippy::disallowed_methods, reason = "a process tells its child what to be")]
fn is_program() -> bool {
    std::env::var_os(MARKER).is_some()
}

/// The command for one of the programs above.
pub(super) fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("cases::programs::{name}")])
        .args(["--ignored", "--nocapture", "--quiet"])
        .env(MARKER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// A program that was started.
pub(super) struct Program {
    pub(super) child: Child,
    /// Kept open: the test harness of the program prints its verdict at the end.
    _output: BufReader<ChildStdout>,
    values: HashMap<String, String>,
}

impl Program {
    /// What the program printed after `key=`.
    pub(super) fn value(&self, key: &str) -> &str {
        &self.values[key]
    }

    pub(super) fn pid_of_server(&self) -> u32 {
        self.value("pid").parse().unwrap()
    }

    pub(super) fn folder_of_server(&self) -> PathBuf {
        PathBuf::from(self.value("folder"))
    }
}

/// Starts a program and reads its `key=value` lines up to the given key.
pub(super) fn start(name: &str, last_key: &str) -> Program {
    let mut child = command(name).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut values = HashMap::new();
    let mut line = String::new();
    while !values.contains_key(last_key) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "{name} ended early: {values:?}");
        if let Some((key, value)) = line.trim_end().split_once('=') {
            values.insert(key.to_owned(), value.to_owned());
        }
    }
    Program { child, _output: output, values }
}
