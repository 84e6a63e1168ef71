//! Databases with many users and registrations in them, written straight into the tables.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, ensure};
use service_kit::{
    db::{Db, Statement},
    sql,
    testing::connect,
};

use crate::{
    ground::Ground,
    options::{DatabaseKind, Volume},
};

/// Rows that one statement writes, in a transaction of its own.
const BATCH_ROWS: u64 = 10_000;
/// How many of the users can be asked for: more than all paths together do.
const PEOPLE: u64 = 20_000;

const DIGIT: &str = "(SELECT 0 AS digit UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 \
    UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 \
    UNION ALL SELECT 8 UNION ALL SELECT 9)";
/// A number below [`BATCH_ROWS`], for `FROM DIGIT a, DIGIT b, DIGIT c, DIGIT d`: all three
/// databases know digits; a series of numbers each makes in its own way.
const NUMBER: &str = "(a.digit + 10 * b.digit + 100 * c.digit + 1000 * d.digit)";

/// Users like the one who is named, with other names.
const ADD_USERS: Statement = sql!(
    "INSERT INTO users (username, username_key, email, email_key, name, password_hash, roles, \
     created_at, updated_at) \
     SELECT CONCAT('loaded-', ? + ",
    NUMBER,
    "), CONCAT('loaded-', ? + ",
    NUMBER,
    "), CONCAT('loaded-', ? + ",
    NUMBER,
    ", '@example.com'), CONCAT('loaded-', ? + ",
    NUMBER,
    ", '@example.com'), one.name, one.password_hash, one.roles, one.created_at, one.updated_at \
     FROM users one, ",
    DIGIT,
    " a, ",
    DIGIT,
    " b, ",
    DIGIT,
    " c, ",
    DIGIT,
    " d WHERE one.username_key = ? AND ",
    NUMBER,
    " < ?"
);

/// Registrations of one user after the other, so that those of one are far apart, as in life.
const ADD_REGISTRATIONS: Statement = sql!(
    "INSERT INTO registrations (user_id, sport, training_level, registered_at, status) \
     SELECT ? + (? + ",
    NUMBER,
    ") % ?, 'cricket', 'intermediate', 1767225600000000 + ? + ",
    NUMBER,
    ", 'confirmed' FROM ",
    DIGIT,
    " a, ",
    DIGIT,
    " b, ",
    DIGIT,
    " c, ",
    DIGIT,
    " d WHERE ",
    NUMBER,
    " < ?"
);

/// What was put into the databases.
#[derive(Debug)]
pub(crate) struct Load {
    /// The ids of the users begin here.
    first_user: i64,
    /// How far apart the ids of those are that are asked for.
    stride: i64,
    /// How many can be asked for, and how many were.
    people: i64,
    asked: AtomicI64,
}

/// Fills the databases of `ground`, which a product has made and nobody is using: with users who
/// have the password, and all else, of the user `model`.
///
/// # Errors
/// Where the database refuses.
pub(crate) async fn fill(
    ground: &Ground,
    kind: DatabaseKind,
    volume: Volume,
    model: &str,
) -> Result<Load> {
    let [auth, training] = ground.databases()?;
    let (auth, training) = (connect(&auth).await, connect(&training).await);
    ensure!(volume.users > 0, "no users to load");
    for (first, count) in batches(volume.users) {
        let mut query = auth.write(ADD_USERS);
        for _ in 0..4 {
            query = query.bind(first);
        }
        let added = query.bind(model).bind(count).execute().await.context("loading users")?;
        ensure!(i64::try_from(added)? == count, "{added} users were loaded, not {count}");
    }
    let select = sql!(
        "SELECT MIN(id) AS first_id FROM users \
         WHERE id > (SELECT id FROM users WHERE username_key = ?)"
    );
    let row = auth.read(select).bind(model).fetch_one().await?;
    let first_user: i64 = row.get("first_id")?;
    let users = i64::try_from(volume.users)?;
    for (first, count) in batches(volume.registrations) {
        let query = training.write(ADD_REGISTRATIONS).bind(first_user).bind(first).bind(users);
        let added = query.bind(first).bind(count).execute().await;
        let added = added.context("loading registrations")?;
        ensure!(i64::try_from(added)? == count, "{added} registrations were loaded, not {count}");
    }
    for db in [&auth, &training] {
        // A server in use would have done so by itself by then.
        if kind == DatabaseKind::Postgres {
            db.write(sql!("ANALYZE")).execute().await?;
        }
        db.close().await;
    }
    let stride = i64::try_from((volume.users / PEOPLE).max(1))?;
    Ok(Load { first_user, stride, people: users / stride, asked: AtomicI64::new(0) })
}

/// The first number of each batch, and how many there are in it.
fn batches(rows: u64) -> impl Iterator<Item = (i64, i64)> {
    let firsts = (0..rows).step_by(usize::try_from(BATCH_ROWS).unwrap_or(usize::MAX));
    firsts.filter_map(move |first| {
        let count = (rows - first).min(BATCH_ROWS);
        Some((i64::try_from(first).ok()?, i64::try_from(count).ok()?))
    })
}

impl Load {
    /// The names of `count` users all over the table, each time others.
    ///
    /// # Errors
    /// Where there are not as many.
    pub(crate) async fn names(&self, ground: &Ground, count: usize) -> Result<Vec<String>> {
        let [auth, _] = ground.databases()?;
        let auth = connect(&auth).await;
        let names = self.names_in(&auth, count).await;
        auth.close().await;
        names
    }

    async fn names_in(&self, auth: &Db, count: usize) -> Result<Vec<String>> {
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            ensure!(number < self.people, "the paths need more users than are loaded");
            let select = sql!("SELECT username FROM users WHERE id >= ? ORDER BY id LIMIT 1");
            // One after another in no order: neighbours are not asked for at the same time.
            let scattered = (number * 7919) % self.people;
            let query = auth.read(select).bind(self.first_user + scattered * self.stride);
            names.push(query.fetch_one().await?.get("username")?);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_row_once() {
        let all: Vec<_> = batches(25_000).collect();
        assert_eq!(all, [(0, 10_000), (10_000, 10_000), (20_000, 5_000)]);
        assert_eq!(batches(0).count(), 0);
    }
}
