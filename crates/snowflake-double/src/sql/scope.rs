//! Names in reach of an expression: the columns of the inputs of a FROM clause.

use crate::table::{Relation, TableName, shown};

use super::failure::Failure;
use super::result::{Field, ResultSet};

/// One input of a FROM clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Named by its alias.
    Alias(String),
    /// A table without an alias: any suffix of its full name qualifies.
    Table(TableName),
    /// A subselect without an alias.
    Unnamed,
}

impl Source {
    /// Whether `qualifier.column` may mean a column of this input.
    fn answers_to(&self, qualifier: &[String]) -> bool {
        match (self, qualifier) {
            (Self::Alias(alias), [one]) => alias == one,
            (Self::Table(name), [table]) => name.table == *table,
            (Self::Table(name), [schema, table]) => name.schema == *schema && name.table == *table,
            (Self::Table(name), [database, schema, table]) => {
                name.database == *database && name.schema == *schema && name.table == *table
            }
            _ => false,
        }
    }
}

/// A column in reach.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) source: Source,
    pub(crate) field: Field,
    /// Merged away by USING: not meant by `*` nor by the bare name.
    pub(crate) merged: bool,
}

/// All columns in reach, in the order of the input relation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) columns: Vec<Reach>,
}

impl Scope {
    pub(crate) fn of(source: &Source, fields: &[Field]) -> Self {
        let reach =
            |field: &Field| Reach { source: source.clone(), field: field.clone(), merged: false };
        Self { columns: fields.iter().map(reach).collect() }
    }

    /// Puts the columns of another input behind these.
    pub(crate) fn joined(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// The position of a column; `None` if no column has the name.
    pub(crate) fn find(&self, parts: &[String]) -> Result<Option<usize>, Failure> {
        let Some((name, qualifier)) = parts.split_last() else { return Ok(None) };
        let mut hits = self.columns.iter().enumerate().filter(|(_, reach)| {
            reach.field.name == *name
                && if qualifier.is_empty() {
                    !reach.merged
                } else {
                    reach.source.answers_to(qualifier)
                }
        });
        match (hits.next(), hits.next()) {
            (None, _) => Ok(None),
            (Some((position, _)), None) => Ok(Some(position)),
            (Some(_), Some(_)) => Err(Failure::ambiguous_column(&dotted(parts))),
        }
    }

    /// The positions that `*` or `qualifier.*` stands for.
    pub(crate) fn star(&self, qualifier: &[String]) -> Vec<usize> {
        let meant = |reach: &Reach| {
            if qualifier.is_empty() { !reach.merged } else { reach.source.answers_to(qualifier) }
        };
        self.columns
            .iter()
            .enumerate()
            .filter(|(_, reach)| meant(reach))
            .map(|(position, _)| position)
            .collect()
    }
}

/// A dotted name as messages show it.
pub(crate) fn dotted(parts: &[String]) -> String {
    parts.iter().map(|part| shown(part)).collect::<Vec<_>>().join(".")
}

/// The input of a SELECT: rows and the names of their columns.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) scope: Scope,
    pub(crate) relation: Relation,
}

impl Input {
    pub(crate) fn of(source: &Source, result: ResultSet) -> Self {
        Self { scope: Scope::of(source, &result.fields), relation: result.relation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Type;

    fn parts(text: &[&str]) -> Vec<String> {
        text.iter().map(|part| (*part).to_owned()).collect()
    }

    fn scope() -> Scope {
        let field = |name: &str| Field::new(name, Type::Date, true);
        let table = Source::Table(TableName::parse("D.S.T").unwrap());
        Scope::of(&table, &[field("A"), field("B")])
            .joined(Scope::of(&Source::Alias("U".to_owned()), &[field("B"), field("c")]))
    }

    #[test]
    fn names_are_found_by_any_suffix_of_the_table_name() {
        let scope = scope();
        for name in [&["A"][..], &["T", "A"], &["S", "T", "A"], &["D", "S", "T", "A"]] {
            assert_eq!(scope.find(&parts(name)), Ok(Some(0)), "{name:?}");
        }
        assert_eq!(scope.find(&parts(&["U", "c"])), Ok(Some(3)));
        assert_eq!(scope.find(&parts(&["X", "A"])), Ok(None));
        assert_eq!(scope.find(&parts(&["C"])), Ok(None));
    }

    #[test]
    fn a_name_of_two_inputs_needs_a_qualifier() {
        let scope = scope();
        assert_eq!(scope.find(&parts(&["B"])).unwrap_err().code, "002028");
        assert_eq!(scope.find(&parts(&["U", "B"])), Ok(Some(2)));
        assert_eq!(scope.star(&[]), [0, 1, 2, 3]);
        assert_eq!(scope.star(&parts(&["U"])), [2, 3]);
    }
}
