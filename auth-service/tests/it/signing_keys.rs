//! Signing keys as verifiers, clients and operators see them.

use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    process::{Child, Command as Process, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth_client::{Algorithm, Refusal, TokenRules, Verifier};
use auth_service::{Command, Config, KeysCommand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, JsonWebKey, ValidateTokenRequest,
    auth_service_server::{AuthService, AuthServiceServer},
};
use service_kit::{
    channel::RpcChannel, on_each_database, settings::ServiceTokens, testing::ManualClock,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::sleep};
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

use crate::service::{PASSWORD, SERVICE_TOKEN, Service, config};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
/// How long is waited for what the background does, and how often is looked. Real time: no test
/// passes or fails by it unless something is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

async fn validates(service: &Service, access_token: &str) -> bool {
    let request = ValidateTokenRequest { access_token: access_token.to_owned() };
    service.auth().validate_token(request).await.expect("never an error").into_inner().active
}

async fn jwks(service: &Service) -> Vec<JsonWebKey> {
    service.auth().get_jwks(GetJwksRequest {}).await.expect("keys").into_inner().keys
}

fn rules() -> TokenRules {
    TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() }
}

fn verifier(service: &Service) -> Verifier {
    let channel = RpcChannel::balanced(&[service.url.parse().expect("a URL")]);
    let tokens: ServiceTokens = SERVICE_TOKEN.parse().expect("a service token");
    Verifier::new(channel, rules(), &tokens, service.clock.clock())
}

/// Tries again until `found` is, or patience ends.
async fn eventually(what: &str, mut found: impl AsyncFnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !found().await {
        assert!(waited < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(LOOK).await;
        waited += LOOK;
    }
}

async fn keys(config: &Config, command: KeysCommand) -> String {
    Command::Keys(command).execute(config).await.expect("done")
}

/// The columns of `keys list`: kid, algorithm, state.
async fn listed(config: &Config) -> Vec<[String; 3]> {
    let table = keys(config, KeysCommand::List).await;
    let cells = |line: &str| line.split_whitespace().take(3).map(str::to_owned).collect::<Vec<_>>();
    table.lines().skip(1).map(|line| cells(line).try_into().expect("three cells")).collect()
}

async fn in_state(config: &Config, state: &str) -> String {
    let mut found = listed(config).await;
    found.retain(|[_, _, own]| own == state);
    assert_eq!(found.len(), 1, "exactly one key is {state}: {found:?}");
    let [kid, ..] = found.remove(0);
    kid
}

fn header(token: &str) -> serde_json::Value {
    let (header, _) = token.split_once('.').expect("a header");
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url");
    serde_json::from_slice(&header).expect("JSON")
}

fn key_of(token: &str) -> String {
    header(token)["kid"].as_str().expect("text").to_owned()
}

/// `token` with another `alg` in its header.
fn with_alg(token: &str, alg: &str) -> String {
    let (_, rest) = token.split_once('.').expect("a header");
    let mut header = header(token);
    header["alg"] = alg.into();
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()))
}

on_each_database! {
    async fn tokens_of_each_algorithm_are_good_here_and_elsewhere(database) {
        let clock = ManualClock::default();
        for (number, algorithm) in ALGORITHMS.into_iter().enumerate() {
            let config = Config { token_algorithm: algorithm, ..config(&database, &clock) };
            if number > 0 {
                keys(&config, KeysCommand::Rotate { now: true }).await;
            }
            let service = Service::start_with(config, clock.clone()).await;
            if number == 0 {
                service.register("ann", "").await.expect("registered");
            }
            let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
            assert_eq!(header(&token)["alg"], algorithm.as_str());
            assert!(validates(&service, &token).await, "{algorithm:?}");
            let verifier = verifier(&service);
            assert_eq!(verifier.verify(&token).await.expect("verified").user_id, 1);
            for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
                let confused = with_alg(&token, other.as_str());
                assert!(!validates(&service, &confused).await, "{algorithm:?} as {other:?}");
                let refused = verifier.verify(&confused).await.expect_err("confused");
                assert_eq!(refused, Refusal::Signature, "{algorithm:?} as {other:?}");
            }
            for foreign in ["none", "HS256", "ES384", "PS256", ""] {
                let refused = verifier.verify(&with_alg(&token, foreign)).await;
                assert_eq!(refused.expect_err("not ours"), Refusal::Malformed, "{foreign}");
            }
            service.shutdown.begin();
            service.serving.await.expect("no panic").expect("a clean end");
        }
    }

    async fn replicas_rotate_by_age_and_tokens_outlive_it(database) {
        let clock = ManualClock::default();
        let hourly = Config {
            signing_key_rotation: Duration::from_hours(1),
            ..config(&database, &clock)
        };
        let (one, two) = tokio::join!(
            Service::start_with(hourly.clone(), clock.clone()),
            Service::start_with(hourly.clone(), clock.clone()),
        );
        one.register("ann", "").await.expect("registered");
        let (first, second) = (in_state(&hourly, "active").await, in_state(&hourly, "next").await);
        clock.advance(Duration::from_mins(55));
        let old = one.login("ann", PASSWORD).await.expect("signed in").access_token;
        let verifier = verifier(&two);
        verifier.verify(&old).await.expect("verified");
        clock.advance(Duration::from_mins(5));
        eventually("both sign with the second key", async || {
            let mut signing = Vec::new();
            for service in [&one, &two] {
                let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
                verifier.verify(&token).await.expect("published before it signs");
                signing.push(key_of(&token));
            }
            signing == [second.clone(), second.clone()]
        })
        .await;
        assert_eq!(in_state(&hourly, "retired").await, first, "once, not once for each replica");
        assert!(validates(&one, &old).await && validates(&two, &old).await);
        assert_eq!(jwks(&two).await.len(), 3);
        clock.advance(Duration::from_mins(20));
        eventually("the first key is gone", async || jwks(&one).await.len() == 2).await;
        assert!(jwks(&two).await.iter().all(|key| key.kid != first));
    }

    async fn a_revoked_key_is_refused_by_all_replicas_and_verifiers(database) {
        let clock = ManualClock::default();
        let settings = config(&database, &clock);
        let one = Service::start_with(settings.clone(), clock.clone()).await;
        one.register("ann", "").await.expect("registered");
        let two = Service::start_with(settings.clone(), clock.clone()).await;
        let token = one.login("ann", PASSWORD).await.expect("signed in").access_token;
        let kid = key_of(&token);
        assert!(validates(&one, &token).await && validates(&two, &token).await);
        let verifier = verifier(&two);
        verifier.verify(&token).await.expect("verified");

        let told = keys(&settings, KeysCommand::Revoke { kid: kid.clone() }).await;
        assert!(told.starts_with(&format!("{kid} is no longer trusted\n")), "{told}");
        for service in [&one, &two] {
            let published = jwks(service).await;
            assert!(published.iter().all(|key| key.kid != kid), "shown as of now, by each replica");
            assert_eq!(published.len(), 2);
            eventually("refused", async || !validates(service, &token).await).await;
        }
        let new = one.login("ann", PASSWORD).await.expect("signed in").access_token;
        assert_eq!(key_of(&new), in_state(&settings, "active").await);
        assert!(validates(&two, &new).await);
        // What a verifier knows is as old as the last news.
        verifier.verify(&new).await.expect("the next key was published before");
        let looks_again = verifier.clone();
        let looking = tokio::spawn(async move { looks_again.run().await });
        eventually("forgotten", async || {
            verifier.verify(&token).await == Err(Refusal::Signature)
        })
        .await;
        looking.abort();
    }

    async fn an_operator_sees_and_changes_the_keys(database) {
        let clock = ManualClock::default();
        let settings = config(&database, &clock);
        let run = async |command| Command::Keys(command).execute(&settings).await;
        let early = run(KeysCommand::Rotate { now: true }).await.expect_err("before the first start");
        assert!(early.to_string().starts_with("there are no signing keys yet"), "{early}");
        let service = Service::start_with(settings.clone(), clock.clone()).await;
        service.register("ann", "").await.expect("it is up");

        let table = run(KeysCommand::List).await.expect("a table");
        let lines: Vec<_> = table.lines().collect();
        let head: Vec<_> = lines[0].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(head, ["KID", "ALGORITHM", "STATE", "CREATED", "ACTIVE SINCE", "RETIRED"]);
        assert_eq!(lines.len(), 3);
        let active = lines.iter().find(|line| line.contains(" active ")).expect("an active key");
        assert_eq!(active.matches("2026-01-01T00:00:00Z").count(), 2, "{table}");

        let early = run(KeysCommand::Rotate { now: false }).await.expect_err("too early");
        assert!(early.to_string().contains("for another 900 s"), "{early}");
        let (first, second) = (in_state(&settings, "active").await, in_state(&settings, "next").await);
        let told = run(KeysCommand::Rotate { now: true }).await.expect("rotated");
        assert_eq!(told, format!("{second} (EdDSA) signs from now on\n"));
        assert_eq!(in_state(&settings, "retired").await, first);
        let unknown = run(KeysCommand::Revoke { kid: "-nobody".to_owned() }).await;
        assert!(unknown.expect_err("unknown").to_string().starts_with("no such key"));

        let secret_key = service_kit::secret::SecretKey::from_bytes([8; 32]);
        let misfit = Config { secret_key, ..settings.clone() };
        for command in [KeysCommand::Rotate { now: true }, KeysCommand::Revoke { kid: first }] {
            let error = Command::Keys(command).execute(&misfit).await.expect_err("refused");
            assert!(error.to_string().starts_with("SECRET_KEY: "), "{error}");
        }
    }
}

/// A peer that counts how often it is asked for its keys.
struct CountingPeer(Arc<AtomicUsize>);

#[async_trait]
impl AuthService for CountingPeer {
    async fn get_jwks(
        &self,
        _: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(GetJwksResponse::default()))
    }
}

#[tokio::test]
async fn made_up_keys_do_not_make_a_verifier_fetch_without_end() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let peer = AuthServiceServer::new(CountingPeer(fetches.clone()));
    let server = Server::builder().add_service(peer);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let clock = ManualClock::default();
    let channel = RpcChannel::balanced(&[url.parse().expect("a URL")]);
    let verifier = Verifier::new(channel, rules(), &ServiceTokens::default(), clock.clock());
    for second in 1..=3 {
        let attempts = (0..200).map(|number| {
            let header = format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"made-up-{number}"}}"#);
            let token = format!("{}.e30.c2ln", BASE64_URL_SAFE_NO_PAD.encode(header));
            let verifier = verifier.clone();
            async move { verifier.verify(&token).await.expect_err("refused") }
        });
        let refused = futures_util::future::join_all(attempts).await;
        assert!(refused.iter().all(|refusal| *refusal == Refusal::Signature));
        assert_eq!(fetches.load(Ordering::SeqCst), second, "one fetch a second");
        clock.advance(Duration::from_secs(1));
    }
}

/// The program in a folder of its own, without the settings of whoever runs the tests.
fn program(folder: &TempDir) -> Process {
    let mut program = Process::new(env!("CARGO_BIN_EXE_auth-service"));
    program.env_clear().current_dir(folder).env("AUTH_ADDR", "127.0.0.1:0");
    program
}

/// Ends the program where a test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where the program has ended already.
        let _ = self.0.kill();
    }
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_commands_work_beside_the_running_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| program(&folder).args(arguments).output().expect("it starts");
    let before = run(&["keys", "rotate"]);
    assert_eq!(before.status.code(), Some(1));
    assert!(told(&before).1.ends_with("the first start of the service makes them\n"));

    let service = program(&folder).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut service = Running(service);
    let mut waited = Duration::ZERO;
    let table = loop {
        let (table, _) = told(&run(&["keys", "list"]));
        if table.lines().count() == 3 {
            break table;
        }
        assert!(waited < PATIENCE, "no keys within {PATIENCE:?}");
        std::thread::sleep(LOOK);
        waited += LOOK;
    };
    let active = table.lines().find(|line| line.contains(" active ")).expect("an active key");
    let kid = active.split_whitespace().next().expect("a kid");
    let rotated = run(&["keys", "rotate", "--now"]);
    assert!(rotated.status.success(), "{:?}", told(&rotated));
    let revoked = run(&["keys", "revoke", kid]);
    assert!(told(&revoked).0.starts_with(&format!("{kid} is no longer trusted\n")));
    let (table, _) = told(&run(&["keys", "list"]));
    assert!(!table.contains(kid) && table.lines().count() == 3, "{table}");
    assert!(!run(&["keys", "revoke", kid]).status.success(), "gone");

    let pid = rustix::process::Pid::from_child(&service.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let mut log = String::new();
    service.0.stderr.take().expect("its log").read_to_string(&mut log).expect("text");
    assert_eq!(service.0.wait().expect("it ends").code(), Some(0), "{log}");
    assert!(log.contains("made signing keys") && !log.contains("ERROR"), "{log}");
    let mode =
        std::fs::metadata(folder.path().join("data/secret.key")).expect("a key").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_setting_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for (variables, expected) in [
        (&[("TOKEN_ALGORITHM", "HS256")][..], "error: TOKEN_ALGORITHM: 'HS256' is not valid"),
        (&[("SIGNING_KEY_ROTATION", "59m")], "error: SIGNING_KEY_ROTATION: '59m' is not valid"),
        (
            &[("SIGNING_KEY_ROTATION", "1h"), ("ACCESS_TOKEN_TTL", "2h")],
            "error: SIGNING_KEY_ROTATION: shorter than ACCESS_TOKEN_TTL",
        ),
    ] {
        let output = program(&folder).envs(variables.iter().copied()).output().expect("it starts");
        let (_, error) = told(&output);
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        assert_eq!(output.status.code(), Some(1));
    }
}
