//! Streams that last: what they share is how they end.

use std::{pin::Pin, sync::Arc, time::Duration};

use service_kit::Shutdown;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Status, async_trait};

use crate::{error::Error, feed::Feed};

/// Streams of one process.
const WATCHERS_MAX: usize = 1024;
/// Messages that wait for a slow client.
const QUEUE_MAX: usize = 16;
/// How long a client may take nothing.
const STALL_TIME_MAX: Duration = Duration::from_secs(10);

/// A stream of answers.
pub type Watch<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Starts streams, of which there may be so many, and ends them at the shutdown.
#[derive(Clone, Debug)]
pub struct Watchers {
    permits: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// Where a stream's messages come from.
#[async_trait]
pub trait Source: Send + 'static {
    /// What it sends.
    type Message: Send + 'static;

    /// The next message; waits until there is one.
    async fn next(&mut self) -> Result<Self::Message, Error>;
}

/// When a stream looks at the log: when it has grown, and when a sign of life is due.
pub struct Pulse {
    latest: watch::Receiver<i64>,
    heartbeat: Interval,
}

impl Pulse {
    /// Of `feed`, with a sign of life after each `pause`.
    pub fn new(feed: &Feed, pause: Duration) -> Self {
        let mut heartbeat = interval(pause);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        Self { latest: feed.latest(), heartbeat }
    }

    /// Call it before a look: what comes later is not slept through.
    pub fn begin_look(&mut self) {
        self.latest.mark_unchanged();
    }

    /// Waits until it is time for the next look. Tells whether a sign of life is due.
    ///
    /// # Errors
    /// Where the feed has ended.
    pub async fn wait(&mut self) -> Result<bool, Error> {
        tokio::select! {
            changed = self.latest.changed() => {
                changed.map_err(|_| Error::Internal("the event feed has ended".into()))?;
                Ok(false)
            }
            _ = self.heartbeat.tick() => Ok(true),
        }
    }
}

impl Watchers {
    /// Streams that end when `shutdown` begins.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { permits: Arc::new(Semaphore::new(WATCHERS_MAX)), shutdown }
    }

    /// A stream of what `source` gives.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where there are too many.
    pub fn start<S: Source>(&self, mut source: S) -> Result<Watch<S::Message>, Error> {
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            let _permit = permit;
            loop {
                let message = tokio::select! {
                    () = shutdown.begun() => return,
                    () = sender.closed() => return,
                    message = source.next() => message.map_err(Status::from),
                };
                let is_over = message.is_err();
                // Fails where the client has gone or is stuck: it resumes from its cursor.
                if sender.send_timeout(message, STALL_TIME_MAX).await.is_err() || is_over {
                    return;
                }
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }
}
