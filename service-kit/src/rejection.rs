//! Errors and `tonic::Status`, both ways.
//!
//! A service turns its error into a [`Rejection`], which becomes a `Status`
//! with `google.rpc` details; a client of the service gets the same
//! [`Rejection`] back from the `Status`. Reasons are API, prose is not.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The most violations that are reported for one request.
const VIOLATIONS_MAX: usize = 32;

/// The reason of every INVALID_ARGUMENT.
pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";

/// One rule that one field of a request breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request message.
    pub field: Cow<'static, str>,
    /// SCREAMING_SNAKE_CASE, for programs: `REQUIRED`, `TOO_LONG`, ...
    pub reason: Cow<'static, str>,
    /// For people: says what is wanted, never repeats the value.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
        description: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), reason: reason.into(), description: description.into() }
    }

    /// The violation of a field that is absent or empty and must not be.
    pub fn required(field: &'static str) -> Self {
        Self::new(field, "REQUIRED", format!("{field} is required"))
    }
}

/// A request that was refused, in the terms of `google.rpc.Status`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The gRPC status code.
    pub code: Code,
    /// `ErrorInfo.reason`; empty where the peer gave none.
    pub reason: Cow<'static, str>,
    /// `ErrorInfo.domain`: the proto package.
    pub domain: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// `BadRequest.field_violations`.
    pub violations: Vec<Violation>,
    /// `RetryInfo.retry_delay`.
    pub retry_after: Option<Duration>,
    /// `ErrorInfo.metadata`.
    pub metadata: HashMap<String, String>,
}

impl Rejection {
    /// A rejection with a reason of `domain`.
    pub fn new(
        code: Code,
        domain: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            reason: reason.into(),
            domain: domain.into(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            metadata: HashMap::new(),
        }
    }

    /// INVALID_ARGUMENT with every violation of the request.
    pub fn invalid(domain: &'static str, violations: Vec<Violation>) -> Self {
        let message = violations
            .iter()
            .map(|violation| violation.description.as_str())
            .take(VIOLATIONS_MAX)
            .collect::<Vec<_>>()
            .join("; ");
        Self { violations, ..Self::new(Code::InvalidArgument, domain, INVALID_ARGUMENT, message) }
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds a pair of `ErrorInfo.metadata`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }
}

impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(rejection.reason, rejection.domain, rejection.metadata);
        if !rejection.violations.is_empty() {
            let violations = rejection.violations.into_iter().take(VIOLATIONS_MAX).map(|one| {
                let mut violation = FieldViolation::new(one.field, one.description);
                violation.reason = one.reason.into_owned();
                violation
            });
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if let Some(delay) = rejection.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(rejection.code, rejection.message, details)
    }
}

impl From<&Status> for Rejection {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let (reason, domain, metadata) =
            details.error_info().map_or_else(Default::default, |info| {
                (info.reason.clone(), info.domain.clone(), info.metadata.clone())
            });
        let violations = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations
                .iter()
                .map(|one| {
                    Violation::new(one.field.clone(), one.reason.clone(), one.description.clone())
                })
                .collect()
        });
        Self {
            code: status.code(),
            reason: reason.into(),
            domain: domain.into(),
            message: status.message().to_owned(),
            violations,
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_through_a_status() {
        let sent = Rejection {
            violations: vec![
                Violation::required("email"),
                Violation::new("password", "TOO_SHORT", "at least 8 characters"),
            ],
            ..Rejection::new(Code::ResourceExhausted, "auth.v1", "ACCOUNT_LOCKED", "locked")
                .retry_after(Duration::from_secs(90))
                .with("problem", "scheme")
        };
        assert_eq!(Rejection::from(&Status::from(sent.clone())), sent);
    }

    #[test]
    fn a_status_without_details_has_no_reason() {
        let rejection = Rejection::from(&Status::unavailable("connection refused"));
        assert_eq!((rejection.code, rejection.reason.as_ref()), (Code::Unavailable, ""));
    }
}
