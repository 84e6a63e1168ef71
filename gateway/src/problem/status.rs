//! What a service's refusal means over HTTP: which status, in which words.

use std::borrow::Cow;

use http::StatusCode;
use service_kit::rejection::{self, Rejection, Violation};
use tonic::{Code, Status};

use super::{Problem, in_words};

/// The reason of a violation where a member is missing, null or empty.
const REQUIRED: &str = "REQUIRED";
/// The reason of a violation where a member is not of the form that it should have.
const INVALID_FORMAT: &str = "INVALID_FORMAT";

/// How a route words its errors, where its document says otherwise than the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wording {
    /// The text where a required member is missing, null or empty.
    pub(crate) missing: Option<&'static str>,
    /// The texts of members that are not of the form that they should have.
    pub(crate) malformed: &'static [(&'static str, &'static str)],
    /// What reasons mean here.
    pub(crate) reasons: &'static [Reason],
    /// What the RPC's fields are called in the request, where they have another name there.
    pub(crate) members: &'static [(&'static str, &'static str)],
}

/// What a reason means over HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason {
    name: &'static str,
    /// `None`: as everywhere.
    status: Option<StatusCode>,
    text: &'static str,
    error: Option<&'static str>,
}

impl Reason {
    /// One that has a text of its own.
    pub(crate) const fn says(name: &'static str, text: &'static str) -> Self {
        Self { name, status: None, text, error: None }
    }

    /// With a status of its own.
    pub(crate) const fn status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// With another text in `error` than in `message`.
    pub(crate) const fn error(self, text: &'static str) -> Self {
        Self { error: Some(text), ..self }
    }

    fn find(among: &[Self], name: &str) -> Option<Self> {
        among.iter().find(|one| one.name == name).copied()
    }
}

impl Wording {
    /// As everywhere.
    pub(crate) const PLAIN: Self =
        Self { missing: None, malformed: &[], reasons: &[], members: &[] };

    /// 400, with all that is wrong.
    pub(crate) fn bad_input(&self, violations: Vec<Violation>) -> Problem {
        self.of_rejection(Rejection {
            violations,
            ..Rejection::new(Code::InvalidArgument, "", rejection::INVALID_ARGUMENT, "Bad request")
        })
    }

    /// What a service answered.
    pub(crate) fn problem(&self, status: &Status) -> Problem {
        self.of_rejection(status.into())
    }

    fn of_rejection(&self, mut rejection: Rejection) -> Problem {
        let (plain_status, plain_code) = plain(rejection.code);
        let code = match rejection.reason.as_ref() {
            "" => plain_code.into(),
            _ => rejection.reason.clone(),
        };
        let own = Reason::find(self.reasons, &code);
        let general = Reason::find(&REASONS, &code);
        let status = own.or(general).and_then(|one| one.status);
        let status = status.or(general.and_then(|one| one.status)).unwrap_or(plain_status);
        let problem = match status {
            StatusCode::INTERNAL_SERVER_ERROR => return Problem::internal(),
            // Prose of a failure is for the log of the service.
            StatusCode::SERVICE_UNAVAILABLE => Problem::unavailable(),
            _ => {
                rejection.violations.iter_mut().for_each(|violation| self.rename(violation));
                Problem::new(status, "", self.text(&rejection, own, general))
            }
        };
        Problem {
            code,
            error: own.and_then(|one| one.error),
            retry_after: rejection.retry_after.or(problem.retry_after),
            violations: rejection.violations,
            ..problem
        }
    }

    /// Names the member that the client sent, not the RPC's field.
    fn rename(&self, violation: &mut Violation) {
        let renamed = self.members.iter().find(|(field, _)| *field == violation.field);
        let Some(&(field, member)) = renamed else { return };
        if let Some(rest) = violation.description.strip_prefix(field) {
            violation.description = format!("{member}{rest}");
        }
        violation.field = member.into();
    }

    fn text(
        &self,
        rejection: &Rejection,
        own: Option<Reason>,
        general: Option<Reason>,
    ) -> Cow<'static, str> {
        let mut violations = rejection.violations.iter();
        if let Some(missing) = self.missing
            && violations.clone().any(|violation| violation.reason == REQUIRED)
        {
            return missing.into();
        }
        let malformed = violations.find_map(|violation| {
            let of_member = |(member, _): &&(&str, _)| *member == violation.field;
            self.malformed.iter().find(of_member).filter(|_| violation.reason == INVALID_FORMAT)
        });
        if let Some((_, text)) = malformed {
            return (*text).into();
        }
        let text = own.map(|one| one.text).or_else(|| token_text(rejection));
        if let Some(text) = text.or(general.map(|one| one.text)) {
            return text.into();
        }
        let first = rejection.violations.first().map(|violation| &violation.description);
        let prose = first.unwrap_or(&rejection.message);
        if prose.is_empty() {
            in_words(plain(rejection.code).1).into()
        } else {
            prose.clone().into()
        }
    }
}

const NOT_YET: &str = "Too many requests. Please try again later.";

/// The reasons that have a text of their own, or another status than their code's. Tokens that are
/// refused have theirs in [`token_text`].
const REASONS: [Reason; 16] = [
    // Nothing of the request is wrong: it lost a race, again and again.
    Reason::says("CONTENDED", "Too many changes at once. Please try again.")
        .status(StatusCode::SERVICE_UNAVAILABLE),
    Reason::says("USERNAME_TAKEN", "Username already exists"),
    Reason::says("EMAIL_TAKEN", "Email already exists"),
    Reason::says("INVALID_CREDENTIALS", "Invalid credentials"),
    Reason::says("ACCOUNT_DISABLED", "Account is disabled"),
    Reason::says("ACCOUNT_LOCKED", "Account is locked. Please try again later.")
        .status(StatusCode::LOCKED),
    Reason::says("OVERLOADED", NOT_YET),
    Reason::says("TOO_MANY_FAILURES", NOT_YET),
    Reason::says("TOO_MANY_REQUESTS", NOT_YET),
    Reason::says("OTP_INVALID", "Invalid or expired OTP").status(StatusCode::BAD_REQUEST),
    Reason::says("NOT_OWNER", "Access denied"),
    Reason::says("USER_NOT_FOUND", "User not found"),
    Reason::says("SESSION_NOT_FOUND", "Session not found"),
    Reason::says("PROGRAM_NOT_FOUND", "Program not found"),
    Reason::says("REGISTRATION_NOT_FOUND", "Registration not found"),
    Reason::says("CALENDAR_KEY_INVALID", "Calendar not found"),
];

/// The texts for a token that is refused: those of the library that clients of the documents know.
fn token_text(rejection: &Rejection) -> Option<&'static str> {
    let problem = rejection.metadata.get("problem").map(String::as_str);
    Some(match (rejection.reason.as_ref(), problem) {
        ("TOKEN_MISSING", Some("scheme")) => {
            "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'"
        }
        ("TOKEN_MISSING", _) => "Missing Authorization Header",
        ("TOKEN_MALFORMED", Some("segments")) => "Not enough segments",
        ("TOKEN_MALFORMED", Some("header")) => "Invalid header padding",
        ("TOKEN_MALFORMED", _) => "Invalid token",
        ("TOKEN_SIGNATURE_INVALID", _) => "Signature verification failed",
        ("TOKEN_CLAIMS_INVALID", _) => "Token claims are invalid",
        ("TOKEN_EXPIRED" | "REFRESH_TOKEN_EXPIRED", _) => "Token has expired",
        ("TOKEN_REVOKED" | "REFRESH_TOKEN_REUSED", _) => "Token has been revoked",
        ("REFRESH_TOKEN_INVALID", _) => "Refresh token is invalid or has been revoked",
        ("LOGOUT_TOKEN_INVALID", _) => "Session has ended",
        _ => return None,
    })
}

/// The status of an error whose reason says nothing more, and the code of one that has no reason,
/// because a proxy or the transport answered.
const fn plain(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, rejection::INVALID_ARGUMENT),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "OUT_OF_RANGE"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
        Code::Aborted => (StatusCode::CONFLICT, "ABORTED"),
        Code::FailedPrecondition => (StatusCode::CONFLICT, "FAILED_PRECONDITION"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::DeadlineExceeded => (StatusCode::SERVICE_UNAVAILABLE, "DEADLINE_EXCEEDED"),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SIGN_IN: Wording = Wording {
        missing: Some("Missing email or password"),
        malformed: &[("email", "Invalid email format")],
        reasons: &[
            Reason::says("INVALID_CREDENTIALS", "Invalid email or password"),
            Reason::says("EMAIL_TAKEN", "User exists")
                .status(StatusCode::BAD_REQUEST)
                .error("exists"),
        ],
        members: &[("identifier", "email")],
    };

    fn problem(rejection: Rejection) -> Problem {
        SIGN_IN.problem(&Status::from(rejection))
    }

    fn refused_token(reason: &'static str, problem_key: Option<&str>) -> (u16, String) {
        let mut rejection = Rejection::new(Code::Unauthenticated, "auth.v1", reason, "prose");
        if let Some(key) = problem_key {
            rejection = rejection.with("problem", key);
        }
        let problem = problem(rejection);
        (problem.status.as_u16(), problem.text.into_owned())
    }

    #[test]
    fn a_refused_token_is_worded_as_the_documents_say() {
        for (reason, key, text) in [
            ("TOKEN_MISSING", None, "Missing Authorization Header"),
            (
                "TOKEN_MISSING",
                Some("scheme"),
                "Missing 'Bearer' type in 'Authorization' header. \
                 Expected 'Authorization: Bearer <JWT>'",
            ),
            ("TOKEN_MALFORMED", Some("segments"), "Not enough segments"),
            ("TOKEN_MALFORMED", Some("header"), "Invalid header padding"),
            ("TOKEN_MALFORMED", Some("duplicate"), "Invalid token"),
            ("TOKEN_MALFORMED", None, "Invalid token"),
            ("TOKEN_SIGNATURE_INVALID", None, "Signature verification failed"),
            ("TOKEN_CLAIMS_INVALID", None, "Token claims are invalid"),
            ("TOKEN_EXPIRED", None, "Token has expired"),
            ("TOKEN_REVOKED", None, "Token has been revoked"),
        ] {
            assert_eq!(refused_token(reason, key), (401, text.to_owned()), "{reason} {key:?}");
        }
    }

    #[test]
    fn a_family_words_a_reason_its_own_way() {
        let refused =
            || Rejection::new(Code::Unauthenticated, "auth.v1", "INVALID_CREDENTIALS", "prose");
        assert_eq!(problem(refused()).text, "Invalid email or password");
        assert_eq!(Wording::PLAIN.problem(&refused().into()).text, "Invalid credentials");
    }

    #[test]
    fn a_family_may_give_a_reason_a_status_and_two_texts() {
        let taken = || Rejection::new(Code::AlreadyExists, "auth.v1", "EMAIL_TAKEN", "prose");
        let found = problem(taken());
        assert_eq!(
            (found.status, &*found.text, found.error),
            (StatusCode::BAD_REQUEST, "User exists", Some("exists"))
        );
        let elsewhere = Wording::PLAIN.problem(&taken().into());
        assert_eq!(
            (elsewhere.status, &*elsewhere.text, elsewhere.error),
            (StatusCode::CONFLICT, "Email already exists", None)
        );
        let fault = SIGN_IN.problem(&Status::unknown("relation \"users\" does not exist"));
        assert_eq!(fault, Problem::internal());
    }

    #[test]
    fn a_family_may_word_what_is_malformed() {
        let malformed = |field: &'static str| {
            Rejection::invalid("auth.v1", vec![Violation::new(field, "INVALID_FORMAT", "not so")])
        };
        assert_eq!(problem(malformed("email")).text, "Invalid email format");
        assert_eq!(problem(malformed("username")).text, "not so");
    }

    #[test]
    fn a_reason_may_have_another_status_than_its_code() {
        let locked = Rejection::new(Code::ResourceExhausted, "auth.v1", "ACCOUNT_LOCKED", "prose")
            .retry_after(Duration::from_millis(1_200));
        let problem = problem(locked);
        assert_eq!(problem.status, StatusCode::LOCKED);
        assert_eq!(problem.text, "Account is locked. Please try again later.");
        let response = axum::response::IntoResponse::into_response(problem);
        assert_eq!(response.headers()["retry-after"], "2", "rounded up");
    }

    #[test]
    fn a_missing_member_gives_the_documents_text_and_all_violations() {
        let problem = problem(Rejection::invalid(
            "auth.v1",
            vec![
                Violation::new("identifier", "TOO_LONG", "identifier must be shorter"),
                Violation::required("password"),
            ],
        ));
        assert_eq!(
            (problem.status, problem.code.as_ref()),
            (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT")
        );
        assert_eq!(problem.text, "Missing email or password");
        assert_eq!(
            problem.violations,
            [
                Violation::new("email", "TOO_LONG", "email must be shorter"),
                Violation::required("password"),
            ],
            "in the words of the request"
        );
    }

    #[test]
    fn bad_input_without_a_missing_member_says_what_is_wrong_first() {
        let problem = problem(Rejection::invalid(
            "auth.v1",
            vec![
                Violation::new("password", "TOO_SHORT", "at least 8 characters"),
                Violation::new("name", "TOO_LONG", "at most 100 characters"),
            ],
        ));
        assert_eq!(problem.text, "at least 8 characters");
    }

    #[test]
    fn every_grpc_code_has_its_status() {
        for (code, status) in [
            (Code::InvalidArgument, 400),
            (Code::Unauthenticated, 401),
            (Code::PermissionDenied, 403),
            (Code::NotFound, 404),
            (Code::AlreadyExists, 409),
            (Code::Aborted, 409),
            (Code::FailedPrecondition, 409),
            (Code::ResourceExhausted, 429),
            (Code::Unavailable, 503),
            (Code::DeadlineExceeded, 503),
            (Code::Cancelled, 500),
            (Code::Unknown, 500),
            (Code::Unimplemented, 500),
            (Code::Internal, 500),
            (Code::DataLoss, 500),
        ] {
            let problem = SIGN_IN.problem(&Status::new(code, ""));
            assert_eq!(problem.status.as_u16(), status, "{code:?}");
            assert!(!problem.code.is_empty() && !problem.text.is_empty(), "{problem:?}");
            assert_eq!(problem.retry_after.is_some(), matches!(status, 429 | 503), "{code:?}");
        }
    }

    #[test]
    fn prose_of_failures_stays_inside() {
        for code in [Code::Internal, Code::Unknown, Code::Unavailable, Code::DeadlineExceeded] {
            let problem = SIGN_IN.problem(&Status::new(code, "connection to 10.0.0.7 refused"));
            assert!(!problem.text.contains("10.0.0.7"), "{problem:?}");
        }
    }
}
