//! Who may do what, in one table.

use auth_client::Caller;

use crate::{
    error::Error,
    model::{Role, UserId},
};

/// What needs permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See an account.
    ReadUser,
    /// List accounts.
    ListUsers,
    /// Change username, e-mail address or name.
    RenameUser,
    /// Change roles.
    SetRoles,
    /// Bar from signing in, or let in again.
    SetDisabled,
    /// Delete an account.
    DeleteUser,
    /// Delete an account where accounts are managed.
    DeleteUserAsAdministrator,
    /// Lift a lock.
    UnlockUser,
    /// See where someone is signed in.
    ListSessions,
    /// End a session.
    RevokeSession,
    /// Read the event log.
    ListEvents,
}

/// Who has a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// Administrators.
    Admin,
    /// Administrators, and whose account it is.
    AdminOrOwner,
}

use Holder::{Admin, AdminOrOwner};

const TABLE: [(Action, Holder); 11] = [
    (Action::ReadUser, AdminOrOwner),
    (Action::ListUsers, Admin),
    (Action::RenameUser, AdminOrOwner),
    (Action::SetRoles, Admin),
    (Action::SetDisabled, Admin),
    (Action::DeleteUser, AdminOrOwner),
    (Action::DeleteUserAsAdministrator, Admin),
    (Action::UnlockUser, Admin),
    (Action::ListSessions, AdminOrOwner),
    (Action::RevokeSession, AdminOrOwner),
    (Action::ListEvents, Admin),
];

/// Refuses unless `caller` may do `action` to the account `owner`, or to none in particular.
///
/// # Errors
/// [`Error::RoleRequired`] for what only administrators may do, [`Error::NotOwner`] for what is
/// another's.
pub fn check(caller: &Caller, action: Action, owner: Option<UserId>) -> Result<(), Error> {
    if caller.has(Role::Admin) {
        return Ok(());
    }
    let holder = TABLE.iter().find(|(one, _)| *one == action).map_or(Admin, |(_, holder)| *holder);
    match holder {
        AdminOrOwner if owner == Some(UserId(caller.user_id)) => Ok(()),
        AdminOrOwner => Err(Error::NotOwner),
        Admin => Err(Error::RoleRequired),
    }
}

#[cfg(test)]
mod tests {
    use service_kit::Timestamp;

    use super::*;
    use crate::model::Roles;

    fn caller(user_id: i64, roles: &[Role]) -> Caller {
        Caller {
            user_id,
            session_id: String::new(),
            token_id: String::new(),
            roles: roles.iter().copied().collect::<Roles>(),
            expires_at: Timestamp::default(),
        }
    }

    #[test]
    fn every_action_is_in_the_table_and_open_to_administrators_and_owners_alone() {
        for (action, holder) in TABLE {
            let own = check(&caller(1, &[Role::User]), action, Some(UserId(1)));
            assert_eq!(own.is_ok(), holder == AdminOrOwner, "{action:?}");
            let others = check(&caller(1, &[Role::User, Role::Coach]), action, Some(UserId(2)));
            assert!(others.is_err(), "{action:?}");
            assert!(check(&caller(1, &[Role::Admin]), action, Some(UserId(2))).is_ok());
        }
    }
}
