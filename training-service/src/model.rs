//! The values that the rules speak of. What comes from outside is parsed into them once; a value
//! that exists is valid.

use service_kit::{Timestamp, page::Page, rejection::Violation};

/// Characters of a [`Sport`] and of a [`TrainingLevel`].
const LABEL_CHARS_MAX: usize = 100;
/// Characters of a [`RequestId`].
const REQUEST_ID_CHARS_MAX: usize = 64;

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
        match id {
            1.. => Ok(Self(id)),
            0 => Err(Violation::required("registration_id")),
            _ => Err(negative("registration_id")),
        }
    }
}

/// What is trained: 1 to 100 characters, as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sport(String);

/// How well it is already known: 1 to 100 characters, as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrainingLevel(String);

impl Sport {
    /// Up to 100 characters that show something, none of them a control character.
    pub(crate) fn parse(text: String) -> Result<Self, Violation> {
        label("sport", text).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TrainingLevel {
    /// As [`Sport::parse`].
    pub(crate) fn parse(text: String) -> Result<Self, Violation> {
        label("training_level", text).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A short text in one line.
fn label(field: &'static str, text: String) -> Result<String, Violation> {
    if text.trim().is_empty() {
        Err(Violation::required(field))
    } else if text.chars().count() > LABEL_CHARS_MAX {
        let description = format!("{field} is longer than {LABEL_CHARS_MAX} characters");
        Err(Violation::new(field, "TOO_LONG", description))
    } else if text.chars().any(char::is_control) {
        let description = format!("{field} has control characters");
        Err(Violation::new(field, "INVALID_FORMAT", description))
    } else {
        Ok(text)
    }
}

fn negative(field: &'static str) -> Violation {
    Violation::new(field, "OUT_OF_RANGE", format!("{field} is negative"))
}

/// What makes a call repeatable (AIP-155): 1 to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// `None` where the text is empty.
    fn parse_optional(text: String) -> Result<Option<Self>, Violation> {
        if text.len() > REQUEST_ID_CHARS_MAX {
            let description =
                format!("request_id is longer than {REQUEST_ID_CHARS_MAX} characters");
            Err(Violation::new("request_id", "TOO_LONG", description))
        } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let description = "request_id is not of printable ASCII characters";
            Err(Violation::new("request_id", "INVALID_FORMAT", description))
        } else {
            Ok((!text.is_empty()).then_some(Self(text)))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

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
    pub(crate) request_id: Option<RequestId>,
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
        request_id: String,
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
        let request_id = valid(RequestId::parse_optional(request_id), &mut violations);
        wish.zip(request_id).map(|(wish, request_id)| Self { wish, request_id }).ok_or(violations)
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

/// The value, or `None` with what it violates noted.
fn valid<T>(parsed: Result<T, Violation>, violations: &mut Vec<Violation>) -> Option<T> {
    parsed.map_err(|violation| violations.push(violation)).ok()
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
