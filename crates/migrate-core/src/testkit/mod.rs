//! Suites of rules that every source, sink, chunking strategy and status store keeps, and
//! decorators that make one of them fail on purpose.
//!
//! A suite gets a fresh subject for each rule, tries all rules, and reports every one that is broken
//! by its name, so that whoever writes a connector gets a list and not the first panic. The caller
//! brings the runtime; nothing here sleeps or measures time.
//!
//! ```
//! use migrate_core::testkit::{MemoryLedger, Testkit};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let report = Testkit::new().store(|| async { Ok(MemoryLedger::default()) }).await;
//! report.expect_kept();
//! # });
//! ```

pub mod chunking;
pub mod faults;
mod report;
pub mod sink;
pub mod source;
pub mod store;

#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::future::{BoxFuture, Either, pending, select};
use futures::{FutureExt, StreamExt, stream};

use crate::error::Result;
pub use chunking::StrategyFixture;
pub use report::{Finding, Report, Rule};
pub use sink::SinkFixture;
pub use source::SourceFixture;
pub use store::{MemoryLedger, StoreFixture};

/// Rules that are tried at once: most of the time of a rule goes into making its subject.
const AT_ONCE: usize = 4;

type Patience = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Runs suites.
#[derive(Clone, Default)]
pub struct Testkit {
    patience: Option<Patience>,
}

impl Testkit {
    /// Waits for every rule as long as it takes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets when a rule counts as broken because it does not end: a timer of the caller's runtime,
    /// such as `|| tokio::time::sleep(Duration::from_secs(60))`. It starts anew for every rule.
    #[must_use]
    pub fn with_patience<F, Timer>(mut self, timer: F) -> Self
    where
        F: Fn() -> Timer + Send + Sync + 'static,
        Timer: Future<Output = ()> + Send + 'static,
    {
        self.patience = Some(Arc::new(move || timer().boxed()));
        self
    }

    /// Tries all rules, each on a subject of its own.
    async fn run<S, Fresh>(&self, suite: &'static str, rules: &[RuleOf<S>], fresh: Fresh) -> Report
    where
        S: ?Sized + Send + Sync,
        Fresh: Fn() -> BoxFuture<'static, Result<Box<S>>> + Send + Sync,
    {
        let mut report = Report::new(suite);
        let tried = rules.iter().map(|rule| self.attempt(rule, &fresh)).collect::<Vec<_>>();
        let kept: Vec<Kept> = stream::iter(tried).buffered(AT_ONCE).collect().await;
        for (rule, kept) in rules.iter().zip(kept) {
            report.add(rule.name, kept);
        }
        report
    }

    async fn attempt<S, Fresh>(&self, rule: &RuleOf<S>, fresh: &Fresh) -> Kept
    where
        S: ?Sized + Send + Sync,
        Fresh: Fn() -> BoxFuture<'static, Result<Box<S>>> + Send + Sync,
    {
        let kept = AssertUnwindSafe(async {
            let subject = fresh().await?;
            (rule.check)(&subject).await
        });
        let timer = self.patience.as_ref().map_or_else(|| pending().boxed(), |timer| timer());
        match select(kept.catch_unwind().boxed(), timer).await {
            Either::Left((Ok(kept), _)) => kept,
            Either::Left((Err(panic), _)) => Err(Unkept::Broken(words_of(panic.as_ref()))),
            Either::Right(_) => Err(Unkept::Broken("it does not end".into())),
        }
    }
}

impl fmt::Debug for Testkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_patient = self.patience.is_none();
        f.debug_struct("Testkit").field("waits_for_ever", &is_patient).finish()
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("it panicked: {}", text.unwrap_or_default())
}

/// One rule of a suite.
struct RuleOf<S: ?Sized> {
    name: &'static str,
    check: for<'a> fn(&'a S) -> BoxFuture<'a, Kept>,
}

/// Lists functions as rules; their names are the names of the rules.
macro_rules! rules {
    ($subject:ty: $($module:ident::$rule:ident),* $(,)?) => {
        const RULES: &[$crate::testkit::RuleOf<$subject>] = &[$($crate::testkit::RuleOf {
            name: stringify!($rule),
            check: |subject| Box::pin($module::$rule(subject)),
        }),*];
    };
}
use rules;

/// What came of one rule.
type Kept = Answer<()>;

/// What a step of a rule finds.
type Answer<T> = std::result::Result<T, Unkept>;

/// Why a rule was not kept.
#[derive(Debug)]
enum Unkept {
    /// The subject breaks it.
    Broken(String),
    /// It asks for what the subject does not declare, or its fixture cannot show.
    Skipped(&'static str),
}

impl From<crate::Error> for Unkept {
    fn from(error: crate::Error) -> Self {
        Self::Broken(format!("unexpected error: {}", error.report()))
    }
}

/// Breaks the rule unless `holds`.
fn ensure(holds: bool, otherwise: impl Into<String>) -> Kept {
    if holds { Ok(()) } else { Err(Unkept::Broken(otherwise.into())) }
}

/// Breaks the rule unless both are equal.
fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, wanted: &T) -> Kept {
    ensure(found == wanted, format!("{what}: {found:?} instead of {wanted:?}"))
}

/// Breaks the rule unless the call was refused; answers the error.
fn refused<T>(what: &str, answer: Result<T>) -> Answer<crate::Error> {
    match answer {
        Ok(_) => Err(Unkept::Broken(format!("{what} was not refused"))),
        Err(error) => Ok(error),
    }
}

/// Breaks the rule unless there is something.
fn found<T>(what: &str, maybe: Option<T>) -> Answer<T> {
    maybe.ok_or_else(|| Unkept::Broken(format!("there is no {what}")))
}
