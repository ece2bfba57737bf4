//! What came of a suite.

use std::fmt;

use super::{Kept, Unkept};

/// The findings of one suite.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a report that nobody looks at has found nothing"]
pub struct Report {
    suite: &'static str,
    rules: Vec<Rule>,
}

/// One rule and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, which says the rule: `a_chunk_is_never_handed_out_twice`.
    pub name: &'static str,
    /// What came of it.
    pub finding: Finding,
}

/// What came of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The subject keeps it.
    Kept,
    /// The subject breaks it: how.
    Broken(String),
    /// The subject does not declare what the rule is about, or the fixture cannot show it: what.
    Skipped(&'static str),
}

impl Report {
    pub(super) fn new(suite: &'static str) -> Self {
        Self { suite, rules: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &'static str, kept: Kept) {
        let finding = match kept {
            Ok(()) => Finding::Kept,
            Err(Unkept::Broken(how)) => Finding::Broken(how),
            Err(Unkept::Skipped(what)) => Finding::Skipped(what),
        };
        self.rules.push(Rule { name, finding });
    }

    /// Every rule, in the order of the suite.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The names of the broken rules.
    pub fn broken(&self) -> Vec<&'static str> {
        self.named(|finding| matches!(finding, Finding::Broken(_)))
    }

    /// The names of the rules that could not be tried.
    pub fn skipped(&self) -> Vec<&'static str> {
        self.named(|finding| matches!(finding, Finding::Skipped(_)))
    }

    /// For tests: fails with the list of broken rules, if there are any.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    pub fn expect_kept(&self) {
        assert!(self.broken().is_empty(), "{self}");
    }

    fn named(&self, wanted: impl Fn(&Finding) -> bool) -> Vec<&'static str> {
        let rules = self.rules.iter().filter(|rule| wanted(&rule.finding));
        rules.map(|rule| rule.name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, broken) = (self.rules.len(), self.broken().len());
        write!(f, "{} suite: {broken} of {all} rules are broken", self.suite)?;
        for rule in &self.rules {
            match &rule.finding {
                Finding::Kept => {}
                Finding::Broken(how) => write!(f, "\n  broken   {}: {how}", rule.name)?,
                Finding::Skipped(what) => write!(f, "\n  skipped  {}: {what}", rule.name)?,
            }
        }
        Ok(())
    }
}
