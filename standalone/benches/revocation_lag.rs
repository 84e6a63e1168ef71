//! How long after the answer of Logout an access token is still accepted by training-service.
//!
//! `scripts/databases run -- cargo bench -p pavilion --bench revocation_lag [-- TRIES]`
//!
//! The parts talk over loopback TCP, as separate processes would. With two replicas of
//! auth-service the session is ended at one, and training-service follows the other.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement for a terminal")]

use std::time::{Duration, Instant};

use auth_client::TokenRules;
use auth_service::PasswordSettings;
use proto::{
    auth::v1::{
        LoginRequest, LogoutRequest, RegisterRequest, auth_service_client::AuthServiceClient,
    },
    training::v1::{
        ListRegistrationsRequest, registration_service_client::RegistrationServiceClient,
    },
};
use service_kit::{
    Clock, Entropy, Shutdown,
    channel::RpcChannel,
    client::TrustedProxies,
    secret::SecretKey,
    settings::{Retention, ServiceTokens, defaults},
    testing::{DatabaseKind, TestDatabase},
};
use tokio::net::TcpListener;
use tonic::{Request, transport::Channel};

const TRIES: usize = 1000;
const PASSWORD: &str = "securepassword123";
const SERVICE_TOKEN: &str = "service-token-of-the-bench";

#[tokio::main]
async fn main() {
    let tries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(TRIES);
    println!("{tries} tries each, from the answer of Logout to the refusal:");
    println!("{:<12} {:>8} {:>12} {:>12} {:>12}", "database", "replicas", "median", "p99", "max");
    for (kind, replicas) in [
        (DatabaseKind::Sqlite, 1),
        (DatabaseKind::Postgres, 1),
        (DatabaseKind::Postgres, 2),
        (DatabaseKind::MySql, 1),
        (DatabaseKind::MySql, 2),
    ] {
        let mut lags = measure(kind, replicas, tries).await;
        lags.sort_unstable();
        let at = |percent: usize| lags[(lags.len() - 1) * percent / 100];
        let name = format!("{kind:?}");
        let (median, p99, max) = (at(50), at(99), at(100));
        println!("{name:<12} {replicas:>8} {median:>12.1?} {p99:>12.1?} {max:>12.1?}");
    }
}

async fn measure(kind: DatabaseKind, replicas: usize, tries: usize) -> Vec<Duration> {
    let database = TestDatabase::create(kind).await;
    let training_database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let shutdown = Shutdown::new();
    let first = start_auth(&database, &shutdown).await;
    let here = AuthServiceClient::new(
        Channel::from_shared(first.clone()).expect("a URL").connect().await.expect("connected"),
    );
    let register = RegisterRequest {
        username: "ann".to_owned(),
        password: PASSWORD.to_owned(),
        ..RegisterRequest::default()
    };
    here.clone().register(register).await.expect("registered");
    let followed = if replicas == 2 { start_auth(&database, &shutdown).await } else { first };
    let mut training = start_training(&training_database, &followed, &shutdown).await;

    let mut lags = Vec::with_capacity(tries);
    for _ in 0..tries {
        let login = LoginRequest {
            identifier: "ann".to_owned(),
            password: PASSWORD.to_owned(),
            ..LoginRequest::default()
        };
        let answer = here.clone().login(login).await.expect("signed in").into_inner();
        let token = answer.tokens.expect("tokens").access_token;
        // Until it is accepted once: the second replica may still be starting.
        while training
            .list_registrations(by(&token, ListRegistrationsRequest::default()))
            .await
            .is_err()
        {}
        here.clone().logout(by(&token, LogoutRequest::default())).await.expect("signed out");
        let answered = Instant::now();
        while training
            .list_registrations(by(&token, ListRegistrationsRequest::default()))
            .await
            .is_ok()
        {}
        lags.push(answered.elapsed());
    }
    shutdown.begin();
    lags
}

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a header value");
    request.metadata_mut().insert("authorization", value);
    request
}

fn rules() -> TokenRules {
    TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() }
}

fn service_tokens() -> ServiceTokens {
    SERVICE_TOKEN.parse().expect("a service token")
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

async fn start_auth(database: &TestDatabase, shutdown: &Shutdown) -> String {
    let secret_key = SecretKey::from_bytes([7; 32]);
    let mut config = auth_service::Config::with_defaults(database.database_url(), secret_key);
    config.service_tokens = service_tokens();
    // The hash is not what is measured.
    config.passwords =
        PasswordSettings { argon2_memory_kib: 8, argon2_iterations: 1, argon2_parallelism: 1 };
    config.lockout.address_failures_max = 0;
    let (listener, url) = listen().await;
    tokio::spawn(auth_service::serve(config, listener, shutdown.clone()));
    url
}

async fn start_training(
    database: &TestDatabase,
    auth_url: &str,
    shutdown: &Shutdown,
) -> RegistrationServiceClient<Channel> {
    let config = training_service::Config {
        database: database.database_url(),
        auth: RpcChannel::balanced(&[auth_url.parse().expect("a URL")]),
        token_rules: rules(),
        service_tokens: service_tokens(),
        trusted_proxies: TrustedProxies::default(),
        secret_key: SecretKey::from_bytes([7; 32]),
        mail: defaults(),
        event_retention: defaults::<Retention>().event_retention,
        clock: Clock::system(),
        entropy: Entropy::system(),
    };
    let (listener, url) = listen().await;
    tokio::spawn(training_service::serve(config, listener, shutdown.clone()));
    let channel = Channel::from_shared(url).expect("a URL").connect().await.expect("connected");
    RegistrationServiceClient::new(channel)
}
