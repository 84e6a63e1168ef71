//! Table `lockouts`: failed sign-ins by identifier or device, while they matter.

use std::collections::HashMap;

use service_kit::{
    Timestamp,
    db::{Constraint, DbError, Row, Tx},
    sql, transaction,
};

use super::{Store, users::lock_user};
use crate::model::{Count, NewEvent, Subject, UserId};

const COLUMNS: &str = "failures, in_flight, locks, locked_until, updated_at";
/// How often a first row is inserted while others insert and delete the same one.
const INSERT_TRIES_MAX: usize = 5;
/// Subjects that one statement asks about.
const SUBJECTS_ASKED: usize = 16;

/// What becomes of a count.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// The count from now on.
    pub count: Count,
    /// What happened.
    pub events: Vec<NewEvent>,
    /// What the caller is told.
    pub outcome: T,
}

impl Store {
    /// What is remembered of a subject.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&self, subject: &Subject) -> Result<Count, DbError> {
        let select = sql!("SELECT ", COLUMNS, " FROM lockouts WHERE subject = ?");
        let row = self.db.read(select).bind(subject.key()).fetch_optional().await?;
        row.map_or(Ok(Count::default()), |row| count(&row))
    }

    /// Changes what is remembered of a subject; nothing comes between what `change` is given and
    /// what it makes of it. `None` where `subject` is one device more of its user than
    /// `devices_max` that there is something to remember of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change_count<T>(
        &self,
        subject: &Subject,
        now: Timestamp,
        devices_max: i64,
        change: impl Fn(Count) -> Change<T>,
    ) -> Result<Option<T>, DbError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_change_count(subject, now, devices_max, &change).await {
                // Another was quicker to insert it: now there is a row to lock.
                Err(error)
                    if error.violated() == Some(Constraint::Unique) && tries < INSERT_TRIES_MAX => {
                }
                changed => return changed,
            }
        }
    }

    async fn try_change_count<T>(
        &self,
        subject: &Subject,
        now: Timestamp,
        devices_max: i64,
        change: &impl Fn(Count) -> Change<T>,
    ) -> Result<Option<T>, DbError> {
        transaction!(self.db, |tx| {
            let stored = lock_count(tx, subject).await?;
            if stored.is_none() && !has_room(tx, subject, devices_max).await? {
                return Ok(None);
            }
            let Change { count, events, outcome } = change(stored.unwrap_or_default());
            write_count(tx, subject, stored, count).await?;
            self.append_events(tx, now, &events).await?;
            Ok(Some(outcome))
        })
    }

    /// Forgets the failures of a user's devices and of `strangers`, which are those to each of the
    /// user's names, in `tx`. Returns how many locks that lifts.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn clear_lockout(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        strangers: &[Subject],
        now: Timestamp,
    ) -> Result<u64, DbError> {
        // They may have been counted before the account had the name.
        for stranger in strangers {
            let adopt = sql!("UPDATE lockouts SET user_id = ? WHERE subject = ?");
            tx.query(adopt).bind(user_id.0).bind(stranger.key()).execute().await?;
        }
        let locked = sql!("DELETE FROM lockouts WHERE user_id = ? AND locked_until > ?");
        let lifted = tx.query(locked).bind(user_id.0).bind(now.micros()).execute().await?;
        let others = sql!("DELETE FROM lockouts WHERE user_id = ?");
        tx.query(others).bind(user_id.0).execute().await?;
        Ok(lifted)
    }

    /// Forgets the failures of a user's devices and of `strangers`, which are those to each of the
    /// user's names; with `event` where a lock is lifted, and then `true`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unlock(
        &self,
        user_id: UserId,
        strangers: &[Subject],
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<bool, DbError> {
        transaction!(self.db, |tx| {
            let is_lifted = self.clear_lockout(tx, user_id, strangers, now).await? > 0;
            if is_lifted {
                self.append_events(tx, now, std::slice::from_ref(event)).await?;
            }
            Ok(is_lifted)
        })
    }

    /// Those of `subjects` that are locked, by their keys, and until when.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn locks(
        &self,
        subjects: &[Subject],
        now: Timestamp,
    ) -> Result<HashMap<String, Timestamp>, DbError> {
        let select = sql!(
            "SELECT subject, locked_until FROM lockouts WHERE subject IN \
             (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AND locked_until > ?"
        );
        let mut locks = HashMap::new();
        for chunk in subjects.chunks(SUBJECTS_ASKED) {
            let mut query = self.db.read(select);
            // What is left over asks for nobody.
            for at in 0..SUBJECTS_ASKED {
                query = query.bind(chunk.get(at).map(Subject::key).unwrap_or_default());
            }
            for row in query.bind(now.micros()).fetch_all().await? {
                let until = Timestamp::from_micros(row.get("locked_until")?);
                locks.insert(row.get("subject")?, until);
            }
        }
        Ok(locks)
    }

    /// Deletes counts that have not changed, and locks that ended, since `before`: at most
    /// `limit`. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_old_counts(&self, before: Timestamp, limit: i64) -> Result<u64, DbError> {
        let select = sql!(
            "SELECT subject, updated_at FROM lockouts WHERE updated_at <= ? AND locked_until <= ? \
             ORDER BY updated_at LIMIT ?"
        );
        let query = self.db.read(select).bind(before.micros()).bind(before.micros());
        self.delete_counts(query.bind(limit).fetch_all().await?).await
    }

    /// How many unknown identifiers something is remembered of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unknown_counts(&self) -> Result<i64, DbError> {
        let select = sql!("SELECT COUNT(*) AS total FROM lockouts WHERE user_id IS NULL");
        self.db.read(select).fetch_one().await?.get("total")
    }

    /// Deletes counts of unknown identifiers, the oldest first: at most `limit`. Locked ones stay
    /// while there are others. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_unknown_counts(&self, now: Timestamp, limit: i64) -> Result<u64, DbError> {
        // By `user_id` as well, which is NULL: PostgreSQL does not find the order of the index else.
        let select = sql!(
            "SELECT subject, updated_at FROM lockouts WHERE user_id IS NULL AND locked_until <= ? \
             ORDER BY user_id, updated_at LIMIT ?"
        );
        let mut rows = self.db.read(select).bind(now.micros()).bind(limit).fetch_all().await?;
        if rows.is_empty() {
            rows = self.db.read(select).bind(i64::MAX).bind(limit).fetch_all().await?;
        }
        self.delete_counts(rows).await
    }

    /// Deletes those of the rows that have not changed since they were read.
    async fn delete_counts(&self, rows: Vec<Row>) -> Result<u64, DbError> {
        if rows.is_empty() {
            return Ok(0);
        }
        transaction!(self.db, |tx| {
            let mut deleted = 0;
            for row in &rows {
                let delete = sql!("DELETE FROM lockouts WHERE subject = ? AND updated_at = ?");
                let query = tx.query(delete).bind(row.get::<String, _>("subject")?);
                deleted += query.bind(row.get::<i64, _>("updated_at")?).execute().await?;
            }
            Ok(deleted)
        })
    }
}

/// The count of a subject, locked until the transaction ends; `None` where there is no row.
async fn lock_count(tx: &mut Tx, subject: &Subject) -> Result<Option<Count>, DbError> {
    let key = subject.key();
    let lock = sql!("UPDATE lockouts SET updated_at = updated_at WHERE subject = ?");
    if tx.query(lock).bind(key.as_str()).execute().await? == 0 {
        return Ok(None);
    }
    let select = sql!("SELECT ", COLUMNS, " FROM lockouts WHERE subject = ?");
    count(&tx.query(select).bind(key.as_str()).fetch_one().await?).map(Some)
}

/// Whether there may be a row for `subject`, which has none. There is always room for strangers:
/// every attempt of theirs must be counted.
async fn has_room(tx: &mut Tx, subject: &Subject, devices_max: i64) -> Result<bool, DbError> {
    let Subject::Device { user_id, .. } = subject else { return Ok(true) };
    // So that devices of one user that come at once see one another.
    lock_user(tx, *user_id).await?;
    let select = sql!(
        "SELECT COUNT(*) AS total FROM lockouts WHERE user_id = ? AND subject LIKE 'device:%'"
    );
    let query = tx.query(select).bind(user_id.0);
    Ok(query.fetch_one().await?.get::<i64, _>("total")? < devices_max)
}

/// Replaces `stored` by `count`; nothing is stored of a subject that there is nothing to remember
/// of.
async fn write_count(
    tx: &mut Tx,
    subject: &Subject,
    stored: Option<Count>,
    count: Count,
) -> Result<(), DbError> {
    let is_nothing = count == Count { updated_at: count.updated_at, ..Count::default() };
    let key = subject.key();
    let statement = match stored {
        Some(stored) if stored == count => return Ok(()),
        None if is_nothing => return Ok(()),
        Some(_) if is_nothing => {
            let delete = sql!("DELETE FROM lockouts WHERE subject = ?");
            tx.query(delete).bind(key).execute().await?;
            return Ok(());
        }
        Some(_) => sql!(
            "UPDATE lockouts SET failures = ?, in_flight = ?, locks = ?, locked_until = ?, \
             updated_at = ?, user_id = ? WHERE subject = ?"
        ),
        None => sql!(
            "INSERT INTO lockouts (",
            COLUMNS,
            ", user_id, subject) VALUES (?, ?, ?, ?, ?, ?, ?)"
        ),
    };
    tx.query(statement)
        .bind(count.failures)
        .bind(count.in_flight)
        .bind(count.locks)
        .bind(count.locked_until.micros())
        .bind(count.updated_at.micros())
        .bind(subject.user_id().map(|id| id.0))
        .bind(key)
        .execute()
        .await?;
    Ok(())
}

fn count(row: &Row) -> Result<Count, DbError> {
    Ok(Count {
        failures: row.get("failures")?,
        in_flight: row.get("in_flight")?,
        locks: row.get("locks")?,
        locked_until: Timestamp::from_micros(row.get("locked_until")?),
        updated_at: Timestamp::from_micros(row.get("updated_at")?),
    })
}
