//! Table `programs`, but for its seats.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Query, Row, Statement, Tx},
    page::Page,
    sql,
};

use super::registrations::{CANCELLED, POSITION};
use crate::model::{
    Attended, Capacity, Description, Location, Program, ProgramDetails, ProgramFilter, ProgramId,
    ProgramStatus, Schedule, Sport, TimeZone, Title, Training, TrainingLevel, UserId,
};

/// Of a program that one may register for now; the time is bound twice.
pub(super) const OPEN: &str = "status = 'active' \
    AND (registration_opens_at IS NULL OR registration_opens_at <= ?) \
    AND COALESCE(registration_closes_at, starts_at) > ?";

/// Of a program that a filter's sport and level let through, each bound three times; empty for any.
/// (MySQL's `=` does not look at spaces at the end. The collations that do have other names on
/// MariaDB.)
const FILTERS: &str = "(? = '' OR sport = ? AND LENGTH(sport) = LENGTH(?)) \
    AND (? = '' OR training_level = ? AND LENGTH(training_level) = LENGTH(?))";

/// The columns that [`set_of`] reads and [`bind_details`] binds, in this order.
const DETAILS: &str = "title, description, sport, training_level, location, coach_id, starts_at, \
    ends_at, time_zone, registration_opens_at, registration_closes_at, capacity";

const COLUMNS: &str = "id, seats_taken, waitlist_length, status, version, created_at, updated_at, ";

const FIND: Statement = sql!("SELECT ", COLUMNS, DETAILS, " FROM programs WHERE id = ?");

/// Adds a program without participants.
pub(crate) async fn insert(
    tx: &mut Tx,
    details: &ProgramDetails,
    now: Timestamp,
) -> Result<ProgramId, DbError> {
    let insert = sql!(
        "INSERT INTO programs (",
        DETAILS,
        ", seats_taken, waitlist_length, tickets_given, status, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '",
        ProgramStatus::Active.as_str(),
        "', 1, ?, ?)"
    );
    bind_details(tx.query(insert), details)
        .bind(now.micros())
        .bind(now.micros())
        .insert()
        .await
        .map(ProgramId)
}

/// Sets what can be set of a program.
pub(crate) async fn set(
    tx: &mut Tx,
    id: ProgramId,
    details: &ProgramDetails,
    now: Timestamp,
) -> Result<(), DbError> {
    let update = sql!(
        "UPDATE programs SET title = ?, description = ?, sport = ?, training_level = ?, \
         location = ?, coach_id = ?, starts_at = ?, ends_at = ?, time_zone = ?, \
         registration_opens_at = ?, registration_closes_at = ?, capacity = ?, \
         version = version + 1, updated_at = ? WHERE id = ?"
    );
    bind_details(tx.query(update), details).bind(now.micros()).bind(id.0).execute().await.map(drop)
}

/// Cancels a program.
pub(crate) async fn cancel(tx: &mut Tx, id: ProgramId, now: Timestamp) -> Result<(), DbError> {
    let update = sql!(
        "UPDATE programs SET status = '",
        ProgramStatus::Cancelled.as_str(),
        "', version = version + 1, updated_at = ? WHERE id = ?"
    );
    tx.query(update).bind(now.micros()).bind(id.0).execute().await.map(drop)
}

/// The program `id`.
pub(crate) async fn find(db: &Db, id: ProgramId) -> Result<Option<Program>, DbError> {
    find_with(db.read(FIND), id).await
}

/// As [`find`], in a transaction.
pub(crate) async fn find_in(tx: &mut Tx, id: ProgramId) -> Result<Option<Program>, DbError> {
    find_with(tx.query(FIND), id).await
}

async fn find_with(query: Query<'_>, id: ProgramId) -> Result<Option<Program>, DbError> {
    query.bind(id.0).fetch_optional().await?.map(|row| program(&row)).transpose()
}

/// The programs on `page` that `filter` lets through, and one more if there is one.
pub(crate) async fn list(
    db: &Db,
    filter: &ProgramFilter,
    page: Page,
    now: Timestamp,
) -> Result<Vec<Program>, DbError> {
    // A program that is over is not open; those grow in number, and are not read. `+ 0`, for else
    // databases walk them all in the order of ids until a page is full.
    let query = if filter.open_only {
        let select = sql!(
            "SELECT ",
            COLUMNS,
            DETAILS,
            " FROM programs WHERE ends_at > ? AND ",
            OPEN,
            " AND id + 0 > ? AND ",
            FILTERS,
            " ORDER BY id + 0 LIMIT ?"
        );
        db.read(select).bind(now.micros()).bind(now.micros()).bind(now.micros())
    } else {
        db.read(sql!(
            "SELECT ",
            COLUMNS,
            DETAILS,
            " FROM programs WHERE id > ? AND ",
            FILTERS,
            " ORDER BY id LIMIT ?"
        ))
    };
    let sport = filter.sport.as_ref().map_or("", Sport::as_str);
    let level = filter.level.as_ref().map_or("", TrainingLevel::as_str);
    query
        .bind(page.after_id)
        .bind(sport.to_owned())
        .bind(sport.to_owned())
        .bind(sport.to_owned())
        .bind(level.to_owned())
        .bind(level.to_owned())
        .bind(level.to_owned())
        .bind(page.limit())
        .fetch_all()
        .await?
        .iter()
        .map(program)
        .collect()
}

/// The programs that a user has a seat in or waits for: the `limit` that start last, the last one
/// first.
pub(crate) async fn list_of_user(
    db: &Db,
    user_id: UserId,
    limit: i64,
) -> Result<Vec<Attended>, DbError> {
    let select = sql!(
        "SELECT ",
        COLUMNS,
        DETAILS,
        ", waitlist_moved_at, registered_at, seated_at, waitlist_position \
         FROM programs p JOIN (SELECT r.program_id, r.registered_at, r.seated_at, ",
        POSITION,
        " FROM registrations r WHERE r.user_id = ? AND r.status <> '",
        CANCELLED,
        "') r ON r.program_id = p.id \
         ORDER BY p.starts_at DESC, p.id DESC LIMIT ?"
    );
    let query = db.read(select).bind(user_id.0).bind(limit);
    query.fetch_all().await?.iter().map(attended).collect()
}

fn attended(row: &Row) -> Result<Attended, DbError> {
    let program = program(row)?;
    let place = row.get("waitlist_position")?;
    let registered_at: i64 = row.get("registered_at")?;
    let moved_at = if place == 0 { "seated_at" } else { "waitlist_moved_at" };
    let moved_at: Option<i64> = row.get(moved_at)?;
    let changed_at = Timestamp::from_micros(registered_at.max(moved_at.unwrap_or(registered_at)));
    Ok(Attended { changed_at: changed_at.max(program.updated_at), program, place })
}

fn bind_details<'c>(query: Query<'c>, details: &ProgramDetails) -> Query<'c> {
    let Schedule { starts_at, ends_at, registration_opens_at, registration_closes_at } =
        details.schedule;
    query
        .bind(details.title.as_str().to_owned())
        .bind(details.description.as_str().to_owned())
        .bind(details.training.sport.as_str().to_owned())
        .bind(details.training.level.as_str().to_owned())
        .bind(details.location.as_str().to_owned())
        .bind(details.coach_id.map(|id| id.0))
        .bind(starts_at.micros())
        .bind(ends_at.micros())
        .bind(details.time_zone.as_str())
        .bind(registration_opens_at.map(Timestamp::micros))
        .bind(registration_closes_at.map(Timestamp::micros))
        .bind(details.capacity.seats())
}

fn program(row: &Row) -> Result<Program, DbError> {
    let status = ProgramStatus::from_word(&row.get::<String, _>("status")?);
    Ok(Program {
        id: ProgramId(row.get("id")?),
        details: set_of(row)?,
        seats_taken: row.get("seats_taken")?,
        waitlist_length: row.get("waitlist_length")?,
        status: status.ok_or(DbError::Corrupt("programs.status"))?,
        version: row.get("version")?,
        created_at: Timestamp::from_micros(row.get("created_at")?),
        updated_at: Timestamp::from_micros(row.get("updated_at")?),
    })
}

fn set_of(row: &Row) -> Result<ProgramDetails, DbError> {
    let time = |column: &str| row.get::<i64, _>(column).map(Timestamp::from_micros);
    let optional_time = |column: &str| {
        row.get::<Option<i64>, _>(column).map(|time| time.map(Timestamp::from_micros))
    };
    let corrupt = |column| move |_| DbError::Corrupt(column);
    let zone: String = row.get("time_zone")?;
    Ok(ProgramDetails {
        title: Title::parse(row.get("title")?).map_err(corrupt("programs.title"))?,
        description: Description::parse(row.get("description")?)
            .map_err(corrupt("programs.description"))?,
        training: training(row)?,
        location: Location::parse(row.get("location")?).map_err(corrupt("programs.location"))?,
        coach_id: row.get::<Option<i64>, _>("coach_id")?.map(UserId),
        schedule: Schedule {
            starts_at: time("starts_at")?,
            ends_at: time("ends_at")?,
            registration_opens_at: optional_time("registration_opens_at")?,
            registration_closes_at: optional_time("registration_closes_at")?,
        },
        time_zone: TimeZone::parse(&zone).map_err(corrupt("programs.time_zone"))?,
        capacity: Capacity::parse(row.get("capacity")?).map_err(corrupt("programs.capacity"))?,
    })
}

/// What is trained in the program.
pub(super) fn training(row: &Row) -> Result<Training, DbError> {
    let corrupt = |column| move |_| DbError::Corrupt(column);
    let level = TrainingLevel::parse(row.get("training_level")?);
    Ok(Training {
        sport: Sport::parse(row.get("sport")?).map_err(corrupt("programs.sport"))?,
        level: level.map_err(corrupt("programs.training_level"))?,
    })
}
