//! Tables `events` and `event_counter`: what happened, in the order in which it was committed.

use service_kit::{
    Timestamp,
    db::{DbError, Row, Tx},
    page::Page,
    sql,
};

use super::Store;
use crate::model::{Event, EventFilter, NewEvent, Roles, UserId};

const COLUMNS: &str = "sequence, time, type, user_id, actor_id, session_id, roles, client_address, \
                       detail, revokes_until";

impl Store {
    /// Writes events in `tx`, as its last step before the commit: from here on the transaction
    /// holds the counter, so that numbers are given out in the order of commits and a reader that
    /// has seen a number has seen all below it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn append_events(
        &self,
        tx: &mut Tx,
        time: Timestamp,
        events: &[NewEvent],
    ) -> Result<(), DbError> {
        for event in events {
            let count = sql!("UPDATE event_counter SET last = last + 1 WHERE id = 1");
            tx.query(count).execute().await?;
            let insert = sql!(
                "INSERT INTO events (",
                COLUMNS,
                ") SELECT last, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM event_counter WHERE id = 1"
            );
            tx.query(insert)
                .bind(time.micros())
                .bind(event.event_type.as_str())
                .bind(event.user_id.map(|id| id.0))
                .bind(event.actor_id.map(|id| id.0))
                .bind(event.session_id.as_deref())
                .bind(event.roles.map(Roles::bits))
                .bind(event.client_address.as_str())
                .bind(event.detail.as_str())
                .bind(event.revokes_until.map(Timestamp::micros))
                .execute()
                .await?;
        }
        tx.notify().await
    }

    /// The events after `sequence`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events_after(&self, sequence: i64, limit: i64) -> Result<Vec<Event>, DbError> {
        let select =
            sql!("SELECT ", COLUMNS, " FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?");
        let rows = self.db.read(select).bind(sequence).bind(limit).fetch_all().await?;
        rows.iter().map(event).collect()
    }

    /// Whether the event with this number is kept.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_event(&self, sequence: i64) -> Result<bool, DbError> {
        let select = sql!("SELECT sequence FROM events WHERE sequence = ?");
        Ok(self.db.read(select).bind(sequence).fetch_optional().await?.is_some())
    }

    /// The events after `sequence` that end tokens at `now`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revoking_events_after(
        &self,
        sequence: i64,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Event>, DbError> {
        let select = sql!(
            "SELECT ",
            COLUMNS,
            " FROM events WHERE sequence > ? AND revokes_until > ? ORDER BY sequence LIMIT ?"
        );
        let query = self.db.read(select).bind(sequence).bind(now.micros()).bind(limit);
        query.fetch_all().await?.iter().map(event).collect()
    }

    /// A page of the events that `filter` lets through, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events(&self, filter: &EventFilter, page: Page) -> Result<Vec<Event>, DbError> {
        const PAGE: &str = "sequence > ? AND time >= ? AND time < ? ORDER BY sequence LIMIT ?";
        let query = match (filter.user_id, filter.event_type) {
            (None, None) => self.db.read(sql!("SELECT ", COLUMNS, " FROM events WHERE ", PAGE)),
            (Some(user_id), None) => self
                .db
                .read(sql!("SELECT ", COLUMNS, " FROM events WHERE user_id = ? AND ", PAGE))
                .bind(user_id.0),
            (None, Some(event_type)) => self
                .db
                .read(sql!("SELECT ", COLUMNS, " FROM events WHERE type = ? AND ", PAGE))
                .bind(event_type.as_str()),
            (Some(user_id), Some(event_type)) => self
                .db
                .read(sql!(
                    "SELECT ",
                    COLUMNS,
                    " FROM events WHERE user_id = ? AND type = ? AND ",
                    PAGE
                ))
                .bind(user_id.0)
                .bind(event_type.as_str()),
        };
        let query = query
            .bind(page.after_id)
            .bind(filter.after.map_or(i64::MIN, Timestamp::micros))
            .bind(filter.before.map_or(i64::MAX, Timestamp::micros))
            .bind(page.limit());
        query.fetch_all().await?.iter().map(event).collect()
    }

    /// Deletes the events before `end`, about `limit` of them, but for those that still end tokens
    /// at `now`. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_events(
        &self,
        end: Timestamp,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        const OLD: &str = "time < ? AND (revokes_until IS NULL OR revokes_until <= ?)";
        let first = sql!("SELECT MIN(sequence) AS first FROM events WHERE ", OLD);
        let row = self.db.read(first).bind(end.micros()).bind(now.micros()).fetch_one().await?;
        let Some(first) = row.get::<Option<i64>, _>("first")? else { return Ok(0) };
        let delete = sql!("DELETE FROM events WHERE ", OLD, " AND sequence < ?");
        let query = self.db.write(delete).bind(end.micros()).bind(now.micros());
        query.bind(first.saturating_add(limit)).execute().await
    }

    /// The number of the last event.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_sequence(&self) -> Result<i64, DbError> {
        let select = sql!("SELECT last FROM event_counter WHERE id = 1");
        self.db.read(select).fetch_one().await?.get("last")
    }
}

fn event(row: &Row) -> Result<Event, DbError> {
    let event_type: String = row.get("type")?;
    let roles = row.get::<Option<i64>, _>("roles")?;
    Ok(Event {
        sequence: row.get("sequence")?,
        time: Timestamp::from_micros(row.get("time")?),
        details: NewEvent {
            event_type: event_type.parse().map_err(|_| DbError::Corrupt("events.type"))?,
            user_id: row.get::<Option<i64>, _>("user_id")?.map(UserId),
            actor_id: row.get::<Option<i64>, _>("actor_id")?.map(UserId),
            session_id: row.get("session_id")?,
            roles: roles
                .map(|bits| Roles::from_bits(bits).ok_or(DbError::Corrupt("events.roles")))
                .transpose()?,
            client_address: row.get("client_address")?,
            detail: row.get("detail")?,
            revokes_until: row.get::<Option<i64>, _>("revokes_until")?.map(Timestamp::from_micros),
        },
    })
}
