//! Rows that the target refuses: whether they are set aside, how many, and what is kept of them.

use serde::{Deserialize, Serialize};

/// What happens to rows that the target refuses. Stored with the plan; what a configuration says
/// later takes its place, because it decides when to stop and not what a good row becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "on_bad_row", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BadRows {
    /// The chunk fails, and nothing of it is written.
    #[default]
    Fail,
    /// The row is set aside, and the rest of its chunk is written.
    Quarantine {
        /// Rows of the table that may be set aside in one run; one more fails its chunk.
        most_rows: u64,
    },
}

impl BadRows {
    /// Whether rows are set aside.
    pub const fn is_quarantine(&self) -> bool {
        matches!(self, Self::Quarantine { .. })
    }

    /// Whether the first bad row fails its chunk.
    pub const fn is_fail(&self) -> bool {
        matches!(self, Self::Fail)
    }
}

/// A row that was set aside. Its `Debug` form leaves the values out.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectedRow {
    /// Its number in the chunk, from 1.
    pub number: u64,
    /// Its key, for people; `None` where nothing names it.
    pub key: Option<String>,
    /// Its values as [`row_to_json`](crate::value::row_to_json) writes them.
    pub values: String,
    /// Stable name of the error.
    pub code: &'static str,
    /// Why it was refused: one line without values.
    pub reason: String,
    /// The database's own code, if the database refused it.
    pub sqlstate: Option<String>,
    /// The target column that it is about, if that is known.
    pub column: Option<String>,
    /// The constraint that it breaks, if that is known.
    pub constraint: Option<String>,
}

impl RejectedRow {
    /// A row with its number in the chunk, from 1, its values, and what is wrong with it.
    pub fn new(number: u64, values: String, error: &crate::Error) -> Self {
        let context = |key| error.context(key).map(ToOwned::to_owned);
        let cause = std::error::Error::source(error).map(ToString::to_string);
        Self {
            number,
            key: None,
            values,
            code: error.code().name(),
            reason: cause.unwrap_or_else(|| error.message().to_owned()),
            sqlstate: context("sqlstate"),
            column: context("column"),
            constraint: context("constraint"),
        }
    }

    /// Names the row.
    #[must_use]
    pub fn with_key(mut self, key: Option<String>) -> Self {
        self.key = key;
        self
    }
}

impl std::fmt::Debug for RejectedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RejectedRow")
            .field("number", &self.number)
            .field("key", &self.key)
            .field("code", &self.code)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, code};

    #[test]
    fn what_is_kept_of_an_error_is_its_innermost_sentence_and_its_names() {
        let error = Error::new(code::VALUE_REFUSED, "PostgreSQL refused the chunk")
            .with("sqlstate", "23514")
            .with("constraint", "positive")
            .with_source("a check constraint does not hold")
            .with_hint("mend it");
        let row = RejectedRow::new(7, r#"{"v":{"text":"canary"}}"#.into(), &error);
        assert_eq!(row.reason, "a check constraint does not hold");
        assert_eq!((row.code, row.constraint.as_deref()), ("value_refused", Some("positive")));
        assert!(!format!("{row:?}").contains("canary"), "{row:?}");
    }
}
