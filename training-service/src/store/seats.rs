//! The seats of a program and the queue for them.
//!
//! The row of the program holds how many are taken and how many registrations wait, and is the
//! lock of its registrations: a transaction that changes one of them locks that row first
//! ([`lock`], [`lock_open`]), so that all of them come one after the other, and the order of
//! commits is the order of the queue. A place in the queue is the number of tickets up to one's
//! own, so that nobody has to be moved up.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use super::{events, notices, programs::OPEN};
use crate::model::{Program, ProgramId, RegistrationId, Status, UserId};

/// Locks the program until the transaction ends; `false` where there is none.
pub(crate) async fn lock(tx: &mut Tx, id: ProgramId) -> Result<bool, DbError> {
    let lock = sql!("UPDATE programs SET tickets_given = tickets_given WHERE id = ?");
    Ok(tx.query(lock).bind(id.0).execute().await? == 1)
}

/// As [`lock`], unless one cannot register for it now: those who come too late hold up nobody.
pub(crate) async fn lock_open(tx: &mut Tx, id: ProgramId, now: Timestamp) -> Result<bool, DbError> {
    let lock = sql!("UPDATE programs SET tickets_given = tickets_given WHERE id = ? AND ", OPEN);
    let query = tx.query(lock).bind(id.0).bind(now.micros()).bind(now.micros());
    Ok(query.execute().await? == 1)
}

/// What someone gets who registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A seat.
    Seat,
    /// The end of the queue, with this ticket.
    Waiting(i64),
}

/// Takes a seat of the locked program, or a place at the end of the queue.
pub(crate) async fn take(tx: &mut Tx, id: ProgramId) -> Result<Place, DbError> {
    let seat = sql!(
        "UPDATE programs SET seats_taken = seats_taken + 1 \
         WHERE id = ? AND (capacity = 0 OR seats_taken < capacity)"
    );
    if tx.query(seat).bind(id.0).execute().await? == 1 {
        return Ok(Place::Seat);
    }
    let wait = sql!(
        "UPDATE programs \
         SET waitlist_length = waitlist_length + 1, tickets_given = tickets_given + 1 \
         WHERE id = ?"
    );
    tx.query(wait).bind(id.0).execute().await?;
    let ticket = sql!("SELECT tickets_given FROM programs WHERE id = ?");
    Ok(Place::Waiting(tx.query(ticket).bind(id.0).fetch_one().await?.get("tickets_given")?))
}

/// Gives back what a registration for the locked program had while its status was `status`.
pub(crate) async fn give_back(
    tx: &mut Tx,
    id: ProgramId,
    status: Status,
    now: Timestamp,
) -> Result<(), DbError> {
    let query = match status {
        Status::Confirmed => {
            tx.query(sql!("UPDATE programs SET seats_taken = seats_taken - 1 WHERE id = ?"))
        }
        Status::Waitlisted => tx
            .query(sql!(
                "UPDATE programs SET waitlist_length = waitlist_length - 1, \
                 waitlist_moved_at = ? WHERE id = ?"
            ))
            .bind(now.micros()),
        Status::Cancelled => return Ok(()),
    };
    query.bind(id.0).execute().await.map(drop)
}

/// A registration that waited and has a seat now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promoted {
    pub(crate) registration_id: RegistrationId,
    pub(crate) user_id: UserId,
}

/// Gives the free seats of the locked program, read after all else that the transaction does to
/// it, to the head of the queue, and notes that they have to be told.
pub(crate) async fn promote(
    tx: &mut Tx,
    program: &Program,
    actor_id: Option<UserId>,
    now: Timestamp,
) -> Result<Vec<Promoted>, DbError> {
    let seats = program.details.capacity.free(program.seats_taken, program.waitlist_length);
    if seats <= 0 {
        return Ok(Vec::new());
    }
    let head = sql!(
        "SELECT id, user_id, waitlist_ticket FROM registrations \
         WHERE program_id = ? AND waitlist_ticket IS NOT NULL ORDER BY waitlist_ticket LIMIT ?"
    );
    let head = tx.query(head).bind(program.id.0).bind(seats).fetch_all().await?;
    let Some(last) = head.last() else { return Ok(Vec::new()) };
    let last_ticket: i64 = last.get("waitlist_ticket")?;

    notices::add_promotions(tx, program.id, last_ticket).await?;
    events::append_promotions(tx, now, (program.id, last_ticket, seats), actor_id).await?;
    let seated = sql!(
        "UPDATE registrations SET status = ?, waitlist_ticket = NULL, seated_at = ? \
         WHERE program_id = ? AND waitlist_ticket <= ?"
    );
    tx.query(seated)
        .bind(Status::Confirmed.as_str())
        .bind(now.micros())
        .bind(program.id.0)
        .bind(last_ticket)
        .execute()
        .await?;
    let counted = sql!(
        "UPDATE programs \
         SET seats_taken = seats_taken + ?, waitlist_length = waitlist_length - ?, \
         waitlist_moved_at = ? WHERE id = ?"
    );
    let query = tx.query(counted).bind(seats).bind(seats).bind(now.micros());
    query.bind(program.id.0).execute().await?;
    head.iter()
        .map(|row| {
            Ok(Promoted {
                registration_id: RegistrationId(row.get("id")?),
                user_id: UserId(row.get("user_id")?),
            })
        })
        .collect()
}
