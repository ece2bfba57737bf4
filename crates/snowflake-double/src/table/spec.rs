//! The table builder.

use std::path::Path;
use std::sync::Arc;

use super::cell::Kind;
use super::name::TableName;
use super::parquet::{self, ColumnNames};
use super::vector::{Vector, VectorBuilder};
use super::{intake, name};
use crate::error::Error;
use crate::types::Type;
use crate::value::Value;

/// A column's declaration.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
    pub(crate) collation: Option<String>,
    pub(crate) comment: Option<String>,
}

/// What a table is, without its rows.
#[derive(Debug, Clone)]
pub(crate) struct TableSpec {
    pub(crate) name: TableName,
    pub(crate) columns: Vec<ColumnSpec>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) clustering_key: Option<String>,
    pub(crate) comment: Option<String>,
}

/// Rows of a table that were added together.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) vectors: Vec<Arc<Vector>>,
    pub(crate) rows: usize,
}

/// A table whose description was checked.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) spec: TableSpec,
    pub(crate) segments: Vec<Segment>,
    pub(crate) time_travel: bool,
}

/// A table for a double, with its first rows.
///
/// Nothing is checked before the table is handed to a double; then everything is.
///
/// ```
/// use snowflake_double::{Table, Type, Value};
///
/// let table = Table::new("DEMO.PUBLIC.PEOPLE")
///     .required_column("ID", Type::number(38, 0))
///     .column("Name", Type::varchar())
///     .primary_key(["ID"])
///     .row([Value::from(1), Value::from("Ada")])
///     .row([Value::from(2), Value::Null]);
/// # let _ = table;
/// ```
#[derive(Debug)]
#[must_use]
pub struct Table {
    name: String,
    columns: Vec<ColumnSpec>,
    primary_key: Vec<String>,
    clustering_key: Option<String>,
    comment: Option<String>,
    collations: Vec<(String, String)>,
    column_comments: Vec<(String, String)>,
    loaded: Option<Segment>,
    rows: Vec<Vec<Value>>,
    time_travel: bool,
}

impl Table {
    /// A table without columns. In `DB.SCHEMA.TABLE`, unquoted parts fold to upper case.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            clustering_key: None,
            comment: None,
            collations: Vec::new(),
            column_comments: Vec::new(),
            loaded: None,
            rows: Vec::new(),
            time_travel: true,
        }
    }

    /// A table with the columns and rows of a Parquet file.
    ///
    /// Integers become NUMBER(38,0), decimals NUMBER(p,s), floats FLOAT, strings VARCHAR,
    /// timestamps `TIMESTAMP_LTZ` with a zone and `TIMESTAMP_NTZ` without (6 or 9 digits).
    ///
    /// # Errors
    ///
    /// [`Error::Parquet`] if the file cannot be read, [`Error::ParquetType`] for a column type
    /// without a counterpart.
    pub fn from_parquet(
        name: impl Into<String>,
        path: impl AsRef<Path>,
        names: ColumnNames,
    ) -> Result<Self, Error> {
        let (columns, segment) = parquet::load(path.as_ref(), names)?;
        let mut table = Self::new(name);
        table.columns = columns;
        table.loaded = Some(segment);
        Ok(table)
    }

    /// Adds a column that may be NULL. The name is taken exactly.
    pub fn column(self, name: impl Into<String>, ty: Type) -> Self {
        self.add(name.into(), ty, true)
    }

    /// Adds a NOT NULL column. The name is taken exactly.
    pub fn required_column(self, name: impl Into<String>, ty: Type) -> Self {
        self.add(name.into(), ty, false)
    }

    /// Gives a VARCHAR column a collation. Comparisons know `en-ci` and the empty collation.
    pub fn collated(mut self, column: impl Into<String>, collation: impl Into<String>) -> Self {
        self.collations.push((column.into(), collation.into()));
        self
    }

    /// Gives a column a comment.
    pub fn column_comment(mut self, column: impl Into<String>, comment: impl Into<String>) -> Self {
        self.column_comments.push((column.into(), comment.into()));
        self
    }

    /// Declares the primary key.
    pub fn primary_key<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.primary_key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Declares the clustering key, as `INFORMATION_SCHEMA` shows it: `LINEAR(ID)`.
    pub fn clustering_key(mut self, expression: impl Into<String>) -> Self {
        self.clustering_key = Some(expression.into());
        self
    }

    /// Gives the table a comment.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Keeps no past versions: every `AT(...)` on the table fails as beyond the retention.
    pub fn without_time_travel(mut self) -> Self {
        self.time_travel = false;
        self
    }

    /// Adds a row, one value per column.
    pub fn row(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.rows.push(values.into_iter().collect());
        self
    }

    /// Adds rows.
    pub fn rows<R: IntoIterator<Item = Value>>(
        mut self,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        self.rows.extend(rows.into_iter().map(|row| row.into_iter().collect()));
        self
    }

    fn add(mut self, name: String, ty: Type, nullable: bool) -> Self {
        self.columns.push(ColumnSpec { name, ty, nullable, collation: None, comment: None });
        self
    }

    /// Checks everything and builds the arrays.
    pub(crate) fn build(mut self) -> Result<Built, Error> {
        let name = TableName::parse(&self.name)?;
        self.apply_collations(&name)?;
        self.apply_comments(&name)?;
        let spec = TableSpec {
            name,
            columns: self.columns,
            primary_key: self.primary_key,
            clustering_key: self.clustering_key,
            comment: self.comment,
        };
        spec.check()?;
        let mut segments: Vec<Segment> = self.loaded.into_iter().collect();
        if !self.rows.is_empty() {
            segments.push(spec.segment(&self.rows)?);
        }
        Ok(Built { spec, segments, time_travel: self.time_travel })
    }

    fn apply_collations(&mut self, table: &TableName) -> Result<(), Error> {
        for (column, collation) in std::mem::take(&mut self.collations) {
            let spec = self.find(table, &column)?;
            if !matches!(spec.ty, Type::Varchar { .. }) {
                return Err(wrong(table, &column, "only VARCHAR columns have a collation"));
            }
            spec.collation = Some(collation);
        }
        Ok(())
    }

    fn apply_comments(&mut self, table: &TableName) -> Result<(), Error> {
        for (column, comment) in std::mem::take(&mut self.column_comments) {
            self.find(table, &column)?.comment = Some(comment);
        }
        Ok(())
    }

    fn find(&mut self, table: &TableName, column: &str) -> Result<&mut ColumnSpec, Error> {
        self.columns
            .iter_mut()
            .find(|spec| spec.name == column)
            .ok_or_else(|| wrong(table, column, "it is not declared"))
    }
}

impl TableSpec {
    /// Builds the arrays of some rows.
    pub(crate) fn segment(&self, rows: &[Vec<Value>]) -> Result<Segment, Error> {
        let misfit = |row, reason| Error::Row { table: self.name.to_string(), row, reason };
        let mut builders: Vec<_> = self
            .columns
            .iter()
            .map(|column| VectorBuilder::new(Kind::of(column.ty), rows.len()))
            .collect();
        for (index, row) in rows.iter().enumerate() {
            if row.len() != self.columns.len() {
                let reason = format!("{} values for {} columns", row.len(), self.columns.len());
                return Err(misfit(index, reason));
            }
            for ((value, column), builder) in row.iter().zip(&self.columns).zip(&mut builders) {
                let explain = |reason: String| misfit(index, format!("{}: {reason}", column.name));
                let datum = intake::cell(value, column.ty).map_err(explain)?;
                if datum.cell().is_null() && !column.nullable {
                    return Err(explain("NULL in a NOT NULL column".to_owned()));
                }
                builder.push(datum.cell()).map_err(|fault| explain(format!("{fault:?}")))?;
            }
        }
        let vectors = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Ok(Segment { vectors, rows: rows.len() })
    }

    fn check(&self) -> Result<(), Error> {
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(fault) = column.ty.fault() {
                return Err(wrong(&self.name, &column.name, fault));
            }
            if self.columns.iter().take(index).any(|other| other.name == column.name) {
                return Err(wrong(&self.name, &column.name, "it is declared twice"));
            }
        }
        for key in &self.primary_key {
            if !self.columns.iter().any(|column| column.name == *key) {
                return Err(wrong(
                    &self.name,
                    key,
                    "the primary key names it, nothing declares it",
                ));
            }
        }
        if self.columns.is_empty() {
            return Err(wrong(&self.name, "", "a table needs at least one column"));
        }
        Ok(())
    }

    /// The table part as messages show it.
    pub(crate) fn shown_table(&self) -> String {
        name::shown(&self.name.table)
    }
}

fn wrong(table: &TableName, column: &str, reason: &str) -> Error {
    Error::Column { table: table.to_string(), column: column.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_a_table_are_named() {
        let base = || Table::new("D.S.T").required_column("ID", Type::number(5, 0));
        let fault = |table: Table| table.build().unwrap_err().to_string();
        assert!(fault(base().row([Value::Null])).contains("NOT NULL"));
        assert!(fault(base().row([])).contains("0 values for 1 columns"));
        assert!(fault(base().column("ID", Type::Date)).contains("declared twice"));
        assert!(fault(base().primary_key(["NO"])).contains("primary key"));
        assert!(fault(base().collated("ID", "en-ci")).contains("VARCHAR"));
        assert!(fault(base().column("X", Type::number(39, 0))).contains("precision"));
        assert!(fault(Table::new("T")).contains("three parts"));
    }

    #[test]
    fn rows_become_arrays() {
        let Built { segments, .. } = Table::new("D.S.T")
            .column("A", Type::number(5, 1))
            .row([Value::lit("1.5")])
            .row([Value::Null])
            .build()
            .unwrap();
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].vectors[0].get(0), crate::table::Cell::Number(15));
        assert!(segments[0].vectors[0].get(1).is_null());
    }
}
