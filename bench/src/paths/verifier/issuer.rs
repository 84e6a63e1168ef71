//! What stands in for auth-service: it signs as many tokens as are wanted without a sign-in for
//! each, and tells its key and some revocations.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Uri;
use proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, JsonWebKey, Revocation, WatchRevocationsRequest,
    WatchRevocationsResponse,
    auth_service_server::{AuthService, AuthServiceServer},
    revocation::Target,
};
use serde_json::json;
use service_kit::{Clock, Entropy, settings::ServiceTokens};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    codegen::BoxStream,
    transport::{Server, server::TcpIncoming},
};

const KEY_ID: &str = "key-of-the-bench";
/// Longer than any measurement.
const LIFETIME: Duration = Duration::from_hours(24);
/// Sessions that were ended, none of them of a token that is used.
const REVOCATIONS: usize = 1000;
/// As auth-service: five signs of life a second.
const HEARTBEAT_PAUSE: Duration = Duration::from_millis(200);

/// Signs tokens of the form that auth-service gives them.
#[derive(Clone)]
pub(super) struct Issuer {
    pair: Arc<Ed25519KeyPair>,
    /// What a verifier has to show.
    pub(super) service_tokens: ServiceTokens,
    signed: Arc<AtomicI64>,
}

/// A token, and what its signature is over.
#[derive(Clone, Debug)]
pub(super) struct SignedToken {
    pub(super) text: String,
    pub(super) user_id: i64,
    message_bytes: usize,
    pub(super) signature: Vec<u8>,
}

impl SignedToken {
    pub(super) fn message(&self) -> &[u8] {
        &self.text.as_bytes()[..self.message_bytes]
    }
}

impl Issuer {
    pub(super) fn new() -> Result<Self> {
        let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no key pair was made"))?;
        let service_tokens = ServiceTokens::random(&Entropy::system());
        Ok(Self { pair: Arc::new(pair), service_tokens, signed: Arc::default() })
    }

    pub(super) fn public_key(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// New ones, without end.
    pub(super) fn tokens(&self) -> impl Iterator<Item = SignedToken> {
        std::iter::repeat_with(|| self.token())
    }

    /// A new one.
    pub(super) fn token(&self) -> SignedToken {
        let number = self.signed.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Clock::system().now();
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": KEY_ID });
        let claims = json!({
            "iss": "pavilion", "sub": number.to_string(), "aud": "pavilion",
            "iat": now.seconds(), "exp": (now + LIFETIME).seconds(),
            "jti": format!("{number:022}"), "sid": format!("{number:022}"),
            "client_id": "pavilion", "roles": ["user"],
        });
        let base64url = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let message =
            format!("{}.{}", base64url(&header.to_string()), base64url(&claims.to_string()));
        let signature = self.pair.sign(message.as_bytes()).as_ref().to_vec();
        let text = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(&signature));
        SignedToken { text, user_id: number, message_bytes: message.len(), signature }
    }

    /// Serves what a verifier asks for, until `tasks` end: where it is.
    pub(super) async fn serve(&self, tasks: &mut JoinSet<()>) -> Result<Uri> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let key = JsonWebKey {
            kty: "OKP".to_owned(),
            kid: KEY_ID.to_owned(),
            r#use: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            crv: "Ed25519".to_owned(),
            x: BASE64_URL_SAFE_NO_PAD.encode(self.public_key()),
            ..JsonWebKey::default()
        };
        let server = Server::builder().add_service(AuthServiceServer::new(Told { key }));
        tasks.spawn(async move {
            // A server that is gone shows as tokens that cannot be judged.
            let _ = server.serve_with_incoming(TcpIncoming::from(listener)).await;
        });
        Ok(url)
    }
}

/// What verifiers are told. Whoever asks about a single token is refused.
struct Told {
    key: JsonWebKey,
}

#[tonic::async_trait]
impl AuthService for Told {
    async fn get_jwks(
        &self,
        _: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        let keys = vec![self.key.clone()];
        Ok(Response::new(GetJwksResponse { keys, keys_version: 1 }))
    }

    async fn watch_revocations(
        &self,
        _: Request<WatchRevocationsRequest>,
    ) -> Result<Response<BoxStream<WatchRevocationsResponse>>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut message = WatchRevocationsResponse {
                revocations: (0..REVOCATIONS).map(revocation).collect(),
                sequence: 1,
                up_to_date: true,
                keys_version: 1,
                ..WatchRevocationsResponse::default()
            };
            // Until nobody listens any more.
            while sender.send(Ok(message)).await.is_ok() {
                sleep(HEARTBEAT_PAUSE).await;
                message = WatchRevocationsResponse {
                    sequence: 1,
                    up_to_date: true,
                    keys_version: 1,
                    ..WatchRevocationsResponse::default()
                };
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn revocation(number: usize) -> Revocation {
    let expires_at = (Clock::system().now() + LIFETIME).seconds();
    Revocation {
        target: Some(Target::SessionId(format!("ended-{number:016}"))),
        expires_at: Some(prost_types::Timestamp { seconds: expires_at, nanos: 0 }),
    }
}
