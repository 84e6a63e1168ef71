//! `Idempotency-Key`: makes a POST that creates something repeatable.

use axum::extract::FromRequestParts;
use http::{HeaderValue, request::Parts};
use service_kit::rejection::Violation;

use crate::{
    Gateway,
    problem::{Problem, Wording},
};

/// The header, and the member that violations of the RPC's `request_id` are shown for.
pub(crate) const NAME: &str = "Idempotency-Key";

/// What was sent, whatever it is: the service says what a good one looks like. Empty where nothing
/// was.
pub(crate) struct IdempotencyKey(pub(crate) String);

impl FromRequestParts<Gateway> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all(NAME).iter();
        let key = keys.next().map_or(&b""[..], HeaderValue::as_bytes);
        if keys.next().is_some() {
            let violation = Violation::new(NAME, "DUPLICATE", format!("{NAME} was sent twice"));
            return Err(Wording::PLAIN.bad_input(vec![violation]));
        }
        Ok(Self(String::from_utf8_lossy(key).into_owned()))
    }
}
