//! Tables `registration_requests` and `program_requests`: which `request_id` made what.

use service_kit::{
    Timestamp,
    db::{DbError, Statement, Tx},
    sql,
};

use super::expiring::{Expiring, expiring};
use crate::model::{RequestId, UserId};

/// The statements of one of the tables.
#[derive(Debug)]
pub(crate) struct Requests {
    find: Statement,
    insert: Statement,
    delete: Statement,
    /// All of them, by age.
    pub(crate) expiring: Expiring,
}

macro_rules! requests {
    ($table:literal, $made:literal) => {
        Requests {
            find: sql!(
                "SELECT fingerprint, created_at, ",
                $made,
                " AS made_id FROM ",
                $table,
                " WHERE user_id = ? AND request_id = ?"
            ),
            insert: sql!(
                "INSERT INTO ",
                $table,
                " (user_id, request_id, fingerprint, created_at, ",
                $made,
                ") VALUES (?, ?, ?, ?, ?)"
            ),
            delete: sql!(
                "DELETE FROM ",
                $table,
                " WHERE user_id = ? AND request_id = ? AND created_at <= ?"
            ),
            expiring: expiring!($table, "created_at"),
        }
    };
}

/// What made registrations.
pub(crate) const FOR_REGISTRATIONS: Requests =
    requests!("registration_requests", "registration_id");
/// What made programs.
pub(crate) const FOR_PROGRAMS: Requests = requests!("program_requests", "program_id");

/// A request that was carried out.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// Of the request but for its id.
    pub(crate) fingerprint: Vec<u8>,
    /// When it was.
    pub(crate) created_at: Timestamp,
    /// The id of what it made.
    pub(crate) made_id: i64,
}

impl Requests {
    /// The user's request with this id, expired or not.
    pub(crate) async fn find(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        request_id: &RequestId,
    ) -> Result<Option<Earlier>, DbError> {
        let query = tx.query(self.find).bind(user_id.0).bind(request_id.as_str());
        let row = query.fetch_optional().await?;
        row.map(|row| {
            Ok(Earlier {
                fingerprint: row.get("fingerprint")?,
                created_at: Timestamp::from_micros(row.get("created_at")?),
                made_id: row.get("made_id")?,
            })
        })
        .transpose()
    }

    /// Notes what the user's request made.
    ///
    /// # Errors
    /// A violated unique key where the user has a request with this id.
    pub(crate) async fn insert(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        request_id: &RequestId,
        made: &Earlier,
    ) -> Result<(), DbError> {
        tx.query(self.insert)
            .bind(user_id.0)
            .bind(request_id.as_str())
            .bind(&*made.fingerprint)
            .bind(made.created_at.micros())
            .bind(made.made_id)
            .execute()
            .await
            .map(drop)
    }

    /// Deletes the user's request with this id if it was made until `end`: a younger one may have
    /// taken its place since it was read.
    pub(crate) async fn delete_until(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        request_id: &RequestId,
        end: Timestamp,
    ) -> Result<(), DbError> {
        let query = tx.query(self.delete).bind(user_id.0).bind(request_id.as_str());
        query.bind(end.micros()).execute().await.map(drop)
    }
}
