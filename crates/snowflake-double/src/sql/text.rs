//! Statement text to syntax tree: tokens, placeholders, string escapes, identifiers.
//!
//! The tokenizer is told not to unescape, because Snowflake's escapes differ from its own.

use sqlparser::ast;
use sqlparser::dialect::SnowflakeDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::failure::Failure;

/// Splits a statement into tokens; each `?` gets its position.
pub(crate) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, Failure> {
    let mut tokens = Tokenizer::new(&SnowflakeDialect, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| Failure::syntax(&error.to_string()))?;
    let mut position = 0;
    for token in &mut tokens {
        if let Token::Placeholder(name) = &mut token.token
            && name == "?"
        {
            position += 1;
            *name = format!("?{position}");
        }
    }
    Ok(tokens)
}

/// Parses exactly one statement.
pub(crate) fn parse(tokens: Vec<TokenWithSpan>) -> Result<ast::Statement, Failure> {
    let mut statements = Parser::new(&SnowflakeDialect)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| {
            // The parser knows less than the service; the message must not claim otherwise.
            Failure::syntax(&format!("{error} (as far as the double's parser knows the language)"))
        })?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(Failure::new("000900", "42601", "Empty SQL statement.".to_owned())),
        (Some(_), false) => Err(Failure::new(
            "000008",
            "0A000",
            "Actual statement count did not match the desired statement count 1.".to_owned(),
        )),
    }
}

/// The words of a statement, without white space; strings keep their quotes away.
pub(crate) fn words(tokens: &[TokenWithSpan]) -> Vec<Token> {
    tokens
        .iter()
        .map(|token| token.token.clone())
        .filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon | Token::EOF))
        .collect()
}

/// Whether a token is this unquoted keyword.
pub(crate) fn is_word(token: &Token, keyword: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. })
        if value.eq_ignore_ascii_case(keyword))
}

/// An identifier in its exact case: unquoted ones fold to upper case.
pub(crate) fn identifier(ident: &ast::Ident) -> Result<String, Failure> {
    fold(&ident.value, ident.quote_style)
}

/// See [`identifier`].
pub(crate) fn fold(value: &str, quote: Option<char>) -> Result<String, Failure> {
    match quote {
        None => Ok(value.to_uppercase()),
        Some('"') => Ok(value.replace("\"\"", "\"")),
        Some(other) => Err(Failure::syntax(&format!("unexpected '{other}'"))),
    }
}

/// The parts of a dotted name.
pub(crate) fn name_parts(name: &ast::ObjectName) -> Result<Vec<String>, Failure> {
    name.0
        .iter()
        .map(|part| match part {
            ast::ObjectNamePart::Identifier(ident) => identifier(ident),
            ast::ObjectNamePart::Function(_) => Err(Failure::unsupported("IDENTIFIER(...)")),
        })
        .collect()
}

/// The text of a single-quoted string, with Snowflake's escapes resolved.
pub(crate) fn unescape(raw: &str) -> Result<String, Failure> {
    let mut out = String::with_capacity(raw.len());
    let mut letters = raw.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                // The tokenizer ends a string at a lone quote, so quotes come in pairs.
                letters.next_if_eq(&'\'');
                out.push('\'');
            }
            '\\' => match letters.next() {
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('x') => out.push(coded(&mut letters, 16, 2)?),
                Some('u') => out.push(coded(&mut letters, 16, 4)?),
                Some(digit @ '0'..='7') => {
                    let next = letters.peek().copied();
                    if digit == '0' && !next.is_some_and(|next| next.is_digit(8)) {
                        out.push('\0');
                    } else {
                        return Err(Failure::unsupported("octal escapes in strings"));
                    }
                }
                Some(other) => out.push(other),
                None => return Err(Failure::syntax("unfinished escape in a string")),
            },
            other => out.push(other),
        }
    }
    Ok(out)
}

fn coded(
    letters: &mut impl Iterator<Item = char>,
    radix: u32,
    digits: usize,
) -> Result<char, Failure> {
    let text: String = letters.take(digits).collect();
    (text.len() == digits)
        .then(|| u32::from_str_radix(&text, radix).ok())
        .flatten()
        .and_then(char::from_u32)
        .ok_or_else(|| Failure::unsupported(format!("the escape \\{text} in a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_unescaped_as_snowflake_does() {
        let text = |raw| unescape(raw).unwrap();
        assert_eq!(text("it''s"), "it's");
        assert_eq!(text(r"a\'b\\c\n\t\z"), "a'b\\c\n\tz");
        assert_eq!(text(r"\u26c4\x41\0"), "\u{26c4}A\0");
        assert!(unescape(r"\ud800").is_err());
        assert!(unescape(r"\101").is_err());
    }

    #[test]
    fn placeholders_are_numbered_in_the_order_of_the_text() {
        let names: Vec<_> = tokens("select ?, '?', \"?\" -- ?\n, ?")
            .unwrap()
            .into_iter()
            .filter_map(|token| match token.token {
                Token::Placeholder(name) => Some(name),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["?1", "?2"]);
    }

    #[test]
    fn syntax_errors_and_several_statements_have_their_codes() {
        let code = |sql: &str| tokens(sql).and_then(parse).map_err(|failure| failure.code);
        assert_eq!(code("selec 1").unwrap_err(), "001003");
        assert_eq!(code("select 'a").unwrap_err(), "001003");
        assert_eq!(code("select 1; select 2").unwrap_err(), "000008");
        assert_eq!(code(" -- nothing").unwrap_err(), "000900");
        assert!(code("select 1;").is_ok());
    }
}
