//! Tables `training_events` and `event_counter`: what happened, in the order in which it was
//! committed. Nothing in them is ever changed.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use crate::model::{EventType, NewEvent, ProgramId, UserId};

/// Writes an event. From here on the transaction holds the counter, so that numbers are given out
/// in the order of commits: whatever else it locks, it locks before.
pub(crate) async fn append(tx: &mut Tx, time: Timestamp, event: NewEvent) -> Result<(), DbError> {
    take_numbers(tx, 1).await?;
    let insert = sql!(
        "INSERT INTO training_events \
         (sequence, time, type, program_id, registration_id, user_id, actor_id) \
         SELECT last, ?, ?, ?, ?, ?, ? FROM event_counter WHERE id = 1"
    );
    tx.query(insert)
        .bind(time.micros())
        .bind(event.event_type.as_str())
        .bind(event.program_id.map(|id| id.0))
        .bind(event.registration.map(|(id, _)| id.0))
        .bind(event.registration.map(|(_, user_id)| user_id.0))
        .bind(event.actor_id.map(|id| id.0))
        .execute()
        .await
        .map(drop)
}

/// Writes that the `count` registrations that wait for `program_id` with tickets up to
/// `last_ticket` have seats now, in the order of their tickets: in one statement, for a program
/// that grows may have thousands.
pub(super) async fn append_promotions(
    tx: &mut Tx,
    time: Timestamp,
    (program_id, last_ticket, count): (ProgramId, i64, i64),
    actor_id: Option<UserId>,
) -> Result<(), DbError> {
    take_numbers(tx, count).await?;
    let insert = sql!(
        "INSERT INTO training_events \
         (sequence, time, type, program_id, registration_id, user_id, actor_id) \
         SELECT c.last - ? + COUNT(*) OVER (ORDER BY r.waitlist_ticket), \
         ?, ?, r.program_id, r.id, r.user_id, ? \
         FROM registrations r CROSS JOIN event_counter c \
         WHERE c.id = 1 AND r.program_id = ? AND r.waitlist_ticket <= ?"
    );
    tx.query(insert)
        .bind(count)
        .bind(time.micros())
        .bind(EventType::Promoted.as_str())
        .bind(actor_id.map(|id| id.0))
        .bind(program_id.0)
        .bind(last_ticket)
        .execute()
        .await
        .map(drop)
}

async fn take_numbers(tx: &mut Tx, count: i64) -> Result<(), DbError> {
    let take = sql!("UPDATE event_counter SET last = last + ? WHERE id = 1");
    tx.query(take).bind(count).execute().await.map(drop)
}
