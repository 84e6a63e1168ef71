//! Who may do what, in one table.

use auth_client::{Caller, Role};

use crate::{error::Error, model::UserId};

/// What needs permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Announce a program.
    CreateProgram,
    /// Change a program.
    UpdateProgram,
    /// Cancel a program.
    CancelProgram,
    /// See who is registered for a program.
    ListParticipants,
    /// Note whether a participant came.
    SetAttendance,
    /// See a registration.
    ReadRegistration,
    /// See a user's registrations.
    ListRegistrations,
    /// End a registration.
    CancelRegistration,
}

/// Who has a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// Coaches and administrators.
    Staff,
    /// Coaches, administrators, and whose registration it is.
    StaffOrOwner,
}

use Holder::{Staff, StaffOrOwner};

const TABLE: [(Action, Holder); 8] = [
    (Action::CreateProgram, Staff),
    (Action::UpdateProgram, Staff),
    (Action::CancelProgram, Staff),
    (Action::ListParticipants, Staff),
    (Action::SetAttendance, Staff),
    (Action::ReadRegistration, StaffOrOwner),
    (Action::ListRegistrations, StaffOrOwner),
    (Action::CancelRegistration, StaffOrOwner),
];

/// Refuses unless `caller` may do `action` to what is `owner`'s, or nobody's in particular.
///
/// # Errors
/// [`Error::RoleRequired`].
pub(crate) fn check(caller: &Caller, action: Action, owner: Option<UserId>) -> Result<(), Error> {
    let holder = TABLE.iter().find(|(one, _)| *one == action).map_or(Staff, |(_, holder)| *holder);
    let is_owner = holder == StaffOrOwner && owner == Some(UserId(caller.user_id));
    if is_owner || caller.has_any(&[Role::Coach, Role::Admin]) {
        return Ok(());
    }
    Err(Error::RoleRequired)
}

#[cfg(test)]
mod tests {
    use service_kit::Timestamp;

    use super::*;

    fn caller(user_id: i64, role: Role) -> Caller {
        Caller {
            user_id,
            session_id: String::new(),
            token_id: String::new(),
            roles: [role].into_iter().collect(),
            expires_at: Timestamp::default(),
        }
    }

    #[test]
    fn every_action_is_open_to_staff_and_some_to_owners() {
        for (action, holder) in TABLE {
            let is_allowed =
                |user_id, role| check(&caller(user_id, role), action, Some(UserId(1))).is_ok();
            assert_eq!(is_allowed(1, Role::User), holder == StaffOrOwner, "{action:?}");
            assert!(!is_allowed(2, Role::User), "{action:?}");
            assert!(is_allowed(2, Role::Coach) && is_allowed(2, Role::Admin), "{action:?}");
        }
    }
}
