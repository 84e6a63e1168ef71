//! Table `calendar_keys`: what the keys of calendars hash to.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Tx},
    sql,
};

use crate::model::UserId;

/// Gives the user, whom the transaction has locked, the key that hashes to `hash`, in place of any
/// other.
pub(crate) async fn replace(
    tx: &mut Tx,
    user_id: UserId,
    hash: &[u8],
    now: Timestamp,
) -> Result<(), DbError> {
    let update = sql!("UPDATE calendar_keys SET key_hash = ?, created_at = ? WHERE user_id = ?");
    let query = tx.query(update).bind(hash).bind(now.micros()).bind(user_id.0);
    if query.execute().await? == 1 {
        return Ok(());
    }
    let insert = sql!("INSERT INTO calendar_keys (user_id, key_hash, created_at) VALUES (?, ?, ?)");
    let query = tx.query(insert).bind(user_id.0).bind(hash).bind(now.micros());
    query.execute().await.map(drop)
}

/// Takes the user's key away, if there is one.
pub(crate) async fn delete(db: &Db, user_id: UserId) -> Result<(), DbError> {
    let delete = sql!("DELETE FROM calendar_keys WHERE user_id = ?");
    db.write(delete).bind(user_id.0).execute().await.map(drop)
}

/// Whose key hashes to `hash`.
pub(crate) async fn owner(db: &Db, hash: &[u8]) -> Result<Option<UserId>, DbError> {
    let select = sql!("SELECT user_id FROM calendar_keys WHERE key_hash = ?");
    let row = db.read(select).bind(hash).fetch_optional().await?;
    row.map(|row| row.get("user_id").map(UserId)).transpose()
}
