//! The one error type of the workspace.
//!
//! Every failure says what failed in the user's words, names the objects it is about, and ends with
//! the next step. The kind tells the engine what to do (see [`ErrorKind::retry`]); the code is the
//! stable name that logs, scripts and state machines match on. Causes stay in
//! [`source`](std::error::Error::source) and are printed once, by [`Error::report`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::code::ErrorCode;

/// Shorthand for results of this workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any cause that can travel between threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What kind of failure this is, cut by what the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration or a call's arguments are wrong. Fix the set-up.
    Config,
    /// Credentials were refused or a right is missing. Fix the set-up.
    Auth,
    /// A named database, schema, table or column does not exist. Fix the set-up.
    NotFound,
    /// Source and target do not fit together. Fix the set-up.
    SchemaMismatch,
    /// A feature that this connector or version does not have. Fix the set-up.
    Unsupported,
    /// A value that the target refuses. Fix the rows.
    DataInvalid,
    /// The rows or another run stand in the way: duplicate keys, a busy target. Decide, then retry.
    Conflict,
    /// The network or the server went away.
    Connection,
    /// An answer did not come in time.
    Timeout,
    /// The other side asked to slow down.
    Throttled,
    /// The other side is out of memory, disk or connections.
    ResourceExhausted,
    /// Another worker owns the chunk now.
    LeaseLost,
    /// The caller asked to stop.
    Cancelled,
    /// The time budget of the run is used up.
    DeadlineExceeded,
    /// A broken invariant: a bug in this program.
    Internal,
}

/// What the engine does with a chunk that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Repeating cannot help.
    Never,
    /// Repeat the whole chunk after a delay; counts as an attempt.
    AfterDelay,
    /// Give the chunk back; no attempt is used up.
    GiveBack,
}

impl ErrorKind {
    /// The one retry table of the workspace: connectors classify, only the engine repeats.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Connection | Self::Timeout | Self::Throttled | Self::ResourceExhausted => {
                Retry::AfterDelay
            }
            Self::LeaseLost | Self::Cancelled | Self::DeadlineExceeded => Retry::GiveBack,
            Self::Config
            | Self::Auth
            | Self::NotFound
            | Self::SchemaMismatch
            | Self::Unsupported
            | Self::DataInvalid
            | Self::Conflict
            | Self::Internal => Retry::Never,
        }
    }
}

/// A failure: `message (key=value, …); fix: hint`. The cause is in `source()`, never in the text.
///
/// ```
/// use migrate_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "Column \"payer_id\" not found")
///     .with("table", "analytics.dimpayer")
///     .with_hint("use the exact case, did you mean \"Payer Id\"?");
/// assert_eq!(
///     error.to_string(),
///     "Column \"payer_id\" not found (table=analytics.dimpayer); \
///      fix: use the exact case, did you mean \"Payer Id\"?"
/// );
/// ```
pub struct Error(Box<Repr>);

struct Repr {
    code: ErrorCode,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    hint: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

impl Error {
    /// Starts an error from a [code](crate::code) or, where no code of its own exists, from a kind.
    ///
    /// The message starts with a capital letter, has no full stop and says what failed.
    pub fn new(code: impl Into<ErrorCode>, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Repr {
            code: code.into(),
            message: message.into(),
            context: Vec::new(),
            hint: None,
            retry_after: None,
            source: None,
        }))
    }

    /// Adds one fact: `run`, `table`, `chunk`, `column`, `attempt`, `query_id`.
    ///
    /// The first value of a key wins, so an outer layer can add what an inner one may have said.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        if self.0.context.iter().all(|(known, _)| *known != key) {
            self.0.context.push((key, value.to_string()));
        }
        self
    }

    /// Says what to do next, in words that can be followed by copying them.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Passes on how long the other side asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Keeps the cause. It must not carry secrets: [`Error::report`] prints it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind, which decides what happens next.
    pub fn kind(&self) -> ErrorKind {
        self.0.code.kind()
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What failed, without context and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The value of one context key.
    pub fn context(&self, key: &str) -> Option<&str> {
        self.0.context.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    /// The next step.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long the other side asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// One line for people: message, context, the chain of causes, and last the next step.
    pub fn report(&self) -> Report<'_> {
        Report(self)
    }

    fn fmt_facts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (position, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key}={value}", if position == 0 { " (" } else { ", " })?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }

    fn fmt_hint(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.hint {
            Some(hint) => write!(f, "; fix: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_facts(f)?;
        self.fmt_hint(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code.name())
            .field("kind", &self.kind())
            .field("text", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An error with its causes on one line; see [`Error::report`].
#[derive(Debug)]
pub struct Report<'a>(&'a Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_facts(f)?;
        let mut said = self.0.0.message.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            // Many libraries repeat their cause in their own text; say each thing once.
            let text = one_line(&error.to_string());
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said.push_str(&text);
            }
            cause = error.source();
        }
        self.0.fmt_hint(f)
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_says_each_cause_once_and_ends_with_the_next_step() {
        let inner = Error::new(ErrorKind::Connection, "Connection refused");
        let middle = std::io::Error::other(format!("dial failed: {inner}"));
        let error = Error::new(ErrorKind::Connection, "Cannot reach PostgreSQL")
            .with("host", "db1")
            .with_source(middle)
            .with_hint("start the server");
        assert_eq!(
            error.report().to_string(),
            "Cannot reach PostgreSQL (host=db1): dial failed: Connection refused; \
             fix: start the server"
        );
    }

    #[test]
    fn the_innermost_fact_wins() {
        let error = Error::new(ErrorKind::Internal, "Broken").with("chunk", 3).with("chunk", 4);
        assert_eq!(error.context("chunk"), Some("3"));
    }

    #[test]
    fn only_what_can_heal_by_itself_is_repeated() {
        assert_eq!(ErrorKind::Connection.retry(), Retry::AfterDelay);
        assert_eq!(ErrorKind::LeaseLost.retry(), Retry::GiveBack);
        assert_eq!(ErrorKind::DataInvalid.retry(), Retry::Never);
        assert_eq!(ErrorKind::Auth.retry(), Retry::Never);
    }
}
