//! What the user decides where a target cannot hold a value as it is.
//!
//! A policy is decided once, stored with the plan and honoured by the sink's encoder. Nothing here
//! applies to a value that the target can hold unchanged.

use serde::{Deserialize, Serialize};

/// The choices for the values of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ValuePolicy {
    /// Digits of a second that the target does not keep; `None` truncates what no column of the
    /// target keeps (beyond microseconds in PostgreSQL) and refuses what only this column drops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_fraction: Option<OnFraction>,
    /// U+0000 in texts.
    pub on_nul: OnNul,
    /// `NaN`, infinities and `undefined` where the target wants JSON.
    pub on_nonjson: OnNonjson,
    /// Whether another column of the target keeps the offsets of these times.
    pub offset_is_kept: bool,
}

impl ValuePolicy {
    /// Whether nothing was decided.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Digits of a second that the target does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFraction {
    /// They are cut.
    Truncate,
    /// The time is rounded, half up.
    Round,
    /// The value is refused.
    Reject,
}

/// U+0000, which PostgreSQL keeps in no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnNul {
    /// The value is refused.
    #[default]
    Reject,
    /// The character is left out.
    Remove,
    /// U+FFFD takes its place.
    Replace,
}

/// What semi-structured values of Snowflake may hold and JSON has no word for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnNonjson {
    /// The value is refused.
    #[default]
    Reject,
    /// JSON's `null` takes its place.
    Null,
    /// Its name as a JSON text takes its place.
    Text,
}

/// Which part of a source value a target column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ValuePart {
    /// All of it.
    #[default]
    Whole,
    /// The offset from UTC of a timestamp that has one.
    Offset,
}

impl ValuePart {
    /// Whether it is all of the value.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}
