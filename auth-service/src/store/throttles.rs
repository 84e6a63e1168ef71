//! Table `password_reset_throttles`: what may happen only so often.

use std::time::Duration;

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use super::password_resets::Tag;

/// What may happen only so often in a window of time.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// What, and to whom.
    pub key: Tag,
    /// How often.
    pub hits_max: u32,
    /// How long, from the first time on.
    pub window: Duration,
}

/// Counts one more; tells until when it is one too many. Whoever counts the first one at the same
/// time as another gets a unique violation: run the transaction again.
pub(super) async fn hit(
    tx: &mut Tx,
    throttle: &Throttle,
    now: Timestamp,
) -> Result<Option<Timestamp>, DbError> {
    // MySQL assigns from left to right: `hits` must still see the old end.
    let count = sql!(
        "UPDATE password_reset_throttles \
             SET hits = CASE WHEN ends_at > ? THEN hits + 1 ELSE 1 END, \
             ends_at = CASE WHEN ends_at > ? THEN ends_at ELSE ? END WHERE throttle_key = ?"
    );
    let ends_at = now + throttle.window;
    let counted = tx
        .query(count)
        .bind(now.micros())
        .bind(now.micros())
        .bind(ends_at.micros())
        .bind(throttle.key.as_slice())
        .execute()
        .await?;
    if counted == 0 {
        let insert = sql!(
            "INSERT INTO password_reset_throttles (throttle_key, hits, ends_at) VALUES (?, 1, ?)"
        );
        let query = tx.query(insert).bind(throttle.key.as_slice()).bind(ends_at.micros());
        query.execute().await?;
    }
    let select = sql!("SELECT hits, ends_at FROM password_reset_throttles WHERE throttle_key = ?");
    let row = tx.query(select).bind(throttle.key.as_slice()).fetch_one().await?;
    let is_one_too_many = row.get::<i64, _>("hits")? > i64::from(throttle.hits_max);
    let ends_at = Timestamp::from_micros(row.get("ends_at")?);
    Ok(is_one_too_many.then_some(ends_at))
}
