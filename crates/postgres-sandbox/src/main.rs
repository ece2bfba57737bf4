//! Starts a private server and tells how to reach it, one `key=value` a line.
//!
//! It stops the server at the end of standard input (Ctrl-D); killing it stops the server too. With
//! `--detach` the server stays, for a look around or for a test runner that starts each test in a
//! process of its own: a set-up script exports the URL as `MIGRATE_TEST_DATABASE_URL`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to people")]

use std::error::Error;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;

use postgres_sandbox::{Installation, Search, Server, ServerOptions};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => hold(),
        ["--detach"] => detach(),
        _ => Err("usage: postgres-sandbox [--detach]".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: ServerOptions) -> Result<Server, postgres_sandbox::Error> {
    let search = Search::new().with_report(|step| println!("search={step}"));
    Server::start(&Installation::find(&search)?, options)
}

fn hold() -> Result<(), Box<dyn Error>> {
    let server = start(ServerOptions::new())?;
    println!("url={}", server.url("postgres"));
    println!("psql={}", server.psql_line("postgres"));
    tell_folder(server.folder());
    println!("pid={}", server.pid().unwrap_or_default());
    io::stdin().read_to_end(&mut Vec::new())?;
    server.stop()?;
    Ok(())
}

fn detach() -> Result<(), Box<dyn Error>> {
    let detached = start(ServerOptions::new().setting("max_connections", "300"))?.detach()?;
    println!("url={}", detached.url());
    println!("psql={}", detached.psql_line());
    tell_folder(detached.folder());
    println!("stop={}", detached.stop_line());
    Ok(())
}

fn tell_folder(folder: Option<&Path>) {
    if let Some(folder) = folder {
        println!("folder={}", folder.display());
    }
}
