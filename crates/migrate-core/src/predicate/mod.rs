//! Which rows: a closed, typed tree instead of SQL text.
//!
//! Any source can run a predicate or refuse it, it can be evaluated on a batch, and it is stored
//! with the plan as readable JSON. Raw SQL exists only for the user's own filter.

mod evaluate;
mod render;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::key::Key;
use crate::name::ColumnName;
use crate::value::Scalar;

/// A condition on rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Predicate {
    /// Every row.
    All,
    /// `lower <= key < upper`; a missing bound is open. Never matches NULL.
    Range {
        /// What is compared.
        #[serde(flatten)]
        key: Key,
        /// First value inside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lower: Option<Scalar>,
        /// First value outside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upper: Option<Scalar>,
    },
    /// `column > value`. Never matches NULL.
    Above {
        /// The column.
        column: ColumnName,
        /// The last value outside.
        value: Scalar,
    },
    /// `column <= value`. Never matches NULL.
    AtMost {
        /// The column.
        column: ColumnName,
        /// The last value inside.
        value: Scalar,
    },
    /// The column equals one of the values. Never matches NULL.
    In {
        /// The column.
        column: ColumnName,
        /// The values; none matches no row.
        values: Vec<Scalar>,
    },
    /// The key is NULL.
    IsNull {
        /// What is looked at.
        #[serde(flatten)]
        key: Key,
    },
    /// All terms hold; no terms hold for every row.
    And {
        /// The terms.
        terms: Vec<Predicate>,
    },
    /// One term holds; no terms hold for no row.
    Or {
        /// The terms.
        terms: Vec<Predicate>,
    },
    /// A condition that the user wrote. Sources of another dialect refuse it.
    Raw {
        /// In which dialect.
        dialect: Dialect,
        /// The text, checked by [`check_filter`](crate::check_filter) before it gets here.
        sql: String,
    },
}

impl Predicate {
    /// `lower <= key < upper`.
    pub fn range(key: impl Into<Key>, lower: Option<Scalar>, upper: Option<Scalar>) -> Self {
        Self::Range { key: key.into(), lower, upper }
    }

    /// The key is NULL.
    pub fn is_null(key: impl Into<Key>) -> Self {
        Self::IsNull { key: key.into() }
    }

    /// Cuts the whole key space at ascending `cuts`: the parts are disjoint and complete, and rows
    /// with a NULL key belong to the first part. Every strategy that cuts by value goes through here
    /// or through [`partition_nulls_apart`](Self::partition_nulls_apart).
    ///
    /// Half-open ranges with open outer ends leave no gap for a fractional key, a value beyond every
    /// bound that was known, or NULL.
    pub fn partition(key: impl Into<Key>, cuts: &[Scalar]) -> Vec<Self> {
        let mut parts = Self::partition_nulls_apart(key, cuts);
        let nulls = parts.remove(0);
        match parts.first_mut() {
            Some(Self::Range { lower: None, upper: None, .. }) => vec![Self::All],
            Some(Self::Range { key, .. }) if !key.can_be_null() => parts,
            Some(first) => {
                let range = std::mem::replace(first, Self::All);
                *first = Self::Or { terms: vec![range, nulls] };
                parts
            }
            None => parts,
        }
    }

    /// The same, with rows with a NULL key in a part of their own before the others.
    pub fn partition_nulls_apart(key: impl Into<Key>, cuts: &[Scalar]) -> Vec<Self> {
        let key = key.into();
        let lowers = std::iter::once(None).chain(cuts.iter().cloned().map(Some));
        let uppers = cuts.iter().cloned().map(Some).chain(std::iter::once(None));
        let ranges = lowers.zip(uppers).map(|(lower, upper)| Self::range(&key, lower, upper));
        std::iter::once(Self::is_null(&key)).chain(ranges).collect()
    }

    /// Both conditions; `All` disappears.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, predicate) | (predicate, Self::All) => predicate,
            (Self::And { mut terms }, predicate) => {
                terms.push(predicate);
                Self::And { terms }
            }
            (left, right) => Self::And { terms: vec![left, right] },
        }
    }

    /// The columns that the typed parts name. A raw part may name more.
    pub fn columns(&self) -> Vec<&ColumnName> {
        let mut columns = Vec::new();
        self.collect_columns(&mut columns);
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The first raw part, for sources that cannot run one.
    pub fn raw_part(&self) -> Option<(Dialect, &str)> {
        match self {
            Self::Raw { dialect, sql } => Some((*dialect, sql)),
            Self::And { terms } | Self::Or { terms } => terms.iter().find_map(Self::raw_part),
            _ => None,
        }
    }

    fn collect_columns<'a>(&'a self, into: &mut Vec<&'a ColumnName>) {
        match self {
            Self::Range { key, .. } | Self::IsNull { key } => into.push(&key.column),
            Self::Above { column, .. } | Self::AtMost { column, .. } | Self::In { column, .. } => {
                into.push(column);
            }
            Self::And { terms } | Self::Or { terms } => {
                for term in terms {
                    term.collect_columns(into);
                }
            }
            Self::All | Self::Raw { .. } => {}
        }
    }
}

impl fmt::Display for Predicate {
    /// For people: plans and errors. Statements are made by [`Predicate::render`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all rows"),
            Self::Range { key, lower: Some(lower), upper: Some(upper) } => {
                write!(f, "{lower} <= {key} < {upper}")
            }
            Self::Range { key, lower: Some(lower), upper: None } => write!(f, "{key} >= {lower}"),
            Self::Range { key, lower: None, upper: Some(upper) } => write!(f, "{key} < {upper}"),
            Self::Range { key, lower: None, upper: None } => write!(f, "{key} is not null"),
            Self::Above { column, value } => write!(f, "{column} > {value}"),
            Self::AtMost { column, value } => write!(f, "{column} <= {value}"),
            Self::In { column, values } => {
                write!(f, "{column} in ")?;
                write_list(f, values, ", ")
            }
            Self::IsNull { key } => write!(f, "{key} is null"),
            Self::And { terms } => write_list(f, terms, " and "),
            Self::Or { terms } => write_list(f, terms, " or "),
            Self::Raw { sql, .. } => write!(f, "({sql})"),
        }
    }
}

fn write_list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], by: &str) -> fmt::Result {
    f.write_str("(")?;
    for (position, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if position == 0 { "" } else { by })?;
    }
    f.write_str(")")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ColumnName {
        "k".into()
    }

    #[test]
    fn parts_are_half_open_and_null_keys_belong_to_the_first() {
        let parts = Predicate::partition(key(), &[10.into(), 20.into()]);
        let texts: Vec<_> = parts.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["(\"k\" < 10 or \"k\" is null)", "10 <= \"k\" < 20", "\"k\" >= 20"]);
        assert_eq!(Predicate::partition(key(), &[]), [Predicate::All]);
    }

    #[test]
    fn a_hash_is_never_null() {
        let parts = Predicate::partition(Key::hash_of("k", crate::Canonical::Text), &[7.into()]);
        let texts: Vec<_> = parts.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["hash(\"k\") < 7", "hash(\"k\") >= 7"]);
    }

    #[test]
    fn null_keys_can_have_a_part_of_their_own() {
        let texts = |cuts: &[Scalar]| -> Vec<String> {
            let parts = Predicate::partition_nulls_apart(Key::number_in("k"), cuts);
            parts.iter().map(ToString::to_string).collect()
        };
        let with_cut = ["number(\"k\") is null", "number(\"k\") < 10", "number(\"k\") >= 10"];
        assert_eq!(texts(&[10.into()]), with_cut);
        assert_eq!(texts(&[]), ["number(\"k\") is null", "number(\"k\") is not null"]);
    }

    #[test]
    fn a_range_is_stored_with_its_column_beside_its_bounds() {
        let range = Predicate::range(key(), Some(1.into()), None);
        let json = serde_json::to_string(&range).expect("serializes");
        assert_eq!(json, r#"{"op":"range","column":"k","lower":{"number":"1"}}"#);
        let hashed = Predicate::range(Key::hash_of("k", crate::Canonical::Text), None, None);
        let json = serde_json::to_string(&hashed).expect("serializes");
        assert_eq!(serde_json::from_str::<Predicate>(&json).expect(&json), hashed);
    }

    #[test]
    fn json_round_trips() {
        let predicate = Predicate::Or { terms: Predicate::partition(key(), &["a'b".into()]) }
            .and(Predicate::In { column: key(), values: vec![Scalar::Bool(true)] })
            .and(Predicate::Raw { dialect: Dialect::Snowflake, sql: "\"x\" = 1".into() });
        let json = serde_json::to_string(&predicate).expect("serializes");
        assert_eq!(serde_json::from_str::<Predicate>(&json).expect("reads"), predicate);
    }

    #[test]
    fn all_disappears_in_a_conjunction() {
        let null = Predicate::is_null(key());
        assert_eq!(Predicate::All.and(null.clone()), null);
        assert_eq!(null.clone().and(Predicate::All), null);
        assert_eq!(null.columns(), [&key()]);
    }
}
