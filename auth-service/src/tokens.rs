//! What a client holds of a session: an access token (a JWT) and a refresh token (derived).

use std::time::Duration;

use auth_client::{
    TokenRules,
    token::{Audience, Claims, TOKEN_TYPE},
};
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use service_kit::{Clock, Entropy, secret::SecretKey};

use crate::{
    error::Error,
    model::{Session, User},
    signing_keys::SigningKey,
};

/// `client_id` of tokens that were issued for a password: no client is registered here, and RFC
/// 9068 section 2.2 wants the claim.
const CLIENT_ID: &str = "pavilion";
const TOKEN_ID_BYTES: usize = 16;
/// Longer than any refresh or logout token that is made here.
const OPAQUE_TOKEN_BYTES_MAX: usize = 256;

/// An access token and a refresh token.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// A JWT.
    pub access_token: String,
    /// Opaque.
    pub refresh_token: String,
    /// How long the access token is good.
    pub expires_in: Duration,
}

/// Makes tokens.
#[derive(Debug)]
pub struct TokenIssuer {
    rules: TokenRules,
    access_token_ttl: Duration,
    refresh_key: hmac::Key,
    logout_key: hmac::Key,
    clock: Clock,
    entropy: Entropy,
}

impl TokenIssuer {
    /// An issuer of tokens that follow `rules`.
    pub fn new(
        rules: TokenRules,
        access_token_ttl: Duration,
        secret: &SecretKey,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &secret.derive(purpose));
        let (refresh_key, logout_key) = (key("refresh-token"), key("logout-token"));
        Self { rules, access_token_ttl, refresh_key, logout_key, clock, entropy }
    }

    /// The tokens of `session` as it stands, signed with `key`.
    ///
    /// # Errors
    /// Where signing fails.
    pub fn issue(
        &self,
        user: &User,
        session: &Session,
        key: &SigningKey,
    ) -> Result<TokenPair, Error> {
        let now = self.clock.now();
        // No token outlives its session.
        let expires_at = session.expires_at.min(now + self.access_token_ttl);
        let claims = Claims {
            iss: self.rules.issuer.clone(),
            sub: user.id.0.to_string(),
            aud: Audience::One(self.rules.audience.clone()),
            iat: now.seconds(),
            exp: expires_at.seconds(),
            nbf: None,
            jti: BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<TOKEN_ID_BYTES>()),
            sid: session.id.clone(),
            client_id: CLIENT_ID.to_owned(),
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        };
        Ok(TokenPair {
            access_token: sign(&claims, key)?,
            refresh_token: self.refresh_token(session),
            expires_in: expires_at.since(now),
        })
    }

    /// `session id . counter . HMAC of both`: whoever has the key can tell which rotation of which
    /// session a token is, and no token needs to be stored.
    fn refresh_token(&self, session: &Session) -> String {
        tagged(&self.refresh_key, &format!("{}.{}", session.id, session.counter))
    }

    /// Which rotation of which session a refresh token is; `None` where it was not made here.
    pub fn read_refresh_token(&self, token: &str) -> Option<RefreshToken> {
        let (session_id, counter) = verified(&self.refresh_key, token)?.split_once('.')?;
        Some(RefreshToken { session_id: session_id.to_owned(), counter: counter.parse().ok()? })
    }

    /// `session id . HMAC`: shows that someone signed in, and is good for signing out alone.
    pub fn logout_token(&self, session_id: &str) -> String {
        tagged(&self.logout_key, session_id)
    }

    /// Which session a logout token ends; `None` where it was not made here.
    pub fn read_logout_token<'a>(&self, token: &'a str) -> Option<&'a str> {
        verified(&self.logout_key, token)
    }

    /// How long an access token is good.
    pub fn access_token_ttl(&self) -> Duration {
        self.access_token_ttl
    }
}

/// `message . HMAC of it`.
fn tagged(key: &hmac::Key, message: &str) -> String {
    let tag = hmac::sign(key, message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

/// The message of a token that was made with this key.
fn verified<'a>(key: &hmac::Key, token: &'a str) -> Option<&'a str> {
    if token.len() > OPAQUE_TOKEN_BYTES_MAX {
        return None;
    }
    let (message, tag) = token.rsplit_once('.')?;
    let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
    hmac::verify(key, message.as_bytes(), &tag).ok()?;
    Some(message)
}

/// A JWT in the compact form (RFC 7515 section 7.1).
fn sign(claims: &Claims, key: &SigningKey) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("signing: {error}"));
    let header = json!({
        "typ": TOKEN_TYPE,
        "alg": key.algorithm.as_str(),
        "kid": key.key_id,
    });
    let claims = serde_json::to_vec(claims).map_err(|error| failed(&error))?;
    let base64url = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(&claims));
    let signature = key.sign(message.as_bytes()).map_err(|error| failed(&error))?;
    Ok(format!("{message}.{}", base64url(&signature)))
}

/// What a refresh token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session.
    pub session_id: String,
    /// How often it was rotated when the token was issued.
    pub counter: u64,
}
