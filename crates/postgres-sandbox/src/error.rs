//! What can go wrong with a private server, each with the next step to take.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::{PROGRAM_FOLDER, TEST_DATABASE_URL};
use crate::step::Step;
use crate::system::System;
use crate::version::OLDEST_MAJOR;

/// A failure of the sandbox. Each message ends with what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No server was found and none could be fetched.
    #[error(
        "No PostgreSQL server of version {OLDEST_MAJOR} or newer found:{}\nfix, one of:{}",
        indented(steps),
        indented(remedies)
    )]
    NotFound {
        /// What was tried.
        steps: Vec<Step>,
        /// Lines that each solve it.
        remedies: Vec<String>,
    },

    /// Root may not run PostgreSQL, and there is no account to run it as.
    #[error(
        "PostgreSQL refuses to run as root and {PASSWD} has neither the account \"postgres\" nor \
         \"nobody\"; fix: run as an ordinary user or `useradd --system postgres`",
        PASSWD = crate::account::PASSWD
    )]
    NoAccount,

    /// The account that runs the server cannot reach a folder.
    #[error(
        "The account \"{account}\", which runs the server for root, cannot reach {}; \
         fix: choose another folder, such as /tmp, or `chmod o+x` the folders above it",
        path.display()
    )]
    Unreachable {
        /// Name of the account.
        account: String,
        /// The folder.
        path: PathBuf,
    },

    /// A file operation or a program of the system failed.
    #[error("Cannot {action} {}; fix: {hint}", path.display())]
    Io {
        /// What was tried, such as `create`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What to look at.
        hint: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A program is not part of the installation.
    #[error(
        "The program {name} is not in {}; fix: install the package with PostgreSQL's client \
         programs or point {PROGRAM_FOLDER} at a complete installation",
        folder.display()
    )]
    MissingProgram {
        /// The program, such as `psql`.
        name: String,
        /// Folder of the server programs.
        folder: PathBuf,
    },

    /// The name of a setting is not one that `postgresql.conf` can hold.
    #[error(
        "The setting name {name:?} is invalid; fix: use a name from `select name from pg_settings`"
    )]
    SettingName {
        /// The name.
        name: String,
    },

    /// The server ended before it was ready.
    #[error(
        "The PostgreSQL server did not start ({status}); its last words:\n{log}\nfix: correct what \
         they say; with a setting of your own, compare it with `select * from pg_settings`"
    )]
    StartFailed {
        /// How the server's shell ended.
        status: String,
        /// The last lines of the server log.
        log: String,
    },

    /// The server was neither ready nor gone in time.
    #[error(
        "The PostgreSQL server was not ready after {} s; its last words:\n{log}\n\
         fix: look for a full disk or an overloaded machine and try again",
        limit.as_secs()
    )]
    StartTimeout {
        /// How long it was waited for.
        limit: Duration,
        /// The last lines of the server log.
        log: String,
    },

    /// Each port that was free a moment ago was taken when the server wanted it.
    #[error("No free port after {attempts} attempts; fix: end programs that open many ports")]
    NoPort {
        /// How many ports were tried.
        attempts: u32,
    },

    /// The server did not end in time; it may still be running.
    #[error(
        "The PostgreSQL server did not stop within {} s; fix: `kill -QUIT {pid}` ends it at once",
        limit.as_secs()
    )]
    StopTimeout {
        /// How long it was waited for.
        limit: Duration,
        /// Process id of the server.
        pid: u32,
    },

    /// The server is not running, so it has nothing to detach or signal.
    #[error("The server is stopped; fix: call `restart` first")]
    NotRunning,

    /// A server in a container cannot do this.
    #[error("A server in a container cannot {operation}; fix: {}", install_hint())]
    Container {
        /// What was asked for.
        operation: &'static str,
    },

    /// Docker refused or failed.
    #[cfg(feature = "docker")]
    #[error("Docker failed to {action}; fix: try `docker run --rm postgres` by hand")]
    Docker {
        /// What was tried.
        action: &'static str,
        /// Docker's answer.
        source: testcontainers::TestcontainersError,
    },

    /// A statement on the server failed.
    #[error("Cannot {action} on {server}; fix: check that the server runs and that {hint}")]
    Database {
        /// What was tried.
        action: String,
        /// The server's URL, without a password.
        server: String,
        /// What the server must allow.
        hint: &'static str,
        /// The driver's answer.
        source: sqlx::Error,
    },

    /// The server did not answer in time.
    #[error("No answer from {server} after {} s; fix: check its address", limit.as_secs())]
    DatabaseTimeout {
        /// The server's URL, without a password.
        server: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl Error {
    /// The error at the end of a search, with every remedy there is.
    pub(crate) fn not_found(steps: Vec<Step>, system: &System) -> Self {
        let mut remedies = Vec::new();
        if let Some(command) = system.install_command() {
            remedies.push(format!("install it: {command}"));
        }
        remedies.push(format!("name its folder: export {PROGRAM_FOLDER}=/path/to/postgresql/bin"));
        remedies.push(format!(
            "tests only, use a running server: \
             export {TEST_DATABASE_URL}=postgres://user@host:5432/postgres"
        ));
        remedies.push(container_remedy().to_owned());
        Self::NotFound { steps, remedies }
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
        hint: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, hint, source }
    }
}

fn container_remedy() -> &'static str {
    if cfg!(feature = "docker") {
        "start a Docker daemon that this user may talk to"
    } else {
        "start a Docker daemon and build with the feature \"docker\" of postgres-sandbox"
    }
}

fn install_hint() -> String {
    let command = System::current().install_command().unwrap_or("install PostgreSQL");
    format!("use an installed server: {command}")
}

fn indented<T: ToString>(lines: &[T]) -> String {
    lines.iter().flat_map(|line| ["\n  - ".to_owned(), line.to_string()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fruitless_search_lists_what_was_tried_and_every_remedy() {
        let steps = vec![Step::NotFetched { reason: "no apt-get here".to_owned() }];
        let text = Error::not_found(steps, &System::current()).to_string();
        for part in ["13 or newer", "no apt-get here", "PGBIN=", "MIGRATE_TEST_DATABASE_URL="] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(text.contains("Docker"), "{text}");
    }
}
