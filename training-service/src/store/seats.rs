//! The seats of a program and the queue for them.
//!
//! The row of the program holds how many are taken and how many registrations wait, and is the
//! lock of its registrations: a transaction that makes or changes one of them updates that row
//! first ([`take`], [`lock`]), so that all of them come one after the other, and the order of
//! commits is the order of the queue. A place in the queue is the number of tickets up to one's
//! own, so that nobody has to be moved up.

use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    sql,
};

use super::{
    events, notices,
    programs::{OPEN, training},
    registrations::CONFIRMED,
};
use crate::model::{Program, ProgramId, RegistrationId, Status, Training, UserId};

/// Of a program with a seat for whoever comes next: nobody overtakes those who wait, so that after
/// [`take`] the queue is empty if it gave a seat, and only then.
const HAS_SEAT: &str = "waitlist_length = 0 AND (capacity = 0 OR seats_taken < capacity)";

/// What [`take`] reads of the program when it has taken something.
const TAKEN: &str = "sport, training_level, waitlist_length, tickets_given";

/// Locks the program until the transaction ends; `false` where there is none.
pub(crate) async fn lock(tx: &mut Tx, id: ProgramId) -> Result<bool, DbError> {
    let lock = sql!("UPDATE programs SET tickets_given = tickets_given WHERE id = ?");
    Ok(tx.query(lock).bind(id.0).execute().await? == 1)
}

/// What someone gets who registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A seat.
    Seat,
    /// The end of the queue.
    Waiting {
        ticket: i64,
        /// From 1.
        position: i64,
    },
}

/// Takes a seat of the program, or a place at the end of the queue, and locks the program until
/// the transaction ends. With what is trained there. `None`, and nothing is locked, where one
/// cannot register for it now: those who come too late hold up nobody.
pub(crate) async fn take(
    tx: &mut Tx,
    id: ProgramId,
    now: Timestamp,
) -> Result<Option<(Training, Place)>, DbError> {
    // MySQL sets one column after the other and sees what it has set: so what `HAS_SEAT` looks at
    // is only set where that makes no difference, or last.
    let take = sql!(
        "UPDATE programs SET \
         waitlist_length = waitlist_length + CASE WHEN ",
        HAS_SEAT,
        " THEN 0 ELSE 1 END, tickets_given = tickets_given + CASE WHEN ",
        HAS_SEAT,
        " THEN 0 ELSE 1 END, seats_taken = seats_taken + CASE WHEN ",
        HAS_SEAT,
        " THEN 1 ELSE 0 END WHERE id = ? AND ",
        OPEN,
        " RETURNING ",
        TAKEN
    );
    let taken = sql!("SELECT ", TAKEN, " FROM programs WHERE id = ?");
    let query = tx.query(take).bind(id.0).bind(now.micros()).bind(now.micros());
    let Some(row) = query.fetch_updated(taken, id.0).await? else { return Ok(None) };
    let place = match row.get("waitlist_length")? {
        0 => Place::Seat,
        position => Place::Waiting { ticket: row.get("tickets_given")?, position },
    };
    Ok(Some((training(&row)?, place)))
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
    events::append_promotions(tx, now, (program.id, last_ticket), actor_id).await?;
    let seated = sql!(
        "UPDATE registrations SET status = '",
        CONFIRMED,
        "', waitlist_ticket = NULL, seated_at = ? \
         WHERE program_id = ? AND waitlist_ticket <= ?"
    );
    let query = tx.query(seated).bind(now.micros()).bind(program.id.0);
    query.bind(last_ticket).execute().await?;
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
