//! `/openapi.json`: the description of the routes. `/docs`: a page to read it and to try them,
//! which is Swagger UI and loads nothing from elsewhere.

use std::{
    io::{self, Read},
    sync::{LazyLock, OnceLock},
};

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        ETAG, IF_NONE_MATCH, VARY,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    openapi::{OPERATION, refusals::BadRequest},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(openapi_json))
        .routes(routes!(docs))
        .routes(routes!(part_of_docs))
}

/// Nothing but what this server sends, and no script in the page itself. Swagger UI draws its
/// icons from `data:` addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Kept, but asked for again: it changes with the version of this program.
const CACHED: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-cache"));

#[expect(clippy::expect_used, reason = "what is in it has nothing that JSON cannot have")]
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| super::document().to_json().expect("the document as JSON").into());

/// This description: OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = OPERATION,
    responses((status = 200, description = "The description.", body = serde_json::Value))
)]
async fn openapi_json() -> impl IntoResponse {
    let json = HeaderValue::from_static("application/json");
    ([CACHED, (CONTENT_TYPE, json)], DOCUMENT.clone())
}

/// A page to read this description and to try the routes.
#[utoipa::path(
    get,
    path = "/docs",
    tag = OPERATION,
    responses((
        status = 200,
        description = "The page.",
        body = String,
        content_type = "text/html",
        headers(("Content-Security-Policy" = String))
    ))
)]
async fn docs() -> impl IntoResponse {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let policy = (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    ([CACHED, (CONTENT_TYPE, html), policy], include_str!("../docs/index.html"))
}

/// What the page is made of. Compressed when the program is built, where it is large.
struct Part {
    name: &'static str,
    content_type: &'static str,
    content: Content,
}

enum Content {
    Plain(&'static str),
    /// And inflated, once someone has asked for it: not once for each who does.
    Gzip(&'static [u8], OnceLock<Bytes>),
}

macro_rules! swagger_ui {
    ($part:literal) => {
        Content::Gzip(include_bytes!(concat!(env!("OUT_DIR"), "/", $part, ".gz")), OnceLock::new())
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static PARTS: [Part; 3] = [
    Part {
        name: "start.js",
        content_type: SCRIPT,
        content: Content::Plain(include_str!("../docs/start.js")),
    },
    Part {
        name: "swagger-ui-bundle.js",
        content_type: SCRIPT,
        content: swagger_ui!("swagger-ui-bundle.js"),
    },
    Part {
        name: "swagger-ui.css",
        content_type: "text/css; charset=utf-8",
        content: swagger_ui!("swagger-ui.css"),
    },
];

/// A script or style sheet of the page.
#[utoipa::path(
    get,
    path = "/docs/{part}",
    tag = OPERATION,
    params(("part" = String, Path, example = "start.js")),
    responses(
        (status = 200, description = "The part.", headers(("ETag" = Option<String>)), content(
            (String = "text/javascript"),
            (String = "text/css"),
        )),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        BadRequest,
    )
)]
async fn part_of_docs(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let part = PARTS.iter().find(|part| part.name == name);
    let part = part.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found"))?;
    let content_type = (CONTENT_TYPE, HeaderValue::from_static(part.content_type));
    let (gzip, inflated) = match &part.content {
        Content::Plain(text) => return Ok(([CACHED, content_type], *text).into_response()),
        Content::Gzip(bytes, inflated) => (*bytes, inflated),
    };
    let tag = entity_tag(gzip);
    let same = [CACHED, (ETAG, tag.clone()), (VARY, HeaderValue::from_static("accept-encoding"))];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag) {
        return Ok((StatusCode::NOT_MODIFIED, same).into_response());
    }
    if takes_gzip(&headers) {
        let coding = (CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Ok((same, [content_type, coding], gzip).into_response());
    }
    if inflated.get().is_none() {
        let plain = decompress(gzip).map_err(|error| {
            tracing::error!(%error, part = part.name, "a part of the page is broken");
            Problem::internal()
        })?;
        // Where another was quicker, it is the same.
        let _ = inflated.set(plain.into());
    }
    Ok((same, [content_type], inflated.get().cloned().unwrap_or_default()).into_response())
}

/// The check sum of the content, which ends what gzip makes (RFC 1952 section 2.3.1). Weak, as it
/// is the same with and without compression (RFC 9110 section 8.8.1).
fn entity_tag(gzip: &[u8]) -> HeaderValue {
    let sum = gzip.last_chunk::<8>().copied().unwrap_or_default();
    #[expect(clippy::expect_used, reason = "hexadecimal digits are ASCII")]
    HeaderValue::try_from(format!("W/\"{:016x}\"", u64::from_le_bytes(sum))).expect("ASCII")
}

/// Whether `gzip` is among what the client accepts (RFC 9110 section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|choice| {
        let (coding, weight) = choice.split_once(';').unwrap_or((choice, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn decompress(gzip: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain)?;
    Ok(plain)
}
