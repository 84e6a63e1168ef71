//! Calling another service: over the network, balanced over its replicas, or inside the process.
//!
//! A generated client takes an [`RpcChannel`] and does not know which it is.

mod replicas;

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use tokio::{sync::watch, time};
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::client::InProcess;
use replicas::Replicas;

/// How long a call waits for a service of the same process to come up.
const LOCAL_START_TIME_MAX: Duration = Duration::from_secs(5);

/// A gRPC service as a tower service.
pub(crate) type LocalService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A way to call a service. Cheap to clone; clones share connections. For calls with one request
/// message: it is read before it is sent, so that it can be sent again.
#[derive(Clone, Debug)]
pub struct RpcChannel {
    way: Way,
    is_read: fn(&str) -> bool,
}

#[derive(Clone, Debug)]
enum Way {
    Network(Arc<Replicas>),
    InProcess(watch::Receiver<Option<LocalService>>),
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
    /// A channel over the network to the replicas at `urls`. Each is connected from now on, and
    /// again whenever its connection is lost; calls go in turn to those that are connected. A call
    /// that cannot have been sent goes to another replica.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn balanced(urls: &[Uri]) -> Self {
        Self::to(Way::Network(Arc::new(Replicas::new(urls))))
    }

    /// Sends a call whose connection is lost before the whole answer has come once more, to another
    /// replica if there is one, where `is_read` says of its path (`/package.Service/Method`) that it
    /// changes nothing and has one message for an answer.
    #[must_use]
    pub fn repeating(self, is_read: fn(&str) -> bool) -> Self {
        Self { is_read, ..self }
    }

    fn to(way: Way) -> Self {
        Self { way, is_read: |_path| false }
    }

    /// A channel to a service of the same process, and the end to serve it with: the same
    /// handlers, layers and messages, without the network between.
    pub fn in_process() -> (InProcessListener, Self) {
        let (sender, receiver) = watch::channel(None);
        (InProcessListener(sender), Self::to(Way::InProcess(receiver)))
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
        match &self.way {
            Way::Network(replicas) => {
                let (replicas, is_read) = (replicas.clone(), (self.is_read)(request.uri().path()));
                Box::pin(async move { replicas.call(request, is_read).await })
            }
            Way::InProcess(service) => Box::pin(call_local(service.clone(), request)),
        }
    }
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
