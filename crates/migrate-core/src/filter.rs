//! The user's own condition (`source_filter`), checked so that it stays one condition.
//!
//! No SQL parser: it would refuse valid SQL of systems that grow faster than any parser. Reading
//! the tokens that open and close is enough to know that the text cannot leave the brackets which
//! [`Predicate::Raw`](crate::Predicate::Raw) puts around it: `1=1) OR (1=1` closes a bracket that it did not open,
//! a trailing `--` ends at the line feed before the closing bracket.

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};

/// Checks that `sql` is one closed expression in the dialect's lexical rules.
///
/// # Errors
///
/// [`ErrorKind::Config`]: a bracket, quote or comment is not closed, a bracket closes one that was
/// not opened, or a `;` stands outside quotes.
///
/// ```
/// use migrate_core::{Dialect, check_filter};
/// assert!(check_filter(Dialect::Snowflake, "\"Is Active\" = TRUE -- only these").is_ok());
/// assert!(check_filter(Dialect::Snowflake, "1=1) OR (1=1").is_err());
/// ```
pub fn check_filter(dialect: Dialect, sql: &str) -> Result<()> {
    let mut rest = sql;
    let mut depth = 0_u32;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\'' => skip_string(dialect, sql, rest)?,
            '"' => close(rest, 1, "\"", "a double quote")?,
            '$' => skip_dollar_string(rest)?,
            '-' if rest.starts_with("--") => skip_line(rest),
            '/' if rest.starts_with("//") && dialect == Dialect::Snowflake => skip_line(rest),
            '/' if rest.starts_with("/*") => skip_block_comment(dialect, rest)?,
            '(' => {
                depth += 1;
                advance(rest, 1)
            }
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| refused("closes a bracket that it did not open"))?;
                advance(rest, 1)
            }
            ';' => return Err(refused("contains a `;` outside quotes")),
            '\0' => return Err(refused("contains the character U+0000")),
            other => advance(rest, other.len_utf8()),
        };
    }
    if depth > 0 { Err(refused("leaves a bracket open")) } else { Ok(()) }
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("The filter {why}"))
        .with_hint("write one complete condition, as it would stand after `where`")
}

fn advance(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

/// The text after the next `end`, looked for from byte `from` on.
fn close<'a>(text: &'a str, from: usize, end: &str, what: &str) -> Result<&'a str> {
    let body = advance(text, from);
    match body.find(end) {
        Some(at) => Ok(advance(body, at + end.len())),
        None => Err(refused(&format!("leaves {what} open"))),
    }
}

fn skip_line(text: &str) -> &str {
    text.find('\n').map_or("", |at| advance(text, at))
}

/// Backslash escapes exist in Snowflake always, in PostgreSQL only in `E''`; a doubled quote stays
/// inside the string in both.
fn skip_string<'a>(dialect: Dialect, all: &str, text: &'a str) -> Result<&'a str> {
    let before = all.get(..all.len() - text.len()).unwrap_or_default();
    let escapes = match dialect {
        Dialect::Snowflake => true,
        Dialect::Postgres => ends_in_escape_prefix(before),
    };
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if escapes => {
                chars.next();
            }
            '\'' if matches!(chars.peek(), Some((_, '\''))) => {
                chars.next();
            }
            '\'' => return Ok(advance(text, at + 1)),
            _ => {}
        }
    }
    Err(refused("leaves a quote open"))
}

/// Whether the text before a quote ends in the keyword `E`.
fn ends_in_escape_prefix(before: &str) -> bool {
    let mut chars = before.chars().rev();
    matches!(chars.next(), Some('e' | 'E'))
        && !chars.next().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// `$$…$$` and PostgreSQL's `$tag$…$tag$`; a lone `$` (a parameter, a variable) is plain text.
fn skip_dollar_string(text: &str) -> Result<&str> {
    let body = advance(text, 1);
    let tag_length = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
    let starts_with_digit = body.starts_with(|c: char| c.is_ascii_digit());
    if starts_with_digit || !advance(body, tag_length).starts_with('$') {
        return Ok(body);
    }
    let delimiter = text.get(..tag_length + 2).unwrap_or_default();
    close(text, delimiter.len(), delimiter, "a dollar quote")
}

/// PostgreSQL nests block comments, Snowflake does not.
fn skip_block_comment(dialect: Dialect, text: &str) -> Result<&str> {
    if dialect == Dialect::Snowflake {
        return close(text, 2, "*/", "a comment");
    }
    let mut depth = 0_u32;
    let mut rest = text;
    loop {
        if rest.starts_with("/*") {
            depth += 1;
            rest = advance(rest, 2);
        } else if rest.starts_with("*/") {
            depth -= 1;
            rest = advance(rest, 2);
            if depth == 0 {
                return Ok(rest);
            }
        } else {
            let next = rest.chars().next().ok_or_else(|| refused("leaves a comment open"))?;
            rest = advance(rest, next.len_utf8());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_closed_condition_passes() {
        for sql in [
            "",
            "\"Is Active\" = TRUE",
            "a in (1, 2) and (b = ')' or c = 'it''s')",
            "a = 'x' -- ) trailing",
            "a = 1 /* ( */ and b = 2",
            "\"odd ) name\" is null",
            "a = $$ ) ' $$ and b > $1",
        ] {
            for dialect in [Dialect::Snowflake, Dialect::Postgres] {
                check_filter(dialect, sql).expect(sql);
            }
        }
        check_filter(Dialect::Snowflake, r"a = 'it\'s )' // )").expect("backslash and slashes");
        check_filter(Dialect::Postgres, r"a = E'it\'s )'").expect("escape string");
        check_filter(Dialect::Postgres, "a = 1 /* ( /* ) */ ( */").expect("nested comment");
        check_filter(Dialect::Postgres, "a = $t$ ) $$ $t$").expect("tagged");
    }

    #[test]
    fn what_could_widen_a_chunk_is_refused() {
        for sql in [
            "1=1) OR (1=1",
            "a = (1",
            "a = 'open",
            "\"open",
            "a = 1; drop table t",
            "a = 1 /* open",
            "a = $$ open",
            "a = 1\0",
        ] {
            for dialect in [Dialect::Snowflake, Dialect::Postgres] {
                let error = check_filter(dialect, sql).expect_err(sql);
                assert_eq!(error.kind(), ErrorKind::Config, "{sql}");
            }
        }
        check_filter(Dialect::Postgres, r"a = 'x\' or (1=1").expect_err("no escape here");
        check_filter(Dialect::Snowflake, r"a = 'x\'").expect_err("escaped quote stays open");
        check_filter(Dialect::Postgres, r"a = E'b''\'' ) or (''='").expect_err("still one string");
        check_filter(Dialect::Snowflake, "/* /* */ ) */").expect_err("comments do not nest");
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(sql in ".{0,60}") {
            for dialect in [Dialect::Snowflake, Dialect::Postgres] {
                // Either answer is fine here; a panic is not.
                drop(check_filter(dialect, &sql));
            }
        }
    }
}
