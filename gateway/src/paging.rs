//! `?page_size=&page_token=`, and the `Link` to the next page (RFC 8288).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use form_urlencoded::Serializer;
use http::{HeaderValue, header::LINK};
use serde::Serialize;
use service_kit::rejection::Violation;
use utoipa::{
    IntoParams,
    openapi::schema::{Object, ObjectBuilder, SchemaType, Type},
};

use crate::{
    problem::Problem,
    query::{FromQuery, Parameters},
};

/// Where a client asks for no page, it gets up to this many of this size: 10,000 in all, as the
/// descriptions of the routes say.
const PAGES_MAX: usize = 10;
const PAGE_SIZE: i32 = 1000;

/// The page that a client asks for; absent and empty parameters ask for none.
#[derive(Debug, Default, PartialEq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many at most: 0 means 50, more than 1000 means 1000.
    #[param(schema_with = described_page_size)]
    pub(crate) page_size: Option<i32>,
    /// Out of the `Link` of the page before; empty for the first page.
    #[param(required = false)]
    pub(crate) page_token: String,
}

impl Paging {
    /// An array of what is on the page of the list at `path` that the client asks for. `fetch` and
    /// `filter` are those of [`Paging::rows`].
    ///
    /// # Errors
    /// Those of `fetch`.
    pub(crate) async fn answer<T, F>(
        self,
        path: &'static str,
        filter: &[(&str, &str)],
        fetch: impl FnMut(i32, String) -> F,
    ) -> Result<Response, Problem>
    where
        T: Serialize,
        F: Future<Output = Result<(Vec<T>, String), Problem>>,
    {
        let (all, link) = self.rows(path, filter, fetch).await?;
        Ok((link.map(|link| [(LINK, link)]), Json(all)).into_response())
    }

    /// What is on the page of the list at `path` that the client asks for, or all of the list where
    /// it asks for none, and the `Link` to what follows, if anything does. `fetch` asks for a page
    /// by its size (0 is the service's default) and token, and gives what is on it and the token
    /// for the next one. `filter` is what else the link to that must have.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub(crate) async fn rows<T, F>(
        self,
        path: &str,
        filter: &[(&str, &str)],
        mut fetch: impl FnMut(i32, String) -> F,
    ) -> Result<(Vec<T>, Option<HeaderValue>), Problem>
    where
        F: Future<Output = Result<(Vec<T>, String), Problem>>,
    {
        let (pages_max, page_size, mut page_token) = if self == Self::default() {
            (PAGES_MAX, Some(PAGE_SIZE), String::new())
        } else {
            (1, self.page_size, self.page_token)
        };
        let mut all = Vec::new();
        for _ in 0..pages_max {
            let (page, next) = fetch(page_size.unwrap_or(0), page_token).await?;
            all.extend(page);
            page_token = next;
            if page_token.is_empty() {
                return Ok((all, None));
            }
        }
        Ok((all, Some(link_to_next(path, filter, page_size, &page_token))))
    }
}

impl FromQuery for Paging {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            page_size: parameters.parsed("page_size", page_size),
            page_token: parameters.text("page_token"),
        }
    }
}

/// An integer without a format, as that would be a limit; or nothing, which asks for no page.
fn described_page_size() -> Object {
    let types = SchemaType::Array(vec![Type::Integer, Type::String]);
    let schema = ObjectBuilder::new().schema_type(types).minimum(Some(0)).max_length(Some(0));
    schema.examples([50]).build()
}

/// An integer of any length: one too large is coerced later on, one below 0 refused (AIP-158).
fn page_size(text: &str) -> Result<i32, Violation> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let description = "page_size must be an integer";
        return Err(Violation::new("page_size", "INVALID_TYPE", description));
    }
    let beyond = if text.starts_with('-') { i32::MIN } else { i32::MAX };
    Ok(text.parse().unwrap_or(beyond))
}

/// The value of `Link` for the page at `page_token` of the list at `path`, of what passes `filter`:
/// parameters that are left out where they are empty.
fn link_to_next(
    path: &str,
    filter: &[(&str, &str)],
    page_size: Option<i32>,
    page_token: &str,
) -> HeaderValue {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(filter.iter().filter(|(_, value)| !value.is_empty()));
    if let Some(page_size) = page_size {
        query.append_pair("page_size", &page_size.to_string());
    }
    let query = query.append_pair("page_token", page_token).finish();
    #[expect(clippy::expect_used, reason = "an encoded query is ASCII, as our paths are")]
    HeaderValue::try_from(format!("<{path}?{query}>; rel=\"next\"")).expect("ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::read;

    fn paging(query: &str) -> (Option<i32>, String) {
        let paging: Paging = read(query).unwrap_or_else(|violations| panic!("{violations:?}"));
        (paging.page_size, paging.page_token)
    }

    #[test]
    fn reads_size_and_token() {
        assert_eq!(paging("page_size=2&page_token=a%2Bb%3D&x=1"), (Some(2), "a+b=".to_owned()));
        assert_eq!(paging("page_size=-7"), (Some(-7), String::new()), "the service refuses it");
        assert_eq!(paging("page_size=0"), (Some(0), String::new()), "a page, of the default size");
        assert_eq!(read("page_size=&page_token="), Ok(Paging::default()));
        assert_eq!(read(""), Ok(Paging::default()));
    }

    #[test]
    fn an_integer_may_be_of_any_length() {
        assert_eq!(paging("page_size=99999999999999999999"), (Some(i32::MAX), String::new()));
        assert_eq!(paging("page_size=-99999999999999999999"), (Some(i32::MIN), String::new()));
    }

    #[test]
    fn refuses_a_size_that_is_no_integer() {
        for bad in ["ten", "1.5", "1e3", "+1", "%2B1", "-", "--1", "1 ", "%FF"] {
            let refused = read::<Paging>(&format!("page_size={bad}")).expect_err(bad);
            let found = refused.iter().map(|one| (one.field.as_ref(), one.reason.as_ref()));
            assert_eq!(found.collect::<Vec<_>>(), [("page_size", "INVALID_TYPE")]);
        }
    }

    #[test]
    fn a_link_encodes_the_token() {
        let link = link_to_next("/x", &[("a", "é"), ("b", "")], Some(2), "a+b=&c>");
        let expected = "</x?a=%C3%A9&page_size=2&page_token=a%2Bb%3D%26c%3E>; rel=\"next\"";
        assert_eq!(link, expected);
        assert_eq!(link_to_next("/x", &[], None, "t"), "</x?page_token=t>; rel=\"next\"");
    }
}
