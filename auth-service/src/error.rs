//! Everything that can go wrong, and the only place where it becomes a `Status`.

use std::time::Duration;

use auth_client::Refusal;
use service_kit::{
    db::DbError,
    rejection::{Rejection, Violation},
};
use tonic::{Code, Status};

/// The proto package, in every `ErrorInfo`.
pub const DOMAIN: &str = "auth.v1";

/// What a caller is told to wait when the hashing queue is full or the database is away.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// An error of a rule.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks rules of its fields.
    #[error("{} fields are not valid", .0.len())]
    Invalid(Vec<Violation>),
    /// Another account has the username.
    #[error("the username is taken")]
    UsernameTaken,
    /// Another account has the address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The `request_id` came before, with another request.
    #[error("request_id was used for another request")]
    RequestIdReused,
    /// Wrong password or unknown identifier: not told apart.
    #[error("the identifier or the password is wrong")]
    InvalidCredentials,
    /// The right password of an account that is barred.
    #[error("the account is disabled")]
    AccountDisabled,
    /// Too many wrong passwords in a row, for as long as this.
    #[error("too many failed sign-ins in a row; locked for now")]
    AccountLocked(Duration),
    /// Too many failures from one client address, for as long as this.
    #[error("too many failures from this address")]
    TooManyFailures(Duration),
    /// A refresh token that was not made here, or whose session has ended.
    #[error("the refresh token is not valid")]
    RefreshTokenInvalid,
    /// A refresh token of a session that has expired.
    #[error("the session has expired")]
    RefreshTokenExpired,
    /// A refresh token that was used before: its session has been ended.
    #[error("the refresh token was used before; its session has been ended")]
    RefreshTokenReused,
    /// A logout token that was not made here, or whose session has ended.
    #[error("the logout token is not valid")]
    LogoutTokenInvalid,
    /// Only administrators may do that.
    #[error("this needs the role admin")]
    RoleRequired,
    /// It is another's.
    #[error("this is another user's")]
    NotOwner,
    /// A service token is needed.
    #[error("this needs the service token")]
    ServiceTokenRequired,
    /// No such account.
    #[error("there is no such user")]
    UserNotFound,
    /// No such session, or another's.
    #[error("there is no such session")]
    SessionNotFound,
    /// No administrator would be left.
    #[error("the last administrator can be neither deleted, demoted nor disabled")]
    LastAdmin,
    /// Neither username nor e-mail would be left.
    #[error("an account needs a username or an e-mail address")]
    Nameless,
    /// A code that is wrong, expired, used or guessed at too often: not told apart.
    #[error("the code is wrong or no longer good")]
    OtpInvalid,
    /// It happened too often; may be tried again after this time.
    #[error("too many requests")]
    TooManyRequests(Duration),
    /// A queue in the database is full.
    #[error("too many requests wait to be worked on")]
    TooManyWaiting,
    /// Events were asked for that are no longer kept.
    #[error("the events after after_sequence are no longer kept, or it is of another log")]
    EventsExpired,
    /// The caller's token is refused.
    #[error(transparent)]
    Token(#[from] Refusal),
    /// The hashing queue is full.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// Others changed the same thing at the same time, again and again.
    #[error("others changed the same at the same time")]
    Contended,
    /// The signing keys could not be looked at.
    #[error("the signing keys cannot be read")]
    KeysUnknown,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl From<Vec<Violation>> for Error {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let refuse = |code, reason| Rejection::new(code, DOMAIN, reason, error.to_string());
        match &error {
            Error::Invalid(violations) => Rejection::invalid(DOMAIN, violations.clone()),
            Error::UsernameTaken => refuse(Code::AlreadyExists, "USERNAME_TAKEN"),
            Error::EmailTaken => refuse(Code::AlreadyExists, "EMAIL_TAKEN"),
            Error::RequestIdReused => {
                let violation = Violation::new("request_id", "REUSED", error.to_string());
                Rejection::invalid(DOMAIN, vec![violation])
            }
            Error::InvalidCredentials => refuse(Code::Unauthenticated, "INVALID_CREDENTIALS"),
            Error::AccountDisabled => refuse(Code::PermissionDenied, "ACCOUNT_DISABLED"),
            Error::AccountLocked(remaining) => {
                refuse(Code::ResourceExhausted, "ACCOUNT_LOCKED").retry_after(*remaining)
            }
            Error::TooManyFailures(remaining) => {
                refuse(Code::ResourceExhausted, "TOO_MANY_FAILURES").retry_after(*remaining)
            }
            Error::RefreshTokenInvalid => refuse(Code::Unauthenticated, "REFRESH_TOKEN_INVALID"),
            Error::RefreshTokenExpired => refuse(Code::Unauthenticated, "REFRESH_TOKEN_EXPIRED"),
            Error::RefreshTokenReused => refuse(Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            Error::LogoutTokenInvalid => refuse(Code::Unauthenticated, "LOGOUT_TOKEN_INVALID"),
            Error::RoleRequired => refuse(Code::PermissionDenied, "ROLE_REQUIRED"),
            Error::NotOwner => refuse(Code::PermissionDenied, "NOT_OWNER"),
            Error::ServiceTokenRequired => refuse(Code::PermissionDenied, "SERVICE_TOKEN_REQUIRED"),
            Error::UserNotFound => refuse(Code::NotFound, "USER_NOT_FOUND"),
            Error::SessionNotFound => refuse(Code::NotFound, "SESSION_NOT_FOUND"),
            Error::LastAdmin => refuse(Code::FailedPrecondition, "LAST_ADMIN"),
            Error::Nameless => {
                let violation = Violation::new("user.username", "REQUIRED", error.to_string());
                Rejection::invalid(DOMAIN, vec![violation])
            }
            Error::EventsExpired => refuse(Code::OutOfRange, "EVENTS_EXPIRED"),
            Error::OtpInvalid => refuse(Code::FailedPrecondition, "OTP_INVALID"),
            Error::TooManyRequests(wait) => {
                refuse(Code::ResourceExhausted, "TOO_MANY_REQUESTS").retry_after(*wait)
            }
            Error::Token(refusal) => refusal.rejection(DOMAIN),
            Error::Overloaded | Error::TooManyWaiting => {
                refuse(Code::ResourceExhausted, "OVERLOADED").retry_after(RETRY_PAUSE)
            }
            Error::Contended => refuse(Code::Aborted, "CONTENDED").retry_after(RETRY_PAUSE),
            // What was run again in vain may work later.
            Error::Database(database) if database.is_unavailable() || database.is_retryable() => {
                tracing::warn!(error = %database, "the database is out of reach");
                let message = "the database cannot be reached";
                Rejection::new(Code::Unavailable, DOMAIN, "DATABASE_UNAVAILABLE", message)
                    .retry_after(RETRY_PAUSE)
            }
            // Whoever looked in vain has told why.
            Error::KeysUnknown => {
                refuse(Code::Unavailable, "DATABASE_UNAVAILABLE").retry_after(RETRY_PAUSE)
            }
            Error::Database(_) | Error::Internal(_) => {
                tracing::error!(%error, "a request failed");
                Rejection::new(Code::Internal, DOMAIN, "INTERNAL", "internal error")
            }
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Rejection::from(error).into()
    }
}
