//! Table `training_events`: what happened. No event is ever changed; old ones are deleted.
//!
//! The database numbers them. Whoever writes an event of a program has its row locked, so that the
//! events of one program are in the order of their commits; others may be committed in another
//! order than that of their numbers.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use super::expiring::{Expiring, expiring};
use crate::model::{EventType, NewEvent, ProgramId, RegistrationId, UserId};

/// The events, by age.
pub(crate) const EVENTS: Expiring = expiring!("training_events", "time");

/// Writes an event.
pub(crate) async fn append(tx: &mut Tx, time: Timestamp, event: NewEvent) -> Result<(), DbError> {
    let insert = sql!(
        "INSERT INTO training_events \
         (time, type, program_id, registration_id, user_id, actor_id) VALUES (?, ?, ?, ?, ?, ?)"
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

/// Writes that the transaction, which has locked the user ([`super::user_locks::lock`]), has made
/// the registration `id`. `false`, and nothing is written, where the user's account was deleted:
/// the transaction has to be undone then.
pub(crate) async fn append_registration(
    tx: &mut Tx,
    event_type: EventType,
    id: RegistrationId,
) -> Result<bool, DbError> {
    let insert = sql!(
        "INSERT INTO training_events \
         (time, type, program_id, registration_id, user_id, actor_id) \
         SELECT r.registered_at, ?, r.program_id, r.id, r.user_id, r.user_id \
         FROM registrations r WHERE r.id = ? AND NOT EXISTS \
         (SELECT d.user_id FROM departed_users d WHERE d.user_id = r.user_id)"
    );
    Ok(tx.query(insert).bind(event_type.as_str()).bind(id.0).execute().await? == 1)
}

/// Writes that the registrations that wait for `program_id` with tickets up to `last_ticket` have
/// seats now, in the order of their tickets: in one statement, for a program that grows may have
/// thousands.
pub(super) async fn append_promotions(
    tx: &mut Tx,
    time: Timestamp,
    (program_id, last_ticket): (ProgramId, i64),
    actor_id: Option<UserId>,
) -> Result<(), DbError> {
    let insert = sql!(
        "INSERT INTO training_events \
         (time, type, program_id, registration_id, user_id, actor_id) \
         SELECT ?, ?, program_id, id, user_id, ? FROM registrations \
         WHERE program_id = ? AND waitlist_ticket <= ? ORDER BY waitlist_ticket"
    );
    tx.query(insert)
        .bind(time.micros())
        .bind(EventType::Promoted.as_str())
        .bind(actor_id.map(|id| id.0))
        .bind(program_id.0)
        .bind(last_ticket)
        .execute()
        .await
        .map(drop)
}
