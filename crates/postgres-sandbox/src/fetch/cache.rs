//! The per-user folder that fetched servers are kept in.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::Error;
use crate::probe;
use crate::step::{Journal, Step};
use crate::system::System;
use crate::version::Version;

/// Name of the folder below the user's cache folder.
const NAME: &str = "postgres-sandbox";
/// Root's home is closed to the account that runs root's servers; this is the system's cache.
const FOR_ROOT: &str = "/var/cache/postgres-sandbox";
const LOCK_FILE: &str = "fetch.lock";
/// Folder of an entry that holds the programs to run.
pub(super) const PROGRAM_FOLDER: &str = "bin";

/// The folder for fetched servers; it may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The chosen folder, else one in the user's cache folder; none without a home.
    pub(crate) fn choose(
        chosen: Option<&Path>,
        home: Option<&Path>,
        account: &Account,
        journal: &mut Journal<'_>,
    ) -> Option<Self> {
        let default = || home.map(|home| home.join(NAME));
        let Some(folder) = chosen.map(Path::to_path_buf).or_else(default) else {
            let reason = "no folder for it: set HOME or XDG_CACHE_HOME".to_owned();
            journal.note(Step::NotFetched { reason });
            return None;
        };
        match account {
            Account::Other { name, .. } if !account.can_reach(&folder) => {
                let reason = format!("the account {name} cannot reach it; using {FOR_ROOT}");
                journal.note(Step::Skipped { folder, reason });
                Some(Self { folder: PathBuf::from(FOR_ROOT) })
            }
            _ => Some(Self { folder }),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The newest usable server that was fetched for this system.
    pub(crate) fn find(
        &self,
        system: &System,
        account: &Account,
        journal: &mut Journal<'_>,
    ) -> Option<(PathBuf, Version)> {
        let prefix = system.cache_prefix();
        // A cache that does not exist yet holds nothing.
        let entries = fs::read_dir(&self.folder).ok()?.flatten();
        let fits = |name: &str| name.starts_with(&prefix);
        let mut found = Vec::new();
        for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(fits)) {
            let folder = entry.path().join(PROGRAM_FOLDER);
            match probe::probe(&folder, account) {
                Ok(version) => found.push((folder, version)),
                Err(reason) => journal.note(Step::Skipped { folder, reason }),
            }
        }
        found.into_iter().max_by_key(|(_, version)| version.major())
    }

    /// Makes the folder. What root makes is opened to everybody, whatever its `umask`: the account
    /// that runs root's servers must get through.
    pub(super) fn create(&self, account: &Account) -> Result<(), Error> {
        let failed = || {
            let hint = "set XDG_CACHE_HOME to a folder that may be written to";
            Error::io("create", &self.folder, hint)
        };
        let missing: Vec<&Path> =
            self.folder.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(&self.folder).map_err(failed())?;
        if *account == Account::Own {
            return Ok(());
        }
        let open = |folder| fs::set_permissions(folder, Permissions::from_mode(0o755));
        missing.into_iter().try_for_each(open).map_err(failed())
    }

    /// Waits until no other process fetches; the lock lasts as long as the returned file.
    pub(super) fn lock(&self, journal: &mut Journal<'_>) -> Result<File, Error> {
        let path = self.folder.join(LOCK_FILE);
        let failed = || Error::io("lock", &path, "choose a cache folder on a local file system");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                journal.note(Step::Waiting { lock: path.clone() });
                file.lock().map_err(failed())?;
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(chosen: Option<&str>, home: Option<&str>, account: &Account) -> Option<PathBuf> {
        let mut journal = Journal::new(None);
        let cache =
            Cache::choose(chosen.map(Path::new), home.map(Path::new), account, &mut journal);
        cache.map(|cache| cache.folder)
    }

    #[test]
    fn the_chosen_folder_wins_over_the_default() {
        let own = Account::Own;
        assert_eq!(choose(Some("/a"), Some("/h"), &own), Some("/a".into()));
        assert_eq!(choose(None, Some("/h"), &own), Some("/h/postgres-sandbox".into()));
        assert_eq!(choose(None, None, &own), None);
    }

    #[test]
    fn a_cache_that_the_servers_account_cannot_enter_is_not_used() {
        let base = std::env::temp_dir().join(format!("cache-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        fs::set_permissions(&base, Permissions::from_mode(0o700)).unwrap();
        let account =
            Account::Other { name: "x".to_owned(), user_id: 4_000_000, group_id: 4_000_000 };
        let inside = base.join("cache");
        assert_eq!(choose(inside.to_str(), None, &account), Some(FOR_ROOT.into()));
        fs::set_permissions(&base, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(choose(inside.to_str(), None, &account), Some(inside));
        fs::remove_dir_all(&base).unwrap();
    }
}
