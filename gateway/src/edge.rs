//! What every request passes: its id and its trace on the way in, a net under panics, and on the
//! way out the headers of every answer and the body of every problem.

use std::any::Any;

use axum::{
    Router,
    body::HttpBody,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use service_kit::trace_context::TraceContext;
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::{
    Gateway,
    compression::compress,
    cors::share,
    limits::{HEADER_BYTES_MAX, TARGET_BYTES_MAX},
    origin::check_host,
    problem::Problem,
    request_id::{RequestId, X_REQUEST_ID},
    upstream::Arrival,
};

/// Puts the edge around `routes`: once around all of them, as a layer of the router's own would be
/// around each, and copied with it for each request.
pub(crate) fn around(routes: Router<Gateway>, gateway: &Gateway) -> Router {
    // Around all that refuses, so that a page can read the refusals too.
    let cors = gateway.0.allowed_origins.layer().map(|cors| from_fn_with_state(cors, share));
    let edge = ServiceBuilder::new()
        .layer(from_fn_with_state(gateway.clone(), pass))
        .option_layer(cors)
        .layer(from_fn(refuse_bad_heads))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(compress))
        .service(routes.with_state(gateway.clone()));
    Router::new().fallback_service(edge)
}

/// Refuses what is more than the gateway can have in flight. Not for the routes of health, which
/// must answer then too.
pub(crate) async fn admit(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_permit) = gateway.0.requests.try_acquire() else {
        let text = "Too many requests. Please try again later.";
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, "OVERLOADED", text).into_response();
    };
    next.run(request).await
}

async fn pass(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId::of(request.headers(), &gateway.0.entropy);
    let trace = TraceContext::from_headers(request.headers(), &gateway.0.entropy);
    let span = tracing::info_span!(
        "http",
        method = %request.method(),
        path = request.uri().path(),
        trace_id = %trace.trace_id(),
        request_id = request_id.as_str(),
    );
    let is_head = request.method() == Method::HEAD;
    let deadline = Instant::now() + gateway.0.limits.request_time_max;
    let arrival = Arrival { request_id: request_id.clone(), trace, deadline };
    request.extensions_mut().insert(arrival);

    async {
        let mut response = next.run(request).await;
        finish(&mut response, &request_id);
        if is_head {
            drop_body(&mut response);
        }
        response
    }
    .instrument(span)
    .await
}

async fn refuse_bad_heads(request: Request, next: Next) -> Result<Response, Problem> {
    let target_bytes = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > TARGET_BYTES_MAX {
        let text = "The request's path and query are larger than 8 KiB";
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", text));
    }
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    if header_bytes > HEADER_BYTES_MAX {
        let text = "The request's headers are larger than 16 KiB";
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, "HEADERS_TOO_LARGE", text));
    }
    check_host(request.version(), request.headers())?;
    Ok(next.run(request).await)
}

pub(crate) fn after_panic(_panic: Box<dyn Any + Send>) -> Response {
    // The panic itself is on standard error, with its place.
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

fn finish(response: &mut Response, request_id: &RequestId) {
    let status = response.status();
    let problem = response.extensions_mut().remove().or_else(|| Problem::of_bare(status));
    if let Some(problem) = &problem {
        problem.write(request_id, response);
    }
    set_headers(response.headers_mut(), request_id);

    let code = problem.as_ref().map_or("", Problem::code);
    if status.is_server_error() {
        tracing::warn!(http.status = status.as_u16(), code, "failed");
    } else {
        tracing::debug!(http.status = status.as_u16(), code, "answered");
    }
}

/// Keeps the length that GET would have told (RFC 9110 section 9.3.2). The router does this for
/// its routes, but not for paths that it does not know.
fn drop_body(response: &mut Response) {
    let body = std::mem::take(response.body_mut());
    if let Some(bytes) = body.size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(bytes.into());
    }
}

fn set_headers(headers: &mut HeaderMap, request_id: &RequestId) {
    headers.insert(X_REQUEST_ID, request_id.as_header().clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Nearly every answer holds a token or a person's data; a route that has neither says so.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use http::header::{ALLOW, HOST};
    use service_kit::channel::RpcChannel;
    use tower::ServiceExt;

    use super::*;
    use crate::{Config, limits::Limits};

    async fn answer(limits: Limits, request: Request) -> Response {
        let (_, nowhere) = RpcChannel::in_process();
        let gateway = Gateway::new(Config { limits, ..Config::new(nowhere.clone(), nowhere) });
        let cacheable = async || ([(CACHE_CONTROL, "public, max-age=60")], "keys");
        let routes = Router::new()
            .route("/panic", get(async || -> StatusCode { panic!("on purpose") }))
            .route("/keys", get(cacheable))
            .layer(from_fn_with_state(gateway.clone(), admit));
        let Ok(response) = around(routes, &gateway).oneshot(request).await;
        response
    }

    fn get_request(path: &str) -> Request {
        let request = Request::get(path).header(HOST, "x").header("x-request-id", "mine");
        request.body(Body::empty()).expect("a request")
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_a_problem() {
        let response = answer(Limits::default(), get_request("/panic")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-request-id"], "mine");
    }

    #[tokio::test]
    async fn a_route_may_let_its_answer_be_cached() {
        let response = answer(Limits::default(), get_request("/keys")).await;
        assert_eq!(response.headers()["cache-control"], "public, max-age=60");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }

    #[tokio::test]
    async fn more_requests_than_may_be_in_flight_are_refused() {
        let limits = Limits { requests_max: 0, ..Limits::default() };
        let response = answer(limits, get_request("/keys")).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[tokio::test]
    async fn a_wrong_method_is_told_which_are_allowed() {
        let mut request = get_request("/keys");
        *request.method_mut() = Method::DELETE;
        let response = answer(Limits::default(), request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET,HEAD");
    }
}
