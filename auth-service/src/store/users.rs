//! Table `users`.

use std::iter;

use service_kit::{
    Timestamp,
    db::{DbError, Query, Row, Tx},
    sql, transaction,
};

use super::{RegisterRequestTags, Store};
use crate::model::{Email, EventType, Identifier, Name, NewEvent, Roles, User, UserId, Username};

/// Of a user, also beside another table.
pub(super) const COLUMNS: &str = "users.id, username, email, name, password_hash, roles, disabled, \
                                  password_changes, users.created_at, updated_at";

/// Ten placeholders.
const TEN: &str = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
/// Accounts that one statement reads.
const CHUNK: usize = 50;

/// An account to be stored.
#[derive(Clone, Debug)]
pub struct NewUserRow<'a> {
    /// The handle.
    pub username: Option<&'a Username>,
    /// The address.
    pub email: Option<&'a Email>,
    /// The display name.
    pub name: &'a Name,
    /// A PHC string.
    pub password_hash: &'a str,
    /// What the user may do.
    pub roles: Roles,
    /// The time.
    pub created_at: Timestamp,
    /// Who makes it.
    pub maker: Maker,
    /// From where it is made.
    pub client_address: &'a str,
}

/// Who makes an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Whose it will be.
    Owner,
    /// An operator at the command line.
    Operator,
}

/// Which names of an account another one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenNames {
    /// The handle.
    pub username: bool,
    /// The address.
    pub email: bool,
}

impl Store {
    /// Stores an account, with the event that tells of it, and a note of the `request` that makes
    /// it.
    ///
    /// # Errors
    /// A unique violation where another account has one of its names, or another request the id.
    pub async fn insert_user(
        &self,
        new: &NewUserRow<'_>,
        request: Option<&RegisterRequestTags>,
    ) -> Result<User, DbError> {
        let insert = sql!(
            "INSERT INTO users (username, username_key, email, email_key, name, password_hash, \
             roles, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        );
        let id = transaction!(self.db, |tx| {
            let id = tx
                .query(insert)
                .bind(new.username.map(Username::as_str))
                .bind(new.username.map(Username::key))
                .bind(new.email.map(Email::as_str))
                .bind(new.email.map(Email::key))
                .bind(new.name.as_str())
                .bind(new.password_hash)
                .bind(new.roles.bits())
                .bind(new.created_at.micros())
                .bind(new.created_at.micros())
                .insert()
                .await?;
            if let Some(request) = request {
                request.insert(tx, UserId(id), new.created_at).await?;
            }
            let event = NewEvent {
                actor_id: (new.maker == Maker::Owner).then_some(UserId(id)),
                client_address: new.client_address.to_owned(),
                ..NewEvent::new(EventType::Registered, Some(UserId(id)))
            };
            self.append_events(tx, new.created_at, &[event]).await?;
            Ok(id)
        })?;
        Ok(User {
            id: UserId(id),
            username: new.username.map(|username| username.as_str().to_owned()),
            email: new.email.map(|email| email.as_str().to_owned()),
            name: new.name.as_str().to_owned(),
            roles: new.roles,
            disabled: false,
            locked_until: None,
            password_changes: 0,
            created_at: new.created_at,
            updated_at: new.created_at,
        })
    }

    /// Which of the names an account has, other than `except`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn taken_names(
        &self,
        username: Option<&Username>,
        email: Option<&Email>,
        except: Option<UserId>,
    ) -> Result<TakenNames, DbError> {
        let (username, email) = (username.map(Username::key), email.map(Email::key));
        let select = sql!(
            "SELECT id, username_key, email_key FROM users WHERE username_key = ? OR email_key = ?"
        );
        let rows = self.db.read(select).bind(username.clone()).bind(email.clone()).fetch_all();
        let mut taken = TakenNames::default();
        for row in rows.await? {
            if Some(UserId(row.get("id")?)) == except {
                continue;
            }
            let row_username: Option<String> = row.get("username_key")?;
            let row_email: Option<String> = row.get("email_key")?;
            taken.username |= username.is_some() && row_username == username;
            taken.email |= email.is_some() && row_email == email;
        }
        Ok(taken)
    }

    /// The account with this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, DbError> {
        let select = sql!("SELECT ", COLUMNS, " FROM users WHERE id = ?");
        let row = self.db.read(select).bind(id.0).fetch_optional().await?;
        row.map(|row| user(&row)).transpose()
    }

    /// Those of `ids` that are there, by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users_of(&self, mut ids: Vec<UserId>) -> Result<Vec<User>, DbError> {
        let select = sql!(
            "SELECT ",
            COLUMNS,
            " FROM users WHERE id IN (",
            TEN,
            ", ",
            TEN,
            ", ",
            TEN,
            ", ",
            TEN,
            ", ",
            TEN,
            ") ORDER BY id"
        );
        ids.sort_unstable_by_key(|id| id.0);
        ids.dedup();
        let mut users = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            // What is left over asks for nobody.
            let padded = chunk.iter().map(|id| id.0).chain(iter::repeat(0)).take(CHUNK);
            let query = padded.fold(self.db.read(select), Query::bind);
            for row in query.fetch_all().await? {
                users.push(user(&row)?);
            }
        }
        Ok(users)
    }

    /// The hash of a user's password.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn password_hash(&self, id: UserId) -> Result<Option<String>, DbError> {
        let select = sql!("SELECT password_hash FROM users WHERE id = ?");
        let row = self.db.read(select).bind(id.0).fetch_optional().await?;
        row.map(|row| row.get("password_hash")).transpose()
    }

    /// The account that `identifier` names, with its password's hash.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn credentials(
        &self,
        identifier: &Identifier,
    ) -> Result<Option<(User, String)>, DbError> {
        let (select, key) = match identifier {
            Identifier::Username(key) => {
                (sql!("SELECT ", COLUMNS, " FROM users WHERE username_key = ?"), key)
            }
            Identifier::Email(key) => {
                (sql!("SELECT ", COLUMNS, " FROM users WHERE email_key = ?"), key)
            }
        };
        let row = self.db.read(select).bind(key.as_str()).fetch_optional().await?;
        row.map(|row| Ok((user(&row)?, row.get("password_hash")?))).transpose()
    }
}

/// Locks the row of a user until the transaction ends; `false` where there is none.
pub(super) async fn lock_user(tx: &mut Tx, id: UserId) -> Result<bool, DbError> {
    let lock = sql!("UPDATE users SET updated_at = updated_at WHERE id = ?");
    Ok(tx.query(lock).bind(id.0).execute().await? == 1)
}

pub(super) fn user(row: &Row) -> Result<User, DbError> {
    Ok(User {
        id: UserId(row.get("id")?),
        username: row.get("username")?,
        email: row.get("email")?,
        name: row.get("name")?,
        roles: Roles::from_bits(row.get("roles")?).ok_or(DbError::Corrupt("users.roles"))?,
        disabled: row.get("disabled")?,
        locked_until: None,
        password_changes: row.get("password_changes")?,
        created_at: Timestamp::from_micros(row.get("created_at")?),
        updated_at: Timestamp::from_micros(row.get("updated_at")?),
    })
}
