//! The search for server programs.
//!
//! Decides the order and asks `probe` about each place; fetching and containers are done by their
//! own modules.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::account::Account;
use crate::docker;
use crate::environment::Environment;
use crate::error::Error;
use crate::fetch::{self, Cache};
use crate::installation::{Installation, Origin};
use crate::probe;
use crate::step::{Journal, Step};
use crate::system::System;
use crate::version::Version;

/// Folders of versioned installations: Debian and Ubuntu, PGDG's RPMs, Alpine.
const SYSTEM_FOLDERS: [(&str, &str, &str); 3] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
];
/// Homebrew on Apple and on Intel processors.
const HOMEBREW_FOLDERS: [(&str, &str, &str); 2] =
    [("/opt/homebrew/opt", "postgresql", "bin"), ("/usr/local/opt", "postgresql", "bin")];

type Report = Arc<dyn Fn(&Step) + Send + Sync>;

/// What [`Installation::find`] may do and whom it tells.
///
/// ```no_run
/// use postgres_sandbox::{Installation, Search};
///
/// # fn main() -> Result<(), postgres_sandbox::Error> {
/// let search = Search::new().with_report(|step| println!("{step}"));
/// let installation = Installation::find(&search)?;
/// println!("{}", installation.version());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Search {
    environment: Environment,
    cache_folder: Option<PathBuf>,
    may_fetch: bool,
    report: Option<Report>,
}

impl Search {
    /// A search as the environment says; it may fetch.
    pub fn new() -> Self {
        Self { environment: Environment::read(), cache_folder: None, may_fetch: true, report: None }
    }

    /// Passes over installed servers, as `POSTGRES_SANDBOX_IGNORE_INSTALLED=1` does.
    pub fn ignoring_installed(mut self) -> Self {
        self.environment.ignores_installed = true;
        self
    }

    /// Downloads nothing and starts no container.
    pub fn without_fetching(mut self) -> Self {
        self.may_fetch = false;
        self
    }

    /// Keeps fetched servers in this folder. Default: `postgres-sandbox` in `XDG_CACHE_HOME` or
    /// `~/.cache`; for root `/var/cache/postgres-sandbox` when the account that runs the server
    /// cannot enter root's home.
    pub fn with_cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_folder = Some(folder.into());
        self
    }

    /// Calls this with each step as it happens, so that a program can show progress.
    pub fn with_report(mut self, report: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.report = Some(Arc::new(report));
        self
    }

    pub(crate) fn run(&self) -> Result<Installation, Error> {
        let account = Account::for_server()?;
        let system = System::current();
        let mut journal = Journal::new(self.report.as_deref());
        match self.choose(&account, &system, &mut journal) {
            Some((origin, folder, version)) => {
                let found =
                    Step::Found { folder: folder.clone(), version: version.clone(), origin };
                journal.note(found);
                Ok(Installation { origin, folder, version, steps: journal.into_steps() })
            }
            None => Err(Error::not_found(journal.into_steps(), &system)),
        }
    }

    fn choose(
        &self,
        account: &Account,
        system: &System,
        journal: &mut Journal<'_>,
    ) -> Option<(Origin, PathBuf, Version)> {
        if self.environment.ignores_installed {
            journal.note(Step::InstalledIgnored);
        } else if let Some(found) = self.installed(account, journal) {
            return Some(found);
        }
        let home = self.environment.cache_home.as_deref();
        let cache = Cache::choose(self.cache_folder.as_deref(), home, account, journal);
        if let Some(cache) = &cache
            && let Some((folder, version)) = cache.find(system, account, journal)
        {
            return Some((Origin::Cache, folder, version));
        }
        if !self.may_fetch {
            return None;
        }
        if let Some(cache) = &cache
            && let Some((folder, version)) = fetch::fetch(cache, system, account, journal)
        {
            return Some((Origin::Fetched, folder, version));
        }
        container(journal)
    }

    /// The first usable one of the installed servers.
    fn installed(
        &self,
        account: &Account,
        journal: &mut Journal<'_>,
    ) -> Option<(Origin, PathBuf, Version)> {
        self.candidates().into_iter().find_map(|(origin, folder)| {
            let folder = probe::real_folder(&folder);
            match probe::probe(&folder, account) {
                Ok(version) => Some((origin, folder, version)),
                Err(reason) => {
                    journal.note(Step::Skipped { folder, reason });
                    None
                }
            }
        })
    }

    /// Places of installed servers, best first. A place that `PGBIN` names counts even when it
    /// is empty: the note about it shows the mistake.
    fn candidates(&self) -> Vec<(Origin, PathBuf)> {
        let named = self.environment.program_folder.clone();
        let system = SYSTEM_FOLDERS.iter().flat_map(|place| versioned(*place));
        let homebrew = HOMEBREW_FOLDERS.iter().flat_map(|place| versioned(*place));
        let path = self.environment.search_path.iter().filter(|path| probe::has_programs(path));
        named
            .map(|folder| (Origin::Environment, folder))
            .into_iter()
            .chain(system.map(|folder| (Origin::System, folder)))
            .chain(homebrew.map(|folder| (Origin::Homebrew, folder)))
            .chain(path.map(|folder| (Origin::SearchPath, folder.clone())))
            .collect()
    }
}

impl Default for Search {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Search")
            .field("environment", &self.environment)
            .field("cache_folder", &self.cache_folder)
            .field("may_fetch", &self.may_fetch)
            .finish_non_exhaustive()
    }
}

/// The program folders below `base`, in folders whose names are the prefix and a version, newest
/// version first; a name without a version counts as oldest.
fn versioned((base, prefix, programs): (&str, &str, &str)) -> Vec<PathBuf> {
    // A base that is not there holds no installation.
    let Ok(entries) = fs::read_dir(base) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.trim_start_matches(['@', '-']);
            let major = Version::from_number(version).map_or(0, |version| version.major());
            Some((major, entry.path().join(programs)))
        })
        .filter(|(_, folder)| probe::has_programs(folder))
        .collect();
    found.sort_by(|(left, _), (right, _)| right.cmp(left));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The last resort, where a daemon answers.
fn container(journal: &mut Journal<'_>) -> Option<(Origin, PathBuf, Version)> {
    match docker::pull() {
        Ok((image, version)) => Some((Origin::Docker, PathBuf::from(image), version)),
        Err(reason) => {
            journal.note(Step::NoContainer { reason });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let base = std::env::temp_dir().join(format!("versioned-{}", std::process::id()));
        for name in ["9.6", "13", "17", "unrelated"] {
            let folder = base.join(name).join("bin");
            fs::create_dir_all(&folder).unwrap();
            for program in ["postgres", "initdb"] {
                fs::write(folder.join(program), "").unwrap();
            }
        }
        fs::create_dir_all(base.join("18/bin")).unwrap();
        let found = versioned((base.to_str().unwrap(), "", "bin"));
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(&base).unwrap()).collect();
        let expected = ["17/bin", "13/bin", "9.6/bin", "unrelated/bin"].map(Path::new);
        assert_eq!(names, expected);
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_named_folder_is_looked_at_before_all_others() {
        let mut search = Search::new();
        search.environment.program_folder = Some("/named".into());
        search.environment.search_path = vec!["/nowhere".into()];
        let candidates = search.candidates();
        assert_eq!(candidates.first(), Some(&(Origin::Environment, PathBuf::from("/named"))));
        assert!(candidates.iter().all(|(_, folder)| folder != Path::new("/nowhere")));
    }
}
