//! Table `address_failures`: failures by client address, while they matter.

use service_kit::{
    Timestamp,
    db::{Constraint, DbError, Row},
    sql, transaction,
};

use super::Store;
use crate::model::{AddressAction, AddressFailures};

/// How often a first row is inserted while others insert and delete the same one.
const INSERT_TRIES_MAX: usize = 5;

impl Store {
    /// The failures of `action` from `address` in the window of `now`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn address_failures(
        &self,
        action: AddressAction,
        address: &str,
        now: Timestamp,
    ) -> Result<AddressFailures, DbError> {
        let select = sql!(
            "SELECT failures, window_ends_at FROM address_failures \
             WHERE action = ? AND address = ? AND window_ends_at > ?"
        );
        let query = self.db.read(select).bind(action.as_str()).bind(address).bind(now.micros());
        let row = query.fetch_optional().await?;
        row.map_or(Ok(AddressFailures::default()), |row| address_failures(&row))
    }

    /// Counts one more, in the window of `now` or in a new one that ends at `window_ends_at`.
    /// Returns what there are with it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_address_failure(
        &self,
        action: AddressAction,
        address: &str,
        now: Timestamp,
        window_ends_at: Timestamp,
    ) -> Result<AddressFailures, DbError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_count_address_failure(action, address, now, window_ends_at).await {
                Err(error)
                    if error.violated() == Some(Constraint::Unique) && tries < INSERT_TRIES_MAX => {
                }
                counted => return counted,
            }
        }
    }

    async fn try_count_address_failure(
        &self,
        action: AddressAction,
        address: &str,
        now: Timestamp,
        window_ends_at: Timestamp,
    ) -> Result<AddressFailures, DbError> {
        // In this order: MySQL assigns from left to right.
        let update = sql!(
            "UPDATE address_failures SET \
             failures = CASE WHEN window_ends_at > ? THEN failures + 1 ELSE 1 END, \
             window_ends_at = CASE WHEN window_ends_at > ? THEN window_ends_at ELSE ? END \
             WHERE action = ? AND address = ?"
        );
        let insert = sql!(
            "INSERT INTO address_failures (action, address, failures, window_ends_at) \
             VALUES (?, ?, 1, ?)"
        );
        let select = sql!(
            "SELECT failures, window_ends_at FROM address_failures \
             WHERE action = ? AND address = ?"
        );
        transaction!(self.db, |tx| {
            let query = tx.query(update).bind(now.micros()).bind(now.micros());
            let query = query.bind(window_ends_at.micros()).bind(action.as_str()).bind(address);
            if query.execute().await? == 0 {
                let query = tx.query(insert).bind(action.as_str()).bind(address);
                query.bind(window_ends_at.micros()).execute().await?;
            }
            let query = tx.query(select).bind(action.as_str()).bind(address);
            address_failures(&query.fetch_one().await?)
        })
    }

    /// How many addresses, by action, there are failures of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn failing_addresses(&self) -> Result<i64, DbError> {
        let select = sql!("SELECT COUNT(*) AS total FROM address_failures");
        self.db.read(select).fetch_one().await?.get("total")
    }

    /// Deletes windows that end at `until` or before, the first to end first: at most `limit`.
    /// Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_address_failures(
        &self,
        until: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        let select = sql!(
            "SELECT action, address, window_ends_at FROM address_failures \
             WHERE window_ends_at <= ? ORDER BY window_ends_at LIMIT ?"
        );
        let rows = self.db.read(select).bind(until.micros()).bind(limit).fetch_all().await?;
        if rows.is_empty() {
            return Ok(0);
        }
        transaction!(self.db, |tx| {
            let mut deleted = 0;
            for row in &rows {
                // Looked at again: another window may have begun.
                let delete = sql!(
                    "DELETE FROM address_failures \
                     WHERE action = ? AND address = ? AND window_ends_at = ?"
                );
                let query = tx.query(delete).bind(row.get::<String, _>("action")?);
                let query = query.bind(row.get::<String, _>("address")?);
                deleted += query.bind(row.get::<i64, _>("window_ends_at")?).execute().await?;
            }
            Ok(deleted)
        })
    }
}

fn address_failures(row: &Row) -> Result<AddressFailures, DbError> {
    Ok(AddressFailures {
        failures: row.get("failures")?,
        window_ends_at: Timestamp::from_micros(row.get("window_ends_at")?),
    })
}
