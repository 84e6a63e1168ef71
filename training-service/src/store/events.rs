//! Tables `training_events` and `event_counter`: what happened, in the order in which it was
//! committed. No event is ever changed; old ones are deleted.

use service_kit::{
    Timestamp,
    db::{DbError, Query, Tx},
    sql,
};

use super::expiring::{Expiring, expiring};
use crate::model::{EventType, NewEvent, ProgramId, RegistrationId, UserId};

/// The events, by age.
pub(crate) const EVENTS: Expiring = expiring!("training_events", "time");

/// Writes the event with the number that was taken last.
const INSERT: &str = "INSERT INTO training_events \
    (sequence, time, type, program_id, registration_id, user_id, actor_id) \
    SELECT last, ?, ?, ?, ?, ?, ? FROM event_counter WHERE id = 1";

/// Writes an event. From here on the transaction holds the counter, so that numbers are given out
/// in the order of commits: whatever else it locks, it locks before.
pub(crate) async fn append(tx: &mut Tx, time: Timestamp, event: NewEvent) -> Result<(), DbError> {
    take_numbers(tx, 1).await?;
    bind(tx.query(sql!(INSERT)), time, event).execute().await.map(drop)
}

/// Writes as [`append`] does that a user has made a registration. `false`, and nothing is
/// written, where the user's account was deleted: the transaction has to be undone then.
pub(crate) async fn append_registration(
    tx: &mut Tx,
    time: Timestamp,
    event_type: EventType,
    program_id: Option<ProgramId>,
    (id, user_id): (RegistrationId, UserId),
) -> Result<bool, DbError> {
    take_numbers(tx, 1).await?;
    // Read only now: whoever notes that an account is deleted holds the counter, too.
    let insert =
        sql!(INSERT, " AND NOT EXISTS (SELECT user_id FROM departed_users WHERE user_id = ?)");
    let registration = Some((id, user_id));
    let event = NewEvent { event_type, program_id, registration, actor_id: Some(user_id) };
    Ok(bind(tx.query(insert), time, event).bind(user_id.0).execute().await? == 1)
}

fn bind(query: Query<'_>, time: Timestamp, event: NewEvent) -> Query<'_> {
    query
        .bind(time.micros())
        .bind(event.event_type.as_str())
        .bind(event.program_id.map(|id| id.0))
        .bind(event.registration.map(|(id, _)| id.0))
        .bind(event.registration.map(|(_, user_id)| user_id.0))
        .bind(event.actor_id.map(|id| id.0))
}

/// Waits for all transactions that have written an event and are not committed, and lets no other
/// one write any until this one ends.
pub(super) async fn lock(tx: &mut Tx) -> Result<(), DbError> {
    take_numbers(tx, 0).await
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
