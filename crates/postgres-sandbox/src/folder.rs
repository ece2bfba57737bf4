//! The private folder of one server.
//!
//! Its log file is locked for as long as anything of the server lives: this process, the shell
//! that guards the server, and the server itself share the lock, because each inherits the open
//! file. A folder whose log can be locked belongs to nobody any more; `cleanup` removes those.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::Account;
use crate::error::Error;

/// Start of the name of every sandbox folder.
pub(crate) const NAME_PREFIX: &str = "postgres-sandbox-";
/// The log of the server, also the file that is locked while anything of it lives.
pub(crate) const LOG_FILE: &str = "server.log";
/// A folder with this file stays when its server has ended.
pub(crate) const KEEP_FILE: &str = "keep";

/// A folder that is still being made has this ending, so that a cleanup does not take it for one
/// whose server is dead.
pub(crate) const UNFINISHED_EXTENSION: &str = "new";
/// Where the log is cut for an error message.
const LOG_TAIL_LINES: usize = 20;
const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// A folder that only the server's account may enter.
#[derive(Debug)]
pub(crate) struct SandboxFolder {
    path: PathBuf,
    log: File,
}

impl SandboxFolder {
    /// Makes a folder with a new name and locks its log.
    pub(crate) fn create(parent: &Path, account: &Account) -> Result<Self, Error> {
        fs::create_dir_all(parent).map_err(Error::io("create", parent, "choose another folder"))?;
        account.reach(parent)?;
        let path = parent.join(new_name());
        let unfinished = path.with_added_extension(UNFINISHED_EXTENSION);
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(Error::io(
            "create",
            &unfinished,
            "choose a folder that may be written to",
        ))?;
        let log = create_log(&unfinished.join(LOG_FILE))?;
        account.own(&unfinished.join(LOG_FILE))?;
        account.own(&unfinished)?;
        fs::rename(&unfinished, &path).map_err(Error::io("rename", &unfinished, "try again"))?;
        Ok(Self { path, log })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A handle on the log that shares the lock, for the output of a child.
    pub(crate) fn log_handle(&self) -> Result<File, Error> {
        self.log.try_clone().map_err(Error::io(
            "open",
            &self.file(LOG_FILE),
            "raise the limit of open files",
        ))
    }

    /// Writes a file that only the server's account may read.
    pub(crate) fn write(&self, name: &str, content: &[u8], account: &Account) -> Result<(), Error> {
        let path = self.file(name);
        let failed = || Error::io("write", &path, "free some disk space");
        fs::write(&path, content).map_err(failed())?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed())?;
        account.own(&path)
    }

    /// Length of the log in bytes; output of the next start comes after it.
    pub(crate) fn log_length(&self) -> u64 {
        // Without a length the whole log counts as new, which only makes a message longer.
        self.log.metadata().map(|metadata| metadata.len()).unwrap_or_default()
    }

    /// The last lines that were logged after the given length.
    pub(crate) fn log_tail(&self, since: u64) -> String {
        match read_tail(&self.file(LOG_FILE), since) {
            Ok(text) if text.trim().is_empty() => "(the log is empty)".to_owned(),
            Ok(text) => text,
            Err(error) => format!("(the log cannot be read: {error})"),
        }
    }

    /// Removes the folder and all that is in it; one that is gone already is fine.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", &self.path, "remove it by hand")(error))
            }
            _ => Ok(()),
        }
    }
}

fn create_log(path: &Path) -> Result<File, Error> {
    let failed = || Error::io("create", path, "choose a folder on a local file system");
    let log =
        OpenOptions::new().create_new(true).append(true).mode(0o600).open(path).map_err(failed())?;
    log.lock().map_err(failed())?;
    Ok(log)
}

/// A name that no other folder of this machine has: process, moment and a counter.
fn new_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{NAME_PREFIX}{}-{:x}-{count}", process::id(), moment.as_micros())
}

fn read_tail(path: &Path, since: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(since.max(length.saturating_sub(LOG_TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
    Ok(tail.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_holds_only_the_last_new_lines() {
        let path = std::env::temp_dir().join(new_name());
        let text: String = (0..30)
            .flat_map(|line| ["line ".to_owned(), line.to_string(), "\n".to_owned()])
            .collect();
        fs::write(&path, &text).unwrap();
        let tail = read_tail(&path, 0).unwrap();
        assert!(tail.starts_with("line 10\n") && tail.ends_with("line 29"), "{tail}");
        assert_eq!(read_tail(&path, text.len() as u64).unwrap(), "");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn two_names_are_never_equal() {
        assert_ne!(new_name(), new_name());
    }
}
