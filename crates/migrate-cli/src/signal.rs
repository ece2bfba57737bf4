//! Ctrl-C and SIGTERM: the first one asks for a clean stop, the second one ends the program.

use tokio_util::sync::CancellationToken;

/// Waits for signals until it is dropped; answers at the second one.
pub(crate) async fn second_signal(cancel: CancellationToken) {
    let Ok(mut signals) = Signals::new() else {
        tracing::warn!("signals cannot be caught; Ctrl-C ends the program at once");
        return std::future::pending().await;
    };
    signals.next().await;
    tracing::warn!(
        "stopping: running chunks are rolled back and given back; again to stop at once"
    );
    cancel.cancel();
    signals.next().await;
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
