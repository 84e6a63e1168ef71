//! The token in the headers of a request (RFC 6750 section 2.1).

use http::{HeaderMap, header::AUTHORIZATION};
use service_kit::settings::ServiceTokens;
use tonic::metadata::AsciiMetadataValue;

use crate::{Refusal, token::SEGMENTS};

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
    let value = value.as_bytes().trim_ascii();
    if value.is_empty() {
        return Err(Refusal::Missing);
    }
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(space);
    // Schemes are compared without regard to case (RFC 9110 section 11.1).
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Refusal::OtherScheme);
    }
    let segments = token.split(|byte| *byte == b'.').count();
    str::from_utf8(token.trim_ascii())
        .map_err(|_| if segments < SEGMENTS { Refusal::Segments } else { Refusal::Malformed })
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
        token_of_bytes(&values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>())
    }

    fn token_of_bytes(values: &[&[u8]]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, (*value).try_into().expect("a header value"));
        }
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn finds_the_token_of_a_single_bearer_header() {
        assert_eq!(token_of(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(token_of(&["bearer  a.b.c "]), Ok("a.b.c".to_owned()));
        assert_eq!(token_of(&["Bearer"]), Ok(String::new()));
        assert_eq!(token_of(&["Bearer \u{e9}"]), Ok("\u{e9}".to_owned()));
    }

    #[test]
    fn tells_apart_what_is_wrong() {
        for nothing in [&[][..], &[""], &[" \t"]] {
            assert_eq!(token_of(nothing), Err(Refusal::Missing), "{nothing:?}");
        }
        assert_eq!(token_of(&["Basic dXNlcg=="]), Err(Refusal::OtherScheme));
        assert_eq!(token_of(&["a.b.c"]), Err(Refusal::OtherScheme));
        assert_eq!(token_of(&["Bearer a.b.c", "Bearer d.e.f"]), Err(Refusal::Duplicate));
        assert_eq!(token_of_bytes(&[b"Bearer \xff.b"]), Err(Refusal::Segments));
        assert_eq!(token_of_bytes(&[b"Bearer \xff.b.c"]), Err(Refusal::Malformed));
        assert_eq!(token_of_bytes(&[b"\xff a.b.c"]), Err(Refusal::OtherScheme));
    }
}
