//! A set of server programs that was found.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::search::Search;
use crate::settings::JustInTime;
use crate::step::Step;
use crate::version::Version;

/// Where an installation comes from, in the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The folder that `PGBIN` names.
    Environment,
    /// The system's packages.
    System,
    /// Homebrew, on macOS.
    Homebrew,
    /// A folder of `PATH`.
    SearchPath,
    /// An earlier fetch.
    Cache,
    /// A fetch of this search.
    Fetched,
    /// A container image.
    Docker,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Environment => "PGBIN",
            Self::System => "the system's packages",
            Self::Homebrew => "Homebrew",
            Self::SearchPath => "PATH",
            Self::Cache => "the cache",
            Self::Fetched => "fetched packages",
            Self::Docker => "Docker",
        })
    }
}

/// Server programs that [`crate::Server::start`] can run.
#[derive(Debug, Clone)]
pub struct Installation {
    pub(crate) origin: Origin,
    pub(crate) folder: PathBuf,
    pub(crate) version: Version,
    pub(crate) steps: Vec<Step>,
}

impl Installation {
    /// Looks for a server of version 13 or newer: `PGBIN`, the newest one of the system's
    /// packages, Homebrew, `PATH`, the cache; then fetches one into the cache; last, with the
    /// feature `docker`, takes a container. Blocks for as long as a fetch takes: seconds to
    /// minutes, by the network. A fetch writes only into the cache; as root it first updates the
    /// system's package lists when they are empty.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with all steps and remedies; [`Error::NoAccount`] for root without an
    /// account to run a server.
    pub fn find(search: &Search) -> Result<Self, Error> {
        search.run()
    }

    /// Where the installation comes from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The version of its server.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The folder of its programs; the name of the image for a container.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the search did to find it, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Path of one of its programs, such as `psql` or `pg_dump`.
    ///
    /// # Errors
    ///
    /// [`Error::MissingProgram`] when the installation lacks it; [`Error::Container`] when the
    /// programs are inside a container.
    pub fn bin(&self, program: &str) -> Result<PathBuf, Error> {
        if self.origin == Origin::Docker {
            return Err(Error::Container { operation: "lend its programs" });
        }
        let path = self.folder.join(program);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::MissingProgram { name: program.to_owned(), folder: self.folder.clone() })
    }

    pub(crate) fn jit(&self) -> JustInTime {
        match self.origin {
            Origin::Cache | Origin::Fetched => JustInTime::Missing,
            _ => JustInTime::Installed,
        }
    }
}
