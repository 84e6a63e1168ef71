//! What users are told by mail.

use service_kit::Timestamp;

use super::{Location, TimeZone, Title, UserId};

/// A notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoticeId(pub(crate) i64);

/// What is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A registration that waited has a seat.
    Promoted,
    /// The program is cancelled.
    ProgramCancelled,
}

impl News {
    /// The word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::ProgramCancelled => "program_cancelled",
        }
    }

    /// The news of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Promoted, Self::ProgramCancelled].into_iter().find(|news| news.as_str() == word)
    }
}

/// Someone has to be told something about a program.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) id: NoticeId,
    pub(crate) news: News,
    pub(crate) user_id: UserId,
    pub(crate) title: Title,
    pub(crate) location: Location,
    pub(crate) starts_at: Timestamp,
    /// From then on it is of no use.
    pub(crate) ends_at: Timestamp,
    pub(crate) time_zone: TimeZone,
}

/// Where someone is reached.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    pub(crate) email: String,
    /// May be empty.
    pub(crate) name: String,
}
