//! A predicate as SQL.

use super::Predicate;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::name::ColumnName;
use crate::sql::SqlBuilder;
use crate::value::Scalar;

impl Predicate {
    /// Appends the condition to a statement, in brackets where precedence asks for them.
    ///
    /// Text is compared by bytes, so that every system agrees on what lies between two bounds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`]: a raw part is written in another dialect.
    pub fn render(&self, sql: &mut SqlBuilder) -> Result<()> {
        match self {
            Self::All => {
                sql.text("true");
            }
            Self::Range { column, lower, upper } => {
                render_range(sql, column, lower.as_ref(), upper.as_ref());
            }
            Self::Above { column, value } => {
                render_key(sql, column, Some(value));
                sql.text(" > ").value(value);
            }
            Self::AtMost { column, value } => {
                render_key(sql, column, Some(value));
                sql.text(" <= ").value(value);
            }
            Self::In { values, .. } if values.is_empty() => {
                sql.text("false");
            }
            Self::In { column, values } => {
                render_key(sql, column, values.first());
                for (position, value) in values.iter().enumerate() {
                    sql.text(if position == 0 { " in (" } else { ", " }).value(value);
                }
                sql.text(")");
            }
            Self::IsNull { column } => {
                sql.name(column.as_str()).text(" is null");
            }
            Self::And { terms } => render_terms(sql, terms, " and ", "true")?,
            Self::Or { terms } => render_terms(sql, terms, " or ", "false")?,
            Self::Raw { dialect, sql: text } if *dialect == sql.dialect() => {
                // The line feeds keep a trailing comment from swallowing the bracket.
                sql.text("(\n").text(text).text("\n)");
            }
            Self::Raw { dialect, sql: text } => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("A {} filter cannot run on {}", dialect.name(), sql.dialect().name()),
                )
                .with("filter", text)
                .with_hint("remove `source_filter`, or use a source that speaks its dialect"));
            }
        }
        Ok(())
    }
}

fn render_range(
    sql: &mut SqlBuilder,
    column: &ColumnName,
    lower: Option<&Scalar>,
    upper: Option<&Scalar>,
) {
    if lower.is_none() && upper.is_none() {
        sql.name(column.as_str()).text(" is not null");
        return;
    }
    if let Some(lower) = lower {
        render_key(sql, column, Some(lower));
        sql.text(" >= ").value(lower);
    }
    if lower.is_some() && upper.is_some() {
        sql.text(" and ");
    }
    if let Some(upper) = upper {
        render_key(sql, column, Some(upper));
        sql.text(" < ").value(upper);
    }
}

fn render_key(sql: &mut SqlBuilder, column: &ColumnName, compared_with: Option<&Scalar>) {
    sql.name(column.as_str());
    if matches!(compared_with, Some(Scalar::Text(_))) {
        sql.text(match sql.dialect() {
            Dialect::Snowflake => " collate ''",
            Dialect::Postgres => " collate \"C\"",
        });
    }
}

fn render_terms(sql: &mut SqlBuilder, terms: &[Predicate], by: &str, none: &str) -> Result<()> {
    if terms.is_empty() {
        sql.text(none);
        return Ok(());
    }
    sql.text("(");
    for (position, term) in terms.iter().enumerate() {
        sql.text(if position == 0 { "" } else { by });
        term.render(sql)?;
    }
    sql.text(")");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(predicate: &Predicate, dialect: Dialect) -> (String, Vec<Scalar>) {
        let mut sql = SqlBuilder::new(dialect);
        predicate.render(&mut sql).expect("renders");
        let statement = sql.finish();
        (statement.sql, statement.params)
    }

    #[test]
    fn values_are_parameters_and_names_are_quoted() {
        let parts = Predicate::partition(&"Payer \"Id\"".into(), &["x' or true --".into()]);
        let (sql, params) = rendered(&parts[0], Dialect::Postgres);
        assert_eq!(sql, r#"("Payer ""Id""" collate "C" < $1 or "Payer ""Id""" is null)"#);
        assert_eq!(params, ["x' or true --".into()]);
    }

    #[test]
    fn both_dialects_use_their_placeholders() {
        let range = Predicate::Range {
            column: "n".into(),
            lower: Some(1.into()),
            upper: Some(Scalar::Number("10.5".parse().expect("decimal"))),
        };
        assert_eq!(
            rendered(&range, Dialect::Snowflake).0,
            "\"n\" >= ? and \"n\" < ?::NUMBER(38,1)"
        );
        assert_eq!(rendered(&range, Dialect::Postgres).0, "\"n\" >= $1 and \"n\" < $2::numeric");
    }

    #[test]
    fn a_raw_filter_is_closed_by_line_feeds_and_refused_elsewhere() {
        let raw = Predicate::Raw { dialect: Dialect::Snowflake, sql: "a = 1 -- x".into() };
        let both = raw.clone().and(Predicate::IsNull { column: "b".into() });
        assert_eq!(rendered(&both, Dialect::Snowflake).0, "((\na = 1 -- x\n) and \"b\" is null)");
        let refused = raw.render(&mut SqlBuilder::new(Dialect::Postgres)).expect_err("dialect");
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_window_is_closed_above_and_may_be_open_below() {
        let above = Predicate::Above { column: "n".into(), value: 1.into() };
        let window = above.and(Predicate::AtMost { column: "n".into(), value: 9.into() });
        let (sql, params) = rendered(&window, Dialect::Postgres);
        assert_eq!(sql, "(\"n\" > $1 and \"n\" <= $2)");
        assert_eq!(params, [1.into(), 9.into()]);
        assert_eq!(window.to_string(), "(\"n\" > 1 and \"n\" <= 9)");
    }

    #[test]
    fn empty_lists_mean_what_they_say() {
        let none = Predicate::In { column: "a".into(), values: vec![] };
        assert_eq!(rendered(&none, Dialect::Postgres).0, "false");
        let or = Predicate::Or { terms: vec![] };
        assert_eq!(rendered(&or, Dialect::Postgres).0, "false");
    }
}
