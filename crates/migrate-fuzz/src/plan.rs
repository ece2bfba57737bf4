//! Plans and chunks as the ledger keeps them.

use std::fmt::Debug;

use migrate_core::{Chunk, Dialect, Extent, Predicate, SqlBuilder, TablePlan, WorkKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlparser::dialect::{Dialect as Grammar, PostgreSqlDialect, SnowflakeDialect};
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// Any stored text is read or refused. What is read is written and read again as the same, and can be
/// worked with.
///
/// # Panics
///
/// Where that does not hold.
pub fn plan(data: &[u8]) {
    if let Some(plan) = kept::<TablePlan>(data) {
        let steps = plan.steps();
        let chunks = plan.item_count(WorkKind::Chunk);
        assert!(chunks == plan.chunk_count && !steps.is_empty());
        rendered(&plan.filter);
    }
    if let Some(chunk) = kept::<Chunk>(data) {
        let shown = chunk.extent.to_string();
        assert!(!shown.is_empty(), "a chunk cannot be shown");
        if let Extent::Rows { predicate } = &chunk.extent {
            rendered(predicate);
        }
    }
}

/// Reads, writes and reads again.
fn kept<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_string(&value);
    let written = written.unwrap_or_else(|cause| panic!("cannot be stored: {cause}"));
    let again: T = serde_json::from_str(&written)
        .unwrap_or_else(|cause| panic!("cannot be read again: {cause}: {written}"));
    let stored = serde_json::to_string(&again).unwrap_or_default();
    assert_eq!(stored, written, "stored in another way at the second time");
    assert!(again == value, "another value at the second time: {written}");
    Some(value)
}

/// Values are bound and names are quoted, so a statement has as many placeholders as values, whatever
/// stands in a plan.
fn rendered(predicate: &Predicate) {
    let grammars: [(Dialect, &dyn Grammar); 2] =
        [(Dialect::Snowflake, &SnowflakeDialect {}), (Dialect::Postgres, &PostgreSqlDialect {})];
    for (dialect, grammar) in grammars {
        let mut sql = SqlBuilder::new(dialect);
        if predicate.render(&mut sql).is_err() || has_raw_part(predicate) {
            continue;
        }
        let statement = sql.finish();
        let tokens = Tokenizer::new(grammar, &statement.sql).tokenize();
        let tokens = tokens.unwrap_or_else(|cause| panic!("no SQL: {cause}: {}", statement.sql));
        let count = |is: fn(&Token) -> bool| tokens.iter().filter(|token| is(token)).count();
        let values = count(|token| matches!(token, Token::Placeholder(_)));
        assert_eq!(values, statement.params.len(), "values are not bound: {}", statement.sql);
        let breaks = count(|token| {
            matches!(
                token,
                Token::SemiColon | Token::Whitespace(Whitespace::SingleLineComment { .. })
            )
        });
        assert_eq!(breaks, 0, "the statement ends early: {}", statement.sql);
        let brackets = count(|token| *token == Token::LParen);
        assert_eq!(brackets, count(|token| *token == Token::RParen), "{}", statement.sql);
    }
}

fn has_raw_part(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Raw { .. } => true,
        Predicate::And { terms } | Predicate::Or { terms } => terms.iter().any(has_raw_part),
        _ => false,
    }
}
