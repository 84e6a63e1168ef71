//! What every RPC passes on its way in, over the network or inside the process: a span with the
//! trace's id, the client, a limit on how many run at once, a deadline, and a net under panics.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use tokio::{sync::Semaphore, time::timeout};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use crate::{
    Entropy,
    client::{Client, TrustedProxies},
    rejection::Rejection,
    trace_context::TraceContext,
};

/// RPCs of one process that may be waiting for their first answer.
const IN_FLIGHT_MAX: usize = 4096;
/// How long an RPC may take until its first answer, if the caller sets no shorter deadline.
const RPC_TIME_MAX: Duration = Duration::from_secs(30);
/// What a caller is told to wait when too much is in flight.
const OVERLOAD_PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct RpcLayer {
    domain: &'static str,
    entropy: Entropy,
    proxies: TrustedProxies,
    permits: Arc<Semaphore>,
}

impl RpcLayer {
    pub(super) fn new(domain: &'static str, proxies: TrustedProxies) -> Self {
        let entropy = Entropy::of_ids();
        Self { domain, entropy, proxies, permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) }
    }
}

impl<S> Layer<S> for RpcLayer {
    type Service = Rpc<S>;

    fn layer(&self, inner: S) -> Rpc<S> {
        Rpc { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Rpc<S> {
    inner: S,
    layer: RpcLayer,
}

impl<S> Service<Request<Body>> for Rpc<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let domain = self.layer.domain;
        let Ok(permit) = self.layer.permits.clone().try_acquire_owned() else {
            let status = Rejection::new(
                Code::ResourceExhausted,
                domain,
                "OVERLOADED",
                "too many requests at once",
            );
            let status = Status::from(status.retry_after(OVERLOAD_PAUSE));
            return Box::pin(async { Ok(status.into_http()) });
        };
        let trace = TraceContext::from_headers(request.headers(), &self.layer.entropy);
        let span = tracing::info_span!(
            "rpc",
            method = request.uri().path(),
            trace_id = %trace.trace_id(),
            request_id = field::Empty,
        );
        if let Some(id) = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()) {
            span.record("request_id", id);
        }
        let client = Client::of(request.headers(), request.extensions(), &self.layer.proxies);
        request.extensions_mut().insert(trace);
        request.extensions_mut().insert(client);
        let deadline = deadline(request.headers());
        // Also the making of the future runs user code, hence inside the net.
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let answer = async move {
            let answered = timeout(deadline, call).await;
            drop(permit);
            let status = match answered {
                Ok(Ok(Ok(response))) => return Ok(with_reason(response, domain)),
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(_panic)) => {
                    tracing::error!(parent: &Span::current(), "a handler panicked");
                    Rejection::new(Code::Internal, domain, "INTERNAL", "internal error")
                }
                Err(_elapsed) => {
                    tracing::debug!("deadline exceeded");
                    let message = "the deadline has passed";
                    Rejection::new(Code::DeadlineExceeded, domain, "DEADLINE_EXCEEDED", message)
                }
            };
            Ok(Status::from(status).into_http())
        };
        Box::pin(answer.instrument(span))
    }
}

/// Gives a reason to an error that has none because no handler made it: a message that is too
/// large or cannot be decoded, a method that does not exist. Its name is that of the code.
fn with_reason(response: Response<Body>, domain: &'static str) -> Response<Body> {
    // In the headers where the answer is an error from the start, as in unary calls.
    if !response.headers().contains_key("grpc-status") {
        tracing::debug!(grpc.status = 0, "answered");
        return response;
    }
    let status = Status::from_header_map(response.headers());
    let Some(status) = status.filter(|status| status.code() != Code::Ok) else { return response };
    tracing::debug!(grpc.status = status.code() as i32, "answered");
    if !status.details().is_empty() {
        return response;
    }
    let rejection =
        Rejection::new(status.code(), domain, code_name(status.code()), status.message());
    Status::from(rejection).into_http()
}

/// The name of a code (google.rpc.Code).
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The caller's deadline, at most ours. The form is `1..8 digits` and a unit
/// (gRPC over HTTP/2, section "Requests"); what is not of that form is no deadline.
fn deadline(headers: &HeaderMap) -> Duration {
    let wanted = headers.get("grpc-timeout").and_then(|value| {
        let text = value.to_str().ok()?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = (digits.len() <= 8).then(|| digits.parse().ok())??;
        Some(match unit {
            "H" => Duration::from_hours(number),
            "M" => Duration::from_mins(number),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    });
    wanted.map_or(RPC_TIME_MAX, |wanted| wanted.min(RPC_TIME_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_callers_deadline_and_caps_it() {
        let deadline_of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().expect("a header value"));
            deadline(&headers)
        };
        assert_eq!(deadline_of("250m"), Duration::from_millis(250));
        assert_eq!(deadline_of("2S"), Duration::from_secs(2));
        assert_eq!(deadline_of("99999999H"), RPC_TIME_MAX);
        for bad in ["", "m", "123456789m", "-1S", "5x"] {
            assert_eq!(deadline_of(bad), RPC_TIME_MAX, "{bad}");
        }
    }
}
