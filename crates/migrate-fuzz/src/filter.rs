//! The reader of `source_filter`, beside a tokenizer of others.

use migrate_core::{Dialect, check_filter};
use sqlparser::dialect::{Dialect as Grammar, PostgreSqlDialect, SnowflakeDialect};
use sqlparser::tokenizer::{Token, Tokenizer};

/// Any text is taken or refused. What is taken stays between the brackets that are put around it:
/// so reads it another tokenizer, wherever that one knows its words.
///
/// # Panics
///
/// Where that does not hold.
pub fn filter(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(sql) = std::str::from_utf8(rest) else { return };
    let (dialect, grammar): (_, &dyn Grammar) = match first % 2 {
        0 => (Dialect::Snowflake, &SnowflakeDialect {}),
        _ => (Dialect::Postgres, &PostgreSqlDialect {}),
    };
    if let Err(refused) = check_filter(dialect, sql) {
        assert!(refused.hint().is_some(), "refused without a next step");
        return;
    }
    if has_comment_in_operator(sql) {
        return;
    }
    // As it is rendered; what follows stands for the rest of the statement.
    let statement = format!("(\n{sql}\n)");
    let Ok(tokens) = Tokenizer::new(grammar, &statement).tokenize() else { return };
    let mut depth = 0_u32;
    let last = tokens.len().saturating_sub(1);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => {
                assert!(depth > 0, "closes a bracket that it did not open: {sql:?}");
                depth -= 1;
                assert!(depth > 0 || at == last, "leaves its brackets: {sql:?}");
            }
            Token::SemiColon => panic!("ends the statement: {sql:?}"),
            _ => {}
        }
    }
    assert_eq!(depth, 0, "leaves a bracket open: {sql:?}");
}

/// An operator ends where a comment begins; the other tokenizer does not know it, and reads
/// PostgreSQL's operators, such as `||/`, in every dialect.
fn has_comment_in_operator(sql: &str) -> bool {
    ["--", "/*", "//"]
        .into_iter()
        .flat_map(|comment| sql.match_indices(comment))
        .filter_map(|(at, _)| sql.get(..at)?.chars().next_back())
        .any(|c| "+-*/<>=~!@#%^&|`?".contains(c))
}
