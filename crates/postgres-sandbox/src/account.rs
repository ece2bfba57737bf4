//! The account that runs the server.
//!
//! PostgreSQL refuses to run as root, so root gives its server to an account without rights. An
//! ordinary user runs the server as itself. Nothing here changes accounts.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::error::Error;

/// Where accounts are looked up. Accounts of a directory service do not count: the two that are
/// asked for are local on every system.
pub(crate) const PASSWD: &str = "/etc/passwd";
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// Who runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of this process.
    Own,
    /// This process is root and hands the server to another account.
    Other { name: String, user_id: u32, group_id: u32 },
}

impl Account {
    /// Chooses the account for this process.
    pub(crate) fn for_server() -> Result<Self, Error> {
        if !is_root()? {
            return Ok(Self::Own);
        }
        let passwd = fs::read_to_string(PASSWD).map_err(Error::io(
            "read",
            Path::new(PASSWD),
            "make the file readable or run as an ordinary user",
        ))?;
        NAMES.iter().find_map(|name| Self::in_passwd(&passwd, name)).ok_or(Error::NoAccount)
    }

    /// The account of that name in the text of a `passwd` file.
    fn in_passwd(passwd: &str, wanted: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| *name == wanted)?;
            // An entry with ids that are no numbers cannot be used; the next name is tried.
            let user_id = fields.nth(1)?.parse().ok().filter(|id| *id != 0)?;
            let group_id = fields.next()?.parse().ok()?;
            Some(Self::Other { name: name.to_owned(), user_id, group_id })
        })
    }

    /// Makes the command run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Self::Other { user_id, group_id, .. } = self {
            command.uid(*user_id).gid(*group_id);
        }
    }

    /// Gives a file or folder to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        let Self::Other { user_id, group_id, .. } = self else { return Ok(()) };
        chown(path, Some(*user_id), Some(*group_id)).map_err(Error::io(
            "change the owner of",
            path,
            "choose a folder on a local file system",
        ))
    }

    /// Whether files of this user may be files of a server that this process started.
    pub(crate) fn may_own(&self, user_id: u32, own_id: u32) -> bool {
        match self {
            Self::Own => user_id == own_id,
            Self::Other { user_id: other, .. } => user_id == own_id || user_id == *other,
        }
    }

    /// Whether this account can enter the folder, or the nearest existing one above it. Access
    /// lists and further groups are not looked at.
    pub(crate) fn can_reach(&self, path: &Path) -> bool {
        let Self::Other { user_id, group_id, .. } = self else { return true };
        path.ancestors().filter_map(|folder| fs::metadata(folder).ok()).all(|metadata| {
            let bit = if metadata.uid() == *user_id {
                0o100
            } else if metadata.gid() == *group_id {
                0o010
            } else {
                0o001
            };
            metadata.mode() & bit != 0
        })
    }

    /// Fails unless this account can enter the folder.
    pub(crate) fn reach(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Other { name, .. } if !self.can_reach(path) => {
                Err(Error::Unreachable { account: name.clone(), path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// Whether this process has root's rights.
pub(crate) fn is_root() -> Result<bool, Error> {
    Ok(own_id()? == 0)
}

/// The user id of this process. The standard library cannot tell; POSIX `id` can.
pub(crate) fn own_id() -> Result<u32, Error> {
    static OWN_ID: OnceLock<u32> = OnceLock::new();
    if let Some(id) = OWN_ID.get() {
        return Ok(*id);
    }
    let failed = || Error::io("run", Path::new("id"), "check that PATH holds the system's folders");
    let output = Command::new("id").arg("-u").output().map_err(failed())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let id = text.trim().parse().map_err(|_| failed()(std::io::Error::other("not a number")))?;
    Ok(*OWN_ID.get_or_init(|| id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n\
        postgres2:x:7:7::/:/bin/sh\n";

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let nobody = Account::Other { name: "nobody".to_owned(), user_id: 65534, group_id: 65533 };
        assert_eq!(Account::in_passwd(EXAMPLE, "nobody"), Some(nobody));
        assert_eq!(Account::in_passwd(EXAMPLE, "postgres"), None);
    }

    #[test]
    fn root_is_never_the_account_of_the_server() {
        assert_eq!(Account::in_passwd(EXAMPLE, "root"), None);
    }

    #[test]
    fn an_ordinary_user_reaches_what_it_reaches() {
        assert!(Account::Own.can_reach(Path::new("/root/anything")));
    }
}
