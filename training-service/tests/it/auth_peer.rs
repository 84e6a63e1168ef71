//! What stands in for auth-service: a server with one key of its own, and the tokens it signs.

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proto::auth::v1::{
    BatchGetUsersRequest, BatchGetUsersResponse, Event, EventType, GetJwksRequest, GetJwksResponse,
    JsonWebKey, Revocation, UserContact, ValidateTokenRequest, ValidateTokenResponse,
    WatchEventsRequest, WatchEventsResponse, WatchRevocationsRequest, WatchRevocationsResponse,
    auth_service_server::{AuthService, AuthServiceServer},
    event_service_server::{EventService, EventServiceServer},
    revocation::Target,
    user_service_server::{UserService, UserServiceServer},
};
use serde_json::{Value, json};
use service_kit::{Clock, channel::RpcChannel, rejection::Rejection};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response, Status,
    codegen::BoxStream,
    transport::{Server, server::TcpIncoming},
};

/// How long a token is good for.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// What it wants to be shown for its stream.
pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-tests";

/// The pause between two signs of life.
const HEARTBEAT_PAUSE: Duration = Duration::from_millis(100);

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
    /// How often it was asked about a token.
    asked: AtomicUsize,
    revoked: watch::Sender<Vec<Revocation>>,
    /// What happened, from number 1.
    events: watch::Sender<Vec<Event>>,
    /// The number of the last event that is no longer kept.
    forgotten: AtomicI64,
    hides_users: AtomicBool,
    has_no_users: AtomicBool,
    /// How often it was asked whose accounts there are.
    asked_for_users: AtomicUsize,
}

impl AuthPeer {
    /// Starts it; `clock` is the one that its tokens go by.
    pub(crate) async fn start(clock: Clock) -> Self {
        let key = SigningKey::new("key-1");
        let keys = RwLock::new(vec![key.public()]);
        let state = Arc::new(State {
            keys,
            fails: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            revoked: watch::Sender::default(),
            events: watch::Sender::default(),
            forgotten: AtomicI64::new(0),
            hides_users: AtomicBool::new(false),
            has_no_users: AtomicBool::new(false),
            asked_for_users: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Server::builder()
            .add_service(AuthServiceServer::new(AuthServer(state.clone())))
            .add_service(EventServiceServer::new(AuthServer(state.clone())))
            .add_service(UserServiceServer::new(AuthServer(state.clone())))
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

    /// From now on it fails to tell whose accounts there are.
    pub(crate) fn hide_users(&self) {
        self.state.hides_users.store(true, Ordering::SeqCst);
    }

    /// Whether it has no accounts at all.
    pub(crate) fn set_without_users(&self, has_no_users: bool) {
        self.state.has_no_users.store(has_no_users, Ordering::SeqCst);
    }

    /// How often it was asked whose accounts there are.
    pub(crate) fn times_asked_for_users(&self) -> usize {
        self.state.asked_for_users.load(Ordering::SeqCst)
    }

    /// Ends the tokens of a session.
    pub(crate) fn revoke_session(&self, session_id: &str) {
        let target = Some(Target::SessionId(session_id.to_owned()));
        let expires_at = (self.clock.now() + TOKEN_LIFETIME).seconds();
        let expires_at = Some(prost_types::Timestamp { seconds: expires_at, nanos: 0 });
        self.state.revoked.send_modify(|all| all.push(Revocation { target, expires_at }));
    }

    /// Tells that something happened to a user.
    pub(crate) fn tell(&self, event_type: EventType, user_id: i64) {
        self.state.events.send_modify(|all| {
            let sequence = i64::try_from(all.len()).expect("few") + 1;
            let r#type = event_type.into();
            all.push(Event { sequence, r#type, user_id, ..Event::default() });
        });
    }

    /// The number of the last event; 0 for none.
    pub(crate) fn last_event(&self) -> i64 {
        self.state.events.borrow().last().map_or(0, |event| event.sequence)
    }

    /// Keeps what has happened so far no longer.
    pub(crate) fn forget_events(&self) {
        self.state.forgotten.store(self.last_event(), Ordering::SeqCst);
    }

    /// How often it was asked about a single token.
    pub(crate) fn times_asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
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

/// Serves what verifiers need of `auth.v1.AuthService`; the rest answers UNIMPLEMENTED.
#[derive(Clone)]
struct AuthServer(Arc<State>);

#[tonic::async_trait]
impl AuthService for AuthServer {
    async fn get_jwks(
        &self,
        _: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        self.0.fail_if_told()?;
        let keys = self.0.keys.read().expect("no test panics with it").clone();
        Ok(Response::new(GetJwksResponse { keys, keys_version: 1 }))
    }

    async fn validate_token(
        &self,
        _: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        self.0.fail_if_told()?;
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ValidateTokenResponse { active: true, ..Default::default() }))
    }

    async fn watch_revocations(
        &self,
        request: Request<WatchRevocationsRequest>,
    ) -> Result<Response<BoxStream<WatchRevocationsResponse>>, Status> {
        self.0.fail_if_told()?;
        require_service_token(&request)?;
        let (sender, receiver) = mpsc::channel(1);
        let state = self.0.clone();
        tokio::spawn(async move {
            let mut revoked = state.revoked.subscribe();
            loop {
                let revocations = revoked.borrow_and_update().clone();
                let message = WatchRevocationsResponse {
                    sequence: i64::try_from(revocations.len()).expect("few"),
                    revocations,
                    server_time: None,
                    up_to_date: true,
                    keys_version: 1,
                };
                let fails = state.fails.load(Ordering::SeqCst);
                if fails || sender.send(Ok(message)).await.is_err() {
                    return;
                }
                let _ = timeout(HEARTBEAT_PAUSE, revoked.changed()).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

#[tonic::async_trait]
impl EventService for AuthServer {
    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<BoxStream<WatchEventsResponse>>, Status> {
        require_service_token(&request)?;
        let (after, forgotten) =
            (request.get_ref().after_sequence, self.0.forgotten.load(Ordering::SeqCst));
        if after > 0 && after < forgotten {
            let message = "the log no longer holds all events after this sequence";
            let code = Code::OutOfRange;
            return Err(Rejection::new(code, "auth.v1", "EVENTS_EXPIRED", message).into());
        }
        let (sender, receiver) = mpsc::channel(1);
        let mut watched = self.0.events.subscribe();
        tokio::spawn(async move {
            let mut sequence = after.max(forgotten);
            loop {
                let mut events = watched.borrow_and_update().clone();
                events.retain(|event| event.sequence > sequence);
                sequence = events.last().map_or(sequence, |event| event.sequence);
                let message = WatchEventsResponse { events, sequence };
                if sender.send(Ok(message)).await.is_err() {
                    return;
                }
                let _ = timeout(HEARTBEAT_PAUSE, watched.changed()).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Users from this one on have no address.
pub(crate) const WITHOUT_ADDRESS: i64 = 900;

/// Everyone has an account of whom no event tells that it was deleted, unless nobody has one.
#[tonic::async_trait]
impl UserService for AuthServer {
    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Result<Response<BatchGetUsersResponse>, Status> {
        require_service_token(&request)?;
        if self.0.hides_users.load(Ordering::SeqCst) {
            return Err(Status::unavailable("told to hide them"));
        }
        self.0.asked_for_users.fetch_add(1, Ordering::SeqCst);
        let has_no_users = self.0.has_no_users.load(Ordering::SeqCst);
        let events = self.0.events.borrow();
        let is_deleted = |id: &i64| {
            let deletes = |event: &Event| event.r#type() == EventType::UserDeleted;
            has_no_users || events.iter().any(|event| deletes(event) && event.user_id == *id)
        };
        let ids = request.into_inner().user_ids.into_iter().filter(|id| !is_deleted(id));
        let contact = |user_id| UserContact {
            user_id,
            username: format!("user{user_id}"),
            email: match user_id {
                WITHOUT_ADDRESS.. => String::new(),
                _ => format!("user{user_id}@example.com"),
            },
            name: format!("User {user_id}"),
        };
        Ok(Response::new(BatchGetUsersResponse { users: ids.map(contact).collect() }))
    }
}

fn require_service_token<T>(request: &Request<T>) -> Result<(), Status> {
    let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    if shown != Some(&format!("Bearer {SERVICE_TOKEN}")) {
        return Err(Status::permission_denied("this needs the service token"));
    }
    Ok(())
}

impl State {
    fn fail_if_told(&self) -> Result<(), Status> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Status::unavailable("told to fail"));
        }
        Ok(())
    }
}
