//! Which pages of other origins may read the answers (the Fetch standard's CORS protocol).
//!
//! A preflight stands outside of the limit of requests: it is answered from constants, without a
//! service or a body, and a page that is refused one learns nothing of why.

use std::{str::FromStr, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, LINK, ORIGIN, RETRY_AFTER,
    },
};
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowCredentials, AllowOrigin, Any, CorsLayer};

use crate::{
    rate::{RATELIMIT, RATELIMIT_POLICY},
    request_id::X_REQUEST_ID,
};

/// The most origins that one list may name.
const ORIGINS_MAX: usize = 64;
/// How long a browser may remember what a preflight has told it.
const PREFLIGHT_AGE_MAX: Duration = Duration::from_hours(1);
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const ETAG: HeaderName = http::header::ETAG;
const IF_MATCH: HeaderName = http::header::IF_MATCH;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The origins whose pages may read the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// None but the gateway's own: no CORS.
    #[default]
    None,
    /// Every one; their requests carry no cookies.
    Any,
    /// These, as browsers write them in `Origin`; their requests may carry cookies.
    Listed(Vec<HeaderValue>),
}

impl AllowedOrigins {
    /// Whether pages of `origin` may send cookies along.
    pub(crate) fn lists(&self, origin: &[u8]) -> bool {
        matches!(self, Self::Listed(origins) if origins.iter().any(|it| it.as_bytes() == origin))
    }

    /// What puts the headers on answers, errors too, and answers preflights; `None` where no
    /// origin is allowed.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let layer = CorsLayer::new()
            .allow_methods(METHODS)
            .allow_headers([AUTHORIZATION, CONTENT_TYPE, IDEMPOTENCY_KEY, IF_MATCH, X_REQUEST_ID])
            .expose_headers([
                AUTHORIZATION,
                ETAG,
                LINK,
                RATELIMIT,
                RATELIMIT_POLICY,
                RETRY_AFTER,
                X_REQUEST_ID,
            ])
            .max_age(PREFLIGHT_AGE_MAX);
        match self {
            Self::None => None,
            Self::Any => Some(layer.allow_origin(Any)),
            Self::Listed(origins) => {
                let listed = self.clone();
                let credentials =
                    AllowCredentials::predicate(move |it, _| listed.lists(it.as_bytes()));
                let origins = AllowOrigin::list(origins.iter().cloned());
                Some(layer.allow_origin(origins).allow_credentials(credentials))
            }
        }
    }
}

/// Has `cors` answer preflights, and put its headers on all else. Of itself it takes every OPTIONS
/// for a preflight; one that is none is for the routes to answer.
pub(crate) async fn share(State(cors): State<CorsLayer>, request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS && !is_preflight(request.headers()) {
        return next.run(request).await;
    }
    let Ok(response) = cors.layer(next).oneshot(request).await;
    response
}

/// Whether an OPTIONS asks for leave (the Fetch standard, section 3.3.2).
fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl FromStr for AllowedOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" => return Ok(Self::None),
            "*" => return Ok(Self::Any),
            _ => {}
        }
        let origins =
            text.split(',').map(|one| origin(one.trim())).collect::<Result<Vec<_>, _>>()?;
        if origins.len() > ORIGINS_MAX {
            return Err(format!("more than {ORIGINS_MAX} origins"));
        }
        Ok(Self::Listed(origins))
    }
}

/// `text` as a browser writes it: in lower case, without the port that goes without saying
/// (RFC 6454 section 6.2).
fn origin(text: &str) -> Result<HeaderValue, String> {
    let bad = || format!("'{text}' is neither of the form https://host[:port] nor * alone");
    let uri: Uri = text.parse().map_err(|_| bad())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(bad());
    };
    let (host, rest) = (authority.host(), text.len() - scheme.len() - "://".len());
    let port = authority.as_str().strip_prefix(host).ok_or_else(bad)?;
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    if rest != authority.as_str().len() || host.is_empty() || host.contains('*') || !is_port {
        return Err(bad());
    }
    let origin = match (scheme, port) {
        ("http", ":80") | ("https", ":443") => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}{port}"),
    };
    origin.to_ascii_lowercase().try_into().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<HeaderValue> {
        match text.parse() {
            Ok(AllowedOrigins::Listed(origins)) => origins,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!("".parse(), Ok(AllowedOrigins::None));
        assert_eq!(" * ".parse(), Ok(AllowedOrigins::Any));
        let text = "https://Club.example, http://localhost:3000,https://a.example:443,\
                    http://[::1]:8080,capacitor://localhost";
        let expected = [
            "https://club.example",
            "http://localhost:3000",
            "https://a.example",
            "http://[::1]:8080",
            "capacitor://localhost",
        ];
        assert_eq!(listed(text), expected);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "club.example",
            "https://",
            "https://a.example/",
            "https://a.example/app",
            "https://a.example?x",
            "https://user@a.example",
            "https://a.example:",
            "https://a.example:99999",
            "https://a.example,",
            "https://a.example,*",
            "https://*.example",
            "https://*",
            "null",
        ] {
            let refused = bad.parse::<AllowedOrigins>().expect_err(bad);
            assert!(refused.contains("https://host[:port]"), "{refused}");
        }
        let many = vec!["https://a.example"; ORIGINS_MAX + 1].join(",");
        assert!(many.parse::<AllowedOrigins>().is_err());
    }
}
