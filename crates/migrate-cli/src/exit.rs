//! Exit codes; see docs/exit-codes.md.

use std::process::ExitCode;

use migrate_core::{Error, ErrorKind, Outcome};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is done and proved.
    Completed = 0,
    /// Something failed; what is committed stays.
    Failed = 1,
    /// Wrong configuration.
    Config = 3,
    /// A server could not be reached, or refused.
    Connection = 4,
    /// Stopped cleanly; the same command goes on.
    Paused = 5,
    /// Done, but rows were set aside.
    CompletedWithRejects = 7,
    /// Ended at once, at the second Ctrl-C; 128 + SIGINT, as shells say.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::CompletedWithRejects => Self::CompletedWithRejects,
            Outcome::Paused => Self::Paused,
            _ => Self::Failed,
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Config | ErrorKind::Unsupported => Self::Config,
            ErrorKind::Auth
            | ErrorKind::Connection
            | ErrorKind::Timeout
            | ErrorKind::Throttled
            | ErrorKind::ResourceExhausted
            | ErrorKind::NotFound => Self::Connection,
            ErrorKind::Cancelled | ErrorKind::DeadlineExceeded => Self::Paused,
            _ => Self::Failed,
        }
    }
}
