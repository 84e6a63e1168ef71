//! Changing and deleting rows of `users`, with all that follows from it.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    page::Page,
    sql, transaction,
};

use super::{
    Store,
    sessions::{EndedSessions, EndingSessions, end_sessions},
    users::{COLUMNS, lock_user, user},
};
use crate::model::{
    EventType, NewEvent, Role, Roles, Subject, User, UserChanges, UserId, email_key, username_key,
};

/// Who does something, from where and when.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// Who; `None` for the operator at the command line.
    pub id: Option<UserId>,
    /// From where; empty where that is not known.
    pub client_address: &'a str,
    /// When.
    pub now: Timestamp,
}

/// A password that replaces another.
#[derive(Clone, Copy, Debug)]
pub struct PasswordChange<'a> {
    /// Whose.
    pub user_id: UserId,
    /// The hash that it must still have.
    pub old_hash: &'a str,
    /// The hash from now on.
    pub new_hash: &'a str,
    /// Which sessions end.
    pub ending: EndedSessions<'a>,
    /// Strangers to the account, by each of its names, where its locks are lifted.
    pub unlocking: Option<&'a [Subject]>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange<T> {
    /// It was made.
    Done(T),
    /// There is no such account.
    NotFound,
    /// No administrator would be left.
    LastAdmin,
    /// Neither username nor address would be left.
    Nameless,
    /// The password is no longer the one that was to be replaced.
    OtherPassword,
}

impl Actor<'_> {
    fn event(&self, event_type: EventType, user_id: UserId) -> NewEvent {
        NewEvent {
            actor_id: self.id,
            client_address: self.client_address.to_owned(),
            ..NewEvent::new(event_type, Some(user_id))
        }
    }

    fn ending_all<'a>(&'a self, user_id: UserId, reason: &'static str) -> EndingSessions<'a> {
        EndingSessions {
            user_id,
            which: EndedSessions::All,
            actor_id: self.id,
            client_address: self.client_address,
            reason,
            now: self.now,
        }
    }
}

impl Store {
    /// A page of accounts whose username or address begins with `prefix` (folded; empty for all).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users(&self, prefix: &str, page: Page) -> Result<Vec<User>, DbError> {
        let query = if prefix.is_empty() {
            let select = sql!("SELECT ", COLUMNS, " FROM users WHERE id > ? ORDER BY id LIMIT ?");
            self.db.read(select).bind(page.after_id)
        } else {
            // First the ids, by the indexes of the names alone. `+ 0`, for else databases walk all
            // accounts in the order of their ids until a page is full.
            let select = sql!(
                "SELECT ",
                COLUMNS,
                " FROM users JOIN (SELECT id AS found_id FROM \
                 (SELECT id FROM users WHERE username_key >= ? AND username_key < ? \
                 UNION SELECT id FROM users WHERE email_key >= ? AND email_key < ?) named \
                 WHERE id + 0 > ? ORDER BY id LIMIT ?) found ON found_id = users.id \
                 ORDER BY users.id"
            );
            // A range, not LIKE: it uses the indexes, and nothing in it is special.
            let end = format!("{prefix}\u{10ffff}");
            self.db
                .read(select)
                .bind(prefix)
                .bind(end.clone())
                .bind(prefix)
                .bind(end)
                .bind(page.after_id)
        };
        query.bind(page.limit()).fetch_all().await?.iter().map(user).collect()
    }

    /// Changes an account. A change of roles ends the access tokens that carry the old ones, the
    /// last of which may live until `tokens_until`; disabling ends all sessions, and a new password
    /// those that it says.
    ///
    /// # Errors
    /// A unique violation where another account has the new username or address.
    pub async fn update_user(
        &self,
        id: UserId,
        changes: &UserChanges,
        password: Option<&PasswordChange<'_>>,
        actor: &Actor<'_>,
        tokens_until: Timestamp,
    ) -> Result<UserChange<User>, DbError> {
        transaction!(self.db, |tx| {
            if changes.roles.is_some() || changes.disabled.is_some() {
                lock_admins(tx).await?;
            }
            let Some(old) = lock_and_read(tx, id).await? else { return Ok(UserChange::NotFound) };
            let new = changed(&old, changes, actor.now);
            if new.username.is_none() && new.email.is_none() {
                return Ok(UserChange::Nameless);
            }
            if is_active_admin(&old) && !is_active_admin(&new) && is_only_admin(tx, id).await? {
                return Ok(UserChange::LastAdmin);
            }
            let mut events = Vec::new();
            if let Some(password) = password {
                match self.replace_hash(tx, password, actor).await? {
                    Some(password_events) => events = password_events,
                    None => return Ok(UserChange::OtherPassword),
                }
            }
            write_user(tx, &new).await?;
            events.extend(self.events_of_change(tx, &old, &new, actor, tokens_until).await?);
            self.append_events(tx, actor.now, &events).await?;
            Ok(UserChange::Done(new))
        })
    }

    async fn events_of_change(
        &self,
        tx: &mut Tx,
        old: &User,
        new: &User,
        actor: &Actor<'_>,
        tokens_until: Timestamp,
    ) -> Result<Vec<NewEvent>, DbError> {
        let mut events = Vec::new();
        let names = |user: &User| (user.username.clone(), user.email.clone(), user.name.clone());
        if names(old) != names(new) {
            events.push(actor.event(EventType::UserUpdated, new.id));
        }
        if old.roles != new.roles {
            let words: Vec<_> = new.roles.iter().map(Role::as_str).collect();
            events.push(NewEvent {
                roles: Some(new.roles),
                detail: words.join(" "),
                revokes_until: Some(tokens_until),
                ..actor.event(EventType::RolesChanged, new.id)
            });
        }
        match (old.disabled, new.disabled) {
            (false, true) => {
                events.push(actor.event(EventType::UserDisabled, new.id));
                events.extend(end_sessions(tx, &actor.ending_all(new.id, "disabled")).await?);
            }
            (true, false) => events.push(actor.event(EventType::UserEnabled, new.id)),
            _ => {}
        }
        Ok(events)
    }

    /// Deletes an account and ends its sessions.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_user(
        &self,
        id: UserId,
        actor: &Actor<'_>,
    ) -> Result<UserChange<()>, DbError> {
        transaction!(self.db, |tx| {
            lock_admins(tx).await?;
            let Some(user) = lock_and_read(tx, id).await? else {
                return Ok(UserChange::NotFound);
            };
            if is_active_admin(&user) && is_only_admin(tx, id).await? {
                return Ok(UserChange::LastAdmin);
            }
            let mut events = end_sessions(tx, &actor.ending_all(id, "deleted")).await?;
            tx.query(sql!("DELETE FROM users WHERE id = ?")).bind(id.0).execute().await?;
            events.push(actor.event(EventType::UserDeleted, id));
            self.append_events(tx, actor.now, &events).await?;
            Ok(UserChange::Done(()))
        })
    }

    /// Replaces a password; `false` where it has changed meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change_password(
        &self,
        change: &PasswordChange<'_>,
        actor: &Actor<'_>,
    ) -> Result<bool, DbError> {
        transaction!(self.db, |tx| {
            let Some(events) = self.replace_hash(tx, change, actor).await? else {
                return Ok(false);
            };
            self.append_events(tx, actor.now, &events).await?;
            Ok(true)
        })
    }

    /// Replaces a password, and gives the events of it; `None` where it is another than expected,
    /// and nothing was written.
    async fn replace_hash(
        &self,
        tx: &mut Tx,
        change: &PasswordChange<'_>,
        actor: &Actor<'_>,
    ) -> Result<Option<Vec<NewEvent>>, DbError> {
        let id = change.user_id;
        let update = sql!(
            "UPDATE users SET password_hash = ?, password_changes = password_changes + 1, \
             updated_at = ? WHERE id = ? AND password_hash = ?"
        );
        let query = tx.query(update).bind(change.new_hash).bind(actor.now.micros());
        if query.bind(id.0).bind(change.old_hash).execute().await? == 0 {
            return Ok(None);
        }
        let all = actor.ending_all(id, "password changed");
        let ending = EndingSessions { which: change.ending, ..all };
        let mut events = vec![actor.event(EventType::PasswordChanged, id)];
        events.extend(end_sessions(tx, &ending).await?);
        if let Some(strangers) = change.unlocking
            && self.clear_lockout(tx, id, strangers, actor.now).await? > 0
        {
            events.push(actor.event(EventType::AccountUnlocked, id));
        }
        Ok(Some(events))
    }
}

fn changed(old: &User, changes: &UserChanges, now: Timestamp) -> User {
    let mut new = User { updated_at: now, ..old.clone() };
    if let Some(username) = &changes.username {
        new.username = username.as_ref().map(|one| one.as_str().to_owned());
    }
    if let Some(email) = &changes.email {
        new.email = email.as_ref().map(|one| one.as_str().to_owned());
    }
    if let Some(name) = &changes.name {
        name.as_str().clone_into(&mut new.name);
    }
    new.roles = changes.roles.unwrap_or(new.roles);
    new.disabled = changes.disabled.unwrap_or(new.disabled);
    new
}

fn is_active_admin(user: &User) -> bool {
    user.roles.contains(Role::Admin) && !user.disabled
}

/// Locks the rows of all administrators, so that two of them cannot demote each other at once.
async fn lock_admins(tx: &mut Tx) -> Result<(), DbError> {
    // The bit of the highest role: every set that has it is at least that.
    let lock = sql!("UPDATE users SET updated_at = updated_at WHERE roles >= ?");
    let admin = Roles::from_iter([Role::Admin]).bits();
    tx.query(lock).bind(admin).execute().await.map(drop)
}

async fn is_only_admin(tx: &mut Tx, id: UserId) -> Result<bool, DbError> {
    let select =
        sql!("SELECT id FROM users WHERE roles >= ? AND disabled = FALSE AND id <> ? LIMIT 1");
    let admin = Roles::from_iter([Role::Admin]).bits();
    Ok(tx.query(select).bind(admin).bind(id.0).fetch_optional().await?.is_none())
}

async fn lock_and_read(tx: &mut Tx, id: UserId) -> Result<Option<User>, DbError> {
    if !lock_user(tx, id).await? {
        return Ok(None);
    }
    let select = sql!("SELECT ", COLUMNS, " FROM users WHERE id = ?");
    tx.query(select).bind(id.0).fetch_optional().await?.map(|row| user(&row)).transpose()
}

async fn write_user(tx: &mut Tx, new: &User) -> Result<(), DbError> {
    let update = sql!(
        "UPDATE users SET username = ?, username_key = ?, email = ?, email_key = ?, name = ?, \
         roles = ?, disabled = ?, updated_at = ? WHERE id = ?"
    );
    tx.query(update)
        .bind(new.username.as_deref())
        .bind(new.username.as_deref().map(username_key))
        .bind(new.email.as_deref())
        .bind(new.email.as_deref().map(email_key))
        .bind(new.name.as_str())
        .bind(new.roles.bits())
        .bind(new.disabled)
        .bind(new.updated_at.micros())
        .bind(new.id.0)
        .execute()
        .await
        .map(drop)
}
