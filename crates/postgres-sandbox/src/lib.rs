//! A real, private PostgreSQL server for demos, tests and benchmarks.
//!
//! [`Installation::find`] looks for server programs, fetches them through the system's package
//! manager when there are none, and [`Server::start`] runs them in a folder of their own. The
//! server ends with the process that started it, also when that process is killed, and its folder
//! goes with it. [`TestDatabase`] gives each test a fresh database of one shared server.
//!
//! ```
//! use postgres_sandbox::{Installation, Search, Server, ServerOptions};
//!
//! # fn main() -> Result<(), postgres_sandbox::Error> {
//! let installation = Installation::find(&Search::new())?;
//! let server = Server::start(&installation, ServerOptions::new())?;
//! assert!(server.url("postgres").starts_with("postgres://postgres@127.0.0.1:"));
//! server.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! # How a server ends
//!
//! The server is a child of a small shell that reads a pipe whose other end this process holds.
//! However this process ends, the operating system closes the pipe; the shell then stops the
//! server and removes its folder, within a second. Only a loss of power, or a kill of the shell
//! itself, leaves a folder behind; the next start removes it.
//!
//! # Who can connect
//!
//! The server listens on 127.0.0.1 and asks for no password: every user of this machine can
//! connect, as superuser. That suits development machines and build agents, not shared hosts.
//!
//! # Tests in processes of their own
//!
//! A runner such as nextest starts each test as a process, which would start a server each. A
//! set-up script that exports `MIGRATE_TEST_DATABASE_URL`, as `postgres-sandbox --detach` prints it,
//! lets them share one.
//!
//! # What it does not do
//!
//! It never installs anything system-wide, never changes an installed server, and never prints:
//! progress is reported through `tracing` and [`Search::with_report`]. The one exception is
//! [`TestDatabase`], which names the database that it keeps when a test panics. A system without
//! POSIX shell and signals is not supported; on Windows use WSL.
//!
//! # Environment
//!
//! | Variable | Meaning |
//! |---|---|
//! | `PGBIN` | folder with `postgres` and `initdb`, looked at first |
//! | `XDG_CACHE_HOME`, `HOME` | where fetched servers are kept |
//! | `POSTGRES_SANDBOX_IGNORE_INSTALLED` | `1`: use only fetched servers |
//! | `MIGRATE_TEST_DATABASE_URL` | tests use this server instead of starting one |
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("postgres-sandbox needs a POSIX shell and signals; on Windows build it in WSL");

mod account;
mod cleanup;
#[cfg_attr(not(feature = "docker"), path = "docker_off.rs")]
mod docker;
mod environment;
mod error;
mod fetch;
mod folder;
mod installation;
mod launch;
mod local;
mod options;
mod probe;
mod quoting;
mod search;
mod server;
mod settings;
mod statement;
mod step;
mod system;
mod test_database;
mod test_server;
mod version;

pub use error::Error;
pub use installation::{Installation, Origin};
pub use options::ServerOptions;
pub use search::Search;
pub use server::{Detached, Server};
pub use step::Step;
pub use test_database::TestDatabase;
pub use test_server::TestServer;
pub use version::Version;
