//! Errors as HTTP shows them (RFC 9457); in [`status`] the one place where a `Status` becomes one.
//!
//! `type` is `/problems/` and the code in lower case, as in `/problems/username-taken`: a name, as
//! stable as the code, not the address of a page. `title` is the code in words. `message` and
//! `error` both hold the text that the documents of old promise (and one of them two), `detail`
//! that of `message`.

mod body;
mod reasons;
mod status;

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;
use service_kit::rejection::{self, Violation};

use crate::request_id::RequestId;
pub(crate) use body::Body;
pub(crate) use reasons::{CHANGED, Reason};
pub(crate) use status::Wording;

/// What a client is told to wait where the service does not say.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// An answer that is an error. As a response it travels in the extensions, until
/// [`Problem::write`] gives it a body: only the edge knows the request's id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    text: Cow<'static, str>,
    /// What `error` says, where that is something else.
    error: Option<&'static str>,
    /// The members that are wrong; empty unless the status is 400.
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// One that the gateway finds by itself.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        // Both tell that it passes (RFC 9110 sections 15.6.4 and 10.2.3; RFC 6585 section 4).
        let passes = matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::LOCKED
        );
        Self {
            status,
            code: code.into(),
            text: text.into(),
            error: None,
            violations: Vec::new(),
            retry_after: passes.then_some(RETRY_PAUSE),
        }
    }

    /// 400, for a body that cannot be read as one JSON object.
    pub(crate) fn bad_body(code: &'static str, text: &'static str) -> Self {
        // Of the body as a whole, which no member's name stands for.
        let violations = vec![Violation::new("", code, text)];
        let problem = Self::new(StatusCode::BAD_REQUEST, rejection::INVALID_ARGUMENT, text);
        Self { violations, ..problem }
    }

    /// 500, for a fault of ours. Whoever makes it has logged what it is.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal server error")
    }

    /// 503, for a service that cannot be reached or does not answer in time.
    pub(crate) fn unavailable() -> Self {
        let text = "The service is temporarily unavailable. Please try again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", text)
    }

    /// What an answer that is an error, but no problem yet, amounts to: the router's own for
    /// unknown paths and methods. `None` where the answer is no error.
    pub(crate) fn of_bare(status: StatusCode) -> Option<Self> {
        let (code, text) = match status {
            StatusCode::NOT_FOUND => ("NOT_FOUND", "Not found"),
            StatusCode::METHOD_NOT_ALLOWED => ("METHOD_NOT_ALLOWED", "Method not allowed"),
            _ if status.is_client_error() => (rejection::INVALID_ARGUMENT, "Bad request"),
            _ if status.is_server_error() => return Some(Self::internal()),
            _ => return None,
        };
        Some(Self::new(status, code, text))
    }

    /// Gives `response`, which has this problem's status, its body.
    pub(crate) fn write(&self, request_id: &RequestId, response: &mut Response) {
        let mut body = Body::new(self.status.as_u16(), &self.code, &self.text, request_id.as_str());
        if let Some(error) = self.error {
            body = body.saying(error);
        }
        if self.status == StatusCode::BAD_REQUEST {
            body = body.listing(&self.violations);
        }
        if self.refuses_a_token() {
            body = body.of_a_token();
        }
        *response.body_mut() = axum::body::Body::from(json!(body).to_string());
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }

    /// Says `text`, if it is a fault of ours.
    pub(crate) fn word_fault(&mut self, text: &'static str) {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            self.text = text.into();
        }
    }

    /// Whether it was a token that was refused: any of them.
    pub(crate) fn refuses_a_token(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED && self.code.contains("TOKEN_")
    }

    /// Whether there is no such thing as was asked for.
    pub(crate) fn is_of_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The code, for the log.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2 wants it on every 401.
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(delay) = self.retry_after {
            // Whole seconds (RFC 9110 section 10.2.3), rounded up: too early is refused again.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn in_words(code: &str) -> String {
    let words = code.to_ascii_lowercase().replace('_', " ");
    let (first, rest) = words.split_at_checked(1).unwrap_or_default();
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http::HeaderMap;
    use serde_json::Value;
    use service_kit::Entropy;

    use super::*;

    async fn members_of(problem: Problem) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("req-1"));
        let id = RequestId::of(&headers, &Entropy::system());
        let mut response = problem.clone().into_response();
        problem.write(&id, &mut response);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 10_000).await.expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    #[tokio::test]
    async fn has_the_members_of_rfc_9457_and_of_the_documents() {
        let problem =
            Problem::new(StatusCode::CONFLICT, "USERNAME_TAKEN", "Username already exists");
        assert_eq!(
            members_of(problem).await,
            json!({
                "type": "/problems/username-taken",
                "title": "Username taken",
                "status": 409,
                "detail": "Username already exists",
                "code": "USERNAME_TAKEN",
                "message": "Username already exists",
                "error": "Username already exists",
                "request_id": "req-1",
            })
        );
    }

    #[tokio::test]
    async fn lists_what_is_wrong_for_bad_input_alone() {
        let violations = vec![Violation::required("email"), Violation::required("password")];
        let members = members_of(Wording::PLAIN.bad_input(violations)).await;
        assert_eq!(
            members["errors"],
            json!([
                { "field": "email", "code": "REQUIRED", "message": "email is required" },
                { "field": "password", "code": "REQUIRED", "message": "password is required" },
            ])
        );
        assert_eq!(members_of(Problem::internal()).await.get("errors"), None);
    }

    #[tokio::test]
    async fn repeats_the_text_in_msg_where_a_token_is_refused() {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED", "Token has expired");
        let challenge = problem.clone().into_response().headers()[WWW_AUTHENTICATE].clone();
        assert_eq!(challenge, "Bearer");
        assert_eq!(members_of(problem).await["msg"], "Token has expired");
    }
}
