//! Answers that are made once and handed out again, so that a benchmark of a client does not measure
//! the double.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{Statement, Stored};

/// Text and binds of a statement.
type Question = (Arc<str>, Vec<(String, Option<String>)>);

type Condition = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The statements whose answers are kept, and their answers.
#[derive(Default)]
pub(crate) struct KeptAnswers {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    is_wanted: Option<Condition>,
    answers: HashMap<Question, Arc<Stored>>,
}

impl KeptAnswers {
    /// Keeps the answers of the statements that fulfil the condition, from now on.
    pub(crate) fn keep(&self, is_wanted: Condition) {
        *self.lock() = Inner { is_wanted: Some(is_wanted), answers: HashMap::new() };
    }

    /// Whether the answer of such a statement is kept.
    pub(super) fn wants(&self, sql: &str) -> bool {
        self.lock().is_wanted.as_ref().is_some_and(|is_wanted| is_wanted(sql))
    }

    pub(super) fn insert(&self, question: Question, answer: Arc<Stored>) {
        self.lock().answers.insert(question, answer);
    }

    /// The kept answer as the answer of this statement.
    pub(super) fn find(&self, question: &Question, statement: &Statement) -> Option<Stored> {
        let inner = self.lock();
        let answer = inner.answers.get(question)?;
        Some(Stored { query_id: Arc::clone(&statement.query_id), ..Stored::clone(answer) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeptAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswers").field("count", &self.lock().answers.len()).finish()
    }
}
