//! What the service speaks of, parsed once at the edge: below it nothing is a bare string.

mod account;
mod blocklist;
mod event;
mod lockout;
mod otp;
mod password;
mod session;
mod signing_key;

use service_kit::rejection::Violation;
pub use service_kit::repeatable::Repeatable;

pub use account::{
    Email, Identifier, Name, NewAccount, User, UserChanges, UserId, Username, email_key,
    parse_query, username_key,
};
pub use auth_client::{Role, Roles};
pub use blocklist::Blocklist;
pub use event::{Event, EventFilter, EventType, NewEvent};
pub use lockout::{AddressAction, AddressFailures, Count, Subject};
pub use otp::Otp;
pub use password::{PASSWORD_BYTES_MAX, Password, PasswordPolicy};
pub use session::{ClientInfo, SESSION_ID_BYTES, Session, is_session_id};
pub use signing_key::KeyState;

/// Puts the violation of `parsed`, if it is one, to the others.
pub fn keep<T>(parsed: Result<T, Violation>, violations: &mut Vec<Violation>) -> Option<T> {
    parsed.map_err(|violation| violations.push(violation)).ok()
}
