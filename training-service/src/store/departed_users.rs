//! Table `departed_users`: whose accounts were deleted of late.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use super::{
    expiring::{Expiring, expiring},
    user_locks,
};
use crate::model::UserId;

/// Those who are noted, by age.
pub(crate) const DEPARTED_USERS: Expiring = expiring!("departed_users", "departed_at");

/// Notes that a user is gone. Once this is committed, so is every registration that the user will
/// ever have: it waits for those that are under way, and those that come later find it
/// ([`super::events::append_registration`]). So it is with the key of the calendar ([`has`]).
///
/// # Errors
/// A violated unique key where it is noted already.
pub(crate) async fn insert(tx: &mut Tx, user_id: UserId, now: Timestamp) -> Result<(), DbError> {
    user_locks::lock(tx, user_id).await?;
    let insert = sql!("INSERT INTO departed_users (user_id, departed_at) VALUES (?, ?)");
    tx.query(insert).bind(user_id.0).bind(now.micros()).execute().await.map(drop)
}

/// Whether it is noted that a user is gone. Whoever notes it waits until the transaction ends;
/// whatever else it locks, it locks afterwards.
pub(crate) async fn has(tx: &mut Tx, user_id: UserId) -> Result<bool, DbError> {
    user_locks::lock(tx, user_id).await?;
    let select = sql!("SELECT user_id FROM departed_users WHERE user_id = ?");
    Ok(tx.query(select).bind(user_id.0).fetch_optional().await?.is_some())
}
