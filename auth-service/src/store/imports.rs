//! Accounts that move in, a batch at a time.

use service_kit::{
    Timestamp,
    db::{DbError, Row, Statement},
    sql, transaction,
};

use super::Store;
use crate::model::{Email, EventType, Name, NewEvent, Roles, UserId, Username};

/// Rows that are looked up, or written in one transaction, at a time.
pub const IMPORT_ROWS_MAX: usize = 100;
/// What the event of an imported account says.
const IMPORTED: &str = "imported";

/// [`IMPORT_ROWS_MAX`] of them.
const PLACEHOLDERS: &str = {
    macro_rules! five_times {
        ($text:expr) => {
            concat!($text, ", ", $text, ", ", $text, ", ", $text, ", ", $text)
        };
    }
    five_times!(five_times!("?, ?, ?, ?"))
};

/// An account to be imported.
#[derive(Clone)]
pub struct ImportedRow<'a> {
    /// The handle.
    pub username: Option<&'a Username>,
    /// The address.
    pub email: Option<&'a Email>,
    /// The display name.
    pub name: &'a Name,
    /// As the other program made it.
    pub password_hash: &'a str,
    /// What the user may do.
    pub roles: Roles,
    /// Whether signing in is barred.
    pub disabled: bool,
    /// When the account was made, there.
    pub created_at: Timestamp,
}

/// An account that has a name which was looked for.
#[derive(Clone)]
pub struct ExistingAccount {
    /// Its id.
    pub id: UserId,
    /// The compared form of its username.
    pub username_key: Option<String>,
    /// The compared form of its address.
    pub email_key: Option<String>,
    /// Its password's hash.
    pub password_hash: String,
}

impl Store {
    /// The accounts with any of these names: at most [`IMPORT_ROWS_MAX`] of each kind.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn accounts_named(
        &self,
        username_keys: &[String],
        email_keys: &[String],
    ) -> Result<Vec<ExistingAccount>, DbError> {
        const SELECT: &str = "SELECT id, username_key, email_key, password_hash FROM users WHERE ";
        let by_username = sql!(SELECT, "username_key IN (", PLACEHOLDERS, ")");
        let by_email = sql!(SELECT, "email_key IN (", PLACEHOLDERS, ")");
        let mut accounts = self.accounts_in(by_username, username_keys).await?;
        accounts.extend(self.accounts_in(by_email, email_keys).await?);
        accounts.sort_unstable_by_key(|account| account.id.0);
        accounts.dedup_by_key(|account| account.id);
        Ok(accounts)
    }

    async fn accounts_in(
        &self,
        select: Statement,
        keys: &[String],
    ) -> Result<Vec<ExistingAccount>, DbError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = self.db.read(select);
        // NULL is in no list.
        for place in 0..IMPORT_ROWS_MAX {
            query = query.bind(keys.get(place).map(String::as_str));
        }
        let existing = |row: &Row| {
            Ok(ExistingAccount {
                id: UserId(row.get("id")?),
                username_key: row.get("username_key")?,
                email_key: row.get("email_key")?,
                password_hash: row.get("password_hash")?,
            })
        };
        query.fetch_all().await?.iter().map(existing).collect()
    }

    /// Stores accounts, all or none, each with the event that tells of it.
    ///
    /// # Errors
    /// A unique violation where another account has one of their names.
    pub async fn insert_imported(
        &self,
        rows: &[ImportedRow<'_>],
        now: Timestamp,
    ) -> Result<(), DbError> {
        if rows.is_empty() {
            return Ok(());
        }
        let insert = sql!(
            "INSERT INTO users (username, username_key, email, email_key, name, password_hash, \
             roles, disabled, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        );
        transaction!(self.db, |tx| {
            let mut events = Vec::with_capacity(rows.len());
            for row in rows {
                let id = tx
                    .query(insert)
                    .bind(row.username.map(Username::as_str))
                    .bind(row.username.map(Username::key))
                    .bind(row.email.map(Email::as_str))
                    .bind(row.email.map(Email::key))
                    .bind(row.name.as_str())
                    .bind(row.password_hash)
                    .bind(row.roles.bits())
                    .bind(row.disabled)
                    .bind(row.created_at.micros())
                    .bind(now.micros())
                    .insert()
                    .await?;
                events.push(NewEvent {
                    detail: IMPORTED.to_owned(),
                    ..NewEvent::new(EventType::Registered, Some(UserId(id)))
                });
            }
            self.append_events(tx, now, &events).await
        })
    }

    /// Whether an account was imported.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn was_imported(&self, id: UserId) -> Result<bool, DbError> {
        let select = sql!(
            "SELECT sequence FROM events WHERE user_id = ? AND type = ? AND detail = ? LIMIT 1"
        );
        let query = self.db.read(select).bind(id.0).bind(EventType::Registered.as_str());
        Ok(query.bind(IMPORTED).fetch_optional().await?.is_some())
    }
}
