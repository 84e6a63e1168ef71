//! Calls that may be repeated (AIP-155): one with a `request_id` that came before makes nothing new.

use std::time::Duration;

use crate::rejection::Violation;

/// For how long a `request_id` stands for what it made.
pub const REQUEST_ID_LIFETIME: Duration = Duration::from_hours(24);
/// Characters of a [`RequestId`].
const REQUEST_ID_CHARS_MAX: usize = 64;

/// What makes a call repeatable (AIP-155): 1 to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

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

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What tells a repeated call from another one with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatable {
    /// What it calls itself.
    pub request_id: RequestId,
    /// All of the request but its id.
    pub body: Vec<u8>,
}

impl Repeatable {
    /// `None` where there is no id: each call is then one of its own.
    ///
    /// # Errors
    /// The violation of the field `request_id`.
    pub fn parse(request_id: String, body: Vec<u8>) -> Result<Option<Self>, Violation> {
        let request_id = RequestId::parse_optional(request_id)?;
        Ok(request_id.map(|request_id| Self { request_id, body }))
    }
}
