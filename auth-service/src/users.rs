//! Managing accounts: seeing, changing and deleting them.

use std::time::Duration;

use auth_client::Caller;
use service_kit::{Clock, db::Constraint, page::Page};

use crate::{
    error::Error,
    lockout::Lockout,
    model::{AddressAction, ClientInfo, Session, User, UserChanges, UserId, is_session_id},
    permissions::{Action, check},
    sessions::HashChange,
    store::{Actor, EndedSessions, EndingSessions, PasswordChange, Store, UserChange},
};

/// How much later than a change of roles a token with the old ones may still be issued, by a
/// request that read them before.
const CHANGE_SLACK: Duration = Duration::from_mins(1);

/// The rules of managing accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Users {
    /// Where accounts are kept.
    pub store: Store,
    /// What locks accounts.
    pub lockout: Lockout,
    /// The time.
    pub clock: Clock,
    /// How long an access token is good.
    pub access_token_ttl: Duration,
}

impl Users {
    /// Replaces a password in the name of the operator, ends all sessions and lifts the locks.
    ///
    /// # Errors
    /// [`Error::Contended`] where it was changed meanwhile.
    pub async fn set_password(&self, user: &User, old: &str, new: &str) -> Result<(), Error> {
        let change = PasswordChange {
            user_id: user.id,
            old_hash: old,
            new_hash: new,
            ending: EndedSessions::All,
            unlocking: Some(&self.lockout.strangers(user)),
        };
        let actor = Actor { id: None, client_address: "", now: self.clock.now() };
        let is_changed = self.store.change_password(&change, &actor).await?;
        if is_changed { Ok(()) } else { Err(Error::Contended) }
    }

    /// An account; `None` is the caller's own.
    ///
    /// # Errors
    /// [`Error::NotOwner`], or [`Error::UserNotFound`] to administrators alone.
    pub async fn get(&self, caller: &Caller, id: Option<UserId>) -> Result<User, Error> {
        let id = id.unwrap_or(UserId(caller.user_id));
        check(caller, Action::ReadUser, Some(id))?;
        self.shown(id).await
    }

    /// An account, with its lock.
    async fn shown(&self, id: UserId) -> Result<User, Error> {
        let mut user = self.store.user(id).await?.ok_or(Error::UserNotFound)?;
        self.lockout.show_locks(std::slice::from_mut(&mut user)).await?;
        Ok(user)
    }

    /// Lifts the locks of an account.
    ///
    /// # Errors
    /// [`Error::RoleRequired`], [`Error::UserNotFound`].
    pub async fn unlock(
        &self,
        caller: &Caller,
        id: UserId,
        client: &ClientInfo,
    ) -> Result<User, Error> {
        check(caller, Action::UnlockUser, Some(id))?;
        let user = self.store.user(id).await?.ok_or(Error::UserNotFound)?;
        self.lockout.unlock(&user, Some(UserId(caller.user_id)), client).await?;
        self.shown(id).await
    }

    /// A page of accounts whose username or address begins with `prefix`, and the token for the
    /// next page.
    ///
    /// # Errors
    /// [`Error::RoleRequired`].
    pub async fn list(
        &self,
        caller: &Caller,
        prefix: &str,
        page: Page,
    ) -> Result<(Vec<User>, String), Error> {
        check(caller, Action::ListUsers, None)?;
        let mut users = self.store.users(prefix, page).await?;
        let next = page.cut(&mut users, |user| user.id.0);
        self.lockout.show_locks(&mut users).await?;
        Ok((users, next))
    }

    /// Those of `ids` that have accounts, by id, for another service; without their locks.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn batch(&self, ids: Vec<UserId>) -> Result<Vec<User>, Error> {
        Ok(self.store.users_of(ids).await?)
    }

    /// Changes an account; `None` is the caller's own. A new password, which is the caller's, ends
    /// all other sessions. All of it is done, or nothing.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`], [`Error::EmailTaken`], [`Error::TooManyFailures`] after many of
    /// these from one address, [`Error::LastAdmin`], and those of
    /// [`Users::get`]; [`Error::InvalidCredentials`] where the password was changed meanwhile.
    pub async fn update(
        &self,
        caller: &Caller,
        id: Option<UserId>,
        changes: &UserChanges,
        password: Option<&HashChange>,
        client: &ClientInfo,
    ) -> Result<User, Error> {
        let id = id.unwrap_or(UserId(caller.user_id));
        let renames =
            changes.username.is_some() || changes.email.is_some() || changes.name.is_some();
        for (is_asked, action) in [
            (renames, Action::RenameUser),
            (changes.roles.is_some(), Action::SetRoles),
            (changes.disabled.is_some(), Action::SetDisabled),
        ] {
            if is_asked {
                check(caller, action, Some(id))?;
            }
        }
        // Asking for one name after another would tell which are taken, as registering would.
        let asks_for_name = changes.username.is_some() || changes.email.is_some();
        let addresses = &self.lockout.addresses;
        if asks_for_name {
            addresses.admit(AddressAction::Registration, client).await?;
        }
        let password = password.map(|hashes| PasswordChange {
            user_id: id,
            old_hash: &hashes.old_hash,
            new_hash: &hashes.new_hash,
            ending: EndedSessions::AllBut(&caller.session_id),
            unlocking: None,
        });
        let actor = Actor {
            id: Some(UserId(caller.user_id)),
            client_address: &client.address,
            now: self.clock.now(),
        };
        match self.store_changes(id, changes, password.as_ref(), &actor).await {
            Err(taken @ (Error::UsernameTaken | Error::EmailTaken)) => {
                Err(addresses.failed(AddressAction::Registration, client, taken).await)
            }
            changed => {
                changed?;
                self.shown(id).await
            }
        }
    }

    /// Changes an account in the name of the operator.
    ///
    /// # Errors
    /// As [`Users::update`].
    pub async fn change(&self, id: UserId, changes: &UserChanges) -> Result<User, Error> {
        let actor = Actor { id: None, client_address: "", now: self.clock.now() };
        self.store_changes(id, changes, None, &actor).await
    }

    async fn store_changes(
        &self,
        id: UserId,
        changes: &UserChanges,
        password: Option<&PasswordChange<'_>>,
        actor: &Actor<'_>,
    ) -> Result<User, Error> {
        // As long as any replica issues them, whose settings may be others than ours.
        let token_ttl = self.store.longest_token_ttl().await?.unwrap_or_default();
        let tokens_until = actor.now + token_ttl.max(self.access_token_ttl) + CHANGE_SLACK;
        match self.store.update_user(id, changes, password, actor, tokens_until).await {
            Ok(UserChange::Done(user)) => Ok(user),
            Ok(UserChange::NotFound) => Err(Error::UserNotFound),
            Ok(UserChange::LastAdmin) => Err(Error::LastAdmin),
            Ok(UserChange::Nameless) => Err(Error::Nameless),
            Ok(UserChange::OtherPassword) => Err(Error::InvalidCredentials),
            Err(error) if error.violated() == Some(Constraint::Unique) => {
                let username = changes.username.as_ref().and_then(Option::as_ref);
                let email = changes.email.as_ref().and_then(Option::as_ref);
                let taken = self.store.taken_names(username, email, Some(id)).await?;
                Err(match taken {
                    taken if taken.username => Error::UsernameTaken,
                    taken if taken.email => Error::EmailTaken,
                    // Whoever had it has just let it go.
                    _ => Error::Contended,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an account and ends its sessions. `action` is one of deleting.
    ///
    /// # Errors
    /// [`Error::LastAdmin`], and those of [`Users::get`].
    pub async fn delete(
        &self,
        caller: &Caller,
        action: Action,
        id: UserId,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        check(caller, action, Some(id))?;
        let actor = Actor {
            id: Some(UserId(caller.user_id)),
            client_address: &client.address,
            now: self.clock.now(),
        };
        match self.store.delete_user(id, &actor).await? {
            UserChange::Done(()) => Ok(()),
            UserChange::LastAdmin => Err(Error::LastAdmin),
            _ => Err(Error::UserNotFound),
        }
    }

    /// Where a user is signed in, the latest used first; `None` is the caller.
    ///
    /// # Errors
    /// Those of [`Users::get`].
    pub async fn sessions(
        &self,
        caller: &Caller,
        id: Option<UserId>,
    ) -> Result<Vec<Session>, Error> {
        let id = id.unwrap_or(UserId(caller.user_id));
        check(caller, Action::ListSessions, Some(id))?;
        let sessions = self.store.sessions(id, self.clock.now()).await?;
        if sessions.is_empty() && self.store.user(id).await?.is_none() {
            return Err(Error::UserNotFound);
        }
        Ok(sessions)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], for another's session too.
    pub async fn revoke_session(
        &self,
        caller: &Caller,
        session_id: &str,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        if !is_session_id(session_id) {
            return Err(Error::SessionNotFound);
        }
        let found = self.store.session(session_id).await?;
        let (session, _) = found.ok_or(Error::SessionNotFound)?;
        // Whose session it is, and whether it is one, is nobody else's business.
        check(caller, Action::RevokeSession, Some(session.user_id))
            .map_err(|_| Error::SessionNotFound)?;
        let ending = EndingSessions {
            user_id: session.user_id,
            which: EndedSessions::One(&session.id),
            actor_id: Some(UserId(caller.user_id)),
            client_address: &client.address,
            reason: "revoked",
            now: self.clock.now(),
        };
        let ended = self.store.end_sessions(&ending, &[]).await?;
        if ended == 0 { Err(Error::SessionNotFound) } else { Ok(()) }
    }
}
