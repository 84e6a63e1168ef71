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

/// The etags of which the thing must still have one; `None` where that is not asked, as for `*`.
/// Whether it has is for the service to say, which looks at the caller's token first.
#[derive(Debug, PartialEq, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub(crate) struct IfMatch(
    /// The `ETag` that was seen, or several of which it has to be one, or `*` for any. Counts before
    /// a member `etag`.
    #[param(value_type = String, required = false, example = "\"1\"")]
    Option<Vec<String>>,
);

/// What nothing has, as it is no entity tag.
const NO_TAG: &str = "no strong entity tag";

impl IfMatch {
    /// Whether the client sets a condition.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// The one etag to ask for; `None` where there is no condition. Of several it is the one that
    /// `current` gives, which is asked for nothing else, or where that is not among them the first.
    ///
    /// # Errors
    /// Those of `current`.
    pub(crate) async fn choose<E>(
        self,
        current: impl AsyncFnOnce() -> Result<Option<String>, E>,
    ) -> Result<Option<String>, E> {
        let Some(tags) = self.0 else { return Ok(None) };
        if let [_, _, ..] = tags[..]
            && let Some(current) = current().await?
            && tags.contains(&current)
        {
            return Ok(Some(current));
        }
        Ok(Some(tags.into_iter().next().unwrap_or_else(|| NO_TAG.to_owned())))
    }

    fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let lines: Vec<_> = values.map(String::from_utf8_lossy).collect();
        let value = lines.join(",");
        let is_any = lines.is_empty() || value == "*";
        Self((!is_any).then(|| strong_tags(&value).unwrap_or_default()))
    }
}

/// Those of a list that can match: weak ones never do (RFC 9110 section 8.8.3.2). `None` where it
/// is no list of entity tags.
fn strong_tags(mut list: &str) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    loop {
        list = list.trim_start_matches([',', ' ', '\t']);
        if list.is_empty() {
            return Some(tags);
        }
        let weak = list.strip_prefix("W/");
        let (opaque, rest) = weak.unwrap_or(list).strip_prefix('"')?.split_once('"')?;
        list = rest.trim_start_matches([' ', '\t']);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
        if weak.is_none() && is_tag(opaque) {
            tags.push(opaque.to_owned());
        }
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

    fn read(values: &[&str]) -> Option<Vec<String>> {
        let IfMatch(tags) = IfMatch::parse(values.iter().map(|value| value.as_bytes()));
        tags
    }

    #[test]
    fn reads_the_strong_tags_of_a_list_over_any_number_of_lines() {
        assert_eq!([read(&[]), read(&["*"])], [None, None]);
        for (values, tags) in [
            (&["\"1\""][..], &["1"][..]),
            (&["\"a/b+c\""], &["a/b+c"]),
            (&["\"1\",W/\"2\" , ,\"3,4\""], &["1", "3,4"]),
            (&["\"1\"", "\"2\""], &["1", "2"]),
        ] {
            assert_eq!(read(values).expect("a condition"), tags, "{values:?}");
        }
    }

    #[test]
    fn what_is_no_strong_tag_matches_nothing() {
        for values in [
            &["W/\"1\""][..],
            &["w/\"1\""],
            &["1"],
            &[""],
            &["\"\""],
            &["\"1\" \"2\""],
            &["\"1\", 2"],
            &["\"1\", \"2"],
            &["\"1\"", "*"],
            &["*", "*"],
            &["\"é\""],
        ] {
            assert_eq!(read(values), Some(Vec::new()), "{values:?}");
        }
    }

    async fn chosen(values: &[&str], current: Result<Option<&str>, ()>) -> Option<String> {
        let if_match = IfMatch::parse(values.iter().map(|value| value.as_bytes()));
        if_match.choose(async || current.map(|tag| tag.map(str::to_owned))).await.expect("a choice")
    }

    #[tokio::test]
    async fn of_several_tags_the_current_one_is_chosen() {
        let list = &["\"1\", \"2\""];
        assert_eq!(chosen(list, Ok(Some("2"))).await.as_deref(), Some("2"));
        assert_eq!(chosen(list, Ok(Some("3"))).await.as_deref(), Some("1"), "which it is not");
        assert_eq!(chosen(list, Ok(None)).await.as_deref(), Some("1"));
        let unasked = Err(());
        assert_eq!(chosen(&["\"1\""], unasked).await.as_deref(), Some("1"));
        assert_eq!(chosen(&["*"], unasked).await, None);
        let none = chosen(&["W/\"1\""], unasked).await.expect("a condition");
        assert!(!is_tag(&none) && !none.is_empty(), "which the service takes for a condition");
    }

    #[test]
    fn what_fits_no_header_is_a_fault_of_ours() {
        assert_eq!(entity_tag("7"), Ok([(ETAG, HeaderValue::from_static("\"7\""))]));
        for bad in ["", "a\"b", "a b", "a\nb"] {
            assert_eq!(entity_tag(bad), Err(Problem::internal()), "{bad:?}");
        }
    }
}
