//! The id that ties an answer to the log: the caller's own or, where that is none, a new one.

use http::{HeaderMap, HeaderName, HeaderValue};
use service_kit::Entropy;

/// The header's name, in requests, in answers and in the metadata of calls to the services.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of an id that a caller may choose.
const CHARS_MAX: usize = 64;

/// 1 to 64 characters of `A-Za-z0-9._-`.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id in `headers`; a new one where they hold none, several, or one of another form.
    pub(crate) fn of(headers: &HeaderMap, entropy: &Entropy) -> Self {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_valid(value.as_bytes()) => Self(value.clone()),
            _ => Self::new(entropy),
        }
    }

    fn new(entropy: &Entropy) -> Self {
        let digits = format!("{:032x}", u128::from_be_bytes(entropy.bytes()));
        #[expect(clippy::expect_used, reason = "hexadecimal digits are a header value")]
        Self(HeaderValue::try_from(digits).expect("digits"))
    }

    pub(crate) fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        // ASCII by construction.
        self.0.to_str().unwrap_or_default()
    }
}

fn is_valid(id: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=CHARS_MAX).contains(&id.len()) && id.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).expect("a header value"));
        }
        RequestId::of(&headers, &Entropy::from_fn(|bytes| bytes.fill(0xab))).as_str().to_owned()
    }

    #[test]
    fn keeps_the_callers_id() {
        assert_eq!(id_for(&[b"Order-7_a.b"]), "Order-7_a.b");
        assert_eq!(id_for(&[&[b'x'; 64]]), "x".repeat(64));
    }

    #[test]
    fn makes_one_where_the_callers_is_missing_double_or_of_another_form() {
        let new = "ab".repeat(16);
        assert_eq!(id_for(&[]), new);
        assert_eq!(id_for(&[b"one", b"two"]), new);
        for bad in [&b""[..], &[b'x'; 65], b"a b", b"a/b", b"<script>", b"caf\xe9"] {
            assert_eq!(id_for(&[bad]), new, "{bad:?}");
        }
    }
}
