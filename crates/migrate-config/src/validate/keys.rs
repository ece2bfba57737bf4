//! Columns: what chunks are cut by, what makes a row unique, what makes it new, what it is called.

use std::collections::BTreeMap;

use migrate_core::ColumnName;

use crate::defaults;
use crate::reader::{Item, Reader};
use crate::settings::{ChunkingColumn, ColumnPolicy, DeclaredType, Watermark};
use crate::validate::limits::{Inherited, Values};
use crate::validate::unknown::{self, Place};

/// The column keys of one table.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) chunking: Vec<ChunkingColumn>,
    pub(super) uniqueness: Vec<ColumnName>,
    pub(super) sort: Vec<ColumnName>,
    pub(super) mapping: BTreeMap<ColumnName, ColumnName>,
    pub(super) policies: BTreeMap<ColumnName, ColumnPolicy>,
    pub(super) watermark: Option<Watermark>,
}

/// Takes all column keys of a table.
pub(super) fn columns(table: &Reader<'_>, inherited: &Inherited) -> Columns {
    let mut mapping = mapping(table);
    Columns {
        chunking: chunking(table),
        uniqueness: uniqueness(table),
        sort: distinct(table.take("sort_columns")),
        watermark: watermark(table, inherited, &mut mapping),
        policies: policies(table, inherited, &mapping),
        mapping,
    }
}

/// The elements of a list; `null`, `[]` and `[null]` are none.
fn elements(item: Option<Item<'_>>) -> Vec<Item<'_>> {
    let item = item.filter(|item| !item.is_hollow());
    item.and_then(|item| item.list()).unwrap_or_default()
}

const TWICE: &str = "The column stands twice in the list";

/// Distinct columns in their order.
fn distinct(item: Option<Item<'_>>) -> Vec<ColumnName> {
    let mut columns = Vec::new();
    for item in elements(item) {
        let Some(column) = item.column() else { continue };
        if columns.contains(&column) {
            item.spot().warning(TWICE, "remove one of them");
        } else {
            columns.push(column);
        }
    }
    columns
}

fn uniqueness(table: &Reader<'_>) -> Vec<ColumnName> {
    let item = table.take("uniqueness_columns");
    if let Some(empty) = item.as_ref().filter(|item| item.is_hollow()) {
        empty.spot().warning(
            "The list of key columns is empty, so rows are only ever appended",
            "name the key columns, or write null",
        );
    }
    distinct(item)
}

fn chunking(table: &Reader<'_>) -> Vec<ChunkingColumn> {
    let names = elements(table.take("chunking_columns"));
    let types = elements(table.take("chunking_column_types"));
    if names.is_empty() {
        if !types.is_empty() {
            let hint = "name the columns in \"chunking_columns\", or remove the types";
            table.at("chunking_column_types").warning("There are types and no columns", hint);
        }
        return Vec::new();
    }
    if !types.is_empty() && types.len() != names.len() {
        let message = format!("{} columns have {} types", names.len(), types.len());
        let hint = "write one type for each of \"chunking_columns\", or none";
        table.at("chunking_column_types").error(message, None, hint);
    }
    let mut types = types.into_iter();
    let mut columns: Vec<ChunkingColumn> = Vec::new();
    for item in names {
        let declared = types.next().and_then(|item| declared_type(&item));
        let Some(name) = item.column() else { continue };
        if columns.iter().any(|column| column.name == name) {
            item.spot().warning(TWICE, "remove one of them");
        } else {
            columns.push(ChunkingColumn { name, declared });
        }
    }
    columns
}

/// A word, also with a length: `varchar(36)`.
fn declared_type(item: &Item<'_>) -> Option<DeclaredType> {
    let text = item.text()?;
    let word = text.split('(').next().unwrap_or_default().trim();
    item.word_of(word)
}

fn mapping(table: &Reader<'_>) -> BTreeMap<ColumnName, ColumnName> {
    let mut mapping = BTreeMap::new();
    let item = table.take("column_mapping");
    for (source, item) in item.and_then(|item| item.entries()).unwrap_or_default() {
        let Some(target) = item.column() else { continue };
        if source.trim().is_empty() {
            item.error("A column of the source has no name", "remove the entry");
        } else if let Some(other) = source_of(&mapping, &target) {
            let message =
                format!("Columns {other} and {} have one target", ColumnName::from(source));
            item.error(message, "map each column to a column of its own");
        } else {
            mapping.insert(ColumnName::from(source), target);
        }
    }
    mapping
}

/// Policies of single columns, each over those of the table.
fn policies(
    table: &Reader<'_>,
    inherited: &Inherited,
    mapping: &BTreeMap<ColumnName, ColumnName>,
) -> BTreeMap<ColumnName, ColumnPolicy> {
    let mut policies: BTreeMap<ColumnName, ColumnPolicy> = BTreeMap::new();
    let item = table.take("column_policies");
    for (name, item) in item.and_then(|item| item.entries()).unwrap_or_default() {
        let Some(column) = item.object() else { continue };
        let values = Values::read(&column).over(inherited.values).settings();
        let offset = column.take("offset_column");
        column.finish(unknown::hint(Place::Column));
        let offset_column = offset.as_ref().and_then(Item::column);
        if let (Some(item), Some(target)) = (&offset, &offset_column) {
            let taken_by = policies
                .iter()
                .find(|(_, other)| other.offset_column.as_ref() == Some(target))
                .map(|(other, _)| other)
                .or_else(|| source_of(mapping, target));
            if let Some(other) = taken_by {
                let message = format!("Column {other} has the same target");
                item.error(message, "name a column of the target that nothing else fills");
            }
        }
        policies.insert(ColumnName::from(name), ColumnPolicy { values, offset_column });
    }
    policies
}

/// The column that is mapped to `target`.
fn source_of<'m>(
    mapping: &'m BTreeMap<ColumnName, ColumnName>,
    target: &ColumnName,
) -> Option<&'m ColumnName> {
    mapping.iter().find(|(_, mapped)| *mapped == target).map(|(source, _)| source)
}

/// Both watermarks, and a mapping between them where their names differ.
fn watermark(
    table: &Reader<'_>,
    inherited: &Inherited,
    mapping: &mut BTreeMap<ColumnName, ColumnName>,
) -> Option<Watermark> {
    let source = table.take("source_watermark");
    let target = table.take("target_watermark");
    let is_broken = table.is_broken("source_watermark") || table.is_broken("target_watermark");
    let (source, target_item) = match (source, target) {
        (Some(source), Some(target)) => (source.column()?, target),
        (None, None) => return None,
        _ if is_broken => return None,
        (Some(one), None) | (None, Some(one)) => {
            one.spot().warning(
                "Only one of the two watermarks is set, so all rows are read",
                "set both \"source_watermark\" and \"target_watermark\"",
            );
            return None;
        }
    };
    let target = target_item.column()?;
    let taken_by = source_of(mapping, &target).filter(|other| **other != source);
    let mapped = mapping.get(&source).unwrap_or(&target);
    if *mapped != target || taken_by.is_some() {
        target_item.error(
            "The watermarks contradict \"column_mapping\"",
            "map \"source_watermark\" to \"target_watermark\", or leave it out of the mapping",
        );
        return None;
    }
    if source != target {
        mapping.insert(source.clone(), target.clone());
    }
    Some(Watermark {
        source,
        target,
        low: inherited.watermark_low.unwrap_or(defaults::WATERMARK_LOW),
        nulls: inherited.watermark_nulls,
        overlap: inherited.watermark_overlap.unwrap_or(defaults::WATERMARK_OVERLAP),
    })
}
