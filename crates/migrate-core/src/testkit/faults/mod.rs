//! Sources, sinks and stores that fail on purpose: at the nth call of a method, always the same.
//!
//! ```
//! use std::sync::Arc;
//!
//! use migrate_core::memory::MemorySink;
//! use migrate_core::testkit::faults::{Fault, Faults, Faulty};
//! use migrate_core::{ErrorKind, Sink};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let faults = Faults::new().at("check", 2, Fault::Rejecting(ErrorKind::Connection));
//! let sink = Faulty::new(Arc::new(MemorySink::new()) as Arc<dyn Sink>, faults);
//! assert!(sink.check().await.is_ok());
//! assert!(sink.check().await.is_err());
//! assert!(sink.check().await.is_ok());
//! # });
//! ```

mod sink;
mod source;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, pending};
use futures::{FutureExt, StreamExt, stream};

use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::source::BatchStream;

/// What goes wrong with a call.
#[derive(Clone)]
#[non_exhaustive]
pub enum Fault {
    /// It is refused before anything happens.
    Rejecting(ErrorKind),
    /// It is done, and the answer is lost.
    FailAfterWrite,
    /// It never ends, unless its context is cancelled.
    Hanging,
    /// It is done once a timer of the caller's runtime has run out; see [`Fault::slow`].
    Slow(Timer),
    /// The connection breaks: after the first batch where rows are on their way, else at once.
    Disconnecting,
}

/// Makes a future that ends when a call may go on.
pub type Timer = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

impl Fault {
    /// A call that waits before it is done.
    pub fn slow<F, Wait>(timer: F) -> Self
    where
        F: Fn() -> Wait + Send + Sync + 'static,
        Wait: Future<Output = ()> + Send + 'static,
    {
        Self::Slow(Arc::new(move || timer().boxed()))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejecting(kind) => write!(f, "Rejecting({kind:?})"),
            Self::FailAfterWrite => f.write_str("FailAfterWrite"),
            Self::Hanging => f.write_str("Hanging"),
            Self::Slow(_) => f.write_str("Slow"),
            Self::Disconnecting => f.write_str("Disconnecting"),
        }
    }
}

/// Which calls fail, and how. Calls are counted by the name of their method, over all tables.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    planned: Vec<(&'static str, u32, Fault)>,
    calls: BTreeMap<&'static str, u32>,
    met: u32,
}

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one: at the `nth` call of a method, from 1.
    #[must_use]
    pub fn at(self, method: &'static str, nth: u32, fault: Fault) -> Self {
        self.state(|state| state.planned.push((method, nth, fault)));
        self
    }

    /// How often a method was called so far.
    pub fn calls(&self, method: &str) -> u32 {
        self.state(|state| state.calls.get(method).copied().unwrap_or_default())
    }

    /// How many calls have met their fault so far: a test that met none has shown nothing.
    pub fn met(&self) -> u32 {
        self.state(|state| state.met)
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self, method: &'static str) -> Option<Fault> {
        self.state(|state| {
            let calls = state.calls.entry(method).or_default();
            *calls += 1;
            let now = *calls;
            let planned = state.planned.iter();
            let mut here = planned.filter(|(of, nth, _)| *of == method && *nth == now);
            let fault = here.next().map(|(_, _, fault)| fault.clone());
            state.met += u32::from(fault.is_some());
            fault
        })
    }

    /// A call without rows on their way.
    async fn around<T: Send>(
        &self,
        method: &'static str,
        cx: Option<&RunContext>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        apply(self.next(method), method, cx, call).await
    }
}

async fn apply<T: Send>(
    fault: Option<Fault>,
    method: &'static str,
    cx: Option<&RunContext>,
    call: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    match fault {
        None => call.await,
        Some(Fault::Rejecting(kind)) => Err(on_purpose(kind, method)),
        Some(Fault::Disconnecting) => Err(on_purpose(ErrorKind::Connection, method)),
        Some(Fault::FailAfterWrite) => {
            call.await?;
            Err(on_purpose(ErrorKind::Connection, method))
        }
        Some(Fault::Hanging) => match cx {
            Some(cx) => cx.unless_cancelled(pending()).await,
            None => pending().await,
        },
        Some(Fault::Slow(timer)) => {
            timer().await;
            call.await
        }
    }
}

fn on_purpose(kind: ErrorKind, method: &'static str) -> Error {
    Error::new(kind, "A fault on purpose").with("call", method).with_hint("this is a test")
}

/// The stream up to its first batch, and then the end of the connection.
fn cut(batches: BatchStream, method: &'static str) -> BatchStream {
    let end = stream::once(async move { Err(on_purpose(ErrorKind::Connection, method)) });
    batches.take(1).chain(end).boxed()
}

/// A source, a sink or a store whose calls may fail.
#[derive(Debug)]
pub struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    faults: Faults,
}

impl<T: ?Sized> Faulty<T> {
    /// Passes every call on, unless a fault is planned for it.
    pub fn new(inner: Arc<T>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}
