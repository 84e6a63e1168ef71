//! Calendars, and the keys that open them.

use service_kit::{Timestamp, rejection::Violation};

use super::Program;

/// An iCalendar object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) text: String,
    /// The same for the same text.
    pub(crate) etag: String,
}

/// What opens a user's calendar, for whoever has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CalendarKey(String);

impl CalendarKey {
    /// One that was made.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// One as it comes: any text that is not empty may be one.
    pub(crate) fn parse(text: String) -> Result<Self, Violation> {
        if text.is_empty() { Err(Violation::required("calendar_key")) } else { Ok(Self(text)) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for CalendarKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CalendarKey")
    }
}

/// A program as someone sees it who is registered for it.
#[derive(Clone, Debug)]
pub(crate) struct Attended {
    pub(crate) program: Program,
    /// In the queue; 0 for who has a seat.
    pub(crate) place: i64,
    /// When the program, whether one has a seat, or the place was last changed, or later.
    pub(crate) changed_at: Timestamp,
}
