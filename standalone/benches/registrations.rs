//! `GET /registrations` through the gateway beside a bare pair of axum and tonic, in the same run.
//!
//! `cargo bench -p pavilion --bench registrations`
//!
//! Both pairs are built alike: an HTTP handler that calls a gRPC service over loopback, all in this
//! process, with 64 requests in flight. The ceiling answers nothing; the gateway answers ten
//! registrations of a user whose token is verified, from SQLite. Five rounds, each with both.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement for a terminal")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use auth_service::PasswordSettings;
use axum::{Router, extract::State, routing::get};
use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use proto::{
    auth::v1::{LoginRequest, RegisterRequest, auth_service_client::AuthServiceClient},
    training::v1::{
        CreateRegistrationRequest, ListRegistrationsRequest, ListRegistrationsResponse,
        registration_service_client::RegistrationServiceClient,
        registration_service_server::{RegistrationService, RegistrationServiceServer},
    },
};
use service_kit::{
    Clock, Shutdown, channel::RpcChannel, client::TrustedProxies, db::DatabaseUrl,
    secret::SecretKey, settings::ServiceTokens,
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::transport::{Channel, Server, server::TcpIncoming};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(2);
const IN_FLIGHT: usize = 64;
const REGISTRATIONS: usize = 10;
const PASSWORD: &str = "securepassword123";

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let shutdown = Shutdown::new();
    let (gateway, token) = start(folder.path(), &shutdown).await;
    let bare = start_bare().await;
    let gateway = Load::new(gateway, "/registrations", &token);
    let bare = Load::new(bare, "/", &token);
    println!("the answer has {} bytes; {IN_FLIGHT} in flight", gateway.one().await);
    bare.rate(WARM_UP).await;
    gateway.rate(WARM_UP).await;
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let (ceiling, rate) = (bare.rate(ROUND).await, gateway.rate(ROUND).await);
        ratios.push(rate / ceiling);
        println!(
            "round {round}: bare {ceiling:.0}/s, GET /registrations {rate:.0}/s, ratio {:.3}",
            rate / ceiling
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.3}", ratios[ROUNDS / 2]);
    shutdown.begin();
}

/// Requests of one kind.
#[derive(Clone)]
struct Load {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Arc<str>,
    authorization: Arc<str>,
}

impl Load {
    fn new(address: SocketAddr, path: &str, token: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{address}{path}").into();
        Self { client, uri, authorization: format!("Bearer {token}").into() }
    }

    /// Sends one request and returns the length of its answer.
    async fn one(&self) -> usize {
        let request = Request::get(&*self.uri).header(AUTHORIZATION, &*self.authorization);
        let request = request.body(Full::default()).expect("a request");
        let answer = self.client.request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a body").to_bytes().len()
    }

    async fn rate(&self, time: Duration) -> f64 {
        let answered = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (load, answered) = (self.clone(), answered.clone());
            tasks.spawn(async move {
                while started.elapsed() < time {
                    load.one().await;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no panic");
        }
        let answered = u32::try_from(answered.load(Ordering::Relaxed)).expect("fewer");
        f64::from(answered) / started.elapsed().as_secs_f64()
    }
}

/// The least that a handler with an RPC behind it can do.
async fn start_bare() -> SocketAddr {
    struct NoOp;

    #[tonic::async_trait]
    impl RegistrationService for NoOp {
        async fn list_registrations(
            &self,
            _: tonic::Request<ListRegistrationsRequest>,
        ) -> Result<tonic::Response<ListRegistrationsResponse>, tonic::Status> {
            Ok(tonic::Response::new(ListRegistrationsResponse::default()))
        }
    }

    async fn call(
        State(client): State<RegistrationServiceClient<Channel>>,
    ) -> Result<&'static str, String> {
        let mut client = client.clone();
        let answer = client.list_registrations(ListRegistrationsRequest::default()).await;
        answer.map(|_| "[]").map_err(|status| status.to_string())
    }

    let (listener, url) = listen().await;
    let server = Server::builder().add_service(RegistrationServiceServer::new(NoOp));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(url).expect("a URL").connect_lazy();
    let router = Router::new().route("/", get(call));
    let router = router.with_state(RegistrationServiceClient::new(channel));
    let (listener, _) = listen().await;
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Starts all three, and returns where the gateway is and the token of a user with registrations.
async fn start(folder: &std::path::Path, shutdown: &Shutdown) -> (SocketAddr, String) {
    let service_tokens: ServiceTokens =
        "service-token-of-the-benchmark".parse().expect("a service token");
    let database = DatabaseUrl::embedded(&folder.join("auth.db"));
    let mut config = auth_service::Config::with_defaults(database, SecretKey::from_bytes([7; 32]));
    config.service_tokens = service_tokens.clone();
    config.passwords =
        PasswordSettings { argon2_memory_kib: 8, argon2_iterations: 1, argon2_parallelism: 1 };
    let token_rules = config.token_rules.clone();
    let (listener, auth_url) = listen().await;
    tokio::spawn(auth_service::serve(config, listener, shutdown.clone()));

    let channel = |url: &str| RpcChannel::balanced(&[url.parse().expect("a URL")]);
    let config = training_service::Config {
        database: DatabaseUrl::embedded(&folder.join("training.db")),
        auth: channel(&auth_url),
        token_rules,
        service_tokens,
        trusted_proxies: TrustedProxies::default(),
        clock: Clock::system(),
    };
    let (listener, training_url) = listen().await;
    tokio::spawn(training_service::serve(config, listener, shutdown.clone()));

    let config = gateway::Config::new(channel(&auth_url), channel(&training_url));
    let (listener, _) = listen().await;
    let address = listener.local_addr().expect("an address");
    tokio::spawn(gateway::serve(config, listener, shutdown.clone()));
    (address, fill(auth_url, training_url).await)
}

async fn fill(auth_url: String, training_url: String) -> String {
    let connect =
        async |url| Channel::from_shared(url).expect("a URL").connect().await.expect("connected");
    let mut auth = AuthServiceClient::new(connect(auth_url).await);
    let (username, password) = ("ann".to_owned(), PASSWORD.to_owned());
    let request = RegisterRequest { username, password, ..RegisterRequest::default() };
    auth.register(request).await.expect("registered");
    let (identifier, password) = ("ann".to_owned(), PASSWORD.to_owned());
    let request = LoginRequest { identifier, password, ..LoginRequest::default() };
    let answer = auth.login(request).await.expect("signed in").into_inner();
    let token = answer.tokens.expect("tokens").access_token;
    let mut training = RegistrationServiceClient::new(connect(training_url).await);
    for _ in 0..REGISTRATIONS {
        let mut request = tonic::Request::new(CreateRegistrationRequest {
            sport: "cricket".to_owned(),
            training_level: "intermediate".to_owned(),
            ..CreateRegistrationRequest::default()
        });
        let authorization = format!("Bearer {token}").parse().expect("a header value");
        request.metadata_mut().insert("authorization", authorization);
        training.create_registration(request).await.expect("registered");
    }
    token
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}
