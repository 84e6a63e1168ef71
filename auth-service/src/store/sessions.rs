//! Table `sessions`.
//!
//! Whatever begins or ends sessions of a user locks the user's row first, so that a session that
//! is being begun is either seen and ended, or never begun.

use service_kit::{
    Timestamp,
    db::{DbError, Row, Tx},
    sql, transaction,
};

use super::{
    Store,
    users::{self, lock_user, user},
};
use crate::model::{ClientInfo, EventType, NewEvent, Session, User, UserId};

/// To be written.
const COLUMNS: &str = "id, user_id, counter, created_at, last_used_at, idle_expires_at, \
                       expires_at, access_expires_at, client_address, user_agent";

/// To be read, also beside a user.
const SELECTED: &str = "sessions.id AS session_id, user_id, counter, \
                        sessions.created_at AS begun_at, last_used_at, idle_expires_at, \
                        expires_at, access_expires_at, client_address, user_agent";

/// Which sessions of a user are to be ended.
#[derive(Clone, Copy, Debug)]
pub enum EndedSessions<'a> {
    /// All of them.
    All,
    /// All but this one.
    AllBut(&'a str),
    /// This one alone.
    One(&'a str),
}

/// Who ends sessions, and why.
#[derive(Clone, Debug)]
pub struct EndingSessions<'a> {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub which: EndedSessions<'a>,
    /// Who does it.
    pub actor_id: Option<UserId>,
    /// From where.
    pub client_address: &'a str,
    /// Why, in a word or two.
    pub reason: &'static str,
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// Stores a new session of a user whose password's hash is still `password_hash` and who is
    /// not barred, and replaces that hash by `new_hash` if there is one. Beyond `sessions_max`,
    /// those that were longest unused are ended. `false` where the user has changed meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin_session(
        &self,
        session: &Session,
        password_hash: &str,
        new_hash: Option<&str>,
        sessions_max: i64,
    ) -> Result<bool, DbError> {
        let now = session.created_at;
        transaction!(self.db, |tx| {
            let touch = sql!(
                "UPDATE users SET last_login_at = ?, password_hash = ? \
                     WHERE id = ? AND password_hash = ? AND disabled = FALSE"
            );
            let touched = tx
                .query(touch)
                .bind(now.micros())
                .bind(new_hash.unwrap_or(password_hash))
                .bind(session.user_id.0)
                .bind(password_hash)
                .execute()
                .await?;
            if touched == 0 {
                return Ok(false);
            }
            insert_session(tx, session).await?;
            let select = sql!(
                "SELECT id FROM sessions WHERE user_id = ? \
                     ORDER BY last_used_at DESC, id DESC LIMIT 100 OFFSET ?"
            );
            let surplus = tx.query(select).bind(session.user_id.0).bind(sessions_max);
            let surplus = surplus.fetch_all().await?;
            let mut events = vec![NewEvent {
                session_id: Some(session.id.clone()),
                actor_id: Some(session.user_id),
                client_address: session.client.address.clone(),
                ..NewEvent::new(EventType::LoginSucceeded, Some(session.user_id))
            }];
            for row in surplus {
                let id: String = row.get("id")?;
                let ending = EndingSessions {
                    user_id: session.user_id,
                    which: EndedSessions::One(&id),
                    actor_id: None,
                    client_address: &session.client.address,
                    reason: "too many sessions",
                    now,
                };
                events.extend(end_sessions(tx, &ending).await?);
            }
            self.append_events(tx, now, &events).await?;
            Ok(true)
        })
    }

    /// A session and whose it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn session(&self, session_id: &str) -> Result<Option<(Session, User)>, DbError> {
        let select = sql!(
            "SELECT ",
            SELECTED,
            ", ",
            users::COLUMNS,
            " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?"
        );
        let row = self.db.read(select).bind(session_id).fetch_optional().await?;
        row.map(|row| Ok((session(&row)?, user(&row)?))).transpose()
    }

    /// The sessions of a user that have not expired, the latest used first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sessions(&self, user_id: UserId, now: Timestamp) -> Result<Vec<Session>, DbError> {
        let select = sql!(
            "SELECT ",
            SELECTED,
            " FROM sessions WHERE user_id = ? AND idle_expires_at > ? \
             ORDER BY last_used_at DESC, id DESC LIMIT 1000"
        );
        let query = self.db.read(select).bind(user_id.0).bind(now.micros());
        query.fetch_all().await?.iter().map(session).collect()
    }

    /// Moves a session on from `rotated.counter - 1`; `false` where it is no longer there or has
    /// expired.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rotate_session(&self, rotated: &Session) -> Result<bool, DbError> {
        let update = sql!(
            "UPDATE sessions SET counter = ?, last_used_at = ?, idle_expires_at = ?, \
             access_expires_at = ? WHERE id = ? AND counter = ? AND idle_expires_at > ?"
        );
        let counter = rotated.counter.cast_signed();
        let updated = self
            .db
            .write(update)
            .bind(counter)
            .bind(rotated.last_used_at.micros())
            .bind(rotated.idle_expires_at.micros())
            .bind(rotated.access_expires_at.micros())
            .bind(rotated.id.as_str())
            .bind(counter - 1)
            .bind(rotated.last_used_at.micros())
            .execute()
            .await?;
        Ok(updated == 1)
    }

    /// Ends sessions of a user, with an event each and `events` before them. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_sessions(
        &self,
        ending: &EndingSessions<'_>,
        events: &[NewEvent],
    ) -> Result<usize, DbError> {
        transaction!(self.db, |tx| {
            lock_user(tx, ending.user_id).await?;
            let ended = end_sessions(tx, ending).await?;
            if !ended.is_empty() {
                let all: Vec<_> = events.iter().chain(&ended).cloned().collect();
                self.append_events(tx, ending.now, &all).await?;
            }
            Ok(ended.len())
        })
    }

    /// Deletes sessions that expired before `now`, at most `limit`. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_expired_sessions(
        &self,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        let select = sql!(
            "SELECT id FROM sessions WHERE idle_expires_at <= ? ORDER BY idle_expires_at LIMIT ?"
        );
        let rows = self.db.read(select).bind(now.micros()).bind(limit).fetch_all().await?;
        let mut deleted = 0;
        for row in rows {
            let id: String = row.get("id")?;
            // Looked at again: one that is refreshed at the last moment lives on.
            let delete = sql!("DELETE FROM sessions WHERE id = ? AND idle_expires_at <= ?");
            deleted += self.db.write(delete).bind(id).bind(now.micros()).execute().await?;
        }
        Ok(deleted)
    }
}

async fn insert_session(tx: &mut Tx, session: &Session) -> Result<(), DbError> {
    let insert = sql!("INSERT INTO sessions (", COLUMNS, ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    tx.query(insert)
        .bind(session.id.as_str())
        .bind(session.user_id.0)
        .bind(session.counter.cast_signed())
        .bind(session.created_at.micros())
        .bind(session.last_used_at.micros())
        .bind(session.idle_expires_at.micros())
        .bind(session.expires_at.micros())
        .bind(session.access_expires_at.micros())
        .bind(session.client.address.as_str())
        .bind(session.client.user_agent.as_str())
        .execute()
        .await?;
    Ok(())
}

/// Deletes the sessions and returns the events that tell of it. The user's row is locked.
pub(super) async fn end_sessions(
    tx: &mut Tx,
    ending: &EndingSessions<'_>,
) -> Result<Vec<NewEvent>, DbError> {
    let user_id = ending.user_id.0;
    // Locks the rows before they are read: a refresh that comes between would issue an access
    // token that outlives the event.
    let (one, but) = match ending.which {
        EndedSessions::All => (None, ""),
        EndedSessions::AllBut(id) => (None, id),
        EndedSessions::One(id) => (Some(id), ""),
    };
    let (lock, select, delete) = match one {
        Some(_) => (
            sql!("UPDATE sessions SET idle_expires_at = 0 WHERE user_id = ? AND id = ?"),
            sql!("SELECT id, access_expires_at FROM sessions WHERE user_id = ? AND id = ?"),
            sql!("DELETE FROM sessions WHERE user_id = ? AND id = ?"),
        ),
        None => (
            sql!("UPDATE sessions SET idle_expires_at = 0 WHERE user_id = ? AND id <> ?"),
            sql!("SELECT id, access_expires_at FROM sessions WHERE user_id = ? AND id <> ?"),
            sql!("DELETE FROM sessions WHERE user_id = ? AND id <> ?"),
        ),
    };
    let id = one.unwrap_or(but);
    tx.query(lock).bind(user_id).bind(id).execute().await?;
    let rows = tx.query(select).bind(user_id).bind(id).fetch_all().await?;
    tx.query(delete).bind(user_id).bind(id).execute().await?;
    rows.iter()
        .map(|row| {
            Ok(NewEvent {
                actor_id: ending.actor_id,
                session_id: Some(row.get("id")?),
                client_address: ending.client_address.to_owned(),
                detail: ending.reason.to_owned(),
                revokes_until: Some(Timestamp::from_micros(row.get("access_expires_at")?)),
                ..NewEvent::new(EventType::SessionRevoked, Some(ending.user_id))
            })
        })
        .collect()
}

fn session(row: &Row) -> Result<Session, DbError> {
    let time = |column: &str| row.get::<i64, _>(column).map(Timestamp::from_micros);
    Ok(Session {
        id: row.get("session_id")?,
        user_id: UserId(row.get("user_id")?),
        counter: row.get::<i64, _>("counter")?.cast_unsigned(),
        created_at: time("begun_at")?,
        last_used_at: time("last_used_at")?,
        idle_expires_at: time("idle_expires_at")?,
        expires_at: time("expires_at")?,
        access_expires_at: time("access_expires_at")?,
        client: ClientInfo {
            address: row.get("client_address")?,
            user_agent: row.get("user_agent")?,
        },
    })
}
