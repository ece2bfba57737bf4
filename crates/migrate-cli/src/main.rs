//! The program `migrate`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    migrate_cli::Cli::new().run()
}
