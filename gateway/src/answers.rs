//! Bodies that several families of routes answer with.

use proto::auth::v1 as auth;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{resources::User, signing_in::SignedIn};

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    #[schema(example = "Logout successful")]
    pub(crate) message: &'static str,
}

/// That it was done to an account, and how that is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountMessage {
    #[schema(example = "User registered successfully")]
    pub(crate) message: &'static str,
    pub(crate) user: User,
}

impl AccountMessage {
    /// That it was made.
    pub(crate) fn registered(user: auth::User) -> Self {
        Self { message: "User registered successfully", user: user.into() }
    }
}

/// The tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// A JWT (RFC 9068), sent as `Authorization: Bearer ...`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl")]
    access_token: String,
    /// Opaque; good for one refresh.
    #[schema(example = "sPTRmVn0WGIuLuUbtkJ4lBqk3vQOJrsLOhj8ahbDEZI")]
    refresh_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: String,
    /// The lifetime of the access token in seconds.
    #[schema(example = 900)]
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
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    #[schema(example = "Login successful")]
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
    user: User,
}

impl From<SignedIn> for LoggedIn {
    fn from(SignedIn { tokens, user, .. }: SignedIn) -> Self {
        Self { message: "Login successful", tokens: tokens.into(), user: user.into() }
    }
}
