//! Table `auth_events_cursor`: up to where the events of auth-service have been dealt with.

use service_kit::{
    db::{Db, DbError},
    sql,
};

/// The number of the last event that was dealt with; 0 for none.
pub(crate) async fn cursor(db: &Db) -> Result<i64, DbError> {
    let select = sql!("SELECT sequence FROM auth_events_cursor WHERE id = 1");
    db.read(select).fetch_one().await?.get("sequence")
}

/// Moves the cursor on; it never goes back, whatever other replicas do.
pub(crate) async fn advance(db: &Db, sequence: i64) -> Result<(), DbError> {
    let update = sql!("UPDATE auth_events_cursor SET sequence = ? WHERE id = 1 AND sequence < ?");
    db.write(update).bind(sequence).bind(sequence).execute().await.map(drop)
}

/// Sets the cursor to the beginning, unless it is no longer at `sequence`.
pub(crate) async fn reset(db: &Db, sequence: i64) -> Result<(), DbError> {
    let update = sql!("UPDATE auth_events_cursor SET sequence = 0 WHERE id = 1 AND sequence = ?");
    db.write(update).bind(sequence).execute().await.map(drop)
}
