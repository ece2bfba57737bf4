//! Tables as their system describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::code;
use crate::column_match::ColumnChoices;
use crate::column_type::ColumnType;
use crate::error::{Error, Result};
use crate::name::{ColumnName, TableRef};
use crate::suggest::closest;

/// What fills a target column that a load does not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    /// Nothing but NULL, where NULL is allowed.
    #[default]
    Nothing,
    /// A default expression or an identity sequence; a load may write its own values.
    Default,
    /// An expression over other columns; a load must not write it.
    Generated,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Name in exact case.
    pub name: ColumnName,
    /// What it holds.
    pub column_type: ColumnType,
    /// The type in the words of its own system, for messages: `NUMBER(38,0)`, `character varying(20)`.
    pub native_type: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// What fills it when a load does not.
    pub fill: Fill,
}

impl Column {
    /// A nullable column without default.
    pub fn new(
        name: impl Into<ColumnName>,
        column_type: ColumnType,
        native_type: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            column_type,
            native_type: native_type.into(),
            nullable: true,
            fill: Fill::Nothing,
        }
    }

    /// Forbids or allows NULL.
    #[must_use]
    pub fn with_nullable(mut self, nullable: bool) -> Self {
        self.nullable = nullable;
        self
    }

    /// Says what fills the column when a load does not.
    #[must_use]
    pub fn with_fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }

    /// Whether every load must write this column.
    pub fn must_be_written(&self) -> bool {
        !self.nullable && self.fill == Fill::Nothing
    }
}

/// A table's columns and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSchema {
    /// The table, with names in exact case.
    pub table: TableRef,
    /// Columns in their order.
    pub columns: Vec<Column>,
}

impl TableSchema {
    /// A table with these columns.
    pub fn new(table: TableRef, columns: Vec<Column>) -> Self {
        Self { table, columns }
    }

    /// The column of exactly this name.
    pub fn column(&self, name: &ColumnName) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The column of exactly this name.
    ///
    /// # Errors
    ///
    /// [`code::COLUMN_MISSING`] with the nearest name, or all names where none is near.
    pub fn require(&self, name: &ColumnName) -> Result<&Column> {
        self.column(name).ok_or_else(|| {
            Error::new(code::COLUMN_MISSING, format!("Column {name} not found"))
                .with("table", &self.table)
                .with_hint(self.column_hint(name))
        })
    }

    /// The Arrow schema of a selection of columns.
    ///
    /// # Errors
    ///
    /// [`code::COLUMN_MISSING`] for a name that the table does not have.
    pub fn arrow(&self, columns: &[ColumnName]) -> Result<SchemaRef> {
        let fields = columns
            .iter()
            .map(|name| {
                let column = self.require(name)?;
                Ok(Field::new(name.as_str(), column.column_type.arrow(), column.nullable))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Schema::new(fields)))
    }

    fn column_hint(&self, name: &ColumnName) -> String {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        if let Some(near) = closest(name.as_str(), names()) {
            return format!("use the exact case, did you mean {}?", ColumnName::from(near));
        }
        let known: Vec<_> = self.columns.iter().map(|column| column.name.to_string()).collect();
        format!("use one of: {}", known.join(", "))
    }
}

/// What a source says of a table beyond its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    /// The primary key, in its order; empty where there is none.
    pub primary_key: Vec<ColumnName>,
    /// What people wrote about the table.
    pub comment: Option<String>,
    /// What people wrote about its columns.
    pub column_comments: BTreeMap<ColumnName, String>,
}

impl Annotations {
    /// A table that holds what another one holds, under other names. Columns keep their order.
    pub fn describe(
        &self,
        source: &TableSchema,
        target: TableRef,
        choices: &ColumnChoices,
    ) -> TableDefinition {
        let renamed = |name: &ColumnName| choices.renamed.get(name).unwrap_or(name).clone();
        let mut columns = Vec::with_capacity(source.columns.len());
        for column in &source.columns {
            let comment = self.column_comments.get(&column.name).cloned();
            let renamed = Column { name: renamed(&column.name), ..column.clone() };
            columns.push((renamed, comment));
            if let Some(offset) = choices.offset_columns.get(&column.name) {
                let minutes = Column::new(offset.clone(), ColumnType::Int16, "smallint");
                columns.push((
                    minutes.with_nullable(column.nullable),
                    Some(format!("Offset of {} from UTC, in minutes east", column.name)),
                ));
            }
        }
        TableDefinition {
            table: target,
            columns,
            primary_key: self.primary_key.iter().map(renamed).collect(),
            unique_key: Vec::new(),
            comment: self.comment.clone(),
        }
    }
}

/// A table that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its name.
    pub table: TableRef,
    /// Its columns, by the types of the source, with their comments.
    pub columns: Vec<(Column, Option<String>)>,
    /// Its primary key; empty for none.
    pub primary_key: Vec<ColumnName>,
    /// Columns that are unique together beside the primary key; empty for none.
    pub unique_key: Vec<ColumnName>,
    /// Its comment.
    pub comment: Option<String>,
}

impl TableDefinition {
    /// Makes rows known by these columns: they become the primary key where there is none and no
    /// NULL can stand in them, or else a unique key of their own.
    ///
    /// # Errors
    ///
    /// [`code::COLUMN_MISSING`] for a name that the table does not have.
    pub fn with_key(mut self, keys: &[ColumnName]) -> Result<Self> {
        let columns = self.columns.iter().map(|(column, _)| column.clone()).collect();
        let schema = TableSchema::new(self.table.clone(), columns);
        let mut has_null = false;
        for key in keys {
            has_null |= schema.require(key)?.nullable;
        }
        let is_known = self.primary_key.iter().collect::<BTreeSet<_>>() == keys.iter().collect();
        if is_known || keys.is_empty() {
            return Ok(self);
        }
        if self.primary_key.is_empty() && !has_null {
            self.primary_key = keys.to_vec();
        } else {
            self.unique_key = keys.to_vec();
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_added_where_there_is_none_over_its_columns() {
        let defined = |primary: &[&str], keys: &[&str]| {
            let names = |names: &[&str]| -> Vec<ColumnName> {
                names.iter().map(|name| ColumnName::from(*name)).collect()
            };
            let column = |name: &str, nullable| {
                (Column::new(name, ColumnType::Int64, "bigint").with_nullable(nullable), None)
            };
            let definition = TableDefinition {
                table: TableRef::bare("t"),
                columns: vec![column("a", false), column("b", false), column("n", true)],
                primary_key: names(primary),
                unique_key: Vec::new(),
                comment: None,
            };
            let found = definition.with_key(&names(keys))?;
            let shown = |keys: &[ColumnName]| {
                keys.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(",")
            };
            Ok::<_, Error>((shown(&found.primary_key), shown(&found.unique_key)))
        };
        let is = |primary: &str, unique: &str| (primary.to_owned(), unique.to_owned());
        assert_eq!(defined(&[], &["b", "a"]).expect("a key"), is("b,a", ""));
        assert_eq!(defined(&["a", "b"], &["b", "a"]).expect("known"), is("a,b", ""));
        assert_eq!(defined(&["a"], &["b"]).expect("another"), is("a", "b"));
        assert_eq!(defined(&[], &["a", "n"]).expect("with NULL"), is("", "a,n"));
        assert_eq!(defined(&[], &[]).expect("none"), is("", ""));
        assert_eq!(defined(&[], &["c"]).expect_err("no column").code(), code::COLUMN_MISSING);
    }

    fn table() -> TableSchema {
        let text = ColumnType::Text { max_chars: None };
        TableSchema::new(
            TableRef::in_schema("analytics", "dimpayer"),
            vec![Column::new("Payer Id", text.clone(), "text"), Column::new("n", text, "text")],
        )
    }

    #[test]
    fn a_miss_names_the_nearest_column_or_lists_all() {
        let near = table().require(&"payer_id".into()).expect_err("exact case only");
        assert!(near.to_string().ends_with("did you mean \"Payer Id\"?"), "{near}");
        let far = table().require(&"zebra".into()).expect_err("unknown");
        assert!(far.to_string().ends_with("use one of: \"Payer Id\", \"n\""), "{far}");
    }
}
