//! The texts of the reasons for which services refuse, and of the tokens that are refused: all of
//! them, but what a route's document words in its own way.

use http::StatusCode;
use service_kit::rejection::Rejection;

/// What a reason means over HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason {
    name: &'static str,
    /// `None`: as everywhere.
    pub(super) status: Option<StatusCode>,
    pub(super) text: &'static str,
    /// What `error` says, where that is something else.
    pub(super) error: Option<&'static str>,
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

    pub(super) fn find(among: &[Self], name: &str) -> Option<Self> {
        among.iter().find(|one| one.name == name).copied()
    }
}

const NOT_YET: &str = "Too many requests. Please try again later.";
/// That a program is no longer the one that was seen.
pub(crate) const CHANGED: &str = "The program was changed meanwhile";

/// The reasons that have a text of their own, or another status than their code's. Tokens that are
/// refused have theirs in [`token_text`].
pub(super) const REASONS: [Reason; 23] = [
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
    Reason::says("ROLE_REQUIRED", "Coach or admin access required"),
    Reason::says("LAST_ADMIN", "The last admin has to stay"),
    Reason::says("USER_NOT_FOUND", "User not found"),
    Reason::says("SESSION_NOT_FOUND", "Session not found"),
    Reason::says("PROGRAM_NOT_FOUND", "Program not found"),
    Reason::says("REGISTRATION_NOT_FOUND", "Registration not found"),
    Reason::says("CALENDAR_KEY_INVALID", "Calendar not found"),
    Reason::says("ALREADY_REGISTERED", "Already registered"),
    Reason::says("REGISTRATION_CLOSED", "Registration is closed"),
    Reason::says("PROGRAM_CANCELLED", "The program is cancelled"),
    Reason::says("NO_SEAT", "The registration has no seat"),
    Reason::says("ETAG_MISMATCH", CHANGED),
];

/// The texts for a token that is refused: those of the library that clients of the documents know.
pub(super) fn token_text(rejection: &Rejection) -> Option<&'static str> {
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
