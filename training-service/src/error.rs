//! What can go wrong, and what a client is told of it: nowhere else does an error become a status.

use std::time::Duration;

use auth_client::Refusal;
use service_kit::{
    db::DbError,
    rejection::{Rejection, Violation},
};
use tonic::{Code, Status};

/// The proto package, which is also `ErrorInfo.domain`.
pub(crate) const DOMAIN: &str = "training.v1";

/// How long a caller is told to wait while the database or auth-service is away.
const OUTAGE_PAUSE: Duration = Duration::from_secs(1);

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request breaks these rules.
    #[error("the request is not valid")]
    Invalid(Vec<Violation>),
    /// The `request_id` came before, with another body.
    #[error("request_id was used for another request")]
    RequestIdReused,
    /// No such program.
    #[error("there is no such program")]
    ProgramNotFound,
    /// No such registration, or none that the caller may know of.
    #[error("there is no such registration")]
    RegistrationNotFound,
    /// No user's calendar has this key.
    #[error("the key of the calendar is not valid, or no longer")]
    CalendarKeyInvalid,
    /// The user has a registration for the program already.
    #[error("there is a registration for this program already")]
    AlreadyRegistered,
    /// The program is outside of its registration window.
    #[error("registration for this program is closed")]
    RegistrationClosed,
    /// The program does not take place.
    #[error("the program is cancelled")]
    ProgramCancelled,
    /// The registration waits, has ended or is for no program.
    #[error("the registration has no seat in a program")]
    NoSeat,
    /// The program was changed since the caller saw it.
    #[error("the program was changed meanwhile: read it again")]
    EtagMismatch,
    /// The caller's account was deleted: the token has outlived it.
    #[error("the token has been revoked")]
    AccountDeleted,
    /// What only coaches and admins may do.
    #[error("only a coach or an admin may do that")]
    RoleRequired,
    /// auth-service does not say whose accounts these are.
    #[error("auth-service is not available now")]
    AuthUnavailable,
    /// The database's.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let rejection = |code, reason| Self::new(code, DOMAIN, reason, &message);
        match error {
            Error::Invalid(violations) => Self::invalid(DOMAIN, violations),
            Error::RequestIdReused => {
                Self::invalid(DOMAIN, vec![Violation::new("request_id", "REUSED", message)])
            }
            Error::ProgramNotFound => rejection(Code::NotFound, "PROGRAM_NOT_FOUND"),
            Error::RegistrationNotFound => rejection(Code::NotFound, "REGISTRATION_NOT_FOUND"),
            Error::CalendarKeyInvalid => rejection(Code::NotFound, "CALENDAR_KEY_INVALID"),
            Error::AlreadyRegistered => rejection(Code::AlreadyExists, "ALREADY_REGISTERED"),
            Error::RegistrationClosed => rejection(Code::FailedPrecondition, "REGISTRATION_CLOSED"),
            Error::ProgramCancelled => rejection(Code::FailedPrecondition, "PROGRAM_CANCELLED"),
            Error::NoSeat => rejection(Code::FailedPrecondition, "NO_SEAT"),
            Error::EtagMismatch => rejection(Code::Aborted, "ETAG_MISMATCH"),
            Error::AccountDeleted => Refusal::Revoked.rejection(DOMAIN),
            Error::RoleRequired => rejection(Code::PermissionDenied, "ROLE_REQUIRED"),
            Error::AuthUnavailable => {
                rejection(Code::Unavailable, "AUTH_UNAVAILABLE").retry_after(OUTAGE_PAUSE)
            }
            Error::Database(error) => database_failure(&error),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Rejection::from(error).into()
    }
}

/// Logs what only the operator may read; the client learns whether to try again.
fn database_failure(error: &DbError) -> Rejection {
    tracing::error!(%error, "the database failed");
    // What was run again in vain, such as a wait for a lock, may work later.
    if error.is_unavailable() || error.is_retryable() {
        let message = "the database is not available now";
        Rejection::new(Code::Unavailable, DOMAIN, "DATABASE_UNAVAILABLE", message)
            .retry_after(OUTAGE_PAUSE)
    } else {
        Rejection::new(Code::Internal, DOMAIN, "INTERNAL", "internal error")
    }
}
