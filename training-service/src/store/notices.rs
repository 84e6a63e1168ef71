//! Table `notices`: who has to be told what.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Row, Tx},
    mail::{MailQueue, SealedMail},
    sql, transaction,
};

use super::registrations::{CANCELLED, CONFIRMED};
use crate::model::{
    Location, News, Notice, NoticeId, ProgramId, ProgramStatus, TimeZone, Title, UserId,
};

/// Notes that those who wait for `program_id` with tickets up to `last_ticket` get seats.
pub(super) async fn add_promotions(
    tx: &mut Tx,
    program_id: ProgramId,
    last_ticket: i64,
) -> Result<(), DbError> {
    let insert = sql!(
        "INSERT INTO notices (type, program_id, user_id) \
         SELECT ?, program_id, user_id FROM registrations \
         WHERE program_id = ? AND waitlist_ticket <= ? ORDER BY waitlist_ticket"
    );
    let query = tx.query(insert).bind(News::Promoted.as_str()).bind(program_id.0);
    query.bind(last_ticket).execute().await.map(drop)
}

/// Notes for all who are registered for `program_id` that it is cancelled.
pub(crate) async fn add_cancellation(tx: &mut Tx, program_id: ProgramId) -> Result<(), DbError> {
    let insert = sql!(
        "INSERT INTO notices (type, program_id, user_id) \
         SELECT ?, program_id, user_id FROM registrations \
         WHERE program_id = ? AND status <> '",
        CANCELLED,
        "' ORDER BY id"
    );
    let query = tx.query(insert).bind(News::ProgramCancelled.as_str()).bind(program_id.0);
    query.execute().await.map(drop)
}

/// The oldest notices, at most `limit`.
pub(crate) async fn oldest(db: &Db, limit: i64) -> Result<Vec<Notice>, DbError> {
    let select = sql!(
        "SELECT n.id, n.type, n.user_id, p.title, p.location, p.starts_at, p.ends_at, p.time_zone \
         FROM notices n JOIN programs p ON p.id = n.program_id ORDER BY n.id LIMIT ?"
    );
    db.read(select).bind(limit).fetch_all().await?.iter().map(notice).collect()
}

/// Replaces a notice by a mail, or by nothing, unless someone else has. By nothing, too, where it
/// is no longer true: whoever moved up has no seat any more, or the program is cancelled. `false`,
/// and nothing is changed, where the queue of mails is full.
pub(crate) async fn replace(
    db: &Db,
    id: NoticeId,
    mail: Option<&SealedMail>,
    mails: &MailQueue,
) -> Result<bool, DbError> {
    transaction!(db, |tx| {
        let lock = sql!("UPDATE notices SET user_id = user_id WHERE id = ?");
        if tx.query(lock).bind(id.0).execute().await? == 0 {
            return Ok(true);
        }
        if let Some(mail) = mail
            && is_true(tx, id).await?
            && !mails.enqueue(tx, mail).await?
        {
            return Ok(false);
        }
        let delete = sql!("DELETE FROM notices WHERE id = ?");
        tx.query(delete).bind(id.0).execute().await?;
        Ok(true)
    })
}

/// Whether the recipient of a notice that a seat is free has one, and the program is not cancelled.
/// Any other notice stays true.
async fn is_true(tx: &mut Tx, id: NoticeId) -> Result<bool, DbError> {
    let select = sql!(
        "SELECT n.id FROM notices n JOIN programs p ON p.id = n.program_id \
         WHERE n.id = ? AND (n.type <> ? OR p.status = '",
        ProgramStatus::Active.as_str(),
        "' AND EXISTS (SELECT r.id FROM registrations r \
         WHERE r.program_id = n.program_id AND r.user_id = n.user_id AND r.status = '",
        CONFIRMED,
        "'))"
    );
    let query = tx.query(select).bind(id.0).bind(News::Promoted.as_str());
    Ok(query.fetch_optional().await?.is_some())
}

fn notice(row: &Row) -> Result<Notice, DbError> {
    let time = |column: &str| row.get(column).map(Timestamp::from_micros);
    let news = News::from_word(&row.get::<String, _>("type")?);
    let zone: String = row.get("time_zone")?;
    let corrupt = |column| move |_| DbError::Corrupt(column);
    Ok(Notice {
        id: NoticeId(row.get("id")?),
        news: news.ok_or(DbError::Corrupt("notices.type"))?,
        user_id: UserId(row.get("user_id")?),
        title: Title::parse(row.get("title")?).map_err(corrupt("programs.title"))?,
        location: Location::parse(row.get("location")?).map_err(corrupt("programs.location"))?,
        starts_at: time("starts_at")?,
        ends_at: time("ends_at")?,
        time_zone: TimeZone::parse(&zone).map_err(corrupt("programs.time_zone"))?,
    })
}
