//! What rows are chosen and cut by: a column, or a value that is computed from it.

use std::fmt;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::name::ColumnName;
use crate::value::{Decimal, Scalar};

/// A column and how its values are read.
///
/// ```
/// use migrate_core::{Key, Scalar};
///
/// let key = Key::number_in("code");
/// assert_eq!(key.read(Some("007".into())), Some(Scalar::from(7)));
/// assert_eq!(key.read(Some("n/a".into())), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The column.
    pub column: ColumnName,
    /// What of it.
    #[serde(default, skip_serializing_if = "Reading::is_value")]
    pub read_as: Reading,
}

/// What is read of a column's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reading {
    /// The value itself; texts are ordered by their bytes.
    #[default]
    Value,
    /// The number that a text holds, rounded to a whole one; a text that holds none, or one of more
    /// than 38 digits, reads as NULL.
    Number,
    /// A number from 0 to 2^32 - 1 that scatters the values: the first 8 hexadecimal digits of the
    /// MD5 digest of the value's canonical text, which every system can compute. NULL reads as 0.
    Hash(Canonical),
}

/// Types whose values have one text that all systems agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canonical {
    /// Digits, after a `-` where it is negative.
    Integer,
    /// The text itself.
    Text,
    /// `2024-02-29`.
    Date,
}

impl Reading {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
    fn is_value(&self) -> bool {
        *self == Self::Value
    }
}

impl Key {
    /// The values of a column.
    pub fn column(column: impl Into<ColumnName>) -> Self {
        Self { column: column.into(), read_as: Reading::Value }
    }

    /// The numbers in a text column.
    pub fn number_in(column: impl Into<ColumnName>) -> Self {
        Self { column: column.into(), read_as: Reading::Number }
    }

    /// The hashes of a column's values.
    pub fn hash_of(column: impl Into<ColumnName>, canonical: Canonical) -> Self {
        Self { column: column.into(), read_as: Reading::Hash(canonical) }
    }

    /// Whether the key of a row can be NULL.
    pub const fn can_be_null(&self) -> bool {
        !matches!(self.read_as, Reading::Hash(_))
    }

    /// The key of one value.
    pub fn read(&self, value: Option<Scalar>) -> Option<Scalar> {
        match (self.read_as, value) {
            (Reading::Number, Some(Scalar::Text(text))) => {
                Decimal::whole_number_in(&text).map(Scalar::Number)
            }
            (Reading::Value | Reading::Number, value) => value,
            (Reading::Hash(_), None) => Some(0.into()),
            (Reading::Hash(_), Some(value)) => Some(i64::from(hash(&value)).into()),
        }
    }
}

/// The first 8 hexadecimal digits of a digest are its first 4 bytes.
fn hash(value: &Scalar) -> u32 {
    let digest = match value {
        Scalar::Text(text) => Md5::digest(text),
        other => Md5::digest(other.to_string()),
    };
    digest.iter().take(4).fold(0, |hash, byte| hash << 8 | u32::from(*byte))
}

impl From<ColumnName> for Key {
    fn from(column: ColumnName) -> Self {
        Self::column(column)
    }
}

impl From<&ColumnName> for Key {
    fn from(column: &ColumnName) -> Self {
        Self::column(column.clone())
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl From<&str> for Key {
    fn from(column: &str) -> Self {
        Self::column(column)
    }
}

impl fmt::Display for Key {
    /// For people; SQL is made by [`Key::render`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.read_as {
            Reading::Value => write!(f, "{}", self.column),
            Reading::Number => write!(f, "number({})", self.column),
            Reading::Hash(_) => write!(f, "hash({})", self.column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_start_of_the_md5_of_the_canonical_text() {
        // select substr(md5('1'), 1, 8), substr(md5('2024-02-29'), 1, 8)
        let key = Key::hash_of("k", Canonical::Integer);
        assert_eq!(key.read(Some(1.into())), Some(0xc4ca_4238_i64.into()));
        assert_eq!(key.read(None), Some(0.into()));
        let text = Key::hash_of("k", Canonical::Text).read(Some("2024-02-29".into()));
        let date = Scalar::Date("2024-02-29".parse().expect("date"));
        assert_eq!(Key::hash_of("k", Canonical::Date).read(Some(date)), text);
    }

    #[test]
    fn a_plain_key_is_stored_as_its_column() {
        let json = |key: &Key| serde_json::to_string(key).expect("serializes");
        assert_eq!(json(&"k".into()), r#"{"column":"k"}"#);
        for key in [Key::number_in("k"), Key::hash_of("k", Canonical::Date)] {
            assert_eq!(serde_json::from_str::<Key>(&json(&key)).expect("reads"), key);
        }
    }
}
