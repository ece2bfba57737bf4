//! The environment variables that steer this crate.
//!
//! They are read here and nowhere else, so that the rest works on plain values. Variables of the
//! product itself are none of this crate's business.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Tests use the server at this URL instead of starting one.
pub(crate) const TEST_DATABASE_URL: &str = "MIGRATE_TEST_DATABASE_URL";
/// `1` makes the search pass over installed servers.
pub(crate) const IGNORE_INSTALLED: &str = "POSTGRES_SANDBOX_IGNORE_INSTALLED";
/// Folder with the server programs, looked at first.
pub(crate) const PROGRAM_FOLDER: &str = "PGBIN";

/// What the search needs to know about the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) program_folder: Option<PathBuf>,
    pub(crate) search_path: Vec<PathBuf>,
    pub(crate) cache_home: Option<PathBuf>,
    pub(crate) ignores_installed: bool,
}

impl Environment {
    /// Reads the variables of this process.
    pub(crate) fn read() -> Self {
        let search_path = variable("PATH").map(|path| env::split_paths(&path).collect());
        Self {
            program_folder: variable(PROGRAM_FOLDER).map(PathBuf::from),
            search_path: search_path.unwrap_or_default(),
            cache_home: cache_home(variable("XDG_CACHE_HOME"), variable("HOME")),
            ignores_installed: variable(IGNORE_INSTALLED).is_some_and(|value| value != "0"),
        }
    }
}

/// The server that tests are told to use; a URL may hold a password, so it is not kept in
/// [`Environment`], which can be printed.
pub(crate) fn test_database_url() -> Option<String> {
    // A value that is not UTF-8 is no URL; the lossy text makes the connection error show it.
    variable(TEST_DATABASE_URL).map(|url| url.to_string_lossy().into_owned())
}

/// The folder for caches after the XDG Base Directory Specification, which demands absolute paths.
fn cache_home(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    xdg.map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| PathBuf::from(home).join(".cache")))
}

#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads variables")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_xdg_and_falls_back_to_home() {
        let home = || Some(OsString::from("/home/ada"));
        assert_eq!(cache_home(Some("/c".into()), home()), Some(PathBuf::from("/c")));
        assert_eq!(cache_home(Some("c".into()), home()), Some("/home/ada/.cache".into()));
        assert_eq!(cache_home(None, home()), Some("/home/ada/.cache".into()));
        assert_eq!(cache_home(None, None), None);
    }
}
