//! Judging tokens with keys that are fetched from auth-service when they are needed.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::HeaderMap;
use proto::auth::v1::{GetJwksRequest, auth_service_client::AuthServiceClient};
use service_kit::{Clock, Timestamp, channel::RpcChannel};
use tokio::sync::Mutex;
use tonic::Request;

use crate::{Caller, KeySet, Refusal, TokenRules, bearer::bearer_token, token::UnverifiedToken};

/// How long fetching the keys may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(2);
/// Unknown key ids cause at most one fetch in this time: anyone can send a made-up one.
const FETCH_PAUSE: Duration = Duration::from_secs(1);
/// Keys older than this are fetched again even if nothing unknown comes by.
const KEYS_AGE_MAX: Duration = Duration::from_mins(5);

/// Verifies access tokens here, in the process. Cheap to clone; clones share what they know.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    auth: AuthServiceClient<RpcChannel>,
    rules: TokenRules,
    clock: Clock,
    keys: RwLock<Arc<KeySet>>,
    /// Held while fetching, so that a crowd of requests fetches once.
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    tried_at: Option<Timestamp>,
    succeeded: bool,
}

impl Verifier {
    /// A verifier of tokens that follow `rules`, with the keys of the auth-service behind `auth`.
    pub fn new(auth: RpcChannel, rules: TokenRules, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            auth: AuthServiceClient::new(auth),
            rules,
            clock,
            keys: RwLock::default(),
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
        let token = UnverifiedToken::parse(token)?;
        let mut keys = self.keys();
        if !keys.contains(token.key_id()) {
            keys = self.fetch_keys_for(token.key_id()).await?;
        }
        let verified = token.verify(&keys, &self.0.rules, self.0.clock.now())?;
        Ok(Caller::from(verified))
    }

    /// Fetches the keys now and then, so that a key that was withdrawn is forgotten. Run it for as
    /// long as the verifier is in use.
    pub async fn keep_fresh(&self) {
        loop {
            self.fetch_keys(&mut *self.0.fetched.lock().await).await;
            tokio::time::sleep(KEYS_AGE_MAX).await;
        }
    }

    fn keys(&self) -> Arc<KeySet> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys, fetched again if `key_id` is not among them and the last fetch is long enough
    /// ago.
    async fn fetch_keys_for(&self, key_id: &str) -> Result<Arc<KeySet>, Refusal> {
        let mut fetched = self.0.fetched.lock().await;
        let now = self.0.clock.now();
        let keys = self.keys();
        if keys.contains(key_id) {
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
        request.set_timeout(FETCH_TIME_MAX);
        match self.0.auth.clone().get_jwks(request).await {
            Ok(response) => {
                let keys = KeySet::from_jwks(&response.into_inner().keys);
                tracing::debug!(?keys, "fetched the keys of auth-service");
                *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                fetched.succeeded = true;
            }
            Err(status) => {
                fetched.succeeded = false;
                tracing::warn!(
                    grpc.code = ?status.code(), grpc.message = status.message(),
                    "cannot fetch the keys of auth-service"
                );
            }
        }
    }
}
