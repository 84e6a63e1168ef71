//! Table `register_requests`: which `request_id` made which account.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use super::{
    Store,
    password_resets::Tag,
    users::{COLUMNS, user},
};
use crate::model::{User, UserId};

/// What is stored of a request: keyed hashes, of nothing that is a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterRequestTags {
    /// Of its id.
    pub key: Tag,
    /// Of all else.
    pub body_hash: Tag,
}

/// A request that was carried out, and what it made.
#[derive(Clone, Debug)]
pub struct EarlierRegistration {
    /// Of all but its id and the password.
    pub body_hash: Vec<u8>,
    /// When it was.
    pub created_at: Timestamp,
    /// The account, as it is now.
    pub user: User,
    /// The hash of its password.
    pub password_hash: String,
}

impl RegisterRequestTags {
    /// Notes what the request made.
    ///
    /// # Errors
    /// A unique violation where there is one with this id.
    pub(super) async fn insert(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let insert = sql!(
            "INSERT INTO register_requests (request_key, body_hash, user_id, created_at) \
             VALUES (?, ?, ?, ?)"
        );
        let query = tx.query(insert).bind(self.key.as_slice()).bind(self.body_hash.as_slice());
        query.bind(user_id.0).bind(now.micros()).execute().await.map(drop)
    }
}

impl Store {
    /// The request with this id, expired or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn register_request(
        &self,
        key: &Tag,
    ) -> Result<Option<EarlierRegistration>, DbError> {
        let select = sql!(
            "SELECT ",
            COLUMNS,
            ", body_hash, register_requests.created_at AS requested_at \
             FROM register_requests JOIN users ON users.id = user_id WHERE request_key = ?"
        );
        let row = self.db.read(select).bind(key.as_slice()).fetch_optional().await?;
        row.map(|row| {
            Ok(EarlierRegistration {
                body_hash: row.get("body_hash")?,
                created_at: Timestamp::from_micros(row.get("requested_at")?),
                user: user(&row)?,
                password_hash: row.get("password_hash")?,
            })
        })
        .transpose()
    }

    /// Deletes the request with this id if it was made until `end`: a younger one may have taken
    /// its place since it was read.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_register_request(&self, key: &Tag, end: Timestamp) -> Result<(), DbError> {
        let delete =
            sql!("DELETE FROM register_requests WHERE request_key = ? AND created_at <= ?");
        let query = self.db.write(delete).bind(key.as_slice()).bind(end.micros());
        query.execute().await.map(drop)
    }

    /// Deletes requests made until `end`, the oldest first, about `limit` of them; returns how
    /// many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_register_requests(
        &self,
        end: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        // A LIMIT on DELETE is MySQL's alone, so a batch ends at an instant.
        let last = sql!(
            "SELECT created_at FROM register_requests WHERE created_at <= ? ORDER BY created_at \
             LIMIT 1 OFFSET ?"
        );
        let last = self.db.read(last).bind(end.micros()).bind(limit).fetch_optional().await?;
        let last = last.as_ref().map_or(Ok(end.micros()), |row| row.get(0))?;
        let delete = sql!("DELETE FROM register_requests WHERE created_at <= ?");
        self.db.write(delete).bind(last).execute().await
    }
}
