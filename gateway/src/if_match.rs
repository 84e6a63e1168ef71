//! `If-Match` (RFC 9110 section 13.1.1): a change of what the client has seen, or none.

use axum::extract::FromRequestParts;
use http::{
    HeaderValue, StatusCode,
    header::{self, ETAG},
    request::Parts,
};
use service_kit::rejection::Violation;
use utoipa::IntoParams;

use crate::{
    Gateway,
    problem::{Problem, Wording},
};

const NAME: &str = "If-Match";

/// The `etag` of which the thing must still be; empty where that is not asked, as for `*`.
#[derive(Debug, PartialEq, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub(crate) struct IfMatch(
    /// The `ETag` that was seen, or `*` for any. Counts before a member `etag`.
    #[param(required = false, example = "\"1\"")]
    pub(crate) String,
);

impl IfMatch {
    fn parse<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Self, Problem> {
        let tag = match (values.next(), values.next()) {
            (None, _) | (Some(b"*"), None) => return Ok(Self(String::new())),
            (Some(value), None) => value.trim_ascii(),
            (Some(_), Some(_)) => b"",
        };
        // Weak tags never match (RFC 9110 section 8.8.3.2).
        let (is_weak, quoted) = match tag.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, tag),
        };
        let opaque = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        match opaque.and_then(|opaque| str::from_utf8(opaque).ok()) {
            Some(opaque) if is_tag(opaque) && !is_weak => Ok(Self(opaque.to_owned())),
            Some(opaque) if is_tag(opaque) => {
                let text = "If-Match has a weak entity tag, which never matches";
                Err(Problem::new(StatusCode::PRECONDITION_FAILED, "ETAG_MISMATCH", text))
            }
            _ => {
                let description = "If-Match must be one entity tag such as \"1\", or *";
                let violation = Violation::new(NAME, "INVALID_FORMAT", description);
                Err(Wording::PLAIN.bad_input(vec![violation]))
            }
        }
    }
}

/// Not empty, of what an opaque tag may have in ASCII: the services give no others.
fn is_tag(opaque: &str) -> bool {
    !opaque.is_empty() && opaque.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

impl FromRequestParts<Gateway> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let values = parts.headers.get_all(header::IF_MATCH).iter();
        Self::parse(values.map(HeaderValue::as_bytes))
    }
}

/// The header for the `etag` of what is answered.
///
/// # Errors
/// 500 where it is no entity tag.
pub(crate) fn entity_tag(etag: &str) -> Result<[(header::HeaderName, HeaderValue); 1], Problem> {
    match HeaderValue::try_from(format!("\"{etag}\"")) {
        Ok(tag) if is_tag(etag) => Ok([(ETAG, tag)]),
        _ => {
            tracing::error!("a service gave an etag that is no entity tag");
            Err(Problem::internal())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn read(values: &[&str]) -> Result<String, u16> {
        let read = IfMatch::parse(values.iter().map(|value| value.as_bytes()));
        read.map(|IfMatch(tag)| tag).map_err(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn reads_one_strong_tag_or_any() {
        for (values, expected) in [
            (&[][..], Ok("")),
            (&["*"], Ok("")),
            (&["\"1\""], Ok("1")),
            (&[" \"a/b+c\" "], Ok("a/b+c")),
            (&["W/\"1\""], Err(412)),
            (&["1"], Err(400)),
            (&[""], Err(400)),
            (&["\"\""], Err(400)),
            (&["\"1\", \"2\""], Err(400)),
            (&["\"1\"", "\"2\""], Err(400)),
            (&["*", "*"], Err(400)),
            (&["w/\"1\""], Err(400)),
            (&["\"é\""], Err(400)),
        ] {
            assert_eq!(read(values), expected.map(str::to_owned), "{values:?}");
        }
    }

    #[test]
    fn what_fits_no_header_is_a_fault_of_ours() {
        assert_eq!(entity_tag("7"), Ok([(ETAG, HeaderValue::from_static("\"7\""))]));
        for bad in ["", "a\"b", "a b", "a\nb"] {
            assert_eq!(entity_tag(bad), Err(Problem::internal()), "{bad:?}");
        }
    }
}
