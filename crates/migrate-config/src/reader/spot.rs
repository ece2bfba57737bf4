//! A place in the document that can be complained about.

use crate::environment::Environment;
use crate::issue::{ConfigIssue, Severity};

use super::Scope;

/// A path with its position.
#[derive(Clone)]
pub(crate) struct Spot<'d> {
    scope: &'d Scope<'d>,
    path: String,
    offset: usize,
    enabled: bool,
}

impl<'d> Spot<'d> {
    pub(super) fn new(scope: &'d Scope<'d>, path: String, offset: usize) -> Self {
        Self { scope, path, offset, enabled: true }
    }

    /// A place inside; without an offset of its own it stands where its parent stands.
    pub(super) fn child(&self, path: String, offset: Option<usize>) -> Self {
        Self { path, offset: offset.unwrap_or(self.offset), ..self.clone() }
    }

    pub(super) fn disable(&mut self) {
        self.enabled = false;
    }

    /// The same place as if nothing around it were disabled.
    pub(super) fn enabled(self) -> Self {
        Self { enabled: true, ..self }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn environment(&self) -> &'d Environment {
        self.scope.environment
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Something that makes the configuration unusable. `value` must be fit to be shown.
    pub(crate) fn error(
        &self,
        message: impl Into<String>,
        value: Option<String>,
        hint: impl Into<String>,
    ) {
        self.report(Severity::Error, message.into(), value, hint.into());
    }

    /// Something that is probably not meant so.
    pub(crate) fn warning(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Severity::Warning, message.into(), None, hint.into());
    }

    /// A fact worth knowing.
    pub(crate) fn note(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Severity::Note, message.into(), None, hint.into());
    }

    fn report(&self, severity: Severity, message: String, value: Option<String>, hint: String) {
        if !self.enabled {
            return;
        }
        let (line, column) = self.scope.document.position(self.offset);
        let issue = ConfigIssue::new(severity, self.scope.document.file(), message)
            .with_path(&self.path)
            .with_line(line)
            .with_column(column)
            .with_value(value)
            .with_hint(hint);
        self.scope.issues.borrow_mut().push(issue);
    }
}
