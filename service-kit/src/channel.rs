//! Calling another service: over the network, balanced over its replicas, or inside the process.
//!
//! A generated client takes an [`RpcChannel`] and does not know which it is.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use tokio::{sync::watch, time};
use tonic::{
    Status, TimeoutExpired,
    body::Body,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::client::InProcess;

/// How long connecting may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How often an idle connection is checked.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long a replica that could not be reached is passed over.
const DEAD_TIME: Duration = Duration::from_secs(1);
/// How long a call waits for a service of the same process to come up.
const LOCAL_START_TIME_MAX: Duration = Duration::from_secs(5);

/// A gRPC service as a tower service.
pub(crate) type LocalService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A way to call a service. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct RpcChannel(Way);

#[derive(Clone, Debug)]
enum Way {
    Network(Arc<Replicas>),
    InProcess(watch::Receiver<Option<LocalService>>),
}

#[derive(Debug)]
struct Replicas {
    replicas: Vec<Replica>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Replica {
    channel: Channel,
    dead: Arc<AtomicBool>,
}

impl Replicas {
    /// The next replica in turn that is not known to be dead; any, where all are.
    fn pick(&self) -> Option<&Replica> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = |offset: usize| self.replicas.get((first + offset) % self.replicas.len());
        (0..self.replicas.len())
            .filter_map(turn)
            .find(|replica| !replica.dead.load(Ordering::Relaxed))
            .or_else(|| turn(0))
    }
}

/// The serving end of [`RpcChannel::in_process`]: goes into the server's `Listener`.
#[derive(Debug)]
pub struct InProcessListener(watch::Sender<Option<LocalService>>);

impl InProcessListener {
    /// Lets calls through to `service`; after the listener is dropped they are refused.
    pub(crate) fn serve(&self, service: LocalService) {
        self.0.send_replace(Some(service));
    }

    /// Waits until no channel to this listener is left.
    pub(crate) async fn unused(&self) {
        self.0.closed().await;
    }
}

impl Drop for InProcessListener {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

impl RpcChannel {
    /// A channel over the network to the replicas at `urls`. Nothing is connected until the first
    /// call; a lost connection is made anew by the next.
    pub fn balanced(urls: &[Uri]) -> Self {
        let replicas = urls
            .iter()
            .map(|url| {
                let endpoint = Endpoint::from(url.clone())
                    .connect_timeout(CONNECT_TIME_MAX)
                    .tcp_nodelay(true)
                    .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
                    .keep_alive_while_idle(true);
                let tls = ClientTlsConfig::new().with_native_roots();
                let secured = endpoint.clone().tls_config(tls);
                let channel = secured.unwrap_or(endpoint).connect_lazy();
                Replica { channel, dead: Arc::default() }
            })
            .collect();
        Self(Way::Network(Arc::new(Replicas { replicas, next: AtomicUsize::new(0) })))
    }

    /// A channel to a service of the same process, and the end to serve it with: the same
    /// handlers, layers and messages, without the network between.
    pub fn in_process() -> (InProcessListener, Self) {
        let (sender, receiver) = watch::channel(None);
        (InProcessListener(sender), Self(Way::InProcess(receiver)))
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Request<Body>> for RpcChannel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Each call waits for the replica it goes to, not for all of them.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match &self.0 {
            Way::Network(replicas) => match replicas.pick() {
                Some(replica) => {
                    Box::pin(call_replica(replica.channel.clone(), replica.dead.clone(), request))
                }
                None => Box::pin(async { Err(Status::unavailable("no address").into()) }),
            },
            Way::InProcess(service) => Box::pin(call_local(service.clone(), request)),
        }
    }
}

async fn call_replica(
    channel: Channel,
    dead: Arc<AtomicBool>,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let error = match channel.oneshot(request).await {
        Ok(response) => return Ok(response),
        Err(error) => error,
    };
    if is_timeout(&error) {
        // The caller's deadline says nothing about the replica.
        return Err(Status::deadline_exceeded("the deadline has passed").into());
    }
    tracing::debug!(%error, "a replica is out of reach");
    if !dead.swap(true, Ordering::Relaxed) {
        tokio::spawn(async move {
            time::sleep(DEAD_TIME).await;
            dead.store(false, Ordering::Relaxed);
        });
    }
    Err(Status::unavailable("the service cannot be reached").into())
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.is::<TimeoutExpired>() || error.source().is_some_and(is_timeout)
}

async fn call_local(
    mut published: watch::Receiver<Option<LocalService>>,
    mut request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    request.extensions_mut().insert(InProcess);
    let started = async { published.wait_for(Option::is_some).await.ok()?.clone() };
    let service = time::timeout(LOCAL_START_TIME_MAX, started).await.ok().flatten();
    let service = service.ok_or_else(|| Status::unavailable("the service is not running"))?;
    match service.oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
