//! The end of a process, announced once and heard everywhere.

use std::{io, time::Duration};

use tokio::signal;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long requests in flight may take to finish after a shutdown began.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A shutdown that may be asked for, and waited for. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// One that begins when [`Shutdown::begin`] is called.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that begins at SIGTERM or Ctrl-C.
    ///
    /// # Errors
    /// Where the signal handler cannot be installed.
    pub fn on_signal() -> io::Result<Self> {
        let shutdown = Self::new();
        let begin = shutdown.clone();
        let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        let mut interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down");
            begin.begin();
        });
        Ok(shutdown)
    }

    /// Begins the shutdown. Further calls do nothing.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for `work`, unless it begins first: then `None`.
    pub async fn unless_begun<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.0.run_until_cancelled(work).await
    }

    /// Waits until it begins.
    pub fn begun(&self) -> WaitForCancellationFutureOwned {
        self.0.clone().cancelled_owned()
    }
}
