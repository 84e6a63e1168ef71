//! What happened.

use super::{ProgramId, RegistrationId, UserId};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    /// A program was announced.
    ProgramCreated,
    /// A program was changed.
    ProgramUpdated,
    /// A program was cancelled.
    ProgramCancelled,
    /// A registration was made and needs no seat or has one.
    Registered,
    /// A registration was made and waits for a seat.
    Waitlisted,
    /// A registration that waited has a seat.
    Promoted,
    /// A registration was ended.
    RegistrationCancelled,
    /// It was noted whether a participant came, or no longer is.
    AttendanceSet,
}

impl EventType {
    /// The word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ProgramCreated => "PROGRAM_CREATED",
            Self::ProgramUpdated => "PROGRAM_UPDATED",
            Self::ProgramCancelled => "PROGRAM_CANCELLED",
            Self::Registered => "REGISTERED",
            Self::Waitlisted => "WAITLISTED",
            Self::Promoted => "PROMOTED",
            Self::RegistrationCancelled => "REGISTRATION_CANCELLED",
            Self::AttendanceSet => "ATTENDANCE_SET",
        }
    }
}

/// Something that happens now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub(crate) event_type: EventType,
    /// The program that it is about, if any.
    pub(crate) program_id: Option<ProgramId>,
    /// The registration that it is about and whose it is, if any.
    pub(crate) registration: Option<(RegistrationId, UserId)>,
    /// Who did it; `None` for the machine.
    pub(crate) actor_id: Option<UserId>,
}
