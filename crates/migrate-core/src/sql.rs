//! SQL text with its parameters, built piece by piece.
//!
//! Values go in by [`SqlBuilder::value`] only and become bind parameters; names go in by
//! [`SqlBuilder::name`] and [`SqlBuilder::table`] and are quoted. What is pushed as plain text is
//! text of this program.

use std::borrow::Cow;

use crate::dialect::Dialect;
use crate::name::TableRef;
use crate::value::Scalar;

/// A statement with bind parameters in order.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlStatement {
    /// Text with `$1`, `$2` (PostgreSQL) or `?` (Snowflake).
    pub sql: String,
    /// The values of the placeholders.
    pub params: Vec<Scalar>,
}

/// Builds a [`SqlStatement`].
///
/// ```
/// use migrate_core::{Dialect, Scalar, SqlBuilder};
///
/// let mut sql = SqlBuilder::new(Dialect::Postgres);
/// sql.text("select 1 where ").name("Payer Id").text(" = ").value(&Scalar::from("x' or true"));
/// let statement = sql.finish();
/// assert_eq!(statement.sql, r#"select 1 where "Payer Id" = $1"#);
/// ```
#[derive(Debug, Clone)]
pub struct SqlBuilder {
    dialect: Dialect,
    sql: String,
    params: Vec<Scalar>,
}

impl SqlBuilder {
    /// An empty statement.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, sql: String::new(), params: Vec::new() }
    }

    /// The dialect in which this statement is written.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Text of this program, never of a user.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.sql.push_str(text);
        self
    }

    /// One quoted identifier.
    pub fn name(&mut self, identifier: &str) -> &mut Self {
        let quoted = self.dialect.quote(identifier);
        self.text(&quoted)
    }

    /// A text as a literal, where a statement takes no parameter.
    pub fn literal(&mut self, text: &str) -> &mut Self {
        let literal = self.dialect.literal(text);
        self.text(&literal)
    }

    /// A quoted table with its path.
    pub fn table(&mut self, table: &TableRef) -> &mut Self {
        let quoted = self.dialect.quote_table(table);
        self.text(&quoted)
    }

    /// Quoted identifiers, separated by commas.
    pub fn names<'a>(&mut self, identifiers: impl IntoIterator<Item = &'a str>) -> &mut Self {
        for (position, identifier) in identifiers.into_iter().enumerate() {
            self.text(if position == 0 { "" } else { ", " }).name(identifier);
        }
        self
    }

    /// A bind parameter, cast to the type that belongs to the scalar.
    pub fn value(&mut self, value: &Scalar) -> &mut Self {
        self.params.push(value.clone());
        match self.dialect {
            Dialect::Snowflake => {
                let cast = snowflake_cast(value);
                self.text("?").text(&cast)
            }
            Dialect::Postgres => {
                let placeholder = format!("${}", self.params.len());
                self.text(&placeholder).text(postgres_cast(value))
            }
        }
    }

    /// The finished statement.
    pub fn finish(self) -> SqlStatement {
        SqlStatement { sql: self.sql, params: self.params }
    }
}

/// Binds carry their type on Snowflake's wire; numbers with a fraction and doubles travel as text.
fn snowflake_cast(value: &Scalar) -> Cow<'static, str> {
    match value {
        Scalar::Number(number) if number.scale() > 0 => {
            format!("::NUMBER(38,{})", number.scale()).into()
        }
        Scalar::Float(_) => "::FLOAT".into(),
        _ => "".into(),
    }
}

/// Numbers that fit travel as `bigint`, so that an index on an integer column can be used.
fn postgres_cast(value: &Scalar) -> &'static str {
    match value {
        Scalar::Number(number) if number.to_i64().is_none() => "::numeric",
        Scalar::Date(_) => "::date",
        Scalar::Time(_) => "::time",
        Scalar::Timestamp(_) => "::timestamp",
        Scalar::Instant(_) => "::timestamptz",
        _ => "",
    }
}
