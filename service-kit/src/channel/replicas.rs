//! The replicas of one service: calls go in turn to those that are connected.
//!
//! Connecting is the business of a task for each replica, never of a call: one that is out of
//! reach holds up nobody while there is another.

use std::{
    error::Error,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::select_ok;
use http::{Request, Response, Uri, request::Parts};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Code, ConnectError, Status, TimeoutExpired,
    body::Body,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceExt;

use super::BoxError;

/// How long connecting may take, and then how long a replica that was lost may take to answer.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How often a connection is checked, idle or not, and how long the answer may take: a machine
/// that vanishes is noticed within their sum.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause before a replica that is out of reach is tried again.
const DEAD_TIME: Duration = Duration::from_secs(1);
/// What is kept of an answer until it is whole: the largest message that a client takes, and the
/// five bytes before it.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024 + 5;

#[derive(Debug)]
pub(super) struct Replicas {
    replicas: Vec<Replica>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Replica {
    state: watch::Sender<State>,
    _keeper: AbortOnDropHandle<()>,
}

#[derive(Clone, Debug)]
enum State {
    Connecting,
    Up(Connection),
    /// Tried again after a pause, or when a call has nowhere else to go.
    Down,
}

#[derive(Clone, Debug)]
struct Connection {
    channel: Channel,
    /// Tells it from the replica's earlier and later ones.
    number: u64,
}

impl Replicas {
    pub(super) fn new(urls: &[Uri]) -> Self {
        let replicas = urls.iter().map(|url| Replica::new(endpoint(url))).collect();
        Self { replicas, next: AtomicUsize::new(0) }
    }

    /// What a replica answers. A request that cannot have been sent goes to the next replica; one
    /// that `is_read` does so once even if it can, and until its answer is whole.
    pub(super) async fn call(
        &self,
        request: Request<Body>,
        is_read: bool,
    ) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        let message = body.collect().await?.to_bytes();
        let mut repeats_left = usize::from(is_read);
        // Once more than there are replicas: a connection can end while its replica lives on.
        for _ in 0..=self.replicas.len() {
            let Some((replica, connection)) = self.reach().await else { break };
            let error = match send(&connection, &head, &message, is_read).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if is_caused_by::<TimeoutExpired>(&*error) {
                // The caller's deadline says nothing about the replica.
                return Err(Status::deadline_exceeded("the deadline has passed").into());
            }
            tracing::debug!(error, "a connection to a replica is lost");
            replica.lose(&connection);
            if !was_never_sent(&*error) {
                let Some(left) = repeats_left.checked_sub(1) else { break };
                repeats_left = left;
            }
        }
        Err(Status::unavailable("the service cannot be reached").into())
    }

    /// The next replica in turn that is connected. Where none is, waits for the first that can be
    /// connected, and gives up when all have failed.
    async fn reach(&self) -> Option<(&Replica, Connection)> {
        if let Some(up) = self.pick() {
            return Some(up);
        }
        if self.replicas.is_empty() {
            return None;
        }
        let tries = self.replicas.iter().map(|replica| Box::pin(replica.try_now()));
        select_ok(tries).await.ok().map(|(connected, _others)| connected)
    }

    fn pick(&self) -> Option<(&Replica, Connection)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let connected = || self.replicas.iter().filter(|replica| replica.is_up());
        let place = turn.checked_rem(connected().count())?;
        // One may have been lost between the two looks.
        let replica = connected().nth(place).or_else(|| connected().next())?;
        replica.connection().map(|connection| (replica, connection))
    }
}

impl Replica {
    fn new(endpoint: Endpoint) -> Self {
        let (state, _) = watch::channel(State::Connecting);
        let keeper = tokio::spawn(keep_connected(endpoint, state.clone()));
        Self { state, _keeper: AbortOnDropHandle::new(keeper) }
    }

    fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    fn connection(&self) -> Option<Connection> {
        match &*self.state.borrow() {
            State::Up(connection) => Some(connection.clone()),
            State::Connecting | State::Down => None,
        }
    }

    /// Waits for what becomes of connecting, which begins now if it has not.
    async fn try_now(&self) -> Result<(&Self, Connection), Unreachable> {
        self.state.send_if_modified(|state| {
            let is_down = matches!(state, State::Down);
            if is_down {
                *state = State::Connecting;
            }
            is_down
        });
        let mut states = self.state.subscribe();
        let tried = states.wait_for(|state| !matches!(state, State::Connecting)).await;
        match tried.as_deref() {
            Ok(State::Up(connection)) => Ok((self, connection.clone())),
            _ => Err(Unreachable),
        }
    }

    /// Has the replica connected anew, unless that has been done since.
    fn lose(&self, lost: &Connection) {
        self.state.send_if_modified(|state| {
            let is_it = matches!(state, State::Up(up) if up.number == lost.number);
            if is_it {
                *state = State::Connecting;
            }
            is_it
        });
    }
}

/// Nobody wants to know more: the task that found out has logged it.
struct Unreachable;

/// Connects whenever `state` says so, and once in a while where that has failed.
async fn keep_connected(endpoint: Endpoint, state: watch::Sender<State>) {
    let mut states = state.subscribe();
    for number in 0.. {
        // One that was lost has to answer too: a process that hangs still lets us connect.
        let connected = connect(&endpoint, number > 0).await;
        let is_up = connected.is_ok();
        state.send_replace(match connected {
            Ok(channel) => State::Up(Connection { channel, number }),
            Err(error) => {
                tracing::debug!(error, url = %endpoint.uri(), "a replica is out of reach");
                State::Down
            }
        });
        let asked = async {
            // Never closed, as this task holds a sender.
            let _ = states.wait_for(|state| matches!(state, State::Connecting)).await;
        };
        if is_up {
            asked.await;
        } else if timeout(DEAD_TIME, asked).await.is_err() {
            state.send_replace(State::Connecting);
        }
    }
}

async fn connect(endpoint: &Endpoint, must_answer: bool) -> Result<Channel, BoxError> {
    // The endpoint's own limit is for each address of a name; this is for all of them.
    let channel = timeout(CONNECT_TIME_MAX, endpoint.connect()).await??;
    if must_answer {
        let request = HealthCheckRequest::default();
        let mut health = HealthClient::new(channel.clone());
        let answered = timeout(CONNECT_TIME_MAX, health.check(request)).await?;
        // Any answer will do, be it that there is no such method: only those of our own side
        // mean that there was none.
        if let Err(status) = answered
            && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
        {
            return Err(status.into());
        }
    }
    Ok(channel)
}

fn endpoint(url: &Uri) -> Endpoint {
    let endpoint = Endpoint::from(url.clone())
        .connect_timeout(CONNECT_TIME_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let tls = ClientTlsConfig::new().with_native_roots();
    endpoint.clone().tls_config(tls).unwrap_or(endpoint)
}

async fn send(
    connection: &Connection,
    head: &Parts,
    message: &Bytes,
    is_read: bool,
) -> Result<Response<Body>, BoxError> {
    let body = Body::new(Full::new(message.clone()));
    let request = Request::from_parts(head.clone(), body);
    let response = connection.channel.clone().oneshot(request).await?;
    if is_read { whole(response).await } else { Ok(response.map(or_unavailable)) }
}

/// The answer when all of it has come: only then does its status count.
async fn whole(response: Response<Body>) -> Result<Response<Body>, BoxError> {
    let (head, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok(Response::from_parts(head, Body::new(body))),
        Err(error) if error.is::<LengthLimitError>() => {
            Ok(Status::internal("the answer is larger than 4 MiB").into_http())
        }
        // Without its causes: whatever they are, the request was sent.
        Err(error) => Err(error.to_string().into()),
    }
}

/// Tells a loss of the connection by the one code that means it. A service's own status stands in
/// the trailers, not in the body's errors.
fn or_unavailable(body: Body) -> Body {
    Body::new(body.map_err(|error| {
        tracing::debug!(%error, "an answer broke off");
        Status::unavailable("the connection was lost before the end of the answer")
    }))
}

/// Whether the connection was lost before it took the request.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    is_caused_by::<ConnectError>(error) || causes(error).any(is_canceled)
}

fn is_canceled(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
}

fn is_caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<E>)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}
