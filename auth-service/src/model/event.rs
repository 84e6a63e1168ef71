//! What happened: the audit trail, the revocation feed, and how other services learn of it.

use std::str::FromStr;

use service_kit::Timestamp;

use super::{Roles, UserId};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// An account was made.
    Registered,
    /// A session was begun.
    LoginSucceeded,
    /// A password was wrong.
    LoginFailed,
    /// Too many passwords were wrong.
    AccountLocked,
    /// A lock was lifted before its time.
    AccountUnlocked,
    /// A session was ended before its time.
    SessionRevoked,
    /// A refresh token was used again long after its successor was issued.
    RefreshTokenReused,
    /// Its owner changed a password.
    PasswordChanged,
    /// A code to reset a password was asked for.
    PasswordResetRequested,
    /// A password was reset by a code.
    PasswordReset,
    /// A name or an address was changed.
    UserUpdated,
    /// A user may do other things from now on.
    RolesChanged,
    /// A user may no longer sign in.
    UserDisabled,
    /// A user may sign in again.
    UserEnabled,
    /// An account is gone.
    UserDeleted,
    /// Another key signs from now on.
    KeyRotated,
    /// A key is no longer trusted.
    KeyRevoked,
    /// Of a later version of this service, which another replica runs.
    Unknown,
}

impl EventType {
    /// Every type that is known here.
    pub const ALL: [Self; 17] = [
        Self::Registered,
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::AccountLocked,
        Self::AccountUnlocked,
        Self::SessionRevoked,
        Self::RefreshTokenReused,
        Self::PasswordChanged,
        Self::PasswordResetRequested,
        Self::PasswordReset,
        Self::UserUpdated,
        Self::RolesChanged,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserDeleted,
        Self::KeyRotated,
        Self::KeyRevoked,
    ];

    /// The word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "REGISTERED",
            Self::LoginSucceeded => "LOGIN_SUCCEEDED",
            Self::LoginFailed => "LOGIN_FAILED",
            Self::AccountLocked => "ACCOUNT_LOCKED",
            Self::AccountUnlocked => "ACCOUNT_UNLOCKED",
            Self::SessionRevoked => "SESSION_REVOKED",
            Self::RefreshTokenReused => "REFRESH_TOKEN_REUSED",
            Self::PasswordChanged => "PASSWORD_CHANGED",
            Self::PasswordResetRequested => "PASSWORD_RESET_REQUESTED",
            Self::PasswordReset => "PASSWORD_RESET",
            Self::UserUpdated => "USER_UPDATED",
            Self::RolesChanged => "ROLES_CHANGED",
            Self::UserDisabled => "USER_DISABLED",
            Self::UserEnabled => "USER_ENABLED",
            Self::UserDeleted => "USER_DELETED",
            Self::KeyRotated => "KEY_ROTATED",
            Self::KeyRevoked => "KEY_REVOKED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A word that is no type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a type of event")]
pub struct UnknownEventType;

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(word: &str) -> Result<Self, UnknownEventType> {
        Self::ALL.into_iter().find(|one| one.as_str() == word).ok_or(UnknownEventType)
    }
}

/// Something that happens now. It never holds a secret, nor what someone typed: people type
/// passwords into the wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What.
    pub event_type: EventType,
    /// To whom; `None` where no account is concerned.
    pub user_id: Option<UserId>,
    /// Who did it; `None` for the machine, and for someone who is not known.
    pub actor_id: Option<UserId>,
    /// The session that was begun or ended.
    pub session_id: Option<String>,
    /// The roles that the user has from now on.
    pub roles: Option<Roles>,
    /// From where; empty where that is not known.
    pub client_address: String,
    /// More, for people: at most 255 characters.
    pub detail: String,
    /// Where it ends access tokens: when the last of them has expired by itself.
    pub revokes_until: Option<Timestamp>,
}

impl NewEvent {
    /// An event of which nothing is known but what and to whom.
    pub fn new(event_type: EventType, user_id: Option<UserId>) -> Self {
        Self {
            event_type,
            user_id,
            actor_id: None,
            session_id: None,
            roles: None,
            client_address: String::new(),
            detail: String::new(),
            revokes_until: None,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log, from 1, in the order of commits.
    pub sequence: i64,
    /// When.
    pub time: Timestamp,
    /// What.
    pub details: NewEvent,
}

/// Which events are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// To whom they happened.
    pub user_id: Option<UserId>,
    /// Of what type.
    pub event_type: Option<EventType>,
    /// At this time or later.
    pub after: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
}
