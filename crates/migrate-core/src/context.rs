//! What accompanies a run through all layers: the wish to stop, the time budget, the listener.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Observer, Silent};

/// Handed to every call that may take long. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunContext {
    /// Cancelled when the caller wants the work to end; every wait listens to it.
    pub cancel: CancellationToken,
    /// The time budget, if there is one.
    pub deadline: Option<Deadline>,
    observer: Arc<dyn Observer>,
}

/// The time budget of one process. When it is used up, nothing more is begun, and what runs is rolled
/// back and given back, which takes some seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    began: Instant,
    budget: Duration,
}

impl Deadline {
    /// More is no limit, and beyond what clocks can add.
    const LONGEST: Duration = Duration::from_hours(24 * 365 * 10);

    /// So much time from now on; at most ten years.
    pub fn within(budget: Duration) -> Self {
        Self { began: Instant::now(), budget: budget.min(Self::LONGEST) }
    }

    /// All of the time.
    pub const fn budget(&self) -> Duration {
        self.budget
    }

    /// When it is used up.
    pub fn ends(&self) -> Instant {
        self.began + self.budget
    }
}

impl RunContext {
    /// No deadline, nobody listening, never cancelled unless [`cancel`](Self::cancel) is.
    pub fn new() -> Self {
        Self { cancel: CancellationToken::new(), deadline: None, observer: Arc::new(Silent) }
    }

    /// Sets who listens to events.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Sets the token that ends the work.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets the time budget.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same context with a token of its own, which ends with this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { cancel: self.cancel.child_token(), ..self.clone() }
    }

    /// Who listens to events.
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Tells the listener.
    pub fn emit(&self, event: &Event) {
        self.observer.on_event(event);
    }

    /// Fails once the work has been cancelled; for loops that do not wait on anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cancelled`].
    pub fn ensure_active(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }

    /// Runs `work` until it ends or the context is cancelled, whichever is first.
    ///
    /// # Errors
    ///
    /// Those of `work`, or [`ErrorKind::Cancelled`]; then `work` has been dropped where it waited.
    pub async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.cancel.run_until_cancelled(work).await.unwrap_or_else(|| Err(cancelled()))
    }
}

impl Default for RunContext {
    fn default() -> Self {
        Self::new()
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "The work was cancelled")
        .with_hint("run the same command again to go on where it stopped")
}
