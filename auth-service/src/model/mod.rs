//! What the service speaks of, parsed once at the edge: below it nothing is a bare string.

mod account;
mod blocklist;
mod event;
mod password;
mod session;

use service_kit::rejection::Violation;

pub use account::{Email, Identifier, Name, NewAccount, User, UserId, Username};
pub use auth_client::{Role, Roles};
pub use blocklist::Blocklist;
pub use event::{Event, EventFilter, EventType, NewEvent};
pub use password::{Password, PasswordPolicy};
pub use session::{ClientInfo, Session};

/// Puts the violation of `parsed`, if it is one, to the others.
pub fn keep<T>(parsed: Result<T, Violation>, violations: &mut Vec<Violation>) -> Option<T> {
    parsed.map_err(|violation| violations.push(violation)).ok()
}
