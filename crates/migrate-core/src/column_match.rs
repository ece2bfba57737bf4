//! Which source column goes into which target column: by exact name or by an explicit mapping.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::code;
use crate::column_type::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::name::ColumnName;
use crate::schema::{Column, Fill, TableSchema};
use crate::suggest::closest;

/// One column on its way from source to target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnPair {
    /// Name in the source.
    pub source: ColumnName,
    /// Name in the target.
    pub target: ColumnName,
    /// What it holds; rows travel in the [Arrow form](ColumnType::arrow) of this type.
    #[serde(flatten)]
    pub column_type: ColumnType,
}

/// The columns of a load, and those that stay behind on either side.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnMatch {
    /// Columns that are copied, in target order.
    pub pairs: Vec<ColumnPair>,
    /// Source columns without a counterpart.
    pub dropped: Vec<ColumnName>,
    /// Target columns that the load leaves to their default or to NULL.
    pub unfilled: Vec<ColumnName>,
}

impl ColumnMatch {
    /// Pairs the columns of two tables. `renamed` maps source names to target names and wins over
    /// equal names.
    ///
    /// # Errors
    ///
    /// - [`code::COLUMN_MISSING`]: `renamed` names a column that does not exist.
    /// - [`code::NO_COLUMNS`]: nothing matches.
    /// - [`code::REQUIRED_COLUMN_UNMAPPED`]: a target column is NOT NULL, has no default, and
    ///   nothing is mapped to it.
    pub fn new(
        source: &TableSchema,
        target: &TableSchema,
        renamed: &BTreeMap<ColumnName, ColumnName>,
    ) -> Result<Self> {
        let mut source_of: BTreeMap<&ColumnName, &Column> = source
            .columns
            .iter()
            .filter(|column| !renamed.contains_key(&column.name))
            .map(|column| (&column.name, column))
            .collect();
        let mut taken = BTreeMap::new();
        for (from, to) in renamed {
            target.require(to)?;
            source_of.insert(to, source.require(from)?);
            if let Some(other) = taken.insert(to, from) {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("Both {other} and {from} are mapped to {to}"),
                )
                .with("table", &target.table)
                .with_hint("map one of them in `column_mapping`"));
            }
        }

        let writable = |column: &&Column| column.fill != Fill::Generated;
        let pairs: Vec<_> = target
            .columns
            .iter()
            .filter(writable)
            .filter_map(|column| {
                let from = source_of.get(&column.name)?;
                Some(ColumnPair {
                    source: from.name.clone(),
                    target: column.name.clone(),
                    column_type: from.column_type.clone(),
                })
            })
            .collect();
        let written: BTreeSet<_> = pairs.iter().map(|pair| &pair.target).collect();
        let read: BTreeSet<_> = pairs.iter().map(|pair| &pair.source).collect();
        let dropped: Vec<_> = names_without(source, &read);
        let unfilled: Vec<_> = names_without(target, &written);

        if pairs.is_empty() {
            return Err(Error::new(code::NO_COLUMNS, "Source and target share no column name")
                .with("source", &source.table)
                .with("target", &target.table)
                .with_hint(mapping_hint(&dropped, &unfilled)));
        }
        let required: Vec<_> = target
            .columns
            .iter()
            .filter(|column| column.must_be_written() && !written.contains(&column.name))
            .map(|column| column.name.clone())
            .collect();
        if !required.is_empty() {
            return Err(Error::new(
                code::REQUIRED_COLUMN_UNMAPPED,
                format!("Nothing fills the NOT NULL column {}", list(&required)),
            )
            .with("table", &target.table)
            .with_hint(format!(
                "{}, or give the column a default",
                mapping_hint(&dropped, &required)
            )));
        }
        Ok(Self { pairs, dropped, unfilled })
    }
}

fn names_without(table: &TableSchema, used: &BTreeSet<&ColumnName>) -> Vec<ColumnName> {
    let names = table.columns.iter().map(|column| &column.name);
    names.filter(|name| !used.contains(name)).cloned().collect()
}

fn list(names: &[ColumnName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `column_mapping` text that can be copied, for the first pair of names that are near.
fn mapping_hint(sources: &[ColumnName], targets: &[ColumnName]) -> String {
    let near = targets.iter().find_map(|target| {
        let source = closest(target.as_str(), sources.iter().map(ColumnName::as_str))?;
        Some(format!("\"column_mapping\": {{{}: {target}}}", ColumnName::from(source)))
    });
    match near {
        Some(mapping) => format!("map it, for example {mapping}"),
        None => format!(
            "names must agree in exact case or be mapped by \"column_mapping\"; unmapped source \
             columns: {}",
            if sources.is_empty() { "none".to_owned() } else { list(sources) }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::TableRef;

    fn table(name: &str, columns: Vec<Column>) -> TableSchema {
        TableSchema::new(TableRef::bare(name), columns)
    }

    fn int(name: &str) -> Column {
        Column::new(name, ColumnType::Int64, "bigint")
    }

    fn pair(source: &str, target: &str) -> ColumnPair {
        let column_type = ColumnType::Int64;
        ColumnPair { source: source.into(), target: target.into(), column_type }
    }

    #[test]
    fn columns_pair_by_exact_name_and_by_mapping_in_target_order() {
        let source = table("s", vec![int("a"), int("B"), int("extra")]);
        let target = table("t", vec![int("b"), int("a"), int("left")]);
        let renamed = BTreeMap::from([("B".into(), "b".into())]);
        let matched = ColumnMatch::new(&source, &target, &renamed).expect("two pairs");
        assert_eq!(matched.pairs, [pair("B", "b"), pair("a", "a")]);
        assert_eq!(matched.dropped, ["extra".into()]);
        assert_eq!(matched.unfilled, ["left".into()]);
    }

    #[test]
    fn a_mapping_wins_over_an_equal_name() {
        let source = table("s", vec![int("a"), int("a2")]);
        let target = table("t", vec![int("a")]);
        let renamed = BTreeMap::from([("a2".into(), "a".into())]);
        let matched = ColumnMatch::new(&source, &target, &renamed).expect("one pair");
        assert_eq!(matched.pairs, [pair("a2", "a")]);
    }

    #[test]
    fn two_sources_for_one_target_are_refused() {
        let source = table("s", vec![int("a"), int("b")]);
        let target = table("t", vec![int("x")]);
        let renamed = BTreeMap::from([("a".into(), "x".into()), ("b".into(), "x".into())]);
        let error = ColumnMatch::new(&source, &target, &renamed).expect_err("twice");
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn no_common_column_is_an_error_with_a_mapping_to_copy() {
        let source = table("s", vec![int("CARRIER")]);
        let target = table("t", vec![int("carrier")]);
        let error = ColumnMatch::new(&source, &target, &BTreeMap::new()).expect_err("case");
        assert_eq!(error.code(), code::NO_COLUMNS);
        let hint = error.hint().expect("hint");
        assert!(hint.contains(r#""column_mapping": {"CARRIER": "carrier"}"#), "{hint}");
    }

    #[test]
    fn an_unfilled_not_null_column_is_an_error_unless_it_has_a_default() {
        let source = table("s", vec![int("a")]);
        let required = int("b").with_nullable(false);
        let target = table("t", vec![int("a"), required.clone()]);
        let error = ColumnMatch::new(&source, &target, &BTreeMap::new()).expect_err("NOT NULL");
        assert_eq!(error.code(), code::REQUIRED_COLUMN_UNMAPPED);

        let target = table("t", vec![int("a"), required.with_fill(Fill::Default)]);
        assert!(ColumnMatch::new(&source, &target, &BTreeMap::new()).is_ok());
    }

    #[test]
    fn generated_columns_are_never_written() {
        let source = table("s", vec![int("a"), int("sum")]);
        let target = table("t", vec![int("a"), int("sum").with_fill(Fill::Generated)]);
        let matched = ColumnMatch::new(&source, &target, &BTreeMap::new()).expect("one pair");
        assert_eq!(matched.pairs, [pair("a", "a")]);
        assert_eq!(matched.dropped, ["sum".into()]);
    }
}
