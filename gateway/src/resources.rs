//! Users, sessions and registrations as JSON shows them: ids are numbers, statuses and roles lower-case
//! words, and what is absent is null.

use proto::{
    auth::v1::{self as auth, Role},
    training::v1::{self as training, RegistrationStatus},
};
use serde::Serialize;

use crate::times;

/// An account.
#[derive(Debug, Serialize)]
pub(crate) struct User {
    id: i64,
    username: Option<String>,
    email: Option<String>,
    name: Option<String>,
    /// The one that allows the most.
    role: Option<&'static str>,
    roles: Vec<&'static str>,
    disabled: bool,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl From<auth::User> for User {
    fn from(user: auth::User) -> Self {
        Self {
            id: user.id,
            role: user.roles().max().and_then(role),
            roles: user.roles().filter_map(role).collect(),
            username: text(user.username),
            email: text(user.email),
            name: text(user.name),
            disabled: user.disabled,
            created_at: times::rfc3339(user.created_at),
            updated_at: times::rfc3339(user.updated_at),
        }
    }
}

/// Where someone is signed in.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    #[serde(rename = "session_id")]
    id: String,
    created_at: Option<String>,
    last_used_at: Option<String>,
    expires_at: Option<String>,
    client_address: Option<String>,
    user_agent: Option<String>,
    /// Whether the request came from there.
    current: bool,
}

impl From<auth::Session> for Session {
    fn from(session: auth::Session) -> Self {
        Self {
            id: session.session_id,
            created_at: times::rfc3339(session.created_at),
            last_used_at: times::rfc3339(session.last_used_at),
            expires_at: times::rfc3339(session.expires_at),
            client_address: text(session.client_address),
            user_agent: text(session.user_agent),
            current: session.current,
        }
    }
}

/// A place in training.
#[derive(Debug, Serialize)]
pub(crate) struct Registration {
    id: i64,
    user_id: i64,
    sport: String,
    training_level: String,
    #[serde(rename = "registration_date")]
    date: Option<String>,
    program_id: Option<i64>,
    status: &'static str,
    waitlist_position: Option<i64>,
}

impl From<training::Registration> for Registration {
    fn from(registration: training::Registration) -> Self {
        Self {
            id: registration.id,
            user_id: registration.user_id,
            status: status(registration.status()),
            sport: registration.sport,
            training_level: registration.training_level,
            date: times::without_zone(registration.registration_date),
            program_id: number(registration.program_id),
            waitlist_position: number(registration.waitlist_position),
        }
    }
}

fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn number(number: i64) -> Option<i64> {
    Some(number).filter(|number| *number != 0)
}

/// `None` for a role of a later version, which this one has no word for.
fn role(role: Role) -> Option<&'static str> {
    match role {
        Role::User => Some("user"),
        Role::Coach => Some("coach"),
        Role::Admin => Some("admin"),
        Role::Unspecified => None,
    }
}

fn status(status: RegistrationStatus) -> &'static str {
    match status {
        RegistrationStatus::Confirmed => "confirmed",
        RegistrationStatus::Waitlisted => "waitlisted",
        RegistrationStatus::Cancelled => "cancelled",
        // Also one of a later version: the rest of the list is still good.
        RegistrationStatus::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_shows_words_numbers_and_nulls() {
        let made = Some(Timestamp { seconds: 1_769_860_800, nanos: 0 });
        let user = User::from(auth::User {
            id: 1 << 60,
            email: "ann@example.com".to_owned(),
            roles: vec![Role::User.into(), Role::Admin.into(), 99],
            created_at: made,
            updated_at: made,
            ..auth::User::default()
        });
        assert_eq!(
            serde_json::to_value(user).expect("JSON"),
            json!({
                "id": 1_152_921_504_606_846_976_i64,
                "username": null,
                "email": "ann@example.com",
                "name": null,
                "role": "admin",
                "roles": ["user", "admin"],
                "disabled": false,
                "created_at": "2026-01-31T12:00:00.000000Z",
                "updated_at": "2026-01-31T12:00:00.000000Z",
            })
        );
    }

    #[test]
    fn a_registration_without_a_program_has_none_and_no_place_in_a_queue() {
        let registration = Registration::from(training::Registration {
            id: 3,
            user_id: 7,
            sport: "cricket".to_owned(),
            training_level: "beginner".to_owned(),
            registration_date: Some(Timestamp { seconds: 1_769_860_800, nanos: 42_000 }),
            status: RegistrationStatus::Confirmed.into(),
            ..training::Registration::default()
        });
        assert_eq!(
            serde_json::to_value(registration).expect("JSON"),
            json!({
                "id": 3,
                "user_id": 7,
                "sport": "cricket",
                "training_level": "beginner",
                "registration_date": "2026-01-31T12:00:00.000042",
                "program_id": null,
                "status": "confirmed",
                "waitlist_position": null,
            })
        );
    }
}
