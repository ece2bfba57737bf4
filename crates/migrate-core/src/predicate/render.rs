//! A predicate as SQL.

use super::Predicate;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Canonical, Key, Reading};
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
            Self::Range { key, lower, upper } => {
                render_range(sql, key, lower.as_ref(), upper.as_ref());
            }
            Self::Above { column, value } => {
                Key::from(column).render(sql, is_text(Some(value)));
                sql.text(" > ").value(value);
            }
            Self::AtMost { column, value } => {
                Key::from(column).render(sql, is_text(Some(value)));
                sql.text(" <= ").value(value);
            }
            Self::In { values, .. } if values.is_empty() => {
                sql.text("false");
            }
            Self::In { column, values } => {
                Key::from(column).render(sql, is_text(values.first()));
                for (position, value) in values.iter().enumerate() {
                    sql.text(if position == 0 { " in (" } else { ", " }).value(value);
                }
                sql.text(")");
            }
            Self::IsNull { key } => {
                key.render(sql, false);
                sql.text(" is null");
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

fn render_range(sql: &mut SqlBuilder, key: &Key, lower: Option<&Scalar>, upper: Option<&Scalar>) {
    if lower.is_none() && upper.is_none() {
        key.render(sql, false);
        sql.text(" is not null");
        return;
    }
    if let Some(lower) = lower {
        key.render(sql, is_text(Some(lower)));
        sql.text(" >= ").value(lower);
    }
    if lower.is_some() && upper.is_some() {
        sql.text(" and ");
    }
    if let Some(upper) = upper {
        key.render(sql, is_text(Some(upper)));
        sql.text(" < ").value(upper);
    }
}

fn is_text(value: Option<&Scalar>) -> bool {
    matches!(value, Some(Scalar::Text(_)))
}

impl Key {
    /// Appends the expression of the key; `by_bytes` for texts that are compared or sorted, so that
    /// every system agrees on their order.
    pub fn render(&self, sql: &mut SqlBuilder, by_bytes: bool) {
        let column = self.column.as_str();
        match (self.read_as, sql.dialect()) {
            (Reading::Value, dialect) => {
                sql.name(column);
                if by_bytes {
                    sql.text(match dialect {
                        Dialect::Snowflake => " collate ''",
                        Dialect::Postgres => " collate \"C\"",
                    });
                }
            }
            (Reading::Number, Dialect::Snowflake) => {
                sql.text("try_to_number(").name(column).text(", 38, 0)");
            }
            (Reading::Number, Dialect::Postgres) => render_postgres_number(sql, column),
            (Reading::Hash(canonical), Dialect::Snowflake) => {
                sql.text("coalesce(to_number(substr(md5(");
                match canonical {
                    Canonical::Integer => sql.text("to_varchar(").name(column).text(")"),
                    Canonical::Text => sql.name(column),
                    Canonical::Date => sql.text("to_varchar(").name(column).text(", 'YYYY-MM-DD')"),
                };
                sql.text("), 1, 8), 'XXXXXXXX'), 0)");
            }
            (Reading::Hash(canonical), Dialect::Postgres) => {
                sql.text("coalesce(('x' || substr(md5(");
                match canonical {
                    Canonical::Integer => sql.name(column).text("::text"),
                    Canonical::Text => sql.name(column),
                    Canonical::Date => sql.text("to_char(").name(column).text(", 'YYYY-MM-DD')"),
                };
                sql.text("), 1, 8))::bit(32)::bigint, 0)");
            }
        }
    }
}

/// PostgreSQL has no cast that answers NULL, so the form is looked at first; and its numeric ends
/// before six digits of exponent do, so what is cast is built anew: `0.<digits>e<place>`, where the
/// place of the first digit says of most numbers that they are too large, or none. The forty digits
/// are more than the 38 of a number and the one that rounds them.
fn render_postgres_number(sql: &mut SqlBuilder, column: &str) {
    const FORM: &str = "'^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,6})? *$'";
    let column = format!("{} collate \"C\"", Dialect::Postgres.quote(column));
    let text = format!("lower(trim({column}))");
    let mantissa = format!("split_part({text}, 'e', 1)");
    let exponent = format!("coalesce(nullif(split_part({text}, 'e', 2), ''), '0')::int");
    let whole = format!("translate(split_part({mantissa}, '.', 1), '+-', '')");
    let all = format!("translate({mantissa}, '+-.', '')");
    let digits = format!("ltrim({all}, '0')");
    let place = format!("(length({whole}) + {exponent} - length({all}) + length({digits}))");
    let sign = format!("case when {text} like '-%' then '-' else '' end");
    let built = format!("({sign} || '0.' || left({digits}, 40) || 'e' || {place})");
    let number = format!("round({built}::numeric)");
    sql.text(&format!(
        "(case when {column} ~ {FORM} then case when {digits} = '' or {place} < 0 then 0 \
         when {place} <= 38 then case when abs({number}) < 1e38 then {number} end end end)"
    ));
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
        let parts = Predicate::partition("Payer \"Id\"", &["x' or true --".into()]);
        let (sql, params) = rendered(&parts[0], Dialect::Postgres);
        assert_eq!(sql, r#"("Payer ""Id""" collate "C" < $1 or "Payer ""Id""" is null)"#);
        assert_eq!(params, ["x' or true --".into()]);
    }

    #[test]
    fn both_dialects_use_their_placeholders() {
        let upper = Scalar::Number("10.5".parse().expect("decimal"));
        let range = Predicate::range("n", Some(1.into()), Some(upper));
        assert_eq!(
            rendered(&range, Dialect::Snowflake).0,
            "\"n\" >= ? and \"n\" < ?::NUMBER(38,1)"
        );
        assert_eq!(rendered(&range, Dialect::Postgres).0, "\"n\" >= $1 and \"n\" < $2::numeric");
    }

    #[test]
    fn a_raw_filter_is_closed_by_line_feeds_and_refused_elsewhere() {
        let raw = Predicate::Raw { dialect: Dialect::Snowflake, sql: "a = 1 -- x".into() };
        let both = raw.clone().and(Predicate::is_null("b"));
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
