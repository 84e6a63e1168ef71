//! Table `registrations`.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Query, Row, Statement, Tx},
    page::Page,
    sql,
};

use super::seats::Place;
use crate::model::{
    Attendance, Participation, ProgramId, Registration, RegistrationId, Sport, Status,
    StatusCounts, Training, TrainingLevel, UserId,
};

/// The columns that [`registration`] reads, of the table under the name `r`, but for the place in
/// the queue.
const COLUMNS: &str = "r.id, r.user_id, r.sport, r.training_level, r.registered_at, r.program_id, r.status, \
     r.attendance, ";

/// The place in the queue: a look into the index for each row.
pub(super) const POSITION: &str = "(SELECT COUNT(*) FROM registrations w WHERE w.program_id = r.program_id \
    AND w.waitlist_ticket <= r.waitlist_ticket) AS waitlist_position";

/// The words of statuses as statements have them: constants, so that SQLite can tell when it plans
/// a statement, and not each time that it runs, whether an index of some rows alone will do
/// (`registrations_live`).
pub(super) const CONFIRMED: &str = Status::Confirmed.as_str();
pub(super) const CANCELLED: &str = Status::Cancelled.as_str();

const FIND: Statement = sql!("SELECT ", COLUMNS, POSITION, " FROM registrations r WHERE r.id = ?");

/// Adds a registration, and returns it.
///
/// # Errors
/// A violated unique key where the user has one for the program that has not ended.
pub(crate) async fn insert(
    tx: &mut Tx,
    user_id: UserId,
    training: Training,
    program: Option<(ProgramId, Place)>,
    now: Timestamp,
) -> Result<Registration, DbError> {
    let insert = sql!(
        "INSERT INTO registrations (user_id, sport, training_level, registered_at, status, \
         program_id, waitlist_ticket) VALUES (?, ?, ?, ?, ?, ?, ?)"
    );
    let (status, ticket, waitlist_position) = match program {
        Some((_, Place::Waiting { ticket, position })) => {
            (Status::Waitlisted, Some(ticket), position)
        }
        Some((_, Place::Seat)) | None => (Status::Confirmed, None, 0),
    };
    let program_id = program.map(|(program_id, _)| program_id);
    let query = tx
        .query(insert)
        .bind(user_id.0)
        .bind(training.sport.as_str().to_owned())
        .bind(training.level.as_str().to_owned())
        .bind(now.micros())
        .bind(status.as_str())
        .bind(program_id.map(|id| id.0))
        .bind(ticket);
    Ok(Registration {
        id: RegistrationId(query.insert().await?),
        user_id,
        training,
        registered_at: now,
        program_id,
        status,
        waitlist_position,
        attendance: None,
    })
}

/// Ends a registration that has this status; `false` where it has another one.
pub(crate) async fn end(tx: &mut Tx, id: RegistrationId, status: Status) -> Result<bool, DbError> {
    let end = sql!(
        "UPDATE registrations SET status = '",
        CANCELLED,
        "', waitlist_ticket = NULL WHERE id = ? AND status = ?"
    );
    Ok(tx.query(end).bind(id.0).bind(status.as_str()).execute().await? == 1)
}

/// Notes whether the participant came; `None` takes the note back.
pub(crate) async fn set_attendance(
    tx: &mut Tx,
    id: RegistrationId,
    attendance: Option<Attendance>,
) -> Result<(), DbError> {
    let set = sql!("UPDATE registrations SET attendance = ? WHERE id = ?");
    tx.query(set).bind(attendance.map(Attendance::as_str)).bind(id.0).execute().await.map(drop)
}

/// The registration `id`.
pub(crate) async fn find(db: &Db, id: RegistrationId) -> Result<Option<Registration>, DbError> {
    find_with(db.read(FIND), id).await
}

/// As [`find`], in a transaction.
pub(crate) async fn find_in(
    tx: &mut Tx,
    id: RegistrationId,
) -> Result<Option<Registration>, DbError> {
    find_with(tx.query(FIND), id).await
}

async fn find_with(query: Query<'_>, id: RegistrationId) -> Result<Option<Registration>, DbError> {
    query.bind(id.0).fetch_optional().await?.map(|row| registration(&row)).transpose()
}

/// The user's registrations that have not ended, oldest first, at most `limit`.
pub(crate) async fn live_of(
    db: &Db,
    user_id: UserId,
    limit: i64,
) -> Result<Vec<Registration>, DbError> {
    let statement = sql!(
        "SELECT ",
        COLUMNS,
        POSITION,
        " FROM registrations r WHERE r.user_id = ? AND r.status <> '",
        CANCELLED,
        "' ORDER BY r.id LIMIT ?"
    );
    let query = db.read(statement).bind(user_id.0).bind(limit);
    query.fetch_all().await?.iter().map(registration).collect()
}

/// Users with ids above `after` who have registrations that have not ended or the key of a
/// calendar, by id, at most `limit`.
pub(crate) async fn users_after(
    db: &Db,
    after: UserId,
    limit: i64,
) -> Result<Vec<UserId>, DbError> {
    let statement = sql!(
        "SELECT user_id FROM (SELECT DISTINCT user_id FROM registrations \
         WHERE user_id > ? AND status <> '",
        CANCELLED,
        "' ORDER BY user_id LIMIT ?) r \
         UNION SELECT user_id FROM (SELECT user_id FROM calendar_keys \
         WHERE user_id > ? ORDER BY user_id LIMIT ?) k ORDER BY user_id LIMIT ?"
    );
    let query = db.read(statement).bind(after.0).bind(limit);
    let query = query.bind(after.0).bind(limit).bind(limit);
    query.fetch_all().await?.iter().map(|row| row.get("user_id").map(UserId)).collect()
}

/// How many registrations for a program have each status.
pub(crate) async fn counts(db: &Db, program_id: ProgramId) -> Result<StatusCounts, DbError> {
    let statement = sql!(
        "SELECT status, COUNT(*) AS registrations FROM registrations WHERE program_id = ? \
         GROUP BY status"
    );
    let mut counts = StatusCounts::default();
    for row in db.read(statement).bind(program_id.0).fetch_all().await? {
        let count = row.get("registrations")?;
        match Status::from_word(&row.get::<String, _>("status")?) {
            Some(Status::Confirmed) => counts.confirmed = count,
            Some(Status::Waitlisted) => counts.waitlisted = count,
            Some(Status::Cancelled) => counts.cancelled = count,
            None => return Err(DbError::Corrupt("registrations.status")),
        }
    }
    Ok(counts)
}

/// The user's registrations on `page`, oldest first, and one more if there is one.
pub(crate) async fn list(
    db: &Db,
    user_id: UserId,
    page: Page,
) -> Result<Vec<Registration>, DbError> {
    let statement = sql!(
        "SELECT ",
        COLUMNS,
        POSITION,
        " FROM registrations r WHERE r.user_id = ? AND r.id > ? ORDER BY r.id LIMIT ?"
    );
    db.read(statement)
        .bind(user_id.0)
        .bind(page.after_id)
        .bind(page.limit())
        .fetch_all()
        .await?
        .iter()
        .map(registration)
        .collect()
}

/// The registrations for a program on `page`, oldest first, and one more if there is one.
pub(crate) async fn list_of_program(
    db: &Db,
    program_id: ProgramId,
    participation: Participation,
    page: Page,
) -> Result<Vec<Registration>, DbError> {
    // The queue is counted through once, not once for each row; where NULLs are sorted does not
    // matter, since they are not counted.
    let statement = sql!(
        "SELECT ",
        COLUMNS,
        "r.waitlist_position FROM (SELECT p.*, CASE WHEN waitlist_ticket IS NULL THEN 0 \
         ELSE COUNT(waitlist_ticket) OVER (ORDER BY waitlist_ticket) END AS waitlist_position \
         FROM registrations p WHERE program_id = ? AND status IN (?, ?)) r \
         WHERE r.id > ? ORDER BY r.id LIMIT ?"
    );
    let (first, second) = match participation {
        Participation::Live => (Status::Confirmed, Status::Waitlisted),
        Participation::Only(status) => (status, status),
    };
    db.read(statement)
        .bind(program_id.0)
        .bind(first.as_str())
        .bind(second.as_str())
        .bind(page.after_id)
        .bind(page.limit())
        .fetch_all()
        .await?
        .iter()
        .map(registration)
        .collect()
}

fn registration(row: &Row) -> Result<Registration, DbError> {
    let sport = Sport::parse(row.get("sport")?);
    let level = TrainingLevel::parse(row.get("training_level")?);
    let status = Status::from_word(&row.get::<String, _>("status")?);
    let attendance = row.get::<Option<String>, _>("attendance")?;
    let attendance = attendance.map(|word| {
        Attendance::from_word(&word).ok_or(DbError::Corrupt("registrations.attendance"))
    });
    Ok(Registration {
        id: RegistrationId(row.get("id")?),
        user_id: UserId(row.get("user_id")?),
        training: Training {
            sport: sport.map_err(|_| DbError::Corrupt("registrations.sport"))?,
            level: level.map_err(|_| DbError::Corrupt("registrations.training_level"))?,
        },
        registered_at: Timestamp::from_micros(row.get("registered_at")?),
        program_id: row.get::<Option<i64>, _>("program_id")?.map(ProgramId),
        status: status.ok_or(DbError::Corrupt("registrations.status"))?,
        waitlist_position: row.get("waitlist_position")?,
        attendance: attendance.transpose()?,
    })
}
