//! What stands in for auth-service: a server with one key of its own, and the tokens it signs.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proto::auth::v1::{GetJwksRequest, GetJwksResponse, JsonWebKey, auth_service_server};
use serde_json::{Value, json};
use service_kit::{Clock, channel::RpcChannel};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// How long a token is good for.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// A key pair for tokens.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: Arc<Ed25519KeyPair>,
}

impl SigningKey {
    pub(crate) fn new(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key pair");
        Self { kid: kid.to_owned(), pair: Arc::new(pair) }
    }

    /// A token of the given parts.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(header, &claims.to_string())
    }

    /// A token whose payload need not be JSON.
    pub(crate) fn sign_text(&self, header: &Value, payload: &str) -> String {
        let message = message(header, payload);
        let signature = base64url(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// A token that takes the public key, which everyone knows, for a shared secret.
    pub(crate) fn sign_as_hs256(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, &claims.to_string());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        let signature = base64url(hmac::sign(&secret, message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn public(&self) -> JsonWebKey {
        JsonWebKey {
            kty: "OKP".to_owned(),
            kid: self.kid.clone(),
            r#use: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            crv: "Ed25519".to_owned(),
            x: base64url(self.pair.public_key()),
            ..JsonWebKey::default()
        }
    }
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn message(header: &Value, payload: &str) -> String {
    format!("{}.{}", base64url(header.to_string()), base64url(payload))
}

/// A running auth-service with nothing but keys.
#[derive(Clone)]
pub(crate) struct AuthPeer {
    pub(crate) channel: RpcChannel,
    pub(crate) key: SigningKey,
    state: Arc<State>,
    clock: Clock,
}

struct State {
    keys: RwLock<Vec<JsonWebKey>>,
    fails: AtomicBool,
}

impl AuthPeer {
    /// Starts it; `clock` is the one that its tokens go by.
    pub(crate) async fn start(clock: Clock) -> Self {
        let key = SigningKey::new("key-1");
        let keys = RwLock::new(vec![key.public()]);
        let state = Arc::new(State { keys, fails: AtomicBool::new(false) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Server::builder()
            .add_service(KeysServer(state.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        let channel = RpcChannel::balanced(&[url.parse().expect("a URL")]);
        Self { channel, key, state, clock }
    }

    /// From now on it knows this key too.
    pub(crate) fn publish(&self, key: &SigningKey) {
        self.state.keys.write().expect("no test panics with it").push(key.public());
    }

    /// Whether it fails to tell its keys.
    pub(crate) fn set_failing(&self, fails: bool) {
        self.state.fails.store(fails, Ordering::SeqCst);
    }

    /// The header of a good token.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.key.kid })
    }

    /// The claims of a good token.
    pub(crate) fn claims(&self, user_id: i64, roles: &[&str]) -> Value {
        let now = self.clock.now();
        json!({
            "iss": "pavilion",
            "sub": user_id.to_string(),
            "aud": "pavilion",
            "iat": now.seconds(),
            "exp": (now + TOKEN_LIFETIME).seconds(),
            "jti": "token-1",
            "sid": "session-1",
            "client_id": "test",
            "roles": roles,
        })
    }

    /// A good token.
    pub(crate) fn token(&self, user_id: i64, roles: &[&str]) -> String {
        self.key.sign(&self.header(), &self.claims(user_id, roles))
    }
}

/// Serves `GetJwks` and no more of `auth.v1.AuthService`: the rest of that service may grow.
#[derive(Clone)]
struct KeysServer(Arc<State>);

impl NamedService for KeysServer {
    const NAME: &'static str = auth_service_server::SERVICE_NAME;
}

impl Service<http::Request<Body>> for KeysServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move {
            if !request.uri().path().ends_with("/GetJwks") {
                return Ok(Status::unimplemented("only the keys are here").into_http());
            }
            let get_jwks = service_fn(|_: Request<GetJwksRequest>| {
                let answer = state.answer();
                async { answer }
            });
            Ok(Grpc::new(ProstCodec::default()).unary(get_jwks, request).await)
        })
    }
}

impl State {
    fn answer(&self) -> Result<Response<GetJwksResponse>, Status> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Status::unavailable("told to fail"));
        }
        let keys = self.keys.read().expect("no test panics with it").clone();
        Ok(Response::new(GetJwksResponse { keys }))
    }
}
