//! Signing keys as verifiers, clients and operators see them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth_client::{Algorithm, Refusal, TokenRules, Verifier};
use auth_service::{Config, KeysCommand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, JsonWebKey, ValidateTokenRequest,
    auth_service_server::{AuthService, AuthServiceServer},
};
use service_kit::{
    channel::RpcChannel, on_each_database, settings::ServiceTokens, testing::ManualClock,
};
use tokio::{net::TcpListener, time::sleep};
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

use crate::service::{PASSWORD, SERVICE_TOKEN, Service, config};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
/// How long is waited for what the background does, and how often is looked. Real time: no test
/// passes or fails by it unless something is stuck.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const LOOK: Duration = Duration::from_millis(20);

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
pub async fn eventually(what: &str, mut found: impl AsyncFnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !found().await {
        assert!(waited < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(LOOK).await;
        waited += LOOK;
    }
}

async fn keys(config: &Config, command: KeysCommand) -> String {
    command.execute(config).await.expect("done")
}

/// The columns of `keys list`: kid, algorithm, state.
async fn listed(config: &Config) -> Vec<[String; 3]> {
    let table = keys(config, KeysCommand::List).await;
    let cells = |line: &str| line.split_whitespace().take(3).map(str::to_owned).collect::<Vec<_>>();
    table.lines().skip(1).map(|line| cells(line).try_into().expect("three cells")).collect()
}

pub async fn in_state(config: &Config, state: &str) -> String {
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
