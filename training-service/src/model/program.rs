//! Programs, and what is asked about them.

use service_kit::{Timestamp, rejection::Violation};

use super::{
    Description, Location, ProgramId, Repeatable, Schedule, Sport, Status, TimeZone, Title,
    Training, TrainingLevel, UserId,
};

/// Seats of a program.
const CAPACITY_MAX: i64 = 1_000_000;

/// A training that has a time, a place and seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) id: ProgramId,
    pub(crate) details: ProgramDetails,
    /// At most its capacity.
    pub(crate) seats_taken: i64,
    pub(crate) waitlist_length: i64,
    pub(crate) status: ProgramStatus,
    /// How often what is set of it was set: 1 when it is made.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    /// When it was last set.
    pub(crate) updated_at: Timestamp,
}

impl Program {
    /// Whether it still takes place or is going to: neither cancelled nor ended.
    pub(crate) fn has_use_for_seats(&self, now: Timestamp) -> bool {
        self.status == ProgramStatus::Active && self.details.schedule.ends_at > now
    }
}

/// Where a program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgramStatus {
    /// It takes place.
    Active,
    /// It does not.
    Cancelled,
}

impl ProgramStatus {
    /// The word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Cancelled].into_iter().find(|status| status.as_str() == word)
    }
}

/// What is set of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramDetails {
    pub(crate) title: Title,
    pub(crate) description: Description,
    pub(crate) training: Training,
    pub(crate) location: Location,
    pub(crate) coach_id: Option<UserId>,
    pub(crate) schedule: Schedule,
    pub(crate) time_zone: TimeZone,
    pub(crate) capacity: Capacity,
}

/// How many seats there are: 0 for any number, at most a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity(i64);

impl Capacity {
    pub(crate) fn parse(seats: i64) -> Result<Self, Violation> {
        if (0..=CAPACITY_MAX).contains(&seats) {
            return Ok(Self(seats));
        }
        let description = format!("capacity is not from 0 to {CAPACITY_MAX}");
        Err(Violation::new("capacity", "OUT_OF_RANGE", description))
    }

    /// How many; 0 for any number.
    pub(crate) fn seats(self) -> i64 {
        self.0
    }

    /// How many of `wanted` seats are free where `taken` are not.
    pub(crate) fn free(self, taken: i64, wanted: i64) -> i64 {
        if self.0 == 0 { wanted } else { wanted.min(self.0 - taken) }
    }

    /// Itself, if nobody who has a seat would lose it.
    pub(crate) fn for_all_of(self, taken: i64) -> Result<Self, Violation> {
        if self.0 == 0 || self.0 >= taken {
            return Ok(self);
        }
        let description = format!("capacity is below the {taken} seats that are taken");
        Err(Violation::new("capacity", "OUT_OF_RANGE", description))
    }
}

/// Stands for one state of what is set of a program (AIP-154).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etag(String);

impl Etag {
    /// That of a program which was set `version` times.
    pub(crate) fn of_version(version: i64) -> Self {
        Self(version.to_string())
    }

    /// What a client says it has seen: any text, for it is only compared. `None` where empty.
    pub(crate) fn given(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// A program to be announced.
#[derive(Clone, Debug)]
pub(crate) struct NewProgram {
    pub(crate) details: ProgramDetails,
    pub(crate) repeatable: Option<Repeatable>,
}

/// What to set of a program; `None` stays as it is.
#[derive(Clone, Debug, Default)]
#[expect(clippy::option_option, reason = "the inner one is the value: it may be set to none")]
pub(crate) struct ProgramChanges {
    pub(crate) title: Option<Title>,
    pub(crate) description: Option<Description>,
    pub(crate) sport: Option<Sport>,
    pub(crate) training_level: Option<TrainingLevel>,
    pub(crate) location: Option<Location>,
    pub(crate) coach_id: Option<Option<UserId>>,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) time_zone: Option<TimeZone>,
    pub(crate) registration_opens_at: Option<Option<Timestamp>>,
    pub(crate) registration_closes_at: Option<Option<Timestamp>>,
    pub(crate) capacity: Option<Capacity>,
}

impl Program {
    /// What is set of it now.
    pub(crate) fn etag(&self) -> Etag {
        Etag::of_version(self.version)
    }

    /// What is set of it after `changes`.
    ///
    /// # Errors
    /// Every violation of times that do not fit each other, and of a capacity below the seats that
    /// are taken.
    pub(crate) fn changed(
        &self,
        changes: ProgramChanges,
    ) -> Result<ProgramDetails, Vec<Violation>> {
        let old = self.details.clone();
        let window = old.schedule;
        let schedule = Schedule {
            starts_at: changes.starts_at.unwrap_or(window.starts_at),
            ends_at: changes.ends_at.unwrap_or(window.ends_at),
            registration_opens_at: changes
                .registration_opens_at
                .unwrap_or(window.registration_opens_at),
            registration_closes_at: changes
                .registration_closes_at
                .unwrap_or(window.registration_closes_at),
        };
        let capacity = changes.capacity.unwrap_or(old.capacity).for_all_of(self.seats_taken);
        let (schedule, capacity) = match (schedule.checked(), capacity) {
            (Ok(schedule), Ok(capacity)) => (schedule, capacity),
            (schedule, capacity) => {
                let violations = schedule.err().into_iter().flatten();
                return Err(violations.chain(capacity.err()).collect());
            }
        };
        Ok(ProgramDetails {
            title: changes.title.unwrap_or(old.title),
            description: changes.description.unwrap_or(old.description),
            training: Training {
                sport: changes.sport.unwrap_or(old.training.sport),
                level: changes.training_level.unwrap_or(old.training.level),
            },
            location: changes.location.unwrap_or(old.location),
            coach_id: changes.coach_id.unwrap_or(old.coach_id),
            schedule,
            time_zone: changes.time_zone.unwrap_or(old.time_zone),
            capacity,
        })
    }
}

/// Which programs to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProgramFilter {
    pub(crate) sport: Option<Sport>,
    pub(crate) level: Option<TrainingLevel>,
    /// Only those that one may register for now.
    pub(crate) open_only: bool,
}

/// Which registrations for a program to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Participation {
    /// Those that have a seat or wait for one.
    Live,
    /// Those with this status.
    Only(Status),
}
