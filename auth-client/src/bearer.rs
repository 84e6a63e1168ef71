//! The token in the headers of a request (RFC 6750 section 2.1).

use http::{HeaderMap, header::AUTHORIZATION};
use service_kit::settings::ServiceTokens;
use tonic::metadata::AsciiMetadataValue;

use crate::Refusal;

/// The Bearer token of a request.
///
/// # Errors
/// Where there is none, there are several, or the scheme is another.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Duplicate);
    }
    let value = value.to_str().map_err(|_| Refusal::Malformed)?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    // Schemes are compared without regard to case (RFC 9110 section 11.1).
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Refusal::OtherScheme) }
}

/// What a service shows auth-service; `None` where no service token is set.
pub(crate) fn service_token(tokens: &ServiceTokens) -> Option<AsciiMetadataValue> {
    let mut value: AsciiMetadataValue = format!("Bearer {}", tokens.shown()?).parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(values: &[&str]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a header value"));
        }
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn finds_the_token_of_a_single_bearer_header() {
        assert_eq!(token_of(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(token_of(&["bearer  a.b.c "]), Ok("a.b.c".to_owned()));
        assert_eq!(token_of(&["Bearer"]), Ok(String::new()));
    }

    #[test]
    fn tells_apart_what_is_wrong() {
        assert_eq!(token_of(&[]), Err(Refusal::Missing));
        assert_eq!(token_of(&["Basic dXNlcg=="]), Err(Refusal::OtherScheme));
        assert_eq!(token_of(&["a.b.c"]), Err(Refusal::OtherScheme));
        assert_eq!(token_of(&["Bearer a.b.c", "Bearer d.e.f"]), Err(Refusal::Duplicate));
    }
}
