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
/// Revocations that are kept. Further ones are left out, and the copy is not trusted until it has
/// been made anew.
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
    /// Whether there was no room for some.
    lacks_some: bool,
    purged_at: Timestamp,
}

impl Revocations {
    /// Adds what a message brings. Returns whether the stream has to be opened anew.
    #[must_use]
    pub(crate) fn apply(&mut self, message: WatchRevocationsResponse, now: Timestamp) -> bool {
        self.apply_up_to(REVOCATIONS_MAX, message, now)
    }

    fn apply_up_to(
        &mut self,
        revocations_max: usize,
        message: WatchRevocationsResponse,
        now: Timestamp,
    ) -> bool {
        for Revocation { target, expires_at } in message.revocations {
            let expires_at = expires_at.map_or(Timestamp::from_micros(i64::MAX), |at| {
                // Rounded up: a moment too long is safe.
                Timestamp::from_seconds(at.seconds.saturating_add(1))
            });
            if self.len() >= revocations_max {
                self.lacks_some = true;
                break;
            }
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
                    return false;
                }
            }
        }
        self.sequence = message.sequence;
        self.keys_version = Some(message.keys_version);
        if message.up_to_date {
            self.complete_at = Some(now);
        }
        if now.since(self.purged_at) >= PURGE_PAUSE {
            self.sessions.retain(|_, expires_at| *expires_at > now);
            self.roles.retain(|_, (_, expires_at)| *expires_at > now);
            self.purged_at = now;
        }
        if self.lacks_some {
            self.complete_at = None;
        }
        let has_room_again = self.lacks_some && self.len() < revocations_max / 2;
        if has_room_again {
            self.forget_position();
        }
        has_room_again
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.roles.len()
    }

    /// Forgets where it is in the log, which may be another one: the next stream begins with all
    /// that counts. What was ended stays ended.
    pub(crate) fn forget_position(&mut self) {
        self.sequence = 0;
        self.keys_version = None;
        self.complete_at = None;
        self.lacks_some = false;
    }

    /// Whether the copy is complete enough to be trusted.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        // A clock that was set back says nothing about what came since.
        self.complete_at.is_some_and(|at| at <= now && now.since(at) < STALENESS_MAX)
    }

    /// Whether `token` was ended; `None` where that cannot be told.
    pub(crate) fn has_ended(&self, token: &VerifiedToken, now: Timestamp) -> Option<bool> {
        // A session that was ended stays so, however old the news is. Roles may be others again.
        if self.sessions.contains_key(&token.session_id) {
            return Some(true);
        }
        let has_other_roles = self
            .roles
            .get(&token.user_id)
            .is_some_and(|(roles, expires_at)| *roles != token.roles && now < *expires_at);
        self.is_fresh(now).then_some(has_other_roles)
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

    fn message(
        sequence: i64,
        sessions: &[&str],
        expires_at: Timestamp,
    ) -> WatchRevocationsResponse {
        let expires_at = Some(prost_types::Timestamp { seconds: expires_at.seconds(), nanos: 0 });
        let revocation = |id: &&str| Revocation {
            target: Some(revocation::Target::SessionId((*id).to_owned())),
            expires_at,
        };
        WatchRevocationsResponse {
            sequence,
            revocations: sessions.iter().map(revocation).collect(),
            up_to_date: true,
            ..WatchRevocationsResponse::default()
        }
    }

    #[test]
    fn a_copy_without_room_is_not_trusted_until_it_is_made_anew() {
        let mut known = Revocations::default();
        let mut apply = |message, now| {
            let anew = known.apply_up_to(2, message, now);
            (anew, known.is_fresh(now), known.len(), known.sequence)
        };
        let later = NOW + PURGE_PAUSE;
        assert_eq!(apply(message(2, &["a", "b"], NOW), NOW), (false, true, 2, 2));
        assert_eq!(apply(message(3, &["c"], later), NOW), (false, false, 2, 3), "one is left out");
        assert_eq!(apply(message(3, &[], NOW), NOW), (false, false, 2, 3), "a sign of life");

        assert_eq!(apply(message(3, &[], NOW), later), (true, false, 0, 0), "there is room again");
        assert_eq!(apply(message(3, &["c"], later), later), (false, true, 1, 3));
    }
}
