//! `/openapi.json`: the description of the routes. `/docs`: a page to read it and to try them,
//! which is Swagger UI and loads nothing from elsewhere.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_SECURITY_POLICY};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Gateway, ids::Name, openapi::OPERATION, packed::Packed, problem::Problem};

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

#[expect(clippy::expect_used, reason = "what is in it has nothing that JSON cannot have")]
static DOCUMENT: LazyLock<Packed> = LazyLock::new(|| {
    let json = super::document().to_json().expect("the document as JSON");
    Packed::compress("application/json", json.into()).expect("memory is written to")
});

/// This description: OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = OPERATION,
    responses(
        (
            status = 200,
            description = "The description.",
            body = serde_json::Value,
            headers(("ETag" = String))
        ),
        (status = 304, description = "It is the one that `If-None-Match` names."),
    )
)]
async fn openapi_json(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

static PAGE: LazyLock<Packed> =
    LazyLock::new(|| Packed::small("text/html; charset=utf-8", include_str!("../docs/index.html")));

/// A page to read this description and to try the routes.
#[utoipa::path(
    get,
    path = "/docs",
    tag = OPERATION,
    responses(
        (
            status = 200,
            description = "The page.",
            body = String,
            content_type = "text/html",
            headers(("Content-Security-Policy" = String), ("ETag" = String))
        ),
        (status = 304, description = "It is the one that `If-None-Match` names."),
    )
)]
async fn docs(headers: HeaderMap) -> impl IntoResponse {
    let policy = (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    ([policy], PAGE.answer(&headers))
}

macro_rules! swagger_ui {
    ($content_type:expr, $part:literal) => {
        LazyLock::new(|| {
            built($content_type, include_bytes!(concat!(env!("OUT_DIR"), "/", $part, ".gz")))
        })
    };
}

#[expect(clippy::expect_used, reason = "the build has made it with gzip")]
fn built(content_type: &'static str, gzip: &'static [u8]) -> Packed {
    Packed::of_gzip(content_type, gzip).expect("a part of the page")
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page is made of, inflated once someone asks for it: not once for each who does.
static PARTS: [(&str, LazyLock<Packed>); 3] = [
    ("start.js", LazyLock::new(|| Packed::small(SCRIPT, include_str!("../docs/start.js")))),
    ("swagger-ui-bundle.js", swagger_ui!(SCRIPT, "swagger-ui-bundle.js")),
    ("swagger-ui.css", swagger_ui!("text/css; charset=utf-8", "swagger-ui.css")),
];

/// A script or style sheet of the page.
#[utoipa::path(
    get,
    path = "/docs/{part}",
    tag = OPERATION,
    params(("part" = String, Path, example = "start.js")),
    responses(
        (status = 200, description = "The part.", headers(("ETag" = String)), content(
            (String = "text/javascript"),
            (String = "text/css"),
        )),
        (status = 304, description = "It is the one that `If-None-Match` names."),
    )
)]
async fn part_of_docs(Name(name): Name, headers: HeaderMap) -> Result<Response, Problem> {
    let part = PARTS.iter().find(|part| part.0 == name);
    let part = part.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found"))?;
    Ok(part.1.answer(&headers))
}
