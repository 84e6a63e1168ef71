//! Accepting connections and serving HTTP/1.1 and HTTP/2 on them, with an end to each: of slow
//! heads, of idling, of a shutdown.
//!
//! `axum::serve` sets none of the limits, hence hyper's own builder.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use service_kit::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tower::Service;

use crate::{
    crowd::Crowd,
    limits::{
        BODY_BYTES_MAX, CONNECTION_WINDOW_BYTES, HEAD_BUFFER_BYTES, Limits,
        STREAMS_PER_CONNECTION_MAX,
    },
    upstream::ClientAddress,
};

/// How often an HTTP/2 connection is checked, so that a dead peer is noticed, and how long its
/// answer may take.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting pauses where the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves `router` on `listener` until `shutdown`; then ends when the last request has. Dropped,
/// it cuts off what still runs.
pub(crate) async fn serve(
    router: Router,
    listener: TcpListener,
    limits: Limits,
    crowd: Arc<Crowd>,
    shutdown: Shutdown,
) {
    let server = Arc::new(Server { builder: builder(&limits), router, limits, shutdown });
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    let mut begun = std::pin::pin!(server.shutdown.begun());
    loop {
        let accepted = async {
            // Closed never, as nobody closes it.
            let permit = permits.clone().acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = &mut begun => break,
            Some(ended) = connections.join_next() => log_panic(ended),
            (permit, accepted) = accepted => match accepted {
                Ok((stream, address)) => {
                    let client = ClientAddress::from(address);
                    let Some(place) = crowd.enter(client) else {
                        tracing::debug!(%address, "a client has too many connections");
                        continue;
                    };
                    let server = server.clone();
                    connections.spawn(async move {
                        server.serve_connection(stream, client).await;
                        drop((place, permit));
                    });
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time_max)
        .max_buf_size(HEAD_BUFFER_BYTES);
    #[expect(clippy::cast_possible_truncation, reason = "constants far below 4 GiB")]
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(HEAD_BUFFER_BYTES as u32)
        .initial_stream_window_size(BODY_BYTES_MAX as u32)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    builder
}

async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted");
    sleep(ACCEPT_PAUSE).await;
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
}

impl Server {
    async fn serve_connection(&self, stream: TcpStream, client: ClientAddress) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let activity = Arc::new(Activity::default());
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(client);
            let in_flight = InFlight::new(activity.clone());
            let answer = self.router.clone().call(request);
            async move {
                let answered = answer.await;
                drop(in_flight);
                answered
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Ok(ended),
            () = self.shutdown.begun() => {
                connection.as_mut().graceful_shutdown();
                Ok(connection.await)
            }
            () = activity.ceased(self.limits.head_time_max) => {
                connection.as_mut().graceful_shutdown();
                // As long again, for a last answer that is slowly read.
                timeout(self.limits.head_time_max, connection).await
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error, "a connection failed"),
            Err(_elapsed) => tracing::debug!("a client does not read its answer"),
        }
    }
}

/// How many requests a connection has carried: what tells that it idles, where hyper does not
/// look. It times the head of a request over HTTP/1 alone, and only once it knows the version.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    /// Waits until no request has been in flight for `period`, or up to twice as long.
    async fn ceased(&self, period: Duration) {
        loop {
            let before = self.counts();
            sleep(period).await;
            let (begun, ended) = self.counts();
            if (begun, ended) == before && begun == ended {
                return;
            }
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.ended.load(Ordering::Relaxed))
    }
}

struct InFlight(Arc<Activity>);

impl InFlight {
    fn new(activity: Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
