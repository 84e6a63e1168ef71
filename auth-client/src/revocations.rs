//! What ends access tokens before they expire: a copy of what auth-service knows, and how old it
//! is.

use std::{collections::HashMap, time::Duration};

use proto::auth::v1::{Revocation, Role as RoleMessage, WatchRevocationsResponse, revocation};
use service_kit::Timestamp;

use crate::{Role, Roles, token::VerifiedToken};

/// How old the copy may be and still be trusted. auth-service sends a sign of life five times a
/// second, and none when it is not up to date itself for longer than 300 ms: together they keep
/// the promise that a revocation is heeded everywhere within a second.
pub const STALENESS_MAX: Duration = Duration::from_millis(500);
/// Revocations that are kept; with more, the copy is not trusted.
const REVOCATIONS_MAX: usize = 1_000_000;
/// How often those that have expired are forgotten.
const PURGE_PAUSE: Duration = Duration::from_mins(1);

/// The copy.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// Ended sessions, and when the last of their tokens has expired.
    sessions: HashMap<String, Timestamp>,
    /// The roles that users have since they changed, and when the last token from before has
    /// expired.
    roles: HashMap<i64, (Roles, Timestamp)>,
    /// Where to resume.
    pub(crate) sequence: i64,
    /// The state of the keys that was last told of.
    pub(crate) keys_version: Option<i64>,
    /// When it was last known to be complete.
    complete_at: Option<Timestamp>,
    purged_at: Timestamp,
}

impl Revocations {
    /// Adds what a message brings.
    pub(crate) fn apply(&mut self, message: WatchRevocationsResponse, now: Timestamp) {
        for Revocation { target, expires_at } in message.revocations {
            let expires_at = expires_at.map_or(Timestamp::from_micros(i64::MAX), |at| {
                // Rounded up: a moment too long is safe.
                Timestamp::from_seconds(at.seconds.saturating_add(1))
            });
            match target {
                Some(revocation::Target::SessionId(id)) => {
                    self.sessions.insert(id, expires_at);
                }
                Some(revocation::Target::UserRoles(user)) => {
                    let roles = user.roles().filter_map(role).collect();
                    self.roles.insert(user.user_id, (roles, expires_at));
                }
                // Of a later version than this client: what it ends is not known, so that nothing
                // can be trusted until it has expired.
                None => {
                    self.complete_at = None;
                    return;
                }
            }
        }
        self.sequence = message.sequence;
        self.keys_version = Some(message.keys_version);
        if message.up_to_date && self.sessions.len() + self.roles.len() <= REVOCATIONS_MAX {
            self.complete_at = Some(now);
        }
        if now.since(self.purged_at) >= PURGE_PAUSE {
            self.sessions.retain(|_, expires_at| *expires_at > now);
            self.roles.retain(|_, (_, expires_at)| *expires_at > now);
            self.purged_at = now;
        }
    }

    /// Forgets where it is in the log, which may be another one. What was ended stays ended.
    pub(crate) fn forget_position(&mut self) {
        self.sequence = 0;
        self.keys_version = None;
        self.complete_at = None;
    }

    /// Whether the copy is complete enough to be trusted.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        // A clock that was set back says nothing about what came since.
        self.complete_at.is_some_and(|at| at <= now && now.since(at) < STALENESS_MAX)
    }

    /// Whether `token` was ended.
    pub(crate) fn revoke(&self, token: &VerifiedToken) -> bool {
        self.sessions.contains_key(&token.session_id)
            || self.roles.get(&token.user_id).is_some_and(|(roles, _)| *roles != token.roles)
    }
}

fn role(message: RoleMessage) -> Option<Role> {
    match message {
        RoleMessage::User => Some(Role::User),
        RoleMessage::Coach => Some(Role::Coach),
        RoleMessage::Admin => Some(Role::Admin),
        RoleMessage::Unspecified => None,
    }
}
