//! Users, sessions and registrations as JSON shows them: ids are numbers, statuses and roles lower-case
//! words, and what is absent is null.

use proto::{
    auth::v1::{self as auth, Role},
    training::v1::{self as training, Attendance, ProgramStatus, RegistrationStatus},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{problem::Problem, times, upstream::given};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    #[schema(minimum = 1, example = 1)]
    id: i64,
    /// The handle, unique without regard to case.
    #[schema(required, example = "newuser")]
    username: Option<String>,
    #[schema(required, example = "user@example.com")]
    email: Option<String>,
    /// The name to display.
    #[schema(required, example = "John Doe")]
    name: Option<String>,
    /// The one that allows the most: `user`, `coach` or `admin`.
    #[schema(required, example = "user")]
    role: Option<&'static str>,
    /// `user`, `coach`, `admin`
    #[schema(value_type = Vec<String>, example = json!(["user"]))]
    roles: Vec<&'static str>,
    /// Whether the account is kept from signing in.
    disabled: bool,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    created_at: Option<String>,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
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
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    #[serde(rename = "session_id")]
    id: String,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    created_at: Option<String>,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    last_used_at: Option<String>,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    expires_at: Option<String>,
    #[schema(required)]
    client_address: Option<String>,
    #[schema(required)]
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
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registration {
    #[schema(minimum = 1, example = 1)]
    id: i64,
    #[schema(minimum = 1, example = 1)]
    user_id: i64,
    #[schema(example = "cricket")]
    sport: String,
    #[schema(example = "intermediate")]
    training_level: String,
    /// In UTC, without saying so.
    #[serde(rename = "registration_date")]
    #[schema(
        required,
        pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$",
        example = "2026-01-31T12:00:00.000000"
    )]
    date: Option<String>,
    /// The program that it is for, where it is for one.
    #[schema(required)]
    program_id: Option<i64>,
    /// `confirmed`, `waitlisted`, `cancelled`; `unknown` for one that the gateway has no word for
    #[schema(example = "confirmed")]
    status: &'static str,
    /// From 1 on, where it is waitlisted.
    #[schema(required)]
    waitlist_position: Option<i64>,
}

impl From<training::Registration> for Registration {
    fn from(registration: training::Registration) -> Self {
        Self {
            id: registration.id,
            user_id: registration.user_id,
            status: status_word(registration.status()),
            sport: registration.sport,
            training_level: registration.training_level,
            date: times::without_zone(registration.registration_date),
            program_id: number(registration.program_id),
            waitlist_position: number(registration.waitlist_position),
        }
    }
}

/// A training that has a time, a place and seats.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Program {
    #[schema(minimum = 1, example = 1)]
    id: i64,
    #[schema(example = "Nets")]
    title: String,
    #[schema(required)]
    description: Option<String>,
    #[schema(example = "cricket")]
    sport: String,
    #[schema(example = "intermediate")]
    training_level: String,
    #[schema(required, example = "Main ground")]
    location: Option<String>,
    /// The account of who leads it.
    #[schema(required)]
    coach_id: Option<i64>,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    starts_at: Option<String>,
    #[schema(required, format = DateTime, example = "2026-01-31T13:00:00.000000Z")]
    ends_at: Option<String>,
    /// Whose clocks the times are meant by: a name of the IANA database.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// From when on one may register; null: from its creation on.
    #[schema(required, format = DateTime, example = "2026-01-01T12:00:00.000000Z")]
    registration_opens_at: Option<String>,
    /// Until when one may register; null: until it starts.
    #[schema(required, format = DateTime, example = "2026-01-30T12:00:00.000000Z")]
    registration_closes_at: Option<String>,
    /// How many seats there are; null: any number.
    #[schema(required)]
    capacity: Option<i64>,
    seats_taken: i64,
    waitlist_length: i64,
    /// `active`, `cancelled`; `unknown` for one that the gateway has no word for
    #[schema(example = "active")]
    status: &'static str,
    /// Changes whenever the program is changed or cancelled.
    etag: String,
    #[schema(required, format = DateTime, example = "2026-01-01T12:00:00.000000Z")]
    created_at: Option<String>,
    #[schema(required, format = DateTime, example = "2026-01-01T12:00:00.000000Z")]
    updated_at: Option<String>,
}

impl From<training::Program> for Program {
    fn from(program: training::Program) -> Self {
        Self {
            id: program.id,
            status: match program.status() {
                ProgramStatus::Active => "active",
                ProgramStatus::Cancelled => "cancelled",
                ProgramStatus::Unspecified => "unknown",
            },
            title: program.title,
            description: text(program.description),
            sport: program.sport,
            training_level: program.training_level,
            location: text(program.location),
            coach_id: number(program.coach_id),
            starts_at: times::rfc3339(program.starts_at),
            ends_at: times::rfc3339(program.ends_at),
            time_zone: program.time_zone,
            registration_opens_at: times::rfc3339(program.registration_opens_at),
            registration_closes_at: times::rfc3339(program.registration_closes_at),
            capacity: number(program.capacity),
            seats_taken: program.seats_taken,
            waitlist_length: program.waitlist_length,
            etag: program.etag,
            created_at: times::rfc3339(program.created_at),
            updated_at: times::rfc3339(program.updated_at),
        }
    }
}

/// Who is registered for a program.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Participant {
    registration_id: i64,
    user_id: i64,
    #[schema(required, example = "newuser")]
    username: Option<String>,
    #[schema(required, example = "John Doe")]
    name: Option<String>,
    #[schema(required, example = "user@example.com")]
    email: Option<String>,
    /// `confirmed`, `waitlisted`; `unknown` for one that the gateway has no word for
    #[schema(example = "confirmed")]
    status: &'static str,
    /// From 1 on, where it is waitlisted.
    #[schema(required)]
    waitlist_position: Option<i64>,
    #[schema(required, format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    registered_at: Option<String>,
    /// `present`, `absent`, `excused`; null where nobody has noted it
    #[schema(required, example = "present")]
    attendance: Option<&'static str>,
}

impl Participant {
    /// # Errors
    /// 500 where the service left out the registration.
    pub(crate) fn new(participant: training::Participant) -> Result<Self, Problem> {
        let attendance = attendance_word(participant.attendance());
        let registration = given(participant.registration)?;
        Ok(Self {
            registration_id: registration.id,
            user_id: registration.user_id,
            username: text(participant.username),
            name: text(participant.name),
            email: text(participant.email),
            status: status_word(registration.status()),
            waitlist_position: number(registration.waitlist_position),
            registered_at: times::rfc3339(registration.registration_date),
            attendance,
        })
    }

    /// The names of its members.
    pub(crate) const COLUMNS: [&str; 9] = [
        "registration_id",
        "user_id",
        "username",
        "name",
        "email",
        "status",
        "waitlist_position",
        "registered_at",
        "attendance",
    ];

    /// Its members in that order; what is absent is empty.
    pub(crate) fn cells(&self) -> [String; 9] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            self.registration_id.to_string(),
            self.user_id.to_string(),
            text(&self.username),
            text(&self.name),
            text(&self.email),
            self.status.to_owned(),
            self.waitlist_position.map(|place| place.to_string()).unwrap_or_default(),
            text(&self.registered_at),
            self.attendance.unwrap_or_default().to_owned(),
        ]
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

/// The words for where a registration stands.
pub(crate) const REGISTRATION_STATUSES: [(&str, RegistrationStatus); 3] = [
    ("confirmed", RegistrationStatus::Confirmed),
    ("waitlisted", RegistrationStatus::Waitlisted),
    ("cancelled", RegistrationStatus::Cancelled),
];

/// The words for whether a participant came.
pub(crate) const ATTENDANCES: [(&str, Attendance); 3] = [
    ("present", Attendance::Present),
    ("absent", Attendance::Absent),
    ("excused", Attendance::Excused),
];

/// `None` where nobody has noted it, or in a word of a later version.
pub(crate) fn attendance_word(attendance: Attendance) -> Option<&'static str> {
    ATTENDANCES.iter().find(|(_, one)| *one == attendance).map(|(word, _)| *word)
}

/// `unknown` for one that there is no word for, as one of a later version: the rest of the list is
/// still good.
pub(crate) fn status_word(status: RegistrationStatus) -> &'static str {
    let found = REGISTRATION_STATUSES.iter().find(|(_, one)| *one == status);
    found.map_or("unknown", |(word, _)| *word)
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
