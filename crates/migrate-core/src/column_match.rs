//! Which source column goes into which target column: by exact name or by an explicit mapping.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::code;
use crate::column_type::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::name::ColumnName;
use crate::schema::{Column, Fill, TableSchema};
use crate::suggest::closest;
use crate::value_policy::{ValuePart, ValuePolicy};

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
    /// What the user decided about values that the target cannot hold as they are.
    #[serde(default, skip_serializing_if = "ValuePolicy::is_default")]
    pub policy: ValuePolicy,
    /// Which part of each value is written.
    #[serde(default, skip_serializing_if = "ValuePart::is_whole")]
    pub part: ValuePart,
}

impl ColumnPair {
    /// Whole values under default policies.
    pub fn new(
        source: impl Into<ColumnName>,
        target: impl Into<ColumnName>,
        column_type: ColumnType,
    ) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            column_type,
            policy: ValuePolicy::default(),
            part: ValuePart::Whole,
        }
    }
}

/// What the user decided about the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnChoices {
    /// Source names to target names, where they differ.
    pub renamed: BTreeMap<ColumnName, ColumnName>,
    /// What holds for every column that has no policy of its own.
    pub policy: ValuePolicy,
    /// Policies of single columns, by source name.
    pub policies: BTreeMap<ColumnName, ValuePolicy>,
    /// Target columns that keep the offsets of timestamps, by source name.
    pub offset_columns: BTreeMap<ColumnName, ColumnName>,
}

impl ColumnChoices {
    fn pair(&self, source: &Column, target: &Column) -> ColumnPair {
        let mut pair =
            ColumnPair::new(source.name.clone(), target.name.clone(), source.column_type.clone());
        pair.policy = self.policies.get(&source.name).copied().unwrap_or(self.policy);
        pair.policy.offset_is_kept = self.offset_columns.contains_key(&source.name);
        pair
    }
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
    /// Pairs the columns of two tables: by mapping, else by exactly equal names.
    ///
    /// # Errors
    ///
    /// - [`code::COLUMN_MISSING`]: a choice names a column that does not exist.
    /// - `Config`: two sources for one target, a generated column as a target, an offset of a
    ///   column that has none.
    /// - [`code::NO_COLUMNS`]: nothing matches.
    /// - [`code::REQUIRED_COLUMN_UNMAPPED`]: a target column is NOT NULL, has no default, and
    ///   nothing is mapped to it.
    /// - [`code::COLUMN_NEARLY_MATCHES`]: two names differ only in case or by being cut, so that a
    ///   column would be left out by mistake.
    pub fn new(
        source: &TableSchema,
        target: &TableSchema,
        choices: &ColumnChoices,
    ) -> Result<Self> {
        let renamed = &choices.renamed;
        let mut source_of: BTreeMap<&ColumnName, &Column> = source
            .columns
            .iter()
            .filter(|column| !renamed.contains_key(&column.name))
            .map(|column| (&column.name, column))
            .collect();
        let mut taken = BTreeMap::new();
        for (from, to) in renamed {
            writable(target, to)?;
            source_of.insert(to, source.require(from)?);
            take(&mut taken, target, from, to)?;
        }
        let mut offset_of = BTreeMap::new();
        for (from, to) in &choices.offset_columns {
            writable(target, to)?;
            offset_of.insert(to, with_offset(source, from)?);
            take(&mut taken, target, from, to)?;
        }
        for name in choices.policies.keys() {
            source.require(name)?;
        }

        let mut pairs = Vec::new();
        for column in &target.columns {
            if column.fill == Fill::Generated {
                continue;
            }
            if let Some(from) = offset_of.get(&column.name) {
                let mut pair = choices.pair(from, column);
                pair.part = ValuePart::Offset;
                pairs.push(pair);
            } else if let Some(from) = source_of.get(&column.name) {
                pairs.push(choices.pair(from, column));
            }
        }
        let written: BTreeSet<_> = pairs.iter().map(|pair| &pair.target).collect();
        let read: BTreeSet<_> = pairs
            .iter()
            .filter(|pair| pair.part == ValuePart::Whole)
            .map(|pair| &pair.source)
            .collect();
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
        refuse_near_misses(target, &dropped, &unfilled)?;
        Ok(Self { pairs, dropped, unfilled })
    }
}

/// The target column, if a load may write it.
fn writable<'t>(target: &'t TableSchema, name: &ColumnName) -> Result<&'t Column> {
    let column = target.require(name)?;
    if column.fill != Fill::Generated {
        return Ok(column);
    }
    Err(Error::new(ErrorKind::Config, format!("Column {name} is generated by the target"))
        .with("table", &target.table)
        .with_hint("map to a column that can be written, or drop its expression in the target"))
}

/// A source column whose values have offsets.
fn with_offset<'s>(source: &'s TableSchema, name: &ColumnName) -> Result<&'s Column> {
    let column = source.require(name)?;
    if matches!(column.column_type, ColumnType::OffsetTimestamp { .. }) {
        return Ok(column);
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("Column {name} is {}, which has no offset", column.native_type),
    )
    .with("table", &source.table)
    .with_hint("remove its `offset_column`"))
}

fn take<'c>(
    taken: &mut BTreeMap<&'c ColumnName, &'c ColumnName>,
    target: &TableSchema,
    from: &'c ColumnName,
    to: &'c ColumnName,
) -> Result<()> {
    let Some(other) = taken.insert(to, from) else { return Ok(()) };
    Err(Error::new(ErrorKind::Config, format!("Both {other} and {from} are mapped to {to}"))
        .with("table", &target.table)
        .with_hint("map one of them in `column_mapping`"))
}

/// A column that stays behind while its twin in the target stays NULL is a mistake in the names:
/// they differ in case, or the target cut the name when the table was made.
fn refuse_near_misses(
    target: &TableSchema,
    dropped: &[ColumnName],
    unfilled: &[ColumnName],
) -> Result<()> {
    let stays_null =
        |name: &&ColumnName| target.column(name).is_some_and(|column| column.fill == Fill::Nothing);
    for to in unfilled.iter().filter(stays_null) {
        let Some(from) = dropped.iter().find(|from| nearly_same(from.as_str(), to.as_str())) else {
            continue;
        };
        let how = if from.as_str().len() == to.as_str().len() {
            "differ only in case"
        } else {
            "differ only in length: names of PostgreSQL end after 63 bytes"
        };
        return Err(Error::new(
            code::COLUMN_NEARLY_MATCHES,
            format!("Source column {from} and target column {to} {how}"),
        )
        .with("table", &target.table)
        .with_hint(format!("map them: \"column_mapping\": {{{from}: {to}}}")));
    }
    Ok(())
}

/// Equal but for case, or the second is what is left of the first after a cut at 63 bytes, which
/// never splits a letter.
fn nearly_same(source: &str, target: &str) -> bool {
    const SHORTEST_CUT: usize = 60;
    source.to_lowercase() == target.to_lowercase()
        || (source.len() > 63 && target.len() >= SHORTEST_CUT && source.starts_with(target))
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
        ColumnPair::new(source, target, ColumnType::Int64)
    }

    fn renamed<const N: usize>(names: [(&str, &str); N]) -> ColumnChoices {
        let renamed = names.map(|(from, to)| (from.into(), to.into()));
        ColumnChoices { renamed: renamed.into(), ..ColumnChoices::default() }
    }

    fn refused(source: &TableSchema, target: &TableSchema, choices: &ColumnChoices) -> Error {
        ColumnMatch::new(source, target, choices).expect_err("refused")
    }

    #[test]
    fn columns_pair_by_exact_name_and_by_mapping_in_target_order() {
        let source = table("s", vec![int("a"), int("B"), int("extra")]);
        let target = table("t", vec![int("b"), int("a"), int("left")]);
        let renamed = renamed([("B", "b")]);
        let matched = ColumnMatch::new(&source, &target, &renamed).expect("two pairs");
        assert_eq!(matched.pairs, [pair("B", "b"), pair("a", "a")]);
        assert_eq!(matched.dropped, ["extra".into()]);
        assert_eq!(matched.unfilled, ["left".into()]);
    }

    #[test]
    fn a_mapping_wins_over_an_equal_name() {
        let source = table("s", vec![int("a"), int("a2")]);
        let target = table("t", vec![int("a")]);
        let renamed = renamed([("a2", "a")]);
        let matched = ColumnMatch::new(&source, &target, &renamed).expect("one pair");
        assert_eq!(matched.pairs, [pair("a2", "a")]);
    }

    #[test]
    fn two_sources_for_one_target_are_refused() {
        let source = table("s", vec![int("a"), int("b")]);
        let target = table("t", vec![int("x")]);
        let renamed = renamed([("a", "x"), ("b", "x")]);
        let error = ColumnMatch::new(&source, &target, &renamed).expect_err("twice");
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn no_common_column_is_an_error_with_a_mapping_to_copy() {
        let source = table("s", vec![int("CARRIER")]);
        let target = table("t", vec![int("carrier")]);
        let error =
            ColumnMatch::new(&source, &target, &ColumnChoices::default()).expect_err("case");
        assert_eq!(error.code(), code::NO_COLUMNS);
        let hint = error.hint().expect("hint");
        assert!(hint.contains(r#""column_mapping": {"CARRIER": "carrier"}"#), "{hint}");
    }

    #[test]
    fn an_unfilled_not_null_column_is_an_error_unless_it_has_a_default() {
        let source = table("s", vec![int("a")]);
        let required = int("b").with_nullable(false);
        let target = table("t", vec![int("a"), required.clone()]);
        let error =
            ColumnMatch::new(&source, &target, &ColumnChoices::default()).expect_err("NOT NULL");
        assert_eq!(error.code(), code::REQUIRED_COLUMN_UNMAPPED);

        let target = table("t", vec![int("a"), required.with_fill(Fill::Default)]);
        assert!(ColumnMatch::new(&source, &target, &ColumnChoices::default()).is_ok());
    }

    #[test]
    fn generated_columns_are_never_written() {
        let source = table("s", vec![int("a"), int("sum")]);
        let target = table("t", vec![int("a"), int("sum").with_fill(Fill::Generated)]);
        let matched =
            ColumnMatch::new(&source, &target, &ColumnChoices::default()).expect("one pair");
        assert_eq!(matched.pairs, [pair("a", "a")]);
        assert_eq!(matched.dropped, ["sum".into()]);
    }

    #[test]
    fn names_that_differ_only_in_case_or_by_a_cut_are_not_left_behind_silently() {
        let long = "x".repeat(70);
        let source = table("s", vec![int("a"), int("LOADED"), int(&long)]);
        let none = ColumnChoices::default();
        let target = table("t", vec![int("a"), int("loaded")]);
        let error = refused(&source, &target, &none);
        assert_eq!(error.code(), code::COLUMN_NEARLY_MATCHES);
        assert!(
            error.to_string().ends_with(r#""column_mapping": {"LOADED": "loaded"}"#),
            "{error}"
        );
        let cut = table("t", vec![int("a"), int(&long[..63])]);
        assert!(refused(&source, &cut, &none).to_string().contains("63 bytes"));
        // A default fills it: leaving the column out may be meant.
        let filled = table("t", vec![int("a"), int("loaded").with_fill(Fill::Default)]);
        assert!(ColumnMatch::new(&source, &filled, &none).is_ok());
    }

    #[test]
    fn an_offset_goes_into_a_column_of_its_own() {
        let zoned = Column::new("at", ColumnType::OffsetTimestamp { scale: 9 }, "TIMESTAMP_TZ(9)");
        let source = table("s", vec![int("a"), zoned]);
        let target = table("t", vec![int("a"), int("at"), int("at_offset")]);
        let offset = |from: &str| ColumnChoices {
            offset_columns: [(from.into(), "at_offset".into())].into(),
            ..ColumnChoices::default()
        };
        let matched = ColumnMatch::new(&source, &target, &offset("at")).expect("three pairs");
        let parts: Vec<_> =
            matched.pairs.iter().map(|pair| (pair.source.as_str(), pair.part)).collect();
        assert_eq!(
            parts,
            [("a", ValuePart::Whole), ("at", ValuePart::Whole), ("at", ValuePart::Offset)]
        );
        assert!(
            matched
                .pairs
                .iter()
                .all(|pair| pair.policy.offset_is_kept == (pair.source.as_str() == "at"))
        );
        assert!(refused(&source, &target, &offset("a")).to_string().contains("has no offset"));
    }

    #[test]
    fn a_generated_column_is_no_target_of_a_mapping() {
        let source = table("s", vec![int("a"), int("b")]);
        let target = table("t", vec![int("a"), int("sum").with_fill(Fill::Generated)]);
        let error = refused(&source, &target, &renamed([("b", "sum")]));
        assert!(error.to_string().contains("generated"), "{error}");
    }
}
