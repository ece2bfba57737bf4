//! Names of tables and columns, in exactly the case in which the database stores them.
//!
//! Folding and quoting are the business of [`Dialect`](crate::Dialect); once a name is here, it is
//! compared byte for byte.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A table, view or file, with as much of its path as its system uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableRef {
    /// Database or catalog; `None` where the connection already decides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Schema; `None` for sources without schemas, such as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The table itself.
    pub name: String,
}

impl TableRef {
    /// A table in a schema of the connected database.
    pub fn in_schema(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { database: None, schema: Some(schema.into()), name: name.into() }
    }

    /// A table with its whole path.
    pub fn qualified(
        database: impl Into<String>,
        schema: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { database: Some(database.into()), schema: Some(schema.into()), name: name.into() }
    }

    /// A table of a system without databases and schemas.
    pub fn bare(name: impl Into<String>) -> Self {
        Self { database: None, schema: None, name: name.into() }
    }

    /// The parts that are there, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [self.database.as_deref(), self.schema.as_deref(), Some(self.name.as_str())]
            .into_iter()
            .flatten()
    }
}

impl fmt::Display for TableRef {
    /// `database.schema.name`, for people; SQL goes through [`Dialect`](crate::Dialect).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.parts().enumerate() {
            if position > 0 {
                f.write_str(".")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// A column, in exactly the case in which the database stores it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnName(String);

impl ColumnName {
    /// Takes the name as it is: no folding, no trimming.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ColumnName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for ColumnName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl Borrow<str> for ColumnName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ColumnName {
    /// Quoted, so that spaces and case can be seen: `"Payer Id"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_print_their_whole_path_and_columns_their_case() {
        assert_eq!(TableRef::qualified("A", "b", "c").to_string(), "A.b.c");
        assert_eq!(TableRef::bare("flights.parquet").to_string(), "flights.parquet");
        assert_eq!(ColumnName::from("Payer \"Id\"").to_string(), "\"Payer \"\"Id\"\"\"");
    }
}
