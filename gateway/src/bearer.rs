//! A refresh token that is sent as a bearer token, and so cannot be forwarded as it came.

use auth_client::{Refusal, bearer::bearer_token};
use axum::extract::FromRequestParts;
use http::request::Parts;
use tonic::Status;

use crate::{
    Gateway,
    problem::{Problem, Wording},
};

/// What is in the header `Authorization`.
pub(crate) struct Bearer(Result<String, Refusal>);

impl Bearer {
    /// The token.
    ///
    /// # Errors
    /// 401 where there is none, there are several, or the scheme is another.
    pub(crate) fn token(self) -> Result<String, Problem> {
        self.0
            .map_err(|refusal| Wording::PLAIN.problem(&Status::from(refusal.rejection("auth.v1"))))
    }
}

impl FromRequestParts<Gateway> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        Ok(Self(bearer_token(&parts.headers).map(str::to_owned)))
    }
}
