//! The refusals that several routes have in common, each described once.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        schema::{ObjectBuilder, Type},
    },
};

use super::{header, rate_limit, request_id, text};
use crate::problem;

/// A refusal, named after its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    RequestTimeout,
    Conflict,
    PreconditionFailed,
    PayloadTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    Locked,
    TooManyRequests,
    HeadersTooLarge,
    Internal,
    Unavailable,
}

impl Refusal {
    /// Those of every route.
    pub(super) const ALWAYS: &[Self] = &[
        // For want of `Host`, if for nothing else.
        Self::BadRequest,
        Self::UriTooLong,
        Self::TooManyRequests,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Unavailable,
    ];
    /// Those of every route that reads a body.
    pub(super) const OF_A_BODY: &[Self] =
        &[Self::RequestTimeout, Self::PayloadTooLarge, Self::UnsupportedMediaType];
    /// Those whose reason passes.
    const PASSING: &[Self] = &[Self::Locked, Self::TooManyRequests, Self::Unavailable];

    const ALL: [Self; 15] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::RequestTimeout,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UriTooLong,
        Self::UnsupportedMediaType,
        Self::Locked,
        Self::TooManyRequests,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The name in `components/responses`.
    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    pub(super) const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::PayloadTooLarge => 413,
            Self::UriTooLong => 414,
            Self::UnsupportedMediaType => 415,
            Self::Locked => 423,
            Self::TooManyRequests => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// When it is answered, and a code and a text for example.
    const fn described(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                "Something in the request is missing or wrong; `errors` says what, all of it",
                "INVALID_ARGUMENT",
                "Missing parameters",
            ),
            Self::Unauthorized => {
                ("The token or the credentials are refused", "TOKEN_EXPIRED", "Token has expired")
            }
            Self::Forbidden => {
                ("The caller may not do this", "PERMISSION_DENIED", "Admin access required")
            }
            Self::NotFound => ("There is no such thing", "NOT_FOUND", "Not found"),
            Self::RequestTimeout => (
                "The body took longer than 10 s",
                "REQUEST_TIMEOUT",
                "The request body took too long to arrive",
            ),
            Self::Conflict => (
                "It is taken already, or not possible as things are",
                "USERNAME_TAKEN",
                "Username already exists",
            ),
            Self::PreconditionFailed => (
                "It is no longer the one that `If-Match` names",
                "ETAG_MISMATCH",
                "It was changed meanwhile",
            ),
            Self::PayloadTooLarge => (
                "The body is larger than 64 KiB",
                "PAYLOAD_TOO_LARGE",
                "The request body is larger than 64 KiB",
            ),
            Self::UriTooLong => (
                "Path and query are larger than 8 KiB",
                "URI_TOO_LONG",
                "The request's path and query are larger than 8 KiB",
            ),
            Self::UnsupportedMediaType => (
                "The body is not JSON",
                "UNSUPPORTED_MEDIA_TYPE",
                "The request body must be JSON, with Content-Type: application/json",
            ),
            Self::Locked => (
                "Too many wrong passwords",
                "ACCOUNT_LOCKED",
                "Account is locked. Please try again later.",
            ),
            Self::TooManyRequests => (
                "Too many requests, of this client or altogether",
                "OVERLOADED",
                "Too many requests. Please try again later.",
            ),
            Self::HeadersTooLarge => (
                "The headers are larger than 16 KiB",
                "HEADERS_TOO_LARGE",
                "The request's headers are larger than 16 KiB",
            ),
            Self::Internal => ("A fault of ours", "INTERNAL", "Internal server error"),
            Self::Unavailable => (
                "A service cannot be reached",
                "UNAVAILABLE",
                "The service is temporarily unavailable. Please try again later.",
            ),
        }
    }

    fn response(self) -> Response {
        let (when, code, detail) = self.described();
        let example = problem::Body::example(self.status(), code, detail);
        let schema = Ref::from_schema_name(problem::Body::name());
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example));
        let mut response = ResponseBuilder::new()
            .description(format!("{when}."))
            .content("application/problem+json", content.build())
            .header("X-Request-Id", request_id());
        if Self::PASSING.contains(&self) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
            response = response.header("Retry-After", header("In seconds.", seconds));
        }
        for (name, header) in rate_limit() {
            response = response.header(name, header);
        }
        if self == Self::Unauthorized {
            response = response.header("WWW-Authenticate", header("`Bearer`", text()));
        }
        response.build()
    }
}

/// Puts them, and what they are made of, where the routes refer to them.
pub(super) fn add_to(components: &mut Components) {
    let mut schemas = vec![(problem::Body::name().into_owned(), problem::Body::schema())];
    problem::Body::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let responses = Refusal::ALL.map(|refusal| (refusal.name(), refusal.response().into()));
    components.responses.extend(responses);
}

/// A refusal that an annotation names, because it does not follow from the rest of the route.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $refusal:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let refusal = Refusal::$refusal;
                let answer = RefOr::Ref(Ref::from_response_name(refusal.name()));
                BTreeMap::from([(refusal.status().to_string(), answer)])
            }
        }
    )*};
}

named! {
    /// 401, of a route that takes credentials and no token.
    Unauthorized = Unauthorized;
    /// 403.
    Forbidden = Forbidden;
    /// 404, of a route that names the thing in the body.
    NotFound = NotFound;
    /// 409.
    Conflict = Conflict;
    /// 412.
    PreconditionFailed = PreconditionFailed;
    /// 423.
    Locked = Locked;
}
