//! The server that the tests of one binary share.

use std::sync::OnceLock;

use crate::environment;
use crate::error::Error;
use crate::installation::Installation;
use crate::options::ServerOptions;
use crate::quoting::{url_with_database, url_without_password};
use crate::search::Search;
use crate::server::Server;

/// Test harnesses run a test per processor, and a test may hold a pool of connections.
const MAX_CONNECTIONS: &str = "300";

/// The server that tests share: the one that `MIGRATE_TEST_DATABASE_URL` names, else one that is
/// started when the first test of a process asks for it and ends with the process.
#[derive(Debug)]
pub struct TestServer {
    place: Place,
}

enum Place {
    Named(String),
    Own(Box<Server>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(url) => formatter.write_str(&url_without_password(url)),
            Self::Own(server) => server.fmt(formatter),
        }
    }
}

impl TestServer {
    /// The shared server; the first call of a process starts it, which takes about a second.
    ///
    /// # Panics
    ///
    /// Without a server, with one message that lists what was tried and every remedy. Tests fail
    /// rather than skip.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<TestServer, Error>> = OnceLock::new();
        match SHARED.get_or_init(Self::start) {
            Ok(server) => server,
            Err(error) => fail(error),
        }
    }

    /// A server of its own for a test that restarts or breaks it. Never the one that
    /// `MIGRATE_TEST_DATABASE_URL` names.
    ///
    /// # Panics
    ///
    /// As [`TestServer::shared`], and when the options are wrong.
    pub fn private(options: ServerOptions) -> Server {
        let server = Installation::find(&Search::new())
            .and_then(|installation| Server::start(&installation, options));
        server.unwrap_or_else(|error| fail(&error))
    }

    /// URL of a database on this server; with the login and options of a named server.
    pub fn url(&self, database: &str) -> String {
        match &self.place {
            Place::Named(url) => url_with_database(url, database),
            Place::Own(server) => server.url(database),
        }
    }

    /// The started server; `None` for one that the environment names.
    pub fn server(&self) -> Option<&Server> {
        match &self.place {
            Place::Named(_) => None,
            Place::Own(server) => Some(server),
        }
    }

    /// URL of a database that exists, for statements about other databases.
    pub(crate) fn maintenance_url(&self) -> String {
        match &self.place {
            Place::Named(url) => url.clone(),
            Place::Own(server) => server.url("postgres"),
        }
    }

    fn start() -> Result<Self, Error> {
        if let Some(url) = environment::test_database_url() {
            return Ok(Self { place: Place::Named(url) });
        }
        let installation = Installation::find(&Search::new())?;
        let options = ServerOptions::new().setting("max_connections", MAX_CONNECTIONS);
        let server = Server::start(&installation, options)?;
        Ok(Self { place: Place::Own(Box::new(server)) })
    }
}

/// Fails the test with the error and its causes.
#[expect(clippy::panic, reason = "an entry point for tests: without a server they must fail")]
pub(crate) fn fail(error: &Error) -> ! {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str("\ncaused by: ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    panic!("{text}");
}
