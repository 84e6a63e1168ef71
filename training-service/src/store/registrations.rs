//! Table `registrations`.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Query, Row, Statement, Tx},
    page::Page,
    sql,
};

use crate::model::{
    ProgramId, Registration, RegistrationId, Sport, Status, Training, TrainingLevel, UserId,
};

/// The columns that [`registration`] reads, of the table under the name `r`.
pub(super) const COLUMNS: &str =
    "r.id, r.user_id, r.sport, r.training_level, r.registered_at, r.program_id, r.status";

const INSERT: Statement = sql!(
    "INSERT INTO registrations (user_id, sport, training_level, registered_at, status) \
     VALUES (?, ?, ?, ?, ?)"
);

/// Adds a confirmed registration.
pub(crate) async fn insert(
    db: &Db,
    user_id: UserId,
    training: Training,
    now: Timestamp,
) -> Result<Registration, DbError> {
    insert_with(db.write(INSERT), user_id, training, now).await
}

/// As [`insert`], in a transaction.
pub(crate) async fn insert_in(
    tx: &mut Tx,
    user_id: UserId,
    training: Training,
    now: Timestamp,
) -> Result<Registration, DbError> {
    insert_with(tx.query(INSERT), user_id, training, now).await
}

async fn insert_with(
    query: Query<'_>,
    user_id: UserId,
    training: Training,
    now: Timestamp,
) -> Result<Registration, DbError> {
    let status = Status::Confirmed;
    let id = query
        .bind(user_id.0)
        .bind(training.sport.as_str())
        .bind(training.level.as_str())
        .bind(now.micros())
        .bind(status.as_str())
        .insert()
        .await?;
    Ok(Registration {
        id: RegistrationId(id),
        user_id,
        training,
        registered_at: now,
        program_id: None,
        status,
    })
}

/// The registration `id`.
pub(crate) async fn find(db: &Db, id: RegistrationId) -> Result<Option<Registration>, DbError> {
    db.read(sql!("SELECT ", COLUMNS, " FROM registrations r WHERE r.id = ?"))
        .bind(id.0)
        .fetch_optional()
        .await?
        .map(|row| registration(&row))
        .transpose()
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

/// Reads [`COLUMNS`].
pub(super) fn registration(row: &Row) -> Result<Registration, DbError> {
    let sport = Sport::parse(row.get("sport")?);
    let level = TrainingLevel::parse(row.get("training_level")?);
    let status = Status::from_word(&row.get::<String, _>("status")?);
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
    })
}
