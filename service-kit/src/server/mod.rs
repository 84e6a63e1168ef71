//! Serving gRPC: one door for every process, with health, reflection, limits and a graceful end.

mod connections;
mod health;
mod layer;

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tokio::{net::TcpListener, time::timeout};
use tonic::{
    body::Body,
    server::NamedService,
    service::{Routes, RoutesBuilder},
    transport::Server,
};
use tonic_health::{pb::health_server::SERVICE_NAME as HEALTH, server::HealthReporter};
use tonic_reflection::{
    pb::{
        v1::server_reflection_server::SERVICE_NAME as REFLECTION,
        v1alpha::server_reflection_server::SERVICE_NAME as REFLECTION_ALPHA,
    },
    server::Builder as Reflection,
};
use tower::{Layer, Service, util::BoxCloneSyncService};

use crate::{
    Shutdown, StartError, channel::InProcessListener, client::TrustedProxies, db::Db,
    shutdown::DRAIN_TIME_MAX,
};
use connections::incoming;
use health::Health;
use layer::RpcLayer;

/// The largest request message; REST bodies are at most 64 KiB.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Streams that one connection may have open.
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
/// The size of all headers of a request.
const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// How often an idle connection is checked, so that a dead peer is noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Where a service listens: a socket and, in a process that holds several services, a short way
/// for its neighbours.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    in_process: Option<InProcessListener>,
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, in_process: None }
    }
}

impl Listener {
    /// Listens on `tcp` and to the neighbours in the process.
    pub fn with_in_process(tcp: TcpListener, in_process: InProcessListener) -> Self {
        Self { tcp, in_process: Some(in_process) }
    }
}

/// The gRPC services of one process.
pub struct Services {
    domain: &'static str,
    descriptor_set: &'static [u8],
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    proxies: TrustedProxies,
}

impl Services {
    /// None yet. `domain` is the proto package, for errors; `descriptor_set` is what reflection
    /// tells.
    pub fn new(domain: &'static str, descriptor_set: &'static [u8]) -> Self {
        let (routes, names, proxies) = (Routes::builder(), Vec::new(), TrustedProxies::default());
        Self { domain, descriptor_set, routes, names, proxies }
    }

    /// Believes `proxies` about whom they speak for.
    #[must_use]
    pub fn trusting(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Adds one.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Serves them, with health and reflection, until `shutdown`; then NOT_SERVING is told,
    /// streams end, and requests in flight have ten seconds to finish. The services are SERVING
    /// while `db` answers.
    ///
    /// # Errors
    /// Where the listener or the reflection data is broken.
    pub async fn serve(
        mut self,
        db: Db,
        listener: impl Into<Listener>,
        shutdown: Shutdown,
    ) -> Result<(), StartError> {
        let Listener { tcp, in_process } = listener.into();
        let address = tcp.local_addr().map_err(|error| StartError::other(error.to_string()))?;

        let (health, routes) = self.routes()?;

        let layer = RpcLayer::new(self.domain, self.proxies);
        if let Some(in_process) = &in_process {
            in_process.serve(BoxCloneSyncService::new(layer.layer(routes.clone())));
        }
        let health = Health::announce(health, self.names).await;
        let watching = tokio::spawn(health.report(db, shutdown.clone()));

        tracing::info!(service = self.domain, %address, "listening");
        let server = Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .layer(layer)
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming(tcp, shutdown.clone()), shutdown.begun());
        let drained = async {
            let served = server.await;
            if let (Ok(()), Some(in_process)) = (&served, &in_process) {
                // Neighbours that have requests in flight still need us.
                in_process.unused().await;
            }
            served
        };
        let served = Box::pin(within_drain_time(drained, &shutdown)).await;
        drop(in_process);
        watching.abort();
        let Some(served) = served else {
            tracing::warn!(service = self.domain, "requests were cut off by the shutdown");
            return Ok(());
        };
        served.map_err(|error| StartError::other(error.to_string()))
    }

    /// The services with health and reflection beside them.
    fn routes(&mut self) -> Result<(HealthReporter, Routes), StartError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut routes = std::mem::replace(&mut self.routes, Routes::builder());
        routes.add_service(health_service);
        // The descriptor set holds both packages; only what is served here is listed.
        let listed = || self.names.iter().copied().chain([HEALTH, REFLECTION, REFLECTION_ALPHA]);
        let reflection = || {
            listed()
                .fold(Reflection::configure(), Reflection::with_service_name)
                .register_encoded_file_descriptor_set(self.descriptor_set)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(
                    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
                )
                .include_reflection_service(false)
        };
        let broken = |error| StartError::other(format!("reflection: {error}"));
        let (v1, v1alpha) = (
            reflection().build_v1().map_err(broken)?,
            reflection().build_v1alpha().map_err(broken)?,
        );
        routes.add_service(v1).add_service(v1alpha);
        Ok((health, routes.routes().prepare()))
    }
}

/// Waits for `serving`, which ends by itself some time after `shutdown` begins; `None` where that
/// takes longer than [`DRAIN_TIME_MAX`].
pub async fn within_drain_time<T>(
    serving: impl Future<Output = T>,
    shutdown: &Shutdown,
) -> Option<T> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = &mut serving => Some(served),
        () = shutdown.begun() => timeout(DRAIN_TIME_MAX, serving).await.ok(),
    }
}
