//! Removes the folders of servers that are dead.
//!
//! A folder is removed when nobody holds the lock on its log, see `folder`. That holds across
//! users and containers, and does not mistake a reused process id for a living server.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::account::{self, Account};
use crate::error::Error;
use crate::folder::{KEEP_FILE, LOG_FILE, NAME_PREFIX, UNFINISHED_EXTENSION};

/// A folder is finished within milliseconds; an unfinished one of this age never will be.
const UNFINISHED_AGE: Duration = Duration::from_mins(10);

/// Removes what dead servers left in the parent folder. What cannot be removed is logged and left
/// to the next start: it must not stop this one.
pub(crate) fn remove_abandoned(parent: &Path, account: &Account) -> Result<(), Error> {
    let own_id = account::own_id()?;
    // A parent that does not exist yet holds nothing.
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_ours = fs::symlink_metadata(&path)
            .is_ok_and(|metadata| metadata.is_dir() && account.may_own(metadata.uid(), own_id));
        let is_dead = match kind(&path) {
            Kind::Finished => is_abandoned(&path),
            Kind::Unfinished => is_old(&path),
            Kind::Foreign => false,
        };
        if !is_ours || !is_dead {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!(folder = %path.display(), "removed a dead server's folder"),
            Err(error) if error.kind() == ErrorKind::NotFound => {} // another start was faster
            Err(error) => {
                tracing::warn!(folder = %path.display(), %error, "a dead server's folder stays");
            }
        }
    }
    Ok(())
}

/// What a name says about a folder.
enum Kind {
    Finished,
    Unfinished,
    Foreign,
}

fn kind(path: &Path) -> Kind {
    let stem = path.file_stem().and_then(|name| name.to_str());
    let is_name = stem
        .and_then(|name| name.strip_prefix(NAME_PREFIX))
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
    match path.extension() {
        None if is_name => Kind::Finished,
        Some(extension) if is_name && extension == UNFINISHED_EXTENSION => Kind::Unfinished,
        _ => Kind::Foreign,
    }
}

fn is_old(folder: &Path) -> bool {
    // A folder without a time, or one of the future, is left to a person.
    let modified = fs::symlink_metadata(folder).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > UNFINISHED_AGE))
}

fn is_abandoned(folder: &Path) -> bool {
    if folder.join(KEEP_FILE).exists() {
        return false;
    }
    match try_lock(&folder.join(LOG_FILE)) {
        Ok(is_free) => is_free,
        // A finished folder always has a log: what lacks it was left half removed.
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Whether nobody holds the lock; the file is closed again, which gives the lock back.
fn try_lock(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    match File::open(path)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::SandboxFolder;

    fn parent(name: &str) -> std::path::PathBuf {
        let parent = std::env::temp_dir().join(format!("cleanup-{name}-{}", std::process::id()));
        fs::create_dir_all(&parent).unwrap();
        parent
    }

    /// Other tests of this process fork; until their child is running it shares every lock.
    fn remove_until_gone(parent: &Path, folder: &Path) {
        for _ in 0..1000 {
            remove_abandoned(parent, &Account::Own).unwrap();
            if !folder.exists() {
                return;
            }
            std::thread::yield_now();
        }
        panic!("{} is still there", folder.display());
    }

    #[test]
    fn only_folders_without_a_holder_are_removed() {
        let parent = parent("holder");
        let account = Account::Own;
        let held = SandboxFolder::create(&parent, &account).unwrap();
        let dead = SandboxFolder::create(&parent, &account).unwrap().path().to_owned();
        remove_until_gone(&parent, &dead);
        assert!(held.path().exists());
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn a_child_with_the_log_open_holds_the_folder() {
        let parent = parent("child");
        let folder = SandboxFolder::create(&parent, &Account::Own).unwrap();
        let path = folder.path().to_owned();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read -r _"])
            .stdin(std::process::Stdio::piped())
            .stderr(folder.log_handle().unwrap())
            .spawn()
            .unwrap();
        drop(folder);
        remove_abandoned(&parent, &Account::Own).unwrap();
        assert!(path.exists());
        drop(child.stdin.take());
        child.wait().unwrap();
        remove_until_gone(&parent, &path);
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn kept_foreign_and_unfinished_folders_stay() {
        let parent = parent("kept");
        let kept = SandboxFolder::create(&parent, &Account::Own).unwrap().path().to_owned();
        fs::write(kept.join(KEEP_FILE), "").unwrap();
        let foreign = parent.join("postgres-sandbox-of-someone");
        fs::create_dir(&foreign).unwrap();
        // It is being made this very moment.
        let unfinished = parent.join("postgres-sandbox-1-2-3.new");
        fs::create_dir(&unfinished).unwrap();
        remove_abandoned(&parent, &Account::Own).unwrap();
        assert!(kept.exists() && foreign.exists() && unfinished.exists());
        fs::remove_dir_all(&parent).unwrap();
    }
}
