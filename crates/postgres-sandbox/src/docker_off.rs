//! Stands in for `docker` when that feature is off: there is no container, and no value of one.

use crate::error::Error;
use crate::options::ServerOptions;
use crate::version::Version;

/// Says that no container can be used.
pub(crate) fn pull() -> Result<(&'static str, Version), String> {
    Err("the feature docker is off".to_owned())
}

/// A type without values.
#[derive(Debug)]
pub(crate) enum DockerServer {}

impl DockerServer {
    pub(crate) fn start(_options: &ServerOptions) -> Result<Self, Error> {
        Err(Error::Container { operation: "be started" })
    }

    pub(crate) fn port(&self) -> u16 {
        match *self {}
    }

    pub(crate) fn psql_line(&self, _user: &str, _database: &str) -> String {
        match *self {}
    }

    pub(crate) fn log_tail(&self) -> String {
        match *self {}
    }

    pub(crate) fn stop(self) -> Result<(), Error> {
        match self {}
    }

    pub(crate) fn detach(self) -> String {
        match self {}
    }
}
