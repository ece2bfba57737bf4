//! Results that Snowflake still keeps, by the statement that made them.
//!
//! A chunk that failed is tried again by the engine, with the same statement. If only the way of its
//! rows was broken (links that expired, a target that was away), the statement need not run a
//! second time: Snowflake keeps each result for a day. The key is the text with all its values, and
//! the text names the frozen moment, so a result of another moment is never found. A source that is
//! not frozen gives the rows that the first try would have given.
//!
//! The knowledge lives as long as the open table, in one process; a new process runs the statement.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use migrate_core::SqlStatement;
use tokio::time::Instant;

/// Results stay for 24 hours (Snowflake guide "Using Persisted Query Results").
const KEPT: Duration = Duration::from_hours(23);

/// A retry comes within minutes; until then workers start few other statements.
const MOST: usize = 256;

/// A result that fails twice may be the trouble itself: then the statement runs again.
const MOST_REREADS: u32 = 1;

/// The newest results of a table.
#[derive(Debug, Default)]
pub(super) struct StoredResults {
    known: Mutex<VecDeque<StoredResult>>,
}

/// A result that the server keeps.
#[derive(Debug, Clone)]
pub(super) struct StoredResult {
    pub(super) statement: SqlStatement,
    pub(super) query_id: String,
    since: Instant,
    rereads: u32,
}

impl StoredResult {
    pub(super) fn new(statement: SqlStatement, query_id: String) -> Self {
        Self { statement, query_id, since: Instant::now(), rereads: 0 }
    }

    /// The same result after one more look.
    pub(super) fn reread(mut self) -> Self {
        self.rereads += 1;
        self
    }
}

impl StoredResults {
    /// Takes the result of a statement, if one is known that is worth a look.
    pub(super) fn take(&self, statement: &SqlStatement) -> Option<StoredResult> {
        let mut known = self.lock();
        let position = known.iter().position(|result| result.statement == *statement)?;
        known
            .remove(position)
            .filter(|result| result.since.elapsed() < KEPT && result.rereads < MOST_REREADS)
    }

    /// Remembers a result. The oldest is forgotten where there are too many.
    pub(super) fn keep(&self, result: StoredResult) {
        let mut known = self.lock();
        known.retain(|other| other.statement != result.statement);
        known.push_back(result);
        if known.len() > MOST {
            known.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<StoredResult>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str, bound: i64) -> SqlStatement {
        SqlStatement { sql: sql.into(), params: vec![bound.into()] }
    }

    fn kept(sql: &str, bound: i64) -> StoredResult {
        StoredResult::new(statement(sql, bound), format!("{sql}-{bound}"))
    }

    #[test]
    fn a_result_belongs_to_its_text_and_its_values() {
        let results = StoredResults::default();
        results.keep(kept("select AT 1", 1));
        assert!(results.take(&statement("select AT 2", 1)).is_none(), "another moment");
        assert!(results.take(&statement("select AT 1", 2)).is_none(), "another chunk");
        let found = results.take(&statement("select AT 1", 1)).expect("the same statement");
        assert_eq!(found.query_id, "select AT 1-1");
        assert!(results.take(&statement("select AT 1", 1)).is_none(), "taken once");
    }

    #[test]
    fn only_the_newest_are_known() {
        let results = StoredResults::default();
        for bound in 0..=MOST {
            results.keep(kept("s", i64::try_from(bound).expect("small")));
        }
        assert!(results.take(&statement("s", 0)).is_none());
        assert!(results.take(&statement("s", 1)).is_some());
        assert!(results.lock().len() < MOST);
    }

    #[test]
    fn a_result_is_looked_at_once_more_and_then_made_again() {
        let results = StoredResults::default();
        results.keep(kept("s", 1));
        let once = results.take(&statement("s", 1)).expect("once more");
        results.keep(once.reread());
        assert!(results.take(&statement("s", 1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_older_than_a_day_is_not_asked_for() {
        let results = StoredResults::default();
        results.keep(kept("s", 1));
        tokio::time::advance(KEPT).await;
        assert!(results.take(&statement("s", 1)).is_none());
    }
}
