//! `/.well-known/jwks.json`: the public keys that access tokens are signed with (RFC 7517).

use axum::{Json, Router, response::IntoResponse, routing::get};
use http::header::CACHE_CONTROL;
use proto::auth::v1::{GetJwksRequest, JsonWebKey};
use serde::Serialize;

use crate::{
    Gateway,
    problem::{Problem, Wording},
    upstream::Call,
};

/// Well within the fifteen minutes for which a key is published before it signs.
const CACHING: &str = "public, max-age=300";

pub(super) fn routes() -> Router<Gateway> {
    Router::new().route("/.well-known/jwks.json", get(jwks))
}

/// A JWK Set (RFC 7517 section 5).
#[derive(Debug, Serialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// A public key: the members of RFC 7517, RFC 7518 section 6 and RFC 8037. What a key type lacks is
/// left out.
#[derive(Debug, Serialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    purpose: String,
    alg: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    crv: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    x: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    y: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    n: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    e: String,
}

impl From<JsonWebKey> for Jwk {
    fn from(key: JsonWebKey) -> Self {
        let JsonWebKey { kty, kid, r#use, alg, crv, x, y, n, e } = key;
        Self { kty, kid, purpose: r#use, alg, crv, x, y, n, e }
    }
}

async fn jwks(call: Call) -> Result<impl IntoResponse, Problem> {
    let request = call.request(GetJwksRequest {});
    let answer = call.answer(call.auth().get_jwks(request), &Wording::PLAIN).await?;
    let keys = answer.keys.into_iter().map(Jwk::from).collect();
    Ok(([(CACHE_CONTROL, CACHING)], Json(JwkSet { keys })))
}
