//! The user's own condition (`source_filter`), checked so that it stays one condition.
//!
//! No SQL parser: it would refuse valid SQL of systems that grow faster than any parser. Reading
//! the tokens that open and close is enough to know that the text cannot leave the brackets which
//! [`Predicate::Raw`](crate::Predicate::Raw) puts around it: `1=1) OR (1=1` closes a bracket that it did not open,
//! a trailing `--` ends at the line feed before the closing bracket.
//!
//! That holds only while this reader and the server agree on where a quote or a comment begins and
//! ends. Where systems or their versions differ, the text is refused rather than guessed at.

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};

/// Checks that `sql` is one closed expression in the dialect's lexical rules, without placeholders:
/// those are for the values of chunks.
///
/// # Errors
///
/// [`ErrorKind::Config`]: a bracket, quote or comment is not closed, a bracket closes one that was
/// not opened, a `;` or a placeholder stands outside quotes, there is nothing but comments, or
/// systems read the text in different ways.
///
/// ```
/// use migrate_core::{Dialect, check_filter};
/// assert!(check_filter(Dialect::Snowflake, "\"Is Active\" = TRUE -- only these").is_ok());
/// assert!(check_filter(Dialect::Snowflake, "1=1) OR (1=1").is_err());
/// ```
pub fn check_filter(dialect: Dialect, sql: &str) -> Result<()> {
    let mut reader = Reader { dialect, depth: 0, has_condition: false, after_escapes: false };
    let mut rest = sql;
    while !rest.is_empty() {
        rest = reader.token(rest)?;
    }
    if reader.depth > 0 {
        return Err(refused("leaves a bracket open"));
    }
    if !reader.has_condition {
        return Err(refused("holds no condition, only space or comments"));
    }
    Ok(())
}

/// What is known of the tokens so far.
struct Reader {
    dialect: Dialect,
    depth: u32,
    has_condition: bool,
    /// Whether only space and comments came after an escape string of PostgreSQL.
    after_escapes: bool,
}

impl Reader {
    /// The text after its first token.
    fn token<'a>(&mut self, text: &'a str) -> Result<&'a str> {
        let is_snowflake = self.dialect == Dialect::Snowflake;
        let first = text.chars().next().unwrap_or_default();
        if first.is_whitespace() && first.is_ascii() {
            return Ok(advance(text, 1));
        }
        if text.starts_with("--") || (is_snowflake && text.starts_with("//")) {
            return skip_line(text);
        }
        if text.starts_with("/*") {
            return skip_block_comment(self.dialect, text);
        }
        self.has_condition = true;
        let after_escapes = std::mem::take(&mut self.after_escapes);
        match first {
            c if begins_word(c) => self.word(text),
            c if c.is_ascii_digit() => skip_number(text),
            // In PostgreSQL it goes on with the string before, and so do its escapes.
            '\'' if after_escapes => Err(refused("goes on with an `E''` string in a second one")),
            '\'' => skip_string(text, is_snowflake),
            '"' => close(text, 1, "\"", "a double quote"),
            '$' => skip_dollar(self.dialect, text),
            ':' => skip_colon(self.dialect, text),
            '?' if is_snowflake => Err(placeholder("?")),
            '(' => {
                self.depth += 1;
                Ok(advance(text, 1))
            }
            ')' => {
                let closed = self.depth.checked_sub(1);
                self.depth =
                    closed.ok_or_else(|| refused("closes a bracket that it did not open"))?;
                Ok(advance(text, 1))
            }
            ';' => Err(refused("contains a `;` outside quotes")),
            // No operator there; some readers of its SQL take it for the start of a comment.
            '#' if is_snowflake => Err(refused("contains a `#` outside quotes")),
            // Nothing there; some readers take it for the quote of a name, as in other systems.
            '`' if is_snowflake => Err(refused("contains a backtick outside quotes")
                .with_hint("write names in double quotes, or without any")),
            // Some systems take them for space, some for letters.
            c if c == '\0' || !c.is_ascii() => {
                let name = format!("contains the character U+{:04X} outside quotes", u32::from(c));
                Err(refused(&name))
            }
            _ => Ok(advance(text, 1)),
        }
    }

    /// A word is read whole: a `$` in it opens nothing. PostgreSQL's `E` before a quote makes an
    /// escape string.
    fn word<'a>(&mut self, text: &'a str) -> Result<&'a str> {
        let (word, rest) = split(text, |c| c.is_alphanumeric() || c == '_' || c == '$');
        if word.contains("$$") {
            return Err(refused("has `$$` within a word")
                .with_hint("put the name in double quotes, or a space before the dollar quote"));
        }
        let is_prefix = self.dialect == Dialect::Postgres && word.eq_ignore_ascii_case("e");
        if !is_prefix || !rest.starts_with('\'') {
            return Ok(rest);
        }
        self.after_escapes = true;
        skip_string(rest, true)
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("The filter {why}"))
        .with_hint("write one complete condition, as it would stand after `where`")
}

fn placeholder(which: &str) -> Error {
    Error::new(ErrorKind::Config, format!("The filter contains the placeholder `{which}`"))
        .with_hint("write the value itself, as it would stand after `where`")
}

fn advance(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

/// The characters that belong together, and what comes after them.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The text after the next `end`, looked for from byte `from` on.
fn close<'a>(text: &'a str, from: usize, end: &str, what: &str) -> Result<&'a str> {
    let body = advance(text, from);
    match body.find(end) {
        Some(at) => Ok(advance(body, at + end.len())),
        None => Err(refused(&format!("leaves {what} open"))),
    }
}

/// A line ends at a line feed everywhere; whether it ends at one of the others differs.
fn skip_line(text: &str) -> Result<&str> {
    let end = text.find('\n').unwrap_or(text.len());
    let (line, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let line = if rest.is_empty() { line } else { line.strip_suffix('\r').unwrap_or(line) };
    if line.contains(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err(refused("has a comment with a line end that is not a line feed"));
    }
    Ok(rest)
}

/// Digits with what belongs to a number in some system: `1e5`, `0x1F`, `1_000`. What may come next
/// is read differently: `1e5$$` is a number and a dollar quote, or a number and a name.
fn skip_number(text: &str) -> Result<&str> {
    let (_, rest) = split(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if rest.starts_with(['$', '\'']) {
        return Err(refused("has a number that runs into `$` or a quote"));
    }
    Ok(rest)
}

/// A doubled quote stays inside a string in both systems. Backslash escapes exist in Snowflake
/// always, in PostgreSQL only in `E''`.
fn skip_string(text: &str, has_escapes: bool) -> Result<&str> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if has_escapes => {
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

/// `$$…$$` in both systems; PostgreSQL's `$tag$…$tag$` and its parameters `$1`; Snowflake's
/// `$1` for a column by its position.
fn skip_dollar(dialect: Dialect, text: &str) -> Result<&str> {
    if text.starts_with("$$") {
        return close(text, 2, "$$", "a dollar quote");
    }
    let body = advance(text, 1);
    let (tag, rest) = split(body, |c| c.is_alphanumeric() || c == '_');
    match dialect {
        Dialect::Snowflake if body.starts_with(|c: char| c.is_ascii_digit()) => skip_number(body),
        Dialect::Postgres if body.starts_with(|c: char| c.is_ascii_digit()) => {
            Err(placeholder(&format!("${}", split(body, |c| c.is_ascii_digit()).0)))
        }
        Dialect::Postgres if body.starts_with(begins_word) && rest.starts_with('$') => {
            let delimiter = text.get(..tag.len() + 2).unwrap_or_default();
            close(text, delimiter.len(), delimiter, "a dollar quote")
        }
        Dialect::Snowflake if body.starts_with(begins_word) => {
            Err(refused("names a variable of the session, which has none"))
        }
        _ => Err(refused("has a `$` that opens nothing")),
    }
}

/// A cast `::`, a path `a:b`, or Snowflake's placeholder `:1`.
fn skip_colon(dialect: Dialect, text: &str) -> Result<&str> {
    if text.starts_with("::") {
        return Ok(advance(text, 2));
    }
    let rest = advance(text, 1);
    let (number, _) = split(rest.trim_start(), |c| c.is_ascii_digit());
    if dialect == Dialect::Snowflake && !number.is_empty() {
        return Err(placeholder(&format!(":{number}")));
    }
    Ok(rest)
}

/// PostgreSQL nests block comments, Snowflake does not.
fn skip_block_comment(dialect: Dialect, text: &str) -> Result<&str> {
    let mut depth = 0_u32;
    let mut rest = text;
    loop {
        if rest.starts_with("/*") {
            depth += 1;
            rest = advance(rest, 2);
            if depth > 1 && dialect == Dialect::Snowflake {
                return Err(refused("opens a comment within a comment"));
            }
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

    const BOTH: [Dialect; 2] = [Dialect::Snowflake, Dialect::Postgres];
    const SNOWFLAKE: [Dialect; 1] = [Dialect::Snowflake];
    const POSTGRES: [Dialect; 1] = [Dialect::Postgres];

    #[test]
    fn one_closed_condition_passes() {
        for sql in [
            "\"Is Active\" = TRUE",
            "a in (1, 2) and (b = ')' or c = 'it''s')",
            "a = 'x' -- ) trailing",
            "-- first\r\na = 1e5 + 0x1F",
            "a = 1 /* ( */ and b = 2",
            "\"odd ) name\" is null",
            "a = $$ ) ' $$ and b::date > '2024-01-01'::date",
            "a$b = 1 and größe > 2",
            "e = 'x'\nand typ = 'y'",
        ] {
            for dialect in BOTH {
                check_filter(dialect, sql).expect(sql);
            }
        }
        for sql in [r"a = 'it\'s )' // )", "v:a.b[0]:c = 1 and $1 = 2", "a = r'it''s )'"] {
            check_filter(Dialect::Snowflake, sql).expect(sql);
        }
        for sql in [
            r"a = E'it\'s )'",
            "a = 1 /* ( /* ) */ ( */",
            "a = $t$ ) $$ $t$",
            "a ? 'key' and b // 2 = 1",
            r"the = 'x\' and se = 'y\'",
        ] {
            check_filter(Dialect::Postgres, sql).expect(sql);
        }
    }

    #[test]
    fn what_could_widen_a_chunk_is_refused() {
        let cases: [(&[Dialect], &str); 38] = [
            (&BOTH, "1=1) OR (1=1"),
            (&BOTH, "a = (1"),
            (&BOTH, "a = 'open"),
            (&BOTH, "\"open"),
            (&BOTH, "a = 1; drop table t"),
            (&BOTH, "a = 1 /* open"),
            (&BOTH, "a = $$ open"),
            (&BOTH, "a = 1\0"),
            // A `$` in a word opens no quote.
            (&BOTH, "A$$ = 1) or (1=1 or A$$ = 2"),
            (&BOTH, "_$$ = 1) or (1=1 or _$$ = 2"),
            (&BOTH, "ä$$ = 1) or (1=1 or ä$$ = 2"),
            (&POSTGRES, "a$t$ = 1) or (1=1 or a$t$ = 2"),
            (&BOTH, "x = 1e5$$ ' $$ ) or (1=1 -- '"),
            (&BOTH, "x = 1$$ ' $$ ) or (1=1 -- '"),
            (&BOTH, r"x = 1e'\' ) or (1=1 -- '"),
            // Snowflake knows no tags.
            (&SNOWFLAKE, "x = $t$ ) or (1=1 and y = $t$"),
            (&SNOWFLAKE, "x = $t$$ ' $$ ) or (1=1 -- '"),
            (&POSTGRES, "x = $ and y = 1"),
            // A line ends where some system says that it ends.
            (&BOTH, "1=1 --\r) or (1=1 --"),
            (&BOTH, "1=1 --\u{2028}) or (1=1 --"),
            (&SNOWFLAKE, "1=1 //\r) or (1=1 //"),
            (&BOTH, "1=1 -- x\r"),
            // Space for some, letters for others.
            (&BOTH, "x = \u{a0}$$ ' $$ ) or (1=1 -- '"),
            (&SNOWFLAKE, "a = 1 # (\n) or (1=1 # )"),
            (&SNOWFLAKE, "a`'` (b # '"),
            (&SNOWFLAKE, "/* /* */ ) */"),
            (&SNOWFLAKE, "/* /* */ x = ' */ ) or (1=1 -- '"),
            // Where escapes begin and end.
            (&POSTGRES, r"a = 'x\' or (1=1"),
            (&SNOWFLAKE, r"a = 'x\'"),
            (&POSTGRES, r"a = E'b''\'' ) or (''='"),
            (&POSTGRES, "x = E'a'\n'b\\' ' ) or (1=1 -- '"),
            (&POSTGRES, "x = e'a' -- and\n'b\\' ' ) or (1=1 -- '"),
            (&POSTGRES, r"x = the'\' ) or (1=1 -- '"),
            // Placeholders would take the values of the chunk.
            (&SNOWFLAKE, "a = ?"),
            (&SNOWFLAKE, "a = :1"),
            (&SNOWFLAKE, "a = : 2"),
            (&POSTGRES, "a > $1"),
            (&SNOWFLAKE, "a = $limit"),
        ];
        for (dialects, sql) in cases {
            for dialect in dialects {
                let error = check_filter(*dialect, sql).expect_err(sql);
                assert_eq!(error.kind(), ErrorKind::Config, "{sql}");
                assert!(error.hint().is_some(), "{sql}");
            }
        }
    }

    #[test]
    fn comments_alone_are_no_condition() {
        for sql in ["", " \n", "-- x", "/* a = 1 */ -- b"] {
            for dialect in BOTH {
                let error = check_filter(dialect, sql).expect_err(sql);
                assert!(error.message().contains("holds no condition"), "{error}");
            }
        }
        check_filter(Dialect::Snowflake, "// x").expect_err("a comment there");
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(sql in ".{0,60}") {
            for dialect in BOTH {
                // Either answer is fine here; a panic is not.
                drop(check_filter(dialect, &sql));
            }
        }
    }
}
