//! Judging tokens here, with keys and revocations that come from auth-service.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::HeaderMap;
use proto::auth::v1::{
    GetJwksRequest, ValidateTokenRequest, WatchRevocationsRequest,
    auth_service_client::AuthServiceClient,
};
use service_kit::{Clock, Timestamp, channel::RpcChannel, settings::ServiceTokens};
use tokio::{
    sync::{Mutex, Notify},
    time,
};
use tonic::{Request, Status, metadata::AsciiMetadataValue};

use crate::{
    Caller, KeySet, LocalVerifier, NotVerified, Refusal, TokenRules,
    bearer::{bearer_token, service_token},
    revocations::{Revocations, STALENESS_MAX},
};

/// How long fetching the keys, or asking about one token, may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(2);
/// Unknown key ids cause at most one fetch in this time: anyone can send a made-up one.
const FETCH_PAUSE: Duration = Duration::from_secs(1);
/// The pause before keys that could not be had are asked for again.
const KEYS_RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Keys older than this are fetched again even if nothing unknown comes by.
const KEYS_AGE_MAX: Duration = Duration::from_mins(5);
/// The pause before a lost stream of revocations is opened again: the first, and the longest.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Verifies access tokens here, in the process. Cheap to clone; clones share what they know.
///
/// [`Verifier::run`] must run for as long as it is in use. With a service token it follows the
/// revocations of auth-service and asks about single tokens only while it cannot; without one it
/// asks about each.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    auth: AuthServiceClient<RpcChannel>,
    rules: TokenRules,
    service_token: Option<AsciiMetadataValue>,
    clock: Clock,
    keys: RwLock<Keys>,
    /// Told when other keys are wanted than those that are there.
    keys_wanted: Notify,
    revocations: RwLock<Revocations>,
    /// Held while fetching, so that a crowd of requests fetches once.
    fetched: Mutex<Fetched>,
}

#[derive(Clone, Debug)]
struct Keys {
    /// Judges with them.
    local: Arc<LocalVerifier>,
    /// Which state of auth-service's keys this is.
    version: i64,
}

#[derive(Debug, Default)]
struct Fetched {
    tried_at: Option<Timestamp>,
    succeeded: bool,
}

impl Verifier {
    /// A verifier of tokens that follow `rules`, for the auth-service behind `auth`.
    pub fn new(
        auth: RpcChannel,
        rules: TokenRules,
        service_tokens: &ServiceTokens,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            auth: AuthServiceClient::new(auth.repeating(proto::is_read)),
            keys: RwLock::new(Keys {
                local: Arc::new(LocalVerifier::new(KeySet::default(), rules.clone())),
                version: 0,
            }),
            rules,
            service_token: service_token(service_tokens),
            clock,
            keys_wanted: Notify::new(),
            revocations: RwLock::default(),
            fetched: Mutex::default(),
        }))
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// Why the token is refused; [`Refusal::Unavailable`] where that could not be found out.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        self.verify(bearer_token(headers)?).await
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// As [`Verifier::authenticate`].
    pub async fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        let mut keys = self.keys();
        let verified = match keys.local.verify(token, self.0.clock.now()) {
            Err(NotVerified::UnknownKey(key_id)) => {
                keys = self.fetch_keys_for(&key_id).await?;
                keys.local.verify(token, self.0.clock.now())?
            }
            judged => judged?,
        };
        let now = self.0.clock.now();
        let is_revoked = {
            let known = self.0.revocations.read().unwrap_or_else(PoisonError::into_inner);
            // Of keys that are older than was told, this one may be the revoked one.
            let is_outdated = known.keys_version.is_some_and(|told| keys.version < told);
            known.has_ended(&verified, now).filter(|has_ended| *has_ended || !is_outdated)
        };
        let is_revoked = match is_revoked {
            Some(is_revoked) => is_revoked,
            None => !self.ask(token).await?,
        };
        if is_revoked { Err(Refusal::Revoked) } else { Ok(Caller::from(&*verified)) }
    }

    /// Asks auth-service whether a token is good at this moment.
    async fn ask(&self, token: &str) -> Result<bool, Refusal> {
        let mut request = Request::new(ValidateTokenRequest { access_token: token.to_owned() });
        request.set_timeout(CALL_TIME_MAX);
        match self.0.auth.clone().validate_token(request).await {
            Ok(answer) => Ok(answer.into_inner().active),
            Err(status) => {
                tracing::warn!(
                    grpc.code = ?status.code(), grpc.message = status.message(),
                    "cannot ask auth-service about a token"
                );
                Err(Refusal::Unavailable)
            }
        }
    }

    /// Keeps keys and revocations up to date. Run it for as long as the verifier is in use.
    pub async fn run(&self) {
        tokio::join!(self.keep_keys(), self.follow_revocations());
    }

    async fn keep_keys(&self) {
        loop {
            let succeeded = {
                let mut fetched = self.0.fetched.lock().await;
                self.fetch_keys(&mut fetched).await;
                fetched.succeeded
            };
            // An auth-service that is not up yet, or a replica that is behind, will be soon.
            let pause = if succeeded { KEYS_AGE_MAX } else { KEYS_RETRY_PAUSE };
            tokio::select! {
                () = time::sleep(pause) => {}
                () = self.0.keys_wanted.notified() => {}
            }
        }
    }

    async fn follow_revocations(&self) {
        let Some(service_token) = &self.0.service_token else {
            tracing::warn!(
                "SERVICE_TOKEN is not set: auth-service is asked about the token of each request"
            );
            return;
        };
        let mut pause = RECONNECT_PAUSE;
        loop {
            let opened_at = time::Instant::now();
            let ended = self.follow_once(service_token).await;
            if opened_at.elapsed() > RECONNECT_PAUSE_MAX {
                pause = RECONNECT_PAUSE;
            }
            match ended {
                Ok(()) => tracing::debug!("the stream of revocations has ended"),
                Err(status) => tracing::warn!(
                    grpc.code = ?status.code(), grpc.message = status.message(),
                    "the stream of revocations is lost"
                ),
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
        }
    }

    async fn follow_once(&self, service_token: &AsciiMetadataValue) -> Result<(), Status> {
        let after_sequence = self.change_revocations(|known| known.sequence);
        let mut request = Request::new(WatchRevocationsRequest { after_sequence });
        request.metadata_mut().insert("authorization", service_token.clone());
        let mut auth = self.0.auth.clone();
        // The stream may last, but it must begin.
        let opened = time::timeout(CALL_TIME_MAX, auth.watch_revocations(request)).await;
        let opened = opened.map_err(|_| Status::deadline_exceeded("the stream does not begin"))?;
        let mut stream = opened?.into_inner();
        let mut is_first = true;
        // Silence for longer than the copy is trusted: another replica may have more to say.
        while let Ok(message) = time::timeout(STALENESS_MAX, stream.message()).await {
            let Some(message) = message? else { return Ok(()) };
            if std::mem::take(&mut is_first) && message.sequence < after_sequence {
                // A log that is behind ours, or another one: from the beginning, then.
                self.change_revocations(Revocations::forget_position);
                self.0.keys.write().unwrap_or_else(PoisonError::into_inner).version = i64::MIN;
                self.0.keys_wanted.notify_one();
                return Ok(());
            }
            let now = self.0.clock.now();
            let keys_version = message.keys_version;
            if self.change_revocations(|known| known.apply(message, now)) {
                return Ok(());
            }
            if self.keys().version < keys_version {
                self.0.keys_wanted.notify_one();
            }
        }
        Err(Status::deadline_exceeded("no sign of life"))
    }

    fn change_revocations<T>(&self, change: impl FnOnce(&mut Revocations) -> T) -> T {
        change(&mut self.0.revocations.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn keys(&self) -> Keys {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Judges with these keys from now on. The same ones again keep what they have vouched for.
    fn take_keys(&self, set: KeySet, version: i64) {
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.version = version;
        if *keys.local.keys() != set {
            keys.local = Arc::new(LocalVerifier::new(set, self.0.rules.clone()));
        }
    }

    /// The keys, fetched again if `key_id` is not among them and the last fetch is long enough
    /// ago.
    async fn fetch_keys_for(&self, key_id: &str) -> Result<Keys, Refusal> {
        let mut fetched = self.0.fetched.lock().await;
        let now = self.0.clock.now();
        let keys = self.keys();
        if keys.local.keys().contains(key_id) {
            return Ok(keys);
        }
        let is_due = fetched.tried_at.is_none_or(|at| now.since(at) >= FETCH_PAUSE || at > now);
        if is_due {
            self.fetch_keys(&mut fetched).await;
        }
        // After a failure an unknown key may well be a good one: say that we cannot know.
        if fetched.succeeded { Ok(self.keys()) } else { Err(Refusal::Unavailable) }
    }

    async fn fetch_keys(&self, fetched: &mut Fetched) {
        fetched.tried_at = Some(self.0.clock.now());
        let mut request = Request::new(GetJwksRequest {});
        request.set_timeout(CALL_TIME_MAX);
        match self.0.auth.clone().get_jwks(request).await {
            Ok(response) => {
                let response = response.into_inner();
                let (set, version) = (KeySet::from_jwks(&response.keys), response.keys_version);
                // A replica that is behind may still show a key that was revoked.
                let wanted = self.change_revocations(|known| known.keys_version);
                fetched.succeeded = wanted.is_none_or(|wanted| version >= wanted);
                tracing::debug!(?set, version, fetched.succeeded, "fetched auth-service's keys");
                if fetched.succeeded {
                    self.take_keys(set, version);
                }
            }
            Err(status) => {
                fetched.succeeded = false;
                tracing::warn!(
                    grpc.code = ?status.code(), grpc.message = status.message(),
                    "cannot fetch the keys of auth-service"
                );
            }
        }
        // From its end on: a crowd that waited for one that timed out does not try one by one.
        fetched.tried_at = Some(self.0.clock.now());
    }
}
