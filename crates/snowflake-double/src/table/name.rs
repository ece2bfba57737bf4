//! Full table names and the rule that folds unquoted parts.

use std::fmt;

use crate::error::Error;

/// Database, schema and table, in their exact case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableName {
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) table: String,
}

impl TableName {
    /// Reads `DB.SCHEMA.TABLE`; unquoted parts fold to upper case, `"quoted"` ones are exact.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::TableName { name: text.to_owned() };
        let mut parts = split(text).ok_or_else(wrong)?.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(database), Some(schema), Some(table), None) => {
                Ok(Self { database, schema, table })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", shown(&self.database), shown(&self.schema), shown(&self.table))
    }
}

/// An identifier as Snowflake's messages show it: quoted unless folding gives it back.
pub(crate) fn shown(name: &str) -> String {
    let mut letters = name.chars();
    let plain = letters.next().is_some_and(|first| first == '_' || first.is_ascii_uppercase())
        && letters.all(|next| {
            next == '_' || next == '$' || next.is_ascii_uppercase() || next.is_ascii_digit()
        });
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Splits a dotted name; `None` if a quote is open or a part is empty.
fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, tail) = if let Some(body) = rest.strip_prefix('"') {
            quoted(body)?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (head, tail) = rest.split_at_checked(end)?;
            (head.to_uppercase(), tail)
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        if tail.is_empty() {
            return Some(parts);
        }
        rest = tail.strip_prefix('.')?;
    }
}

fn quoted(body: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = body;
    loop {
        let (head, tail) = rest.split_once('"')?;
        part.push_str(head);
        match tail.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return Some((part, tail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_parts_fold_and_quoted_ones_are_exact() {
        let name = TableName::parse("demo.\"Mixed Case\".\"a\"\"b.c\"").unwrap();
        assert_eq!(name.database, "DEMO");
        assert_eq!(name.schema, "Mixed Case");
        assert_eq!(name.table, "a\"b.c");
        assert_eq!(name.to_string(), "DEMO.\"Mixed Case\".\"a\"\"b.c\"");
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in ["T", "S.T", "A.B.C.D", "A..C", "A.B.\"C", ""] {
            assert!(TableName::parse(text).is_err(), "{text:?}");
        }
    }
}
