//! The generator: so many clients at once, each with one request in flight, each answer judged.
//!
//! It speaks through `h2` and hyper's connections, without the pools, balancers and layers of a
//! full client, on threads with a runtime of their own, so that it costs less than what it
//! measures. A gRPC call that fails is still HTTP 200: the status in the trailers decides.

pub(crate) mod grpc;
pub(crate) mod http1;
mod tally;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout_at},
};

pub(crate) use tally::{Latencies, Tally};

/// How long an answer may take after the load should have ended.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// HTTP/2 connections that gRPC clients share.
const GRPC_CONNECTIONS: usize = 4;

/// What a client was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The body; of gRPC the message in it.
    pub(crate) body: Bytes,
}

/// One client: what it asks, and what it takes for an answer.
pub(crate) trait Client: Send + 'static {
    /// The next request; `None` where there is nothing left to do.
    fn next(&mut self) -> Option<Request<Bytes>>;

    /// # Errors
    /// What is wrong with the answer to it.
    fn judge(&mut self, answer: &Answer) -> Result<(), String>;
}

/// The protocol that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// gRPC over a few HTTP/2 connections.
    Grpc,
    /// HTTP/1.1, each client on a connection of its own.
    Http1,
}

/// Why a request has no good answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is not what it should be.
    Wrong(String),
    /// There will be no answer on this connection any more.
    Broken(String),
}

/// A connection, or a share of one.
#[derive(Debug)]
enum Line {
    Grpc(grpc::Line),
    Http1(http1::Line),
}

impl Line {
    /// The same connection for another client, where the protocol lets them share.
    fn share(&self) -> Option<Self> {
        match self {
            Self::Grpc(line) => Some(Self::Grpc(line.clone())),
            Self::Http1(_) => None,
        }
    }

    async fn ask(&mut self, request: Request<Bytes>) -> Result<Answer, Failure> {
        match self {
            Self::Grpc(line) => line.ask(request).await,
            Self::Http1(line) => line.ask(request).await,
        }
    }
}

/// Lets `clients` work against the server at `address` for `duration`, and returns them for
/// another time.
///
/// # Errors
/// Where no connection can be made. All that goes wrong later is in the tally.
pub(crate) async fn drive<C: Client>(
    wire: Wire,
    address: SocketAddr,
    clients: Vec<C>,
    duration: Duration,
) -> Result<(Tally, Vec<C>)> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(clients.len());
    let connections = match wire {
        Wire::Grpc => GRPC_CONNECTIONS.max(threads).min(clients.len()),
        Wire::Http1 => clients.len(),
    };
    let mut shares: Vec<Share<C>> = (0..threads).map(|_| Share::default()).collect();
    for number in 0..connections {
        shares[number % threads].sockets.push(connect(address).await?.into_std()?);
    }
    for (number, client) in clients.into_iter().enumerate() {
        shares[number % threads].clients.push(client);
    }
    let mut working = JoinSet::new();
    for share in shares {
        working.spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(share.work(wire, duration))
        });
    }
    let (mut tally, mut clients) = (Tally::default(), Vec::new());
    while let Some(worked) = working.join_next().await {
        let (part, done) = worked??;
        tally.merge(&part);
        clients.extend(done);
    }
    Ok((tally, clients))
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let connecting = tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await;
    let socket = connecting.map_err(anyhow::Error::from).and_then(|it| Ok(it?));
    let socket = socket.with_context(|| format!("connecting to {address}"))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// What one thread does.
struct Share<C> {
    sockets: Vec<std::net::TcpStream>,
    clients: Vec<C>,
}

impl<C> Default for Share<C> {
    fn default() -> Self {
        Self { sockets: Vec::new(), clients: Vec::new() }
    }
}

impl<C: Client> Share<C> {
    async fn work(self, wire: Wire, duration: Duration) -> Result<(Tally, Vec<C>)> {
        let mut lines = Vec::new();
        for socket in self.sockets {
            let socket = TcpStream::from_std(socket)?;
            lines.push(match wire {
                Wire::Grpc => Line::Grpc(grpc::Line::open(socket).await?),
                Wire::Http1 => Line::Http1(http1::Line::open(socket).await?),
            });
        }
        for number in 0..self.clients.len().saturating_sub(lines.len()) {
            let shared = lines[number].share().context("a connection for each client")?;
            lines.push(shared);
        }
        let mut working = JoinSet::new();
        let end = Instant::now() + duration;
        for (line, client) in lines.into_iter().zip(self.clients) {
            working.spawn(work(line, client, end));
        }
        let (mut tally, mut clients) = (Tally::default(), Vec::new());
        while let Some(worked) = working.join_next().await {
            let (part, client) = worked.map_err(|error| anyhow!("a client: {error}"))?;
            tally.merge(&part);
            clients.push(client);
        }
        Ok((tally, clients))
    }
}

/// One client's work until `end`; what is under way then is waited for.
async fn work<C: Client>(mut line: Line, mut client: C, end: Instant) -> (Tally, C) {
    let mut tally = Tally::begin();
    let deadline = end + ANSWER_TIME_MAX;
    let working = async {
        while Instant::now() < end {
            let Some(request) = client.next() else { return };
            let asked = Instant::now();
            let answered = line.ask(request).await;
            match answered.and_then(|answer| client.judge(&answer).map_err(Failure::Wrong)) {
                Ok(()) => tally.answered(asked.elapsed()),
                Err(Failure::Wrong(error)) => tally.failed(error),
                Err(Failure::Broken(error)) => return tally.failed(error),
            }
        }
    };
    if timeout_at(deadline, working).await.is_err() {
        tally.failed(format!("no answer for {ANSWER_TIME_MAX:?}"));
    }
    tally.end();
    (tally, client)
}
