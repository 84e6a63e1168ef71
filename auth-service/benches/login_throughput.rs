//! Sign-ins a second beside the raw rate of Argon2id on as many threads, in the same run.
//!
//! `cargo bench -p auth-service --bench login_throughput`
//!
//! Five rounds, each with the bare hash and then with Login over HTTP/2 on SQLite, at the default
//! cost of a hash, 64 sign-ins of as many accounts in flight.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement for a terminal")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use auth_service::{Config, PasswordSettings, serve};
use proto::auth::v1::{LoginRequest, RegisterRequest, auth_service_client::AuthServiceClient};
use service_kit::{Shutdown, db::DatabaseUrl, secret::SecretKey};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::transport::Channel;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(5);
const IN_FLIGHT: usize = 64;
const PASSWORD: &str = "securepassword123";
const COST: PasswordSettings =
    PasswordSettings { argon2_memory_kib: 19_456, argon2_iterations: 2, argon2_parallelism: 1 };

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let (auth, shutdown) = start(folder.path()).await;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads, {IN_FLIGHT} sign-ins in flight, rounds of {ROUND:?}");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let raw = raw_rate(threads);
        let logins = login_rate(&auth).await;
        ratios.push(logins / raw);
        println!("round {round}: raw {raw:.1}/s, Login {logins:.1}/s, ratio {:.3}", logins / raw);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.3}", ratios[ROUNDS / 2]);
    shutdown.begin();
}

fn raw_rate(threads: usize) -> f64 {
    let hashed = AtomicU64::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let params = Params::new(COST.argon2_memory_kib, 2, 1, Some(32)).expect("valid");
                let mut memory = vec![Block::default(); params.block_count()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut out = [0; 32];
                while started.elapsed() < ROUND {
                    let done = argon2.hash_password_into_with_memory(
                        PASSWORD.as_bytes(),
                        b"0123456789abcdef",
                        &mut out,
                        &mut memory,
                    );
                    done.expect("hashed");
                    hashed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    rate(hashed.load(Ordering::Relaxed), started)
}

async fn login_rate(auth: &AuthServiceClient<Channel>) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..IN_FLIGHT {
        let (mut auth, done) = (auth.clone(), done.clone());
        tasks.spawn(async move {
            while started.elapsed() < ROUND {
                let request = LoginRequest {
                    identifier: format!("user{number}"),
                    password: PASSWORD.to_owned(),
                    ..LoginRequest::default()
                };
                auth.login(request).await.expect("signed in");
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    rate(done.load(Ordering::Relaxed), started)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(count: u64, started: Instant) -> f64 {
    count as f64 / started.elapsed().as_secs_f64()
}

async fn start(folder: &std::path::Path) -> (AuthServiceClient<Channel>, Shutdown) {
    let database = DatabaseUrl::embedded(&folder.join("auth.db"));
    let mut config = Config::with_defaults(database, SecretKey::from_bytes([7; 32]));
    config.passwords = COST;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let shutdown = Shutdown::new();
    tokio::spawn(serve(config, listener, shutdown.clone()));
    let channel = Channel::from_shared(url).expect("a URL").connect().await.expect("connected");
    let auth = AuthServiceClient::new(channel);
    for number in 0..IN_FLIGHT {
        let request = RegisterRequest {
            username: format!("user{number}"),
            password: PASSWORD.to_owned(),
            ..RegisterRequest::default()
        };
        auth.clone().register(request).await.expect("registered");
    }
    (auth, shutdown)
}
