//! Whether the time of an answer tells what kind of account it is about.
//!
//! `cargo bench -p auth-service --bench timing [-- TRIES]`
//!
//! Starts the real service on SQLite at the default cost of a hash, and asks about accounts of
//! every kind, a fresh one each time, in turn and at a steady rate: refused sign-ins, first with
//! hashes of ours alone and then with such as have moved in; codes that are asked for; and wrong
//! codes. The KS distance is the greatest difference between a kind's distribution and the first
//! one's; by chance alone it stays below the given bound 19 times in 20.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement for a terminal")]

mod distribution;

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use auth_service::{Config, ImportOptions, import, serve};
use proto::auth::v1::{
    LoginRequest, RequestPasswordResetRequest, ResetPasswordRequest,
    auth_service_client::AuthServiceClient,
};
use service_kit::{Clock, Shutdown, client::FORWARDED_FOR, db::DatabaseUrl, secret::SecretKey};
use tokio::net::TcpListener;
use tonic::{Code, Request, transport::Channel};

use distribution::compare;

/// Between two sign-ins: well below what the hashing threads can take.
const SIGN_IN_PAUSE: Duration = Duration::from_millis(200);
/// Between two requests that hash no password.
const CODE_PAUSE: Duration = Duration::from_millis(10);
const TRIES: u32 = 200;

type Auth = AuthServiceClient<Channel>;

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
    for (title, kinds) in [
        ("refused sign-ins, hashes of ours alone:", OWN.to_vec()),
        ("refused sign-ins, and such as have moved in:", [OWN, FOREIGN].concat()),
    ] {
        println!("{title}");
        let folder = tempfile::tempdir().expect("a folder");
        let auth = start(folder.path(), &kinds, tries).await;
        let names: Vec<_> = kinds.iter().map(|(name, ..)| *name).collect();
        let refuse = |kind, number| refused(auth.clone(), format!("user-{kind}-{number}"));
        compare(&names, tries, SIGN_IN_PAUSE, refuse).await;
    }
    // They cost no hash: more tries see more.
    let tries = 10 * tries;
    let folder = tempfile::tempdir().expect("a folder");
    let auth = start(folder.path(), &OWN, tries).await;
    let names = OWN.map(|(name, ..)| name);
    println!("codes asked for:");
    let ask = |kind, number| asked_for_code(auth.clone(), address(kind, number));
    compare(&names, tries, CODE_PAUSE, ask).await;
    println!("wrong codes:");
    let guess = |kind, number| guessed_code(auth.clone(), kind, number);
    compare(&names, tries, CODE_PAUSE, guess).await;
}

async fn refused(mut auth: Auth, identifier: String) -> Duration {
    let password = "a wrong password".to_owned();
    let request = LoginRequest { identifier, password, ..LoginRequest::default() };
    let started = Instant::now();
    let refused = auth.login(request).await.expect_err("a wrong password");
    let took = started.elapsed();
    assert_eq!(refused.code(), Code::Unauthenticated);
    took
}

async fn asked_for_code(mut auth: Auth, email: String) -> Duration {
    let request = RequestPasswordResetRequest { email, ..RequestPasswordResetRequest::default() };
    let started = Instant::now();
    auth.request_password_reset(request).await.expect("accepted");
    started.elapsed()
}

async fn guessed_code(mut auth: Auth, kind: usize, number: usize) -> Duration {
    let email = address(kind, number);
    let (otp, new_password) = ("999999".to_owned(), "anotherpassword456".to_owned());
    let mut request = Request::new(ResetPasswordRequest { email, otp, new_password });
    // From another client each time: one that guesses a lot is throttled.
    let client = format!("10.{}.{}.{}", kind, number / 256, number % 256);
    request.metadata_mut().insert(FORWARDED_FOR, client.parse().expect("an address"));
    let started = Instant::now();
    let refused = auth.reset_password(request).await.expect_err("a wrong code");
    let took = started.elapsed();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    took
}

fn address(kind: usize, number: usize) -> String {
    format!("user-{kind}-{number}@example.org")
}

/// An account of its own for each try: one that is tried too often is locked.
async fn move_in(folder: &Path, database: &DatabaseUrl, kinds: &[Kind], tries: u32) {
    let mut text = String::from("username,email,password_hash,disabled\n");
    for (kind, (_, hash, disabled)) in kinds.iter().enumerate() {
        for number in (0..tries as usize).filter(|_| hash.is_some()) {
            let (hash, email) = (hash.unwrap_or_default(), address(kind, number));
            writeln!(text, "user-{kind}-{number},{email},\"{hash}\",{disabled}").expect("written");
        }
    }
    let file = folder.join("users.csv");
    std::fs::write(&file, text).expect("written");
    let options = ImportOptions { file, dry_run: false, skip_invalid: false, format: None };
    import(&options, database, &Clock::system(), &Shutdown::new(), &mut std::io::sink())
        .await
        .expect("imported");
}

async fn start(folder: &Path, kinds: &[Kind], tries: u32) -> Auth {
    let database = DatabaseUrl::embedded(&folder.join("auth.db"));
    move_in(folder, &database, kinds, tries).await;
    let mut config = Config::with_defaults(database, SecretKey::from_bytes([7; 32]));
    config.lockout.address_failures_max = 0;
    config.password_reset.reset_requests_max = 0;
    config.trusted_proxies = "127.0.0.1".parse().expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(serve(config, listener, Shutdown::new()));
    let channel = Channel::from_shared(url).expect("a URL").connect_lazy();
    let auth = AuthServiceClient::new(channel);
    // The first one waits until the service is up.
    refused(auth.clone(), "nobody".to_owned()).await;
    auth
}
