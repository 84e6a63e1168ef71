//! Table `registration_requests`: which `request_id` made which registration.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Tx},
    sql,
};

use super::registrations::{COLUMNS, registration};
use crate::model::{Registration, RequestId, UserId};

/// About how many rows one statement deletes, so that none holds up other writers for long.
const BATCH_ROWS: i64 = 500;

/// A request that was carried out.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// Of the request but for its id.
    pub(crate) fingerprint: Vec<u8>,
    /// When it was.
    pub(crate) created_at: Timestamp,
    /// What it made.
    pub(crate) registration: Registration,
}

/// The user's request with this id, expired or not.
pub(crate) async fn find(
    tx: &mut Tx,
    user_id: UserId,
    request_id: &RequestId,
) -> Result<Option<Earlier>, DbError> {
    let statement = sql!(
        "SELECT q.fingerprint, q.created_at, ",
        COLUMNS,
        " FROM registration_requests q JOIN registrations r ON r.id = q.registration_id \
         WHERE q.user_id = ? AND q.request_id = ?"
    );
    let row =
        tx.query(statement).bind(user_id.0).bind(request_id.as_str()).fetch_optional().await?;
    row.map(|row| {
        Ok(Earlier {
            fingerprint: row.get("fingerprint")?,
            created_at: Timestamp::from_micros(row.get("created_at")?),
            registration: registration(&row)?,
        })
    })
    .transpose()
}

/// Notes that `request_id` made `registration`.
///
/// # Errors
/// A violated unique key where the user has a request with this id.
pub(crate) async fn insert(
    tx: &mut Tx,
    request_id: &RequestId,
    fingerprint: &[u8],
    registration: &Registration,
) -> Result<(), DbError> {
    let statement = sql!(
        "INSERT INTO registration_requests \
         (user_id, request_id, fingerprint, registration_id, created_at) VALUES (?, ?, ?, ?, ?)"
    );
    tx.query(statement)
        .bind(registration.user_id.0)
        .bind(request_id.as_str())
        .bind(fingerprint)
        .bind(registration.id.0)
        .bind(registration.registered_at.micros())
        .execute()
        .await
        .map(drop)
}

/// Deletes the user's request with this id if it was made until `end`: a younger one may have
/// taken its place since it was read.
pub(crate) async fn delete_until(
    tx: &mut Tx,
    user_id: UserId,
    request_id: &RequestId,
    end: Timestamp,
) -> Result<(), DbError> {
    let statement = sql!(
        "DELETE FROM registration_requests \
         WHERE user_id = ? AND request_id = ? AND created_at <= ?"
    );
    tx.query(statement)
        .bind(user_id.0)
        .bind(request_id.as_str())
        .bind(end.micros())
        .execute()
        .await
        .map(drop)
}

/// Deletes all requests made until `end`, and tells how many they were.
pub(crate) async fn delete_all_until(db: &Db, end: Timestamp) -> Result<u64, DbError> {
    let next = sql!(
        "SELECT created_at FROM registration_requests \
         WHERE created_at <= ? ORDER BY created_at LIMIT 1 OFFSET ?"
    );
    let delete = sql!("DELETE FROM registration_requests WHERE created_at <= ?");
    let mut deleted = 0;
    loop {
        // A LIMIT on DELETE is MySQL's alone, so a batch ends at an instant.
        let next = db.read(next).bind(end.micros()).bind(BATCH_ROWS).fetch_optional().await?;
        let batch_end = next.as_ref().map_or(Ok(end.micros()), |row| row.get(0))?;
        deleted += db.write(delete).bind(batch_end).execute().await?;
        if next.is_none() {
            return Ok(deleted);
        }
    }
}
