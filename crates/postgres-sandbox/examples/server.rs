//! Starts a private server, tells how to reach it, and stops it at the end of standard input
//! (Ctrl-D). Killing this program stops the server too. Run it with
//! `cargo run -p postgres-sandbox --example server`.

use std::io::{self, Read as _};
use std::process::ExitCode;

use postgres_sandbox::{Installation, Search, Server, ServerOptions};

#[expect(clippy::print_stderr, reason = "the message of an error is for people")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    let search = Search::new().with_report(|step| println!("search={step}"));
    let installation = Installation::find(&search)?;
    let server = Server::start(&installation, ServerOptions::new())?;
    println!("url={}", server.url("postgres"));
    println!("psql={}", server.psql_line("postgres"));
    println!(
        "folder={}",
        server.folder().map(|folder| folder.display().to_string()).unwrap_or_default()
    );
    println!("pid={}", server.pid().unwrap_or_default());
    io::stdin().read_to_end(&mut Vec::new())?;
    server.stop()?;
    Ok(())
}
