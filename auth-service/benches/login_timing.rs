//! Whether the time of a refused sign-in tells what kind of account it was tried on.
//!
//! `cargo bench -p auth-service --bench login_timing [-- TRIES]`
//!
//! Starts the real service on SQLite at the default cost of a hash, and tries wrong passwords on
//! accounts of every kind, a fresh one each time, in turn and at a steady rate: first with hashes
//! of ours alone, then with such as have moved in. The KS distance is the greatest difference
//! between a kind's distribution and the first one's; by chance alone it stays below the given
//! bound 19 times in 20.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement for a terminal")]

use std::{fmt::Write as _, path::Path, time::Duration};

use auth_service::{
    Config, ImportOptions, LockoutSettings, PasswordResetSettings, PasswordSettings, import, serve,
};
use proto::auth::v1::{LoginRequest, auth_service_client::AuthServiceClient};
use service_kit::{
    Clock, Entropy, Shutdown, client::TrustedProxies, db::DatabaseUrl, mail, secret::SecretKey,
    settings::ServiceTokens,
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{Code, transport::Channel};

/// Well below what the hashing threads can take.
const INTERVAL: Duration = Duration::from_millis(200);
const TRIES: u32 = 200;

/// A kind of account: its name, what its password's hash is, whether it is barred.
type Kind = (&'static str, Option<&'static str>, bool);

const OURS: &str = "$argon2id$v=19$m=19456,t=2,p=1$eomvCY42PrbSGlMs0ybR6Q$\
                    pdi6tqza+ycUKjqt7+1VukM6YHI5tuuYy8ioJFpi5OU";
const OWN: [Kind; 3] =
    [("unknown", None, false), ("ours", Some(OURS), false), ("ours, disabled", Some(OURS), true)];
const FOREIGN: [Kind; 3] = [
    (
        "pbkdf2:sha256:600000",
        Some(
            "pbkdf2:sha256:600000$ttLwBtWoirmHb6FO$\
             96b9d9d783630c4941650bdaf89e209584d4cf816452ea469be24e8b86cbe6d1",
        ),
        false,
    ),
    (
        "scrypt:32768:8:1",
        Some(
            "scrypt:32768:8:1$KUitYWGbTQhJmAi6$\
             8115ad5fb75c9c650f8d87cb04a908c0c9d91841ecc0881509277ac0e32d4da6\
             bca283f3cdc520dfeb7556c35e4274ef5e43ad5144117c7fa7cdf1876c789f84",
        ),
        false,
    ),
    ("bcrypt 12", Some("$2b$12$b7tgGWRcBteYBSFTML0IvujaZEHcuUEcTI4k79Ji8lKp20IJmYdxW"), false),
];

#[tokio::main]
async fn main() {
    let tries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(TRIES);
    println!("hashes of ours alone:");
    measure(&OWN, tries).await;
    println!("\nand such as have moved in:");
    measure(&[OWN, FOREIGN].concat(), tries).await;
}

async fn measure(kinds: &[Kind], tries: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = DatabaseUrl::embedded(&folder.path().join("auth.db"));
    move_in(folder.path(), &database, kinds, tries).await;
    let auth = start(database).await;

    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times: Vec<Vec<_>> = kinds.iter().map(|_| Vec::new()).collect();
    for number in 0..tries as usize {
        for offset in 0..kinds.len() {
            // Another order in each round.
            let kind =
                (number + offset * if number % 2 == 0 { 1 } else { kinds.len() - 1 }) % kinds.len();
            ticks.tick().await;
            times[kind].push(tokio::spawn(refused(auth.clone(), format!("user-{kind}-{number}"))));
        }
    }
    let mut measured = Vec::new();
    for tries in times {
        let mut seconds = Vec::new();
        for time in tries {
            seconds.push(time.await.expect("no panic").as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        measured.push(seconds);
    }
    println!("{:<22} {:>6} {:>10} {:>10} {:>6}", "", "tries", "median ms", "p95 ms", "KS");
    for ((name, ..), times) in kinds.iter().zip(&measured) {
        let at = |share: usize| 1000.0 * times[(times.len() - 1) * share / 100];
        let distance = distance(times, &measured[0]);
        let (tries, median, p95) = (times.len(), at(50), at(95));
        println!("{name:<22} {tries:>6} {median:>10.2} {p95:>10.2} {distance:>6.3}");
    }
    println!("KS by chance: below {:.3}", 1.358 * (2.0 / f64::from(tries)).sqrt());
}

async fn refused(mut auth: AuthServiceClient<Channel>, identifier: String) -> Duration {
    let password = "a wrong password".to_owned();
    let request = LoginRequest { identifier, password, device_token: String::new() };
    let started = Instant::now();
    let refused = auth.login(request).await.expect_err("a wrong password");
    let took = started.elapsed();
    assert_eq!(refused.code(), Code::Unauthenticated);
    took
}

/// The greatest difference between two distributions, each given in order.
fn distance(one: &[f64], other: &[f64]) -> f64 {
    let share = |times: &[f64], time: f64| {
        let below = u32::try_from(times.partition_point(|one| *one <= time)).expect("a few");
        f64::from(below) / f64::from(u32::try_from(times.len()).expect("a few"))
    };
    let all = one.iter().chain(other);
    all.map(|time| (share(one, *time) - share(other, *time)).abs()).fold(0.0, f64::max)
}

/// An account of its own for each try: one that is tried too often is locked.
async fn move_in(folder: &Path, database: &DatabaseUrl, kinds: &[Kind], tries: u32) {
    let mut text = String::from("username,password_hash,disabled\n");
    for (kind, (_, hash, disabled)) in kinds.iter().enumerate() {
        for number in (0..tries).filter(|_| hash.is_some()) {
            let hash = hash.unwrap_or_default();
            writeln!(text, "user-{kind}-{number},\"{hash}\",{disabled}").expect("written");
        }
    }
    let file = folder.join("users.csv");
    std::fs::write(&file, text).expect("written");
    let options = ImportOptions { file, dry_run: false, skip_invalid: false, format: None };
    import(&options, database, &Clock::system(), &Shutdown::new(), &mut std::io::sink())
        .await
        .expect("imported");
}

async fn start(database: DatabaseUrl) -> AuthServiceClient<Channel> {
    let config = Config {
        database,
        secret_key: SecretKey::from_bytes([7; 32]),
        token_rules: auth_client::TokenRules {
            issuer: "pavilion".to_owned(),
            audience: "pavilion".to_owned(),
        },
        access_token_ttl: Duration::from_mins(15),
        refresh_token_ttl: Duration::from_hours(1),
        session_ttl_max: Duration::from_hours(1),
        refresh_grace: Duration::from_secs(30),
        token_algorithm: auth_client::Algorithm::EdDsa,
        signing_key_rotation: Duration::from_hours(90 * 24),
        event_retention: Duration::from_hours(24),
        service_tokens: ServiceTokens::default(),
        lockout: LockoutSettings {
            lockout_threshold: 5,
            lockout_duration: Duration::from_mins(15),
            address_failures_max: 0,
        },
        password_reset: PasswordResetSettings {
            otp_ttl: Duration::from_mins(10),
            otp_max_attempts: 5,
            reset_requests_max: 5,
        },
        mail: mail::Settings {
            smtp_url: None,
            mail_from: "no-reply@localhost".parse().expect("a mailbox"),
        },
        trusted_proxies: TrustedProxies::default(),
        password_chars_min: 8,
        password_blocklist: None,
        passwords: PasswordSettings {
            argon2_memory_kib: 19_456,
            argon2_iterations: 2,
            argon2_parallelism: 1,
        },
        clock: Clock::system(),
        entropy: Entropy::system(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(serve(config, listener, Shutdown::new()));
    let channel = Channel::from_shared(url).expect("a URL").connect_lazy();
    let auth = AuthServiceClient::new(channel);
    // The first one waits until the service is up.
    refused(auth.clone(), "nobody".to_owned()).await;
    auth
}
