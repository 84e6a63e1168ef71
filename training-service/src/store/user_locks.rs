//! Table `user_locks`: so that whoever gives a user something and whoever notes that the user is
//! gone come one after the other.

use service_kit::{
    db::{DbError, Tx},
    sql,
};

use crate::model::UserId;

/// Rows of the table. Users whose ids are the same modulo this share one.
const SLOTS: i64 = 1024;

/// Locks the user until the transaction ends. It is the first lock of a transaction, and the only
/// one of its kind: whoever waits for it holds no other lock, so that there is no deadlock.
pub(crate) async fn lock(tx: &mut Tx, user_id: UserId) -> Result<(), DbError> {
    let select = sql!("SELECT slot FROM user_locks WHERE slot = ? FOR UPDATE");
    tx.query(select).bind(user_id.0.rem_euclid(SLOTS)).lock().await
}
