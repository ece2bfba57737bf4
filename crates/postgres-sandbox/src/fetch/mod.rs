//! Fetches a server through the system's package manager, without installing it.
//!
//! Only Debian's tools are driven: they unpack into any folder and need no rights. Elsewhere the
//! error at the end of the search names the command to type. Nothing outside the cache is
//! changed, but for root's package lists when they are empty.

mod apt;
mod cache;
mod closure;

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Instant;

pub(crate) use cache::Cache;

use crate::account::Account;
use crate::error::Error;
use crate::probe;
use crate::step::{Journal, Step};
use crate::system::System;
use crate::version::Version;

/// Why nothing was fetched, in the user's words; it becomes a step of the search.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Impossible(String),
    #[error("{program} failed: {answer}")]
    Program { program: String, answer: String },
    #[error(transparent)]
    Sandbox(#[from] Error),
}

/// Fetches a server into the cache, unless another process does so at the same time.
pub(crate) fn fetch(
    cache: &Cache,
    system: &System,
    account: &Account,
    journal: &mut Journal<'_>,
) -> Option<(PathBuf, Version)> {
    match try_fetch(cache, system, account, journal) {
        Ok(found) => Some(found),
        Err(error) => {
            journal.note(Step::NotFetched { reason: with_cause(&error) });
            None
        }
    }
}

fn try_fetch(
    cache: &Cache,
    system: &System,
    account: &Account,
    journal: &mut Journal<'_>,
) -> Result<(PathBuf, Version), FetchError> {
    apt::check()?;
    cache.create(account)?;
    let lock = cache.lock(journal)?;
    // Whoever held the lock may have fetched what is wanted.
    if let Some(found) = cache.find(system, account, journal) {
        return Ok(found);
    }
    let start = Instant::now();
    remove_unfinished(cache.folder());
    let work = cache.folder().join(format!("{UNFINISHED_PREFIX}{}", process::id()));
    make_empty(&work)?;
    let fetched = apt::fetch(&work, cache.folder(), &system.cache_prefix(), journal);
    let removed = remove(&work);
    let (package, entry) = fetched?;
    removed?;
    let folder = entry.join(cache::PROGRAM_FOLDER);
    let version = probe::probe(&folder, account).map_err(FetchError::Impossible)?;
    journal.note(Step::Fetched { package, elapsed: start.elapsed() });
    drop(lock);
    Ok((folder, version))
}

/// Folders of this name are a fetch at work; only the holder of the lock may have one.
const UNFINISHED_PREFIX: &str = "unfinished-";

fn remove_unfinished(cache: &Path) {
    // The cache was just made; if it cannot be listed, the fetch itself will say so.
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries {
        let is_unfinished =
            entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED_PREFIX));
        if is_unfinished && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(folder = %entry.path().display(), %error, "an unfinished fetch stays");
        }
    }
}

fn make_empty(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder, "free some disk space"))
}

fn remove(folder: &Path) -> Result<(), Error> {
    fs::remove_dir_all(folder).map_err(Error::io("remove", folder, "remove it by hand"))
}

/// The message with those of its causes: a step is text and has no source.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
