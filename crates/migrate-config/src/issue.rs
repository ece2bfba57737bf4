//! What is wrong with a configuration, and where: all of it at once, never one at a time.

use std::error::Error as StdError;
use std::fmt;

use migrate_core::{Error, ErrorKind};
use serde::Serialize;

/// Stands for a value that must not be shown.
pub const MASK: &str = "***";

/// How much an issue matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and something in it is probably not meant so.
    Warning,
    /// It can be used; a fact worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One finding: what is wrong, where it stands, and what to do about it.
///
/// Neither message nor hint carries a secret, and `value` is [`MASK`] wherever the key is secret or
/// the value came through `${}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigIssue {
    /// How much it matters.
    pub severity: Severity,
    /// The file as the caller named it: the configuration or the environment file.
    pub file: String,
    /// Path of the key, such as `sources[0].tables[3].uniqueness_columns[0]`; empty for the file.
    pub path: String,
    /// Line from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// Column from 1, counted in characters; `None` for a whole line or file.
    pub column: Option<usize>,
    /// What is wrong: a capital letter first, no full stop.
    pub message: String,
    /// The value as written; [`MASK`] for what must not be shown.
    pub value: Option<String>,
    /// What to do, in words that can be followed by copying them.
    pub hint: Option<String>,
}

impl ConfigIssue {
    /// A finding about a whole file; the `with_*` functions say more.
    pub(crate) fn new(
        severity: Severity,
        file: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            file: file.into(),
            path: String::new(),
            line: None,
            column: None,
            message: message.into(),
            value: None,
            hint: None,
        }
    }

    pub(crate) fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    pub(crate) fn with_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn with_column(mut self, column: usize) -> Self {
        self.column = Some(column);
        self
    }

    pub(crate) fn with_value(mut self, value: Option<String>) -> Self {
        self.value = value;
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `config.json:12:3`, a form that terminals and editors can follow.
    pub fn location(&self) -> String {
        let parts = [self.line, self.column].into_iter().flatten();
        parts.fold(self.file.clone(), |text, number| format!("{text}:{number}"))
    }
}

impl fmt::Display for ConfigIssue {
    /// `config.json:12:3: sources[0].type: Message (value=…); fix: hint`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(value) = &self.value {
            write!(f, " (value={value})")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; fix: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a configuration cannot be used: every mistake that was found, and the warnings beside them.
///
/// Converts into a [`migrate_core::Error`] of kind [`ErrorKind::Config`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigErrors {
    issues: Vec<ConfigIssue>,
}

impl ConfigErrors {
    /// Takes issues of which at least one is an error.
    pub(crate) fn new(issues: Vec<ConfigIssue>) -> Self {
        Self { issues: in_order(issues) }
    }

    /// All findings: errors first, each group in the order of the file.
    pub fn issues(&self) -> &[ConfigIssue] {
        &self.issues
    }

    /// The findings that make the configuration unusable.
    pub fn errors(&self) -> impl Iterator<Item = &ConfigIssue> {
        self.issues.iter().filter(|issue| issue.severity == Severity::Error)
    }
}

/// Errors first, then warnings, then notes, each in the order of the file.
pub(crate) fn in_order(mut issues: Vec<ConfigIssue>) -> Vec<ConfigIssue> {
    issues.sort_by_key(|issue| (issue.severity, issue.line, issue.column));
    issues
}

impl From<ConfigIssue> for ConfigErrors {
    fn from(issue: ConfigIssue) -> Self {
        Self::new(vec![issue])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors().count() {
            1 => f.write_str("The configuration has a mistake")?,
            count => write!(f, "The configuration has {count} mistakes")?,
        }
        for issue in &self.issues {
            match issue.severity {
                Severity::Error => write!(f, "\n  {issue}")?,
                other => write!(f, "\n  {other}: {issue}")?,
            }
        }
        Ok(())
    }
}

impl StdError for ConfigErrors {}

impl From<ConfigErrors> for Error {
    /// One mistake becomes an error with its facts and its hint; more become one line each, every
    /// line with its own hint. Warnings stand beside several mistakes only: beside a single one they
    /// wait until it is mended.
    fn from(errors: ConfigErrors) -> Self {
        let mut mistakes = errors.errors();
        let (Some(issue), None) = (mistakes.next(), mistakes.next()) else {
            return Self::new(ErrorKind::Config, errors.to_string());
        };
        let mut error = Self::new(ErrorKind::Config, issue.message.clone());
        if !issue.path.is_empty() {
            error = error.with("path", &issue.path);
        }
        error = error.with("at", issue.location());
        if let Some(value) = &issue.value {
            error = error.with("value", value);
        }
        match &issue.hint {
            Some(hint) => error.with_hint(hint.clone()),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(severity: Severity, line: usize, message: &str) -> ConfigIssue {
        ConfigIssue::new(severity, "config.json", message)
            .with_path("postgres.port")
            .with_line(line)
            .with_column(5)
            .with_value(Some("x".into()))
            .with_hint("use a number")
    }

    #[test]
    fn one_mistake_becomes_an_error_with_facts_and_hint() {
        let error = Error::from(ConfigErrors::from(issue(Severity::Error, 3, "Expected a number")));
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "Expected a number (path=postgres.port, at=config.json:3:5, value=x); fix: use a number"
        );
    }

    #[test]
    fn many_mistakes_are_listed_one_per_line_in_file_order_and_warnings_last() {
        let errors = ConfigErrors::new(vec![
            issue(Severity::Warning, 1, "Odd"),
            issue(Severity::Error, 9, "Second"),
            issue(Severity::Error, 3, "First"),
        ]);
        assert_eq!(
            Error::from(errors).to_string(),
            "The configuration has 2 mistakes\
             \n  config.json:3:5: postgres.port: First (value=x); fix: use a number\
             \n  config.json:9:5: postgres.port: Second (value=x); fix: use a number\
             \n  warning: config.json:1:5: postgres.port: Odd (value=x); fix: use a number"
        );
    }
}
