//! `{id}` in a path.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::{StatusCode, request::Parts};
use utoipa::IntoParams;

use crate::{Gateway, problem::Problem};

/// An id in decimal digits, at least 1: what is none names nothing that could be there, and 0,
/// which is the caller to some RPCs, names nobody.
#[derive(IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(crate) struct Id(#[param(minimum = 1, example = 1)] pub(crate) i64);

impl FromRequestParts<Gateway> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let segment = Path::<String>::from_request_parts(parts, gateway).await;
        let id = segment.ok().and_then(|Path(segment)| parse(&segment));
        id.map(Self).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found"))
    }
}

/// What is named in a path. Bytes that are no text name what nothing is called.
pub(crate) struct Name(pub(crate) String);

impl FromRequestParts<Gateway> for Name {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Infallible> {
        let segment = Path::<String>::from_request_parts(parts, gateway).await;
        Ok(Self(segment.map_or_else(|_| char::REPLACEMENT_CHARACTER.into(), |Path(name)| name)))
    }
}

fn parse(segment: &str) -> Option<i64> {
    let is_decimal = segment.bytes().all(|byte| byte.is_ascii_digit());
    segment.parse().ok().filter(|id| is_decimal && *id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_positive_decimal_numbers_of_64_bits() {
        assert_eq!(parse("1"), Some(1));
        assert_eq!(parse("9223372036854775807"), Some(i64::MAX));
        for bad in ["", "0", "-1", "+1", "1.0", "1 ", "0x1", "one", "9223372036854775808"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
