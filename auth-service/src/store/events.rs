//! Tables `events` and `event_counter`: what happened, in the order in which it was committed.

use std::time::Duration;

use service_kit::{
    Timestamp,
    db::{DbError, Row, Tx},
    page::Page,
    sql,
};

use super::Store;
use crate::model::{Event, EventFilter, EventType, NewEvent, Roles, UserId};

const COLUMNS: &str = "sequence, time, type, user_id, actor_id, session_id, roles, client_address, \
                       detail, revokes_until";

/// How far the times of two events may be from the order of their numbers: replicas' clocks differ,
/// and a transaction takes its time before its number.
const TIME_SLACK: Duration = Duration::from_mins(1);

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

    /// The events that end tokens until after `until`, or until then and are numbered above
    /// `sequence`: in this order, the first to be over first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revoking_events_after(
        &self,
        (until, sequence): (Timestamp, i64),
        limit: i64,
    ) -> Result<Vec<Event>, DbError> {
        let select = sql!(
            "SELECT ",
            COLUMNS,
            " FROM events WHERE revokes_until >= ? AND (revokes_until > ? OR sequence > ?) \
             ORDER BY revokes_until, sequence LIMIT ?"
        );
        let query = self.db.read(select).bind(until.micros()).bind(until.micros());
        let query = query.bind(sequence).bind(limit);
        query.fetch_all().await?.iter().map(event).collect()
    }

    /// A page of the events that `filter` lets through, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events(&self, filter: &EventFilter, page: Page) -> Result<Vec<Event>, DbError> {
        const PAGE: &str = "sequence > ? AND sequence < ? AND time >= ? AND time < ? \
                            ORDER BY sequence LIMIT ?";
        let (begin, end) = self.numbers_between(filter.after, filter.before).await?;
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
            .bind(page.after_id.max(begin))
            .bind(end)
            .bind(filter.after.map_or(i64::MIN, Timestamp::micros))
            .bind(filter.before.map_or(i64::MAX, Timestamp::micros))
            .bind(page.limit());
        query.fetch_all().await?.iter().map(event).collect()
    }

    /// Numbers between which all events lie that happened at `after` or later and before `before`:
    /// one look into the index by time each, instead of reading the log from its beginning or to
    /// its end.
    async fn numbers_between(
        &self,
        after: Option<Timestamp>,
        before: Option<Timestamp>,
    ) -> Result<(i64, i64), DbError> {
        let number = async |select, time: Timestamp| {
            let row = self.db.read(select).bind(time.micros()).fetch_optional().await?;
            row.map(|row| row.get::<i64, _>("sequence")).transpose()
        };
        let begin = match after {
            Some(after) => {
                let earlier =
                    sql!("SELECT sequence FROM events WHERE time < ? ORDER BY time DESC LIMIT 1");
                number(earlier, after - TIME_SLACK).await?
            }
            None => None,
        };
        let end = match before {
            Some(before) => {
                let later =
                    sql!("SELECT sequence FROM events WHERE time >= ? ORDER BY time LIMIT 1");
                number(later, before + TIME_SLACK).await?
            }
            None => None,
        };
        Ok((begin.unwrap_or(0), end.unwrap_or(i64::MAX)))
    }

    /// Deletes events from the oldest on, at most `limit`, up to the first that is not from before
    /// `end` or still ends tokens at `now`: what is left has no gaps, so that whoever comes back
    /// with a number can be told whether something is missing. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_events(
        &self,
        end: Timestamp,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        let Some(first) = self.first_sequence().await? else { return Ok(0) };
        let beyond = first.saturating_add(limit);
        let select = sql!(
            "SELECT MIN(sequence) AS kept FROM events \
             WHERE sequence < ? AND (time >= ? OR revokes_until > ?)"
        );
        let query = self.db.read(select).bind(beyond).bind(end.micros()).bind(now.micros());
        let kept = query.fetch_one().await?.get::<Option<i64>, _>("kept")?.unwrap_or(beyond);
        let delete = sql!("DELETE FROM events WHERE sequence < ?");
        self.db.write(delete).bind(kept).execute().await
    }

    /// The number of the oldest event that is left.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_sequence(&self) -> Result<Option<i64>, DbError> {
        let select = sql!("SELECT MIN(sequence) AS first FROM events");
        self.db.read(select).fetch_one().await?.get("first")
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
            event_type: event_type.parse().unwrap_or(EventType::Unknown),
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

#[cfg(test)]
mod tests {
    use service_kit::{on_each_database, transaction};

    use super::{super::MIGRATIONS, *};
    use crate::model::EventType;

    /// In seconds, in the order of their numbers: times run apart by up to a minute.
    const TIMES: [i64; 10] = [0, 50, 10, 200, 150, 190, 400, 350, 401, 1000];

    async fn append(store: &Store, time: Timestamp) -> Result<(), DbError> {
        let event = NewEvent::new(EventType::KeyRotated, None);
        transaction!(store.db, |tx| {
            store.append_events(tx, time, std::slice::from_ref(&event)).await
        })
    }

    on_each_database! {
        async fn a_time_filter_finds_all_that_happened_then_whatever_their_order(database) {
            let store = Store::new(database.open(MIGRATIONS).await);
            for time in TIMES {
                append(&store, Timestamp::from_seconds(time)).await.expect("written");
            }
            let page = Page::parse(100, "").expect("a page");
            for after in (0..=1100).step_by(50) {
                for before in (after..=1100).step_by(50) {
                    let filter = EventFilter {
                        after: Some(Timestamp::from_seconds(after)),
                        before: Some(Timestamp::from_seconds(before)),
                        ..EventFilter::default()
                    };
                    let found = store.events(&filter, page).await.expect("read");
                    let found: Vec<_> = found.iter().map(|one| one.sequence).collect();
                    let expected: Vec<_> = (1..)
                        .zip(TIMES)
                        .filter(|(_, time)| (after..before).contains(time))
                        .map(|(number, _)| number)
                        .collect();
                    assert_eq!(found, expected, "{after}..{before}");
                }
            }
            let all = EventFilter { after: Some(Timestamp::from_micros(i64::MIN)), ..EventFilter::default() };
            assert_eq!(store.events(&all, page).await.expect("read").len(), TIMES.len());
        }
    }
}
