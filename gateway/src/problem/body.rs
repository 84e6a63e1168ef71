//! The members of a problem.

use serde::Serialize;
use serde_json::{Value, json};
use service_kit::rejection::Violation;
use utoipa::ToSchema;

use super::in_words;

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    /// A name as stable as the code; not the address of a page.
    r#type: String,
    /// The code in words.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, for people.
    #[schema(value_type = String)]
    detail: &'a str,
    /// What is wrong, for programs.
    #[schema(value_type = String)]
    code: &'a str,
    /// The same as `detail`.
    #[schema(value_type = String)]
    message: &'a str,
    /// The same as `detail`, but where a route says otherwise.
    #[schema(value_type = String)]
    error: &'a str,
    /// That of the answer's `X-Request-Id`.
    #[schema(value_type = String)]
    request_id: &'a str,
    /// All that is wrong with the request, where the status is 400.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Wrong<'a>>>,
    /// The same as `detail`, where a token is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    msg: Option<&'a str>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Violation)]
struct Wrong<'a> {
    /// The member, parameter or header; empty for the body as a whole.
    #[schema(value_type = String)]
    field: &'a str,
    /// What is wrong with it, for programs.
    #[schema(value_type = String)]
    code: &'a str,
    /// What is wrong with it, for people.
    #[schema(value_type = String)]
    message: &'a str,
}

impl<'a> Body<'a> {
    pub(super) fn new(status: u16, code: &'a str, text: &'a str, request_id: &'a str) -> Self {
        Self {
            r#type: format!("/problems/{}", code.to_ascii_lowercase().replace('_', "-")),
            title: in_words(code),
            status,
            detail: text,
            code,
            message: text,
            error: text,
            request_id,
            errors: None,
            msg: None,
        }
    }

    /// With another text for `error`.
    pub(super) fn saying(self, error: &'a str) -> Self {
        Self { error, ..self }
    }

    /// With `msg`.
    pub(super) fn of_a_token(self) -> Self {
        Self { msg: Some(self.detail), ..self }
    }

    /// With all that is wrong.
    pub(super) fn listing(self, violations: &'a [Violation]) -> Self {
        let errors = violations.iter().map(|violation| Wrong {
            field: &violation.field,
            code: &violation.reason,
            message: &violation.description,
        });
        Self { errors: Some(errors.collect()), ..self }
    }

    /// For the description of the routes.
    pub(crate) fn example(status: u16, code: &str, text: &str) -> Value {
        let violation = [Violation::required("username")];
        let body = Body::new(status, code, text, "4bf92f3577b34da6a3ce929d0e0e4736");
        json!(match status {
            400 => body.listing(&violation),
            401 => body.of_a_token(),
            _ => body,
        })
    }
}
