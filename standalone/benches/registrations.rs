//! `GET /registrations` a second beside a bare axum handler that makes a bare call with tonic, in
//! the same run.
//!
//! `cargo bench -p pavilion --bench registrations [-- SECONDS]`
//!
//! Five rounds, each with the bare pair and then with the gateway, training-service and
//! auth-service on SQLite, all over loopback TCP as separate processes would be: one user with ten
//! registrations, 64 requests in flight over connections of HTTP/1.1 that are kept alive. The
//! client has its share of the same cores in both.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement for a terminal")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use auth_client::TokenRules;
use auth_service::PasswordSettings;
use axum::{Router, extract::State, routing::get};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use service_kit::{
    Clock, Entropy, Shutdown,
    channel::RpcChannel,
    client::TrustedProxies,
    secret::SecretKey,
    settings::{Retention, ServiceTokens, defaults},
    testing::{DatabaseKind, TestDatabase},
};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const ROUNDS: usize = 5;
const SECONDS: u64 = 5;
const WARM_UP: Duration = Duration::from_secs(1);
const IN_FLIGHT: usize = 64;
const REGISTRATIONS: usize = 10;
/// How long all parts may take to start.
const START_MAX: Duration = Duration::from_mins(1);
const START_PAUSE: Duration = Duration::from_millis(20);
const SERVICE_TOKEN: &str = "service-token-of-the-bench";

#[tokio::main]
async fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(SECONDS);
    let round = Duration::from_secs(seconds);
    let databases = [
        TestDatabase::create(DatabaseKind::Sqlite).await,
        TestDatabase::create(DatabaseKind::Sqlite).await,
    ];
    let shutdown = Shutdown::new();
    let http = Http(Client::builder(TokioExecutor::new()).build_http());
    let gateway = start_pavilion(&databases, &shutdown).await;
    let token = http.register(&gateway).await;
    let registrations = Target { url: format!("{gateway}/registrations"), token };
    let bare = Target { url: start_bare().await, token: registrations.token.clone() };
    for target in [&bare, &registrations] {
        http.rate(target, WARM_UP).await;
    }

    println!("{IN_FLIGHT} requests in flight, {REGISTRATIONS} rows, rounds of {round:?}");
    let mut ratios = Vec::new();
    for number in 1..=ROUNDS {
        let ceiling = http.rate(&bare, round).await;
        let rate = http.rate(&registrations, round).await;
        let ratio = rate / ceiling;
        println!(
            "round {number}: bare {ceiling:.0}/s, registrations {rate:.0}/s, ratio {ratio:.3}"
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.3}", ratios[ROUNDS / 2]);
    shutdown.begin();
}

/// What is asked for, again and again.
#[derive(Clone)]
struct Target {
    url: String,
    token: String,
}

#[derive(Clone)]
struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    /// Answers a second, each of which is read to its end and must be 200.
    async fn rate(&self, target: &Target, duration: Duration) -> f64 {
        let done = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (http, target, done) = (self.clone(), target.clone(), done.clone());
            tasks.spawn(async move {
                while started.elapsed() < duration {
                    let answer = http.send(Method::GET, &target.url, &target.token, None).await;
                    assert_eq!(answer.map(|(status, _)| status), Some(StatusCode::OK));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no panic");
        }
        rate(done.load(Ordering::Relaxed), started)
    }

    /// `None` where nobody answers.
    async fn send(
        &self,
        method: Method,
        url: &str,
        token: &str,
        body: Option<Value>,
    ) -> Option<(StatusCode, Bytes)> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Full::from(body));
        let answer = self.0.request(request.expect("a request")).await.ok()?;
        let status = answer.status();
        Some((status, answer.into_body().collect().await.expect("a whole body").to_bytes()))
    }

    /// Waits for the gateway, and makes a user with ten registrations: an access token.
    async fn register(&self, gateway: &str) -> String {
        let ready = timeout(START_MAX, async {
            while self
                .send(Method::GET, &format!("{gateway}/readyz"), "", None)
                .await
                .is_none_or(|(status, _)| status != StatusCode::OK)
            {
                sleep(START_PAUSE).await;
            }
        });
        ready.await.expect("ready in time");
        let post = async |path: &str, token: &str, body: Value| {
            let url = format!("{gateway}{path}");
            let (status, answer) =
                self.send(Method::POST, &url, token, Some(body)).await.expect("an answer");
            assert!(status.is_success(), "{path}: {status} {answer:?}");
            serde_json::from_slice::<Value>(&answer).expect("JSON")
        };
        let account = json!({ "username": "ann", "email": "ann@example.com", "password": "securepassword123" });
        post("/auth/register_user", "", account.clone()).await;
        let tokens = post("/auth/login", "", account).await;
        let token = tokens["access_token"].as_str().expect("a token").to_owned();
        for _ in 0..REGISTRATIONS {
            let wish = json!({ "sport": "cricket", "training_level": "intermediate" });
            post("/registrations", &token, wish).await;
        }
        let url = format!("{gateway}/registrations");
        let (_, list) = self.send(Method::GET, &url, &token, None).await.expect("an answer");
        let list: Value = serde_json::from_slice(&list).expect("JSON");
        assert_eq!(list.as_array().map(Vec::len), Some(REGISTRATIONS));
        token
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
fn rate(count: u64, started: Instant) -> f64 {
    count as f64 / started.elapsed().as_secs_f64()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// A handler that does nothing but call an RPC that does nothing but look up one word: the URL.
async fn start_bare() -> String {
    let (listener, rpc_url) = listen().await;
    let (_, health) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    let channel = Channel::from_shared(rpc_url).expect("a URL").connect().await.expect("connected");

    let router = Router::new().route("/", get(bare)).with_state(HealthClient::new(channel));
    let (listener, url) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn bare(State(mut rpc): State<HealthClient<Channel>>) -> StatusCode {
    match rpc.check(HealthCheckRequest::default()).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// All three parts: the URL of the gateway.
async fn start_pavilion(databases: &[TestDatabase; 2], shutdown: &Shutdown) -> String {
    let [auth_database, training_database] = databases;
    let service_tokens: ServiceTokens = SERVICE_TOKEN.parse().expect("a service token");
    let secret_key = SecretKey::from_bytes([7; 32]);
    let mut config = auth_service::Config::with_defaults(auth_database.database_url(), secret_key);
    config.service_tokens = service_tokens.clone();
    // The hash is not what is measured.
    config.passwords =
        PasswordSettings { argon2_memory_kib: 8, argon2_iterations: 1, argon2_parallelism: 1 };
    let (listener, auth_url) = listen().await;
    tokio::spawn(auth_service::serve(config, listener, shutdown.clone()));

    let channel = |url: &str| RpcChannel::balanced(&[url.parse().expect("a URL")]);
    let config = training_service::Config {
        database: training_database.database_url(),
        auth: channel(&auth_url),
        token_rules: TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() },
        service_tokens,
        trusted_proxies: TrustedProxies::default(),
        secret_key: SecretKey::from_bytes([7; 32]),
        mail: defaults(),
        event_retention: defaults::<Retention>().event_retention,
        clock: Clock::system(),
        entropy: Entropy::system(),
    };
    let (listener, training_url) = listen().await;
    tokio::spawn(training_service::serve(config, listener, shutdown.clone()));

    let config = gateway::Config::new(channel(&auth_url), channel(&training_url));
    let (listener, url) = listen().await;
    tokio::spawn(gateway::serve(config, listener, shutdown.clone()));
    url
}
