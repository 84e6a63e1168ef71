//! Sessions: how one begins, and whether a token of one is good.

use std::{sync::Arc, time::Duration};

use auth_client::{Refusal, TokenRules, token};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service_kit::{Clock, Entropy};

use crate::{
    error::Error,
    model::{Identifier, Password, Session, User},
    passwords::Passwords,
    signing_keys::SigningKeys,
    store::Store,
    tokens::{TokenIssuer, TokenPair},
};

const SESSION_ID_BYTES: usize = 16;

/// The rules of sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// Where sessions are kept.
    pub store: Store,
    /// Where passwords are verified.
    pub passwords: Passwords,
    /// What tokens are signed with.
    pub keys: Arc<SigningKeys>,
    /// What makes tokens.
    pub issuer: Arc<TokenIssuer>,
    /// Which tokens are ours.
    pub rules: TokenRules,
    /// How long a session lives without being refreshed.
    pub idle_ttl: Duration,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub entropy: Entropy,
}

/// A token that is good at this moment, and whose it is.
#[derive(Clone, Debug)]
pub struct ActiveToken {
    /// What the token says.
    pub token: token::VerifiedToken,
    /// The user's handle now.
    pub username: Option<String>,
}

impl Sessions {
    /// Opens a session for whoever knows the password of `identifier`.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown identifier and for a wrong password, at the
    /// same cost; [`Error::AccountDisabled`] for the right password of a disabled account.
    pub async fn login(
        &self,
        identifier: Identifier,
        password: Password,
    ) -> Result<(User, TokenPair), Error> {
        let (user, stored) = self.store.credentials(&identifier).await?.unzip();
        let matches = self.passwords.verify(password, stored).await?;
        let user = user.filter(|_| matches).ok_or(Error::InvalidCredentials)?;
        if user.disabled {
            return Err(Error::AccountDisabled);
        }
        let now = self.clock.now();
        let session = Session {
            id: BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<SESSION_ID_BYTES>()),
            user_id: user.id,
            counter: 0,
            created_at: now,
            expires_at: now + self.idle_ttl,
        };
        self.store.insert_session(&session).await?;
        let tokens = self.issuer.issue(&user, &session, self.keys.active())?;
        Ok((user, tokens))
    }

    /// Whether an access token is good at this moment; `None` where it is not, for whatever
    /// reason.
    ///
    /// # Errors
    /// Where the state of its session cannot be read.
    pub async fn validate(&self, access_token: &str) -> Result<Option<ActiveToken>, Error> {
        let now = self.clock.now();
        let token: Result<_, Refusal> =
            token::verify(access_token, self.keys.verifying(), &self.rules, now);
        let Ok(token) = token else { return Ok(None) };
        let owner = self.store.session_owner(&token.session_id, token.user_id, now).await?;
        Ok(owner.map(|owner| ActiveToken { token, username: owner.username }))
    }
}
