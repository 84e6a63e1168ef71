//! The values that the rules speak of. What comes from outside is parsed into them once; a value
//! that exists is valid.

mod calendar;
mod event;
mod notice;
mod program;
mod registration;
mod schedule;
mod text;

pub(crate) use calendar::{Attended, Calendar, CalendarKey};
pub(crate) use event::{EventType, NewEvent};
pub(crate) use notice::{News, Notice, NoticeId, Recipient};
pub(crate) use program::{
    Capacity, Etag, NewProgram, Participation, Program, ProgramChanges, ProgramDetails,
    ProgramFilter, ProgramStatus,
};
pub(crate) use registration::{
    Attendance, Listing, NewRegistration, Registration, Status, StatusCounts, Training, Wish,
};
pub(crate) use schedule::{Schedule, TimeZone};
pub(crate) use text::{Description, Location, Sport, Title, TrainingLevel};

use service_kit::rejection::Violation;
pub(crate) use service_kit::repeatable::{Repeatable, RequestId};

/// A user of auth-service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserId(pub(crate) i64);

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProgramId(pub(crate) i64);

/// A registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegistrationId(pub(crate) i64);

impl RegistrationId {
    /// At least 1.
    pub(crate) fn parse(id: i64) -> Result<Self, Violation> {
        at_least_one("registration_id", id).map(Self)
    }
}

impl ProgramId {
    /// At least 1. `field` is where it stands in the request.
    pub(crate) fn parse(field: &'static str, id: i64) -> Result<Self, Violation> {
        at_least_one(field, id).map(Self)
    }
}

fn at_least_one(field: &'static str, id: i64) -> Result<i64, Violation> {
    match id {
        1.. => Ok(id),
        0 => Err(Violation::required(field)),
        _ => Err(negative(field)),
    }
}

fn negative(field: &'static str) -> Violation {
    Violation::new(field, "OUT_OF_RANGE", format!("{field} is negative"))
}

/// The value, or `None` with what it violates noted.
pub(crate) fn valid<T>(parsed: Result<T, Violation>, violations: &mut Vec<Violation>) -> Option<T> {
    parsed.map_err(|violation| violations.push(violation)).ok()
}
