//! `If-Match` (RFC 9110 section 13.1.1): a change of what the client has seen, or none.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{
    HeaderValue,
    header::{self, ETAG},
    request::Parts,
};
use utoipa::IntoParams;

use crate::{Gateway, problem::Problem};

/// The `etag` of which the thing must still be; empty where that is not asked, as for `*`. Whether it
/// is, is for the service to say, which looks at the caller's token first: so what is no strong
/// entity tag becomes one that nothing has (RFC 9110 section 8.8.3.2). A list is not read.
#[derive(Debug, PartialEq, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub(crate) struct IfMatch(
    /// The `ETag` that was seen, or `*` for any. Counts before a member `etag`.
    #[param(required = false, example = "\"1\"")]
    pub(crate) String,
);

impl IfMatch {
    fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let lines: Vec<_> = values.map(String::from_utf8_lossy).collect();
        let value = lines.join(", ");
        let opaque = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Self(match (opaque, value.as_str()) {
            (Some(opaque), _) if is_tag(opaque) => opaque.to_owned(),
            (_, "*") => String::new(),
            _ if lines.is_empty() => String::new(),
            (_, other) => format!("not a strong entity tag: {other}"),
        })
    }
}

/// Not empty, of what an opaque tag may have in ASCII: the services give no others.
fn is_tag(opaque: &str) -> bool {
    !opaque.is_empty() && opaque.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

impl FromRequestParts<Gateway> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_MATCH).iter();
        Ok(Self::parse(values.map(HeaderValue::as_bytes)))
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
    use super::*;

    fn read(values: &[&str]) -> String {
        let IfMatch(tag) = IfMatch::parse(values.iter().map(|value| value.as_bytes()));
        tag
    }

    #[test]
    fn reads_one_strong_tag_or_any() {
        assert_eq!([read(&[]), read(&["*"])], ["", ""]);
        assert_eq!([read(&["\"1\""]), read(&["\"a/b+c\""])], ["1", "a/b+c"]);
    }

    #[test]
    fn what_is_none_becomes_a_tag_that_nothing_has() {
        for values in [
            &["W/\"1\""][..],
            &["1"],
            &[""],
            &["\"\""],
            &["\"1\", \"2\""],
            &["\"1\"", "\"2\""],
            &["*", "*"],
            &["\"é\""],
        ] {
            assert!(!is_tag(&read(values)) && !read(values).is_empty(), "{values:?}");
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
