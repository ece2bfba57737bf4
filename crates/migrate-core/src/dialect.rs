//! How Snowflake and PostgreSQL write names. Quoting happens here and nowhere else.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;

/// A dialect of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// Unquoted names fold to upper case.
    Snowflake,
    /// Unquoted names fold to lower case.
    Postgres,
}

impl Dialect {
    /// The name of the system, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snowflake => "Snowflake",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// One identifier as SQL: always quoted, inner quotes doubled.
    ///
    /// ```
    /// use migrate_core::Dialect;
    /// assert_eq!(Dialect::Postgres.quote("Payer \"Id\""), "\"Payer \"\"Id\"\"\"");
    /// ```
    pub fn quote(self, identifier: &str) -> String {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }

    /// A table with its whole path as SQL.
    pub fn quote_table(self, table: &TableRef) -> String {
        table.parts().map(|part| self.quote(part)).collect::<Vec<_>>().join(".")
    }

    /// A text as a literal, for the few statements that take no parameters, such as comments.
    ///
    /// U+0000, which no statement can hold, is left out.
    ///
    /// ```
    /// use migrate_core::Dialect;
    /// assert_eq!(Dialect::Postgres.literal("it's"), "'it''s'");
    /// assert_eq!(Dialect::Postgres.literal(r"a\b"), r"E'a\\b'");
    /// ```
    pub fn literal(self, text: &str) -> String {
        let quoted = text.replace('\u{0}', "").replace('\'', "''");
        match (self, quoted.contains('\\')) {
            (_, false) => format!("'{quoted}'"),
            // Backslashes mean themselves or not by a setting of the session; here they never do.
            (Self::Postgres, true) => format!("E'{}'", quoted.replace('\\', "\\\\")),
            (Self::Snowflake, true) => format!("'{}'", quoted.replace('\\', "\\\\")),
        }
    }

    /// Reads one identifier as people write it: unquoted folds, quoted is exact.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an empty name, an open quote, or a character that needs quotes or
    /// stands in no name.
    ///
    /// ```
    /// use migrate_core::Dialect;
    /// assert_eq!(Dialect::Snowflake.parse_identifier("dimpayer")?, "DIMPAYER");
    /// assert_eq!(Dialect::Snowflake.parse_identifier("\"multipayer_payer\"")?, "multipayer_payer");
    /// assert_eq!(Dialect::Postgres.parse_identifier("DimPayer")?, "dimpayer");
    /// # Ok::<(), migrate_core::Error>(())
    /// ```
    pub fn parse_identifier(self, text: &str) -> Result<String> {
        let text = text.trim();
        let invalid = |why: &'static str, hint: Cow<'static, str>| {
            Error::new(ErrorKind::Config, why).with("name", text).with_hint(hint)
        };
        if let Some(rest) = text.strip_prefix('"') {
            let inner = rest.strip_suffix('"').unwrap_or_default();
            // U+0000 stands in no name of either system.
            if inner.is_empty() || inner.replace("\"\"", "").contains(['"', '\0']) {
                return Err(invalid(
                    "A quoted name is empty or its quotes do not match",
                    "write it as \"Name\", with inner quotes doubled".into(),
                ));
            }
            return Ok(inner.replace("\"\"", "\""));
        }
        let mut chars = text.chars();
        let starts_well = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
        if !starts_well || !chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            return Err(invalid(
                "A name without quotes must be one plain identifier",
                format!("if this is its exact name, quote it: {}", self.quote(text)).into(),
            ));
        }
        Ok(match self {
            Self::Snowflake => text.to_uppercase(),
            Self::Postgres => text.to_lowercase(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_quoted_name_reads_back(name in "[^\0]{1,30}") {
            for dialect in [Dialect::Postgres, Dialect::Snowflake] {
                let read = dialect.parse_identifier(&dialect.quote(&name));
                prop_assert_eq!(read.ok(), Some(name.clone()));
            }
        }
    }

    #[test]
    fn quoted_names_keep_their_case_and_unescape() {
        let read = |text| Dialect::Postgres.parse_identifier(text).expect("valid");
        assert_eq!(read("\"A b\"\"c\""), "A b\"c");
        assert_eq!(read(" Plain_1$ "), "plain_1$");
    }

    #[test]
    fn what_could_be_sql_is_refused() {
        for text in ["", "\"", "\"\"", "\"a\"b\"", "\"a\0b\"", "a b", "a;drop", "1a", "a.b", "a--"]
        {
            let error = Dialect::Snowflake.parse_identifier(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn a_table_is_quoted_part_by_part() {
        let table = TableRef::qualified("DB", "s\"x", "T");
        assert_eq!(Dialect::Snowflake.quote_table(&table), "\"DB\".\"s\"\"x\".\"T\"");
    }
}
