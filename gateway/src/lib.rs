//! HTTP/JSON in front of both services, with no rules of its own: a request becomes an RPC, the
//! RPC's answer becomes JSON, its error a problem (RFC 9457). Tokens, accounts and registrations
//! are the services' business; a token is forwarded as it came.
//!
//! | Module | Holds |
//! |---|---|
//! | [`serve`], [`Config`], [`Settings`] | the one door, for `main`, `standalone` and the tests |
//! | [`limits`] | how much and how long, of everything |
//! | `connections` | accepting connections, HTTP/1.1 and HTTP/2, and their graceful end |
//! | `crowd` | how many connections one client address may have |
//! | `edge` | what every request passes: its id, its trace, a net under panics, the headers of every answer |
//! | `compression` | larger answers, to those who take them compressed |
//! | [`cors`] | which pages of other origins may read the answers |
//! | [`rate`] | how many requests one client address may make |
//! | `request_id` | the id that ties an answer to the log |
//! | `body`, `fields` | reading a body, and the members of one that is JSON |
//! | `ids`, `idempotency`, `if_match`, `bearer`, `cookies` | what else a request holds |
//! | `query` | reading the parameters of a query |
//! | `negotiation` | what a client accepts |
//! | `packed` | content that does not change, compressed once |
//! | `paging` | `?page_size=&page_token=` and the `Link` to the next page |
//! | `upstream` | a call to a service on behalf of an HTTP request |
//! | `origin` | the address that the client has reached the gateway at |
//! | `problem` | errors: the one place where a `Status` becomes an HTTP answer |
//! | `faults` | what is said of a fault of ours, where a document words it |
//! | `resources`, `answers`, `times` | users, registrations, ... as JSON shows them |
//! | `registering`, `signing_in` | what three families of routes have in common |
//! | `spreadsheet` | lists as CSV that starts no formula |
//! | `readiness` | whether both services serve, looked at once a second at most |
//! | `openapi` | the description of the routes, of which `/docs` is a reader |
//! | `routes` | one file for each family of routes |
//!
//! A new route is a handler of about ten lines in its family's file: read the members, build the
//! request message, make the call, name the members of the answer.

mod answers;
mod bearer;
mod body;
mod compression;
mod connections;
mod cookies;
pub mod cors;
mod crowd;
mod edge;
mod faults;
mod fields;
mod idempotency;
mod ids;
mod if_match;
pub mod limits;
mod negotiation;
mod openapi;
mod origin;
mod packed;
mod paging;
mod problem;
mod query;
pub mod rate;
mod readiness;
mod registering;
mod request_id;
mod resources;
mod routes;
mod signing_in;
mod spreadsheet;
mod times;
mod upstream;

use std::{net::SocketAddr, sync::Arc};

use clap::Args;
use service_kit::{
    Clock, Entropy, Shutdown, StartError, channel::RpcChannel, client::TrustedProxies,
    server::within_drain_time,
};
use tokio::{net::TcpListener, sync::Semaphore};

use cors::AllowedOrigins;
use crowd::Crowd;
use limits::Limits;
use rate::{RateLimit, RequestRate};
use readiness::Readiness;

/// What the gateway reads for itself.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Where the gateway listens; port 0 picks one.
    #[arg(
        long,
        env = "GATEWAY_ADDR",
        value_name = "GATEWAY_ADDR",
        default_value = "127.0.0.1:5000"
    )]
    pub gateway_addr: SocketAddr,

    /// The origins whose pages may read the answers (CORS), comma-separated as in
    /// https://club.example; * for all, without cookies.
    #[arg(
        long,
        env = "CORS_ALLOWED_ORIGINS",
        value_name = "CORS_ALLOWED_ORIGINS",
        default_value = ""
    )]
    pub cors_allowed_origins: AllowedOrigins,

    /// Requests a second that one client address may make, after ten times as many at once;
    /// 0: any number.
    #[arg(long, env = "REQUEST_RATE", value_name = "REQUEST_RATE", default_value = "0")]
    pub request_rate: RequestRate,
}

/// What the gateway needs to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The way to auth-service.
    pub auth: RpcChannel,
    /// The way to training-service.
    pub training: RpcChannel,
    /// Whose word on a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whose pages may read the answers.
    pub allowed_origins: AllowedOrigins,
    /// How many requests one client address may make.
    pub request_rate: RequestRate,
    /// Where the time of that comes from, and of what is known of the services.
    pub clock: Clock,
    /// How much and how long.
    pub limits: Limits,
}

impl Config {
    /// In front of the two services, with the defaults of all settings.
    pub fn new(auth: RpcChannel, training: RpcChannel) -> Self {
        Self {
            auth,
            training,
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::None,
            request_rate: RequestRate::default(),
            clock: Clock::system(),
            limits: Limits::default(),
        }
    }

    /// As `settings` say.
    #[must_use]
    pub fn set(self, settings: Settings) -> Self {
        Self {
            allowed_origins: settings.cors_allowed_origins,
            request_rate: settings.request_rate,
            ..self
        }
    }

    /// Believes `proxies` about whom they speak for.
    #[must_use]
    pub fn trusting(self, proxies: TrustedProxies) -> Self {
        Self { trusted_proxies: proxies, ..self }
    }
}

/// What handlers share. Cheap to clone.
#[derive(Clone)]
struct Gateway(Arc<Shared>);

struct Shared {
    auth: RpcChannel,
    training: RpcChannel,
    trusted_proxies: TrustedProxies,
    allowed_origins: AllowedOrigins,
    rate_limit: Option<RateLimit>,
    readiness: Readiness,
    limits: Limits,
    entropy: Entropy,
    /// One permit for each request that may be in flight.
    requests: Semaphore,
}

impl Gateway {
    fn new(config: Config) -> Self {
        let limits = config.limits;
        let requests = Semaphore::new(limits.requests_max);
        let entropy = Entropy::of_ids();
        let auth = config.auth.repeating(proto::is_read);
        let training = config.training.repeating(proto::is_read);
        Self(Arc::new(Shared {
            readiness: Readiness::new(auth.clone(), training.clone(), config.clock.clone()),
            auth,
            training,
            trusted_proxies: config.trusted_proxies,
            allowed_origins: config.allowed_origins,
            rate_limit: RateLimit::new(config.request_rate, config.clock),
            limits,
            entropy,
            requests,
        }))
    }
}

/// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) on `listener` until `shutdown`; then no
/// connection is accepted any more, and requests in flight have ten seconds to finish.
///
/// # Errors
/// Where the listener is broken.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let address = listener.local_addr().map_err(|error| StartError::other(error.to_string()))?;
    let limits = config.limits;
    let crowd = Crowd::new(limits.connections_per_client_max, config.trusted_proxies.clone());
    let router = routes::router(&Gateway::new(config));

    tracing::info!(service = "gateway", %address, "listening");
    let serving = connections::serve(router, listener, limits, crowd, shutdown.clone());
    if within_drain_time(serving, &shutdown).await.is_none() {
        tracing::warn!(service = "gateway", "requests were cut off by the shutdown");
    }
    Ok(())
}
