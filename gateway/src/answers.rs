//! Bodies that several families of routes answer with.

use proto::auth::v1 as auth;
use serde::Serialize;

use crate::resources::User;

/// That it was done.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    pub(crate) message: &'static str,
}

/// That it was done to an account, and how that is now.
#[derive(Debug, Serialize)]
pub(crate) struct AccountMessage {
    pub(crate) message: &'static str,
    pub(crate) user: User,
}

/// The tokens of a session.
#[derive(Debug, Serialize)]
pub(crate) struct Tokens {
    access_token: String,
    refresh_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// The lifetime of the access token in seconds.
    expires_in: i64,
}

impl From<auth::Tokens> for Tokens {
    fn from(tokens: auth::Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            token_type: tokens.token_type,
            expires_in: tokens.expires_in_seconds,
        }
    }
}

/// The tokens of a new session, and whose it is.
#[derive(Debug, Serialize)]
pub(crate) struct LoggedIn {
    pub(crate) message: &'static str,
    #[serde(flatten)]
    pub(crate) tokens: Tokens,
    pub(crate) user: User,
}
