//! What the search for a server did, as data.
//!
//! A step says what happened in the words a user reads; deciding and acting is done elsewhere.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::installation::Origin;
use crate::version::Version;

/// One step of the search for a PostgreSQL server; its `Display` is one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Installed servers were passed over because the caller asked for it.
    InstalledIgnored,
    /// A place was looked at and cannot be used.
    Skipped {
        /// The place.
        folder: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// Another process is fetching; this one waits for it.
    Waiting {
        /// The lock file that guards the fetch.
        lock: PathBuf,
    },
    /// The package lists are being brought up to date.
    UpdatingLists {
        /// Folder of the lists: the system's or a private one.
        lists: PathBuf,
    },
    /// The system's package lists do not lead to a server; others are tried.
    ListsUnfit {
        /// Why.
        reason: String,
    },
    /// No server was found; packages are being downloaded.
    Fetching {
        /// The server package, such as `postgresql-15`.
        package: String,
        /// Bytes to download.
        size_bytes: u64,
        /// Folder that the server is unpacked into.
        into: PathBuf,
    },
    /// The packages were downloaded and unpacked.
    Fetched {
        /// The server package.
        package: String,
        /// How long it took, package lists included.
        elapsed: Duration,
    },
    /// Fetching is impossible or failed.
    NotFetched {
        /// Why.
        reason: String,
    },
    /// No container can be used.
    NoContainer {
        /// Why.
        reason: String,
    },
    /// A server was found; the search ends.
    Found {
        /// Folder of its programs; the image's name for a container.
        folder: PathBuf,
        /// Its version.
        version: Version,
        /// Where it comes from.
        origin: Origin,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstalledIgnored => formatter.write_str("installed servers are ignored"),
            Self::Skipped { folder, reason } => {
                write!(formatter, "skipped {}: {reason}", folder.display())
            }
            Self::Waiting { lock } => {
                write!(formatter, "another process is fetching; waiting for {}", lock.display())
            }
            Self::UpdatingLists { lists } => {
                write!(formatter, "updating the package lists in {}", lists.display())
            }
            Self::ListsUnfit { reason } => {
                write!(formatter, "the system's package lists do not serve: {reason}")
            }
            Self::Fetching { package, size_bytes, into } => write!(
                formatter,
                "no PostgreSQL server found; fetching {package} ({} MB) into {}",
                size_bytes.div_ceil(1_000_000),
                into.display()
            ),
            Self::Fetched { package, elapsed } => {
                write!(formatter, "fetched {package} in {:.1} s", elapsed.as_secs_f64())
            }
            Self::NotFetched { reason } => write!(formatter, "not fetched: {reason}"),
            Self::NoContainer { reason } => write!(formatter, "no container: {reason}"),
            Self::Found { folder, version, origin } => {
                write!(formatter, "PostgreSQL {version} from {origin}: {}", folder.display())
            }
        }
    }
}

/// Collects the steps of one search and passes each on as it happens.
pub(crate) struct Journal<'a> {
    steps: Vec<Step>,
    report: Option<&'a (dyn Fn(&Step) + Send + Sync)>,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(report: Option<&'a (dyn Fn(&Step) + Send + Sync)>) -> Self {
        Self { steps: Vec::new(), report }
    }

    pub(crate) fn note(&mut self, step: Step) {
        tracing::info!(%step, "search for a PostgreSQL server");
        if let Some(report) = self.report {
            report(&step);
        }
        self.steps.push(step);
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_reads_as_one_line() {
        let step = Step::Fetching {
            package: "postgresql-15".to_owned(),
            size_bytes: 38_700_000,
            into: PathBuf::from("/home/ada/.cache/postgres-sandbox"),
        };
        let line = "no PostgreSQL server found; fetching postgresql-15 (39 MB) into \
                    /home/ada/.cache/postgres-sandbox";
        assert_eq!(step.to_string(), line);
    }
}
