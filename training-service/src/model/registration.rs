//! Registrations, and what is asked about them.

use service_kit::{Timestamp, page::Page, rejection::Violation};

use super::{ProgramId, RegistrationId, Repeatable, Sport, TrainingLevel, UserId, negative, valid};

/// What is trained, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Training {
    pub(crate) sport: Sport,
    pub(crate) level: TrainingLevel,
}

/// What to register for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A program, which says what is trained.
    Program(ProgramId),
    /// Training outside of any program.
    Training(Training),
}

/// A registration to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewRegistration {
    pub(crate) wish: Wish,
    pub(crate) repeatable: Option<Repeatable>,
}

impl NewRegistration {
    /// Takes the fields as they come: 0 and the empty text stand for absent. With a program, sport
    /// and level are not looked at.
    ///
    /// # Errors
    /// Every violation.
    pub(crate) fn parse(
        sport: String,
        training_level: String,
        program_id: i64,
        repeatable: Result<Option<Repeatable>, Violation>,
    ) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let wish = match program_id {
            0 => {
                let sport = valid(Sport::parse(sport), &mut violations);
                let level = valid(TrainingLevel::parse(training_level), &mut violations);
                sport.zip(level).map(|(sport, level)| Wish::Training(Training { sport, level }))
            }
            1.. => Some(Wish::Program(ProgramId(program_id))),
            _ => valid(Err(negative("program_id")), &mut violations),
        };
        let repeatable = valid(repeatable, &mut violations);
        wish.zip(repeatable).map(|(wish, repeatable)| Self { wish, repeatable }).ok_or(violations)
    }
}

/// Whose registrations to list, and which page of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    /// `None` for the caller's own.
    pub(crate) user_id: Option<UserId>,
    pub(crate) page: Page,
}

impl Listing {
    /// Takes the fields as they come: 0 and the empty text stand for absent.
    ///
    /// # Errors
    /// Every violation.
    pub(crate) fn parse(
        page_size: i32,
        page_token: &str,
        user_id: i64,
    ) -> Result<Self, Vec<Violation>> {
        let page = Page::parse(page_size, page_token);
        if user_id < 0 {
            let mut violations = page.err().unwrap_or_default();
            violations.push(negative("user_id"));
            return Err(violations);
        }
        Ok(Self { user_id: (user_id > 0).then_some(UserId(user_id)), page: page? })
    }
}

/// One user's place in training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) id: RegistrationId,
    pub(crate) user_id: UserId,
    pub(crate) training: Training,
    pub(crate) registered_at: Timestamp,
    pub(crate) program_id: Option<ProgramId>,
    pub(crate) status: Status,
    /// From 1, without gaps; 0 where it is not waiting.
    pub(crate) waitlist_position: i64,
    /// Whether the participant came, if that is noted.
    pub(crate) attendance: Option<Attendance>,
}

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It has a seat, or needs none.
    Confirmed,
    /// It waits for a seat.
    Waitlisted,
    /// It has ended.
    Cancelled,
}

impl Status {
    const ALL: [Self; 3] = [Self::Confirmed, Self::Waitlisted, Self::Cancelled];

    /// The word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Waitlisted => "waitlisted",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// Whether a participant came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attendance {
    Present,
    Absent,
    /// Absent, and has said why.
    Excused,
}

impl Attendance {
    const ALL: [Self; 3] = [Self::Present, Self::Absent, Self::Excused];

    /// The word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Excused => "excused",
        }
    }

    /// The attendance of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attendance| attendance.as_str() == word)
    }
}

/// How many registrations for a program have each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusCounts {
    pub(crate) confirmed: i64,
    pub(crate) waitlisted: i64,
    pub(crate) cancelled: i64,
}
