//! A running PostgreSQL server and how to reach it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::docker::DockerServer;
use crate::error::Error;
use crate::installation::{Installation, Origin};
use crate::launch::Ending;
use crate::local::{HOST, LocalServer};
use crate::options::ServerOptions;
use crate::quoting::{shell_word, url_segment};

/// The superuser of every private server; it needs no password.
const USER: &str = "postgres";

/// A private server. Dropping it stops it and removes its folder, as does the end of this
/// process, however it comes.
///
/// All methods block; in asynchronous code call those that start or stop a server from
/// `spawn_blocking` where a second of waiting matters.
#[derive(Debug)]
pub struct Server {
    backend: Backend,
    installation: Installation,
}

#[derive(Debug)]
enum Backend {
    Local(Box<LocalServer>),
    Docker(Box<DockerServer>),
}

impl Server {
    /// Makes a database cluster in a new folder, starts the server on a free port of 127.0.0.1
    /// and waits until it takes connections, which is about a second. Also removes what dead
    /// servers left in the parent folder.
    ///
    /// As root the server runs as the account `postgres`, else `nobody`.
    ///
    /// # Errors
    ///
    /// [`Error::StartFailed`] with the last lines of the server log, for example for a wrong
    /// setting; [`Error::Unreachable`], [`Error::NoAccount`] and [`Error::Io`] for the folder;
    /// [`Error::SettingName`]; [`Error::StartTimeout`] after two minutes.
    pub fn start(installation: &Installation, options: ServerOptions) -> Result<Self, Error> {
        let backend = if installation.origin == Origin::Docker {
            Backend::Docker(Box::new(DockerServer::start(&options)?))
        } else {
            let (programs, jit) = (installation.folder(), installation.jit());
            Backend::Local(Box::new(LocalServer::start(programs, jit, options)?))
        };
        Ok(Self { backend, installation: installation.clone() })
    }

    /// URL of a database on this server, `postgres://postgres@127.0.0.1:PORT/DATABASE`. The
    /// database need not exist; `postgres` always does.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@{HOST}:{}/{}", self.port(), url_segment(database))
    }

    /// The address that the server listens on.
    pub fn host(&self) -> &str {
        HOST
    }

    /// The TCP port that the server listens on; a restart keeps it.
    pub fn port(&self) -> u16 {
        match &self.backend {
            Backend::Local(server) => server.port(),
            Backend::Docker(server) => server.port(),
        }
    }

    /// The superuser; it needs no password.
    pub fn user(&self) -> &str {
        USER
    }

    /// Process id of the server, for tests that send it a signal; `None` while it is stopped and
    /// for a container.
    pub fn pid(&self) -> Option<u32> {
        self.local().and_then(LocalServer::pid)
    }

    /// The private folder with `data`, `server.log` and the settings; `None` for a container.
    pub fn folder(&self) -> Option<&Path> {
        self.local().map(LocalServer::folder)
    }

    /// The installation that this server runs from.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Path of a program of the same installation, such as `psql`.
    ///
    /// # Errors
    ///
    /// As [`Installation::bin`].
    pub fn bin(&self, program: &str) -> Result<PathBuf, Error> {
        self.installation.bin(program)
    }

    /// A line for a shell that opens the database in `psql`.
    pub fn psql_line(&self, database: &str) -> String {
        let url = self.url(database);
        match &self.backend {
            Backend::Local(_) => {
                // Without its own psql the line names the one that a user may have.
                let psql = self.bin("psql").unwrap_or_else(|_| PathBuf::from("psql"));
                format!("{} {}", shell_word(&psql.display().to_string()), shell_word(&url))
            }
            Backend::Docker(server) => server.psql_line(USER, database),
        }
    }

    /// The last lines of the server log.
    pub fn log_tail(&self) -> String {
        match &self.backend {
            Backend::Local(server) => server.log_tail(),
            Backend::Docker(server) => server.log_tail(),
        }
    }

    /// Stops the server, if it runs, and starts it again with the same data, port and settings.
    ///
    /// # Errors
    ///
    /// As [`Server::start`]; [`Error::NoPort`] when another program took the port meanwhile;
    /// [`Error::Container`] for a container.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.local_mut("be restarted")?.restart()
    }

    /// Ends the server at once without a checkpoint, as a crash does; [`Server::restart`] then
    /// goes through crash recovery.
    ///
    /// # Errors
    ///
    /// [`Error::StopTimeout`] after two minutes; [`Error::Container`] for a container.
    pub fn stop_now(&mut self) -> Result<(), Error> {
        self.local_mut("be stopped at once")?.end(Ending::Quit)
    }

    /// Stops the server in order and removes its folder. Dropping does the same, but can only log
    /// what goes wrong.
    ///
    /// # Errors
    ///
    /// [`Error::StopTimeout`] after two minutes; [`Error::Io`] when the folder cannot be removed.
    pub fn stop(self) -> Result<(), Error> {
        match self.backend {
            Backend::Local(server) => server.stop(),
            Backend::Docker(server) => server.stop(),
        }
    }

    /// Lets the server run on when this process ends. Its folder goes when it is stopped, unless
    /// [`ServerOptions::keep`] was asked for.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] after [`Server::stop_now`] or when the server has ended by itself.
    pub fn detach(self) -> Result<Detached, Error> {
        let url = self.url(USER);
        let psql_line = self.psql_line(USER);
        let folder = self.folder().map(Path::to_path_buf);
        let stop_line = match self.backend {
            Backend::Local(server) => format!("kill -INT {}", server.detach()?),
            Backend::Docker(server) => server.detach(),
        };
        Ok(Detached { url, psql_line, stop_line, folder })
    }

    fn local(&self) -> Option<&LocalServer> {
        match &self.backend {
            Backend::Local(server) => Some(server),
            Backend::Docker(_) => None,
        }
    }

    fn local_mut(&mut self, operation: &'static str) -> Result<&mut LocalServer, Error> {
        match &mut self.backend {
            Backend::Local(server) => Ok(server),
            Backend::Docker(_) => Err(Error::Container { operation }),
        }
    }
}

/// A server that goes on without this process; its `Display` tells how to use and stop it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    url: String,
    psql_line: String,
    stop_line: String,
    folder: Option<PathBuf>,
}

impl Detached {
    /// URL of the database `postgres`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A line for a shell that opens the database `postgres` in `psql`.
    pub fn psql_line(&self) -> &str {
        &self.psql_line
    }

    /// A line for a shell that stops the server and removes its folder.
    pub fn stop_line(&self) -> &str {
        &self.stop_line
    }

    /// The server's folder; `None` for a container.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}

impl fmt::Display for Detached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, psql_line, stop_line, .. } = self;
        write!(formatter, "PostgreSQL runs on: {url}\n  open: {psql_line}\n  stop: {stop_line}")
    }
}
