//! What others find while transactions wait for one row.

use futures_util::poll;
use tokio::task::JoinSet;

use super::*;
use crate::{
    db::{Db, DbError, MigrationFile, Migrations},
    on_each_database, sql,
};

const MIGRATIONS: Migrations = &[MigrationFile {
    version: 1,
    name: "counters",
    sqlite: "CREATE TABLE counters (id INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
             INSERT INTO counters (id, count) VALUES (1, 0);",
    postgres: "CREATE TABLE counters (id BIGINT PRIMARY KEY, count BIGINT NOT NULL);
               INSERT INTO counters (id, count) VALUES (1, 0);",
    mysql: "CREATE TABLE counters (id BIGINT PRIMARY KEY, count BIGINT NOT NULL);
            INSERT INTO counters (id, count) VALUES (1, 0);",
}];

async fn count_up(db: Db) {
    let mut tx = db.begin().await.expect("a place");
    let update = sql!("UPDATE counters SET count = count + 1 WHERE id = 1");
    assert_eq!(tx.query(update).execute().await.expect("updated"), 1);
    tx.commit().await.expect("committed");
}

async fn count(db: &Db) -> i64 {
    let select = sql!("SELECT count FROM counters WHERE id = 1");
    let row = db.read(select).fetch_one().await.expect("a connection to read on");
    row.get(0).expect("a number")
}

on_each_database! {
    async fn readers_and_pings_are_served_while_transactions_wait(database) {
        let db = database.open(MIGRATIONS).await;
        let mut holder = db.begin().await.expect("a place");
        let update = sql!("UPDATE counters SET count = 100 WHERE id = 1");
        holder.query(update).execute().await.expect("updated");
        // On SQLite, whoever waits has not begun.
        let others = if database.kind == DatabaseKind::Sqlite { 0 } else { TRANSACTIONS_MAX - 1 };
        let mut open = Vec::new();
        for _ in 0..others {
            open.push(db.begin().await.expect("a place"));
        }
        let mut waiting = JoinSet::new();
        for _ in 0..2 * CONNECTIONS_MAX {
            waiting.spawn(count_up(db.clone()));
        }
        // Some give up in the middle of a wait for the row.
        for mut tx in open {
            let update = sql!("UPDATE counters SET count = count + 1 WHERE id = 1");
            let mut abandoned = Box::pin(tx.query(update).execute());
            assert!(poll!(&mut abandoned).is_pending());
        }
        for _ in 0..CONNECTIONS_MAX {
            tokio::task::yield_now().await;
            assert!(db.answers().await);
            assert_eq!(count(&db).await, 0);
        }
        assert_eq!(waiting.try_join_next().map(drop), None);
        holder.commit().await.expect("committed");
        waiting.join_all().await;
        let counted = usize::try_from(count(&db).await).expect("not negative");
        assert_eq!(counted, 100 + 2 * CONNECTIONS_MAX);
        db.close().await;
        assert!(!db.answers().await);
    }

    async fn whoever_locks_a_row_finds_it_as_the_one_before_has_left_it(database) {
        let db = database.open(MIGRATIONS).await;
        let mut calls = JoinSet::new();
        for _ in 0..2 * CONNECTIONS_MAX {
            let db = db.clone();
            calls.spawn(async move {
                let mut tx = db.begin().await.expect("a place");
                let lock = sql!("SELECT id FROM counters WHERE id = ? FOR UPDATE");
                tx.query(lock).bind(1_i64).lock().await.expect("locked");
                let select = sql!("SELECT count FROM counters WHERE id = 1");
                let row = tx.query(select).fetch_one().await.expect("a row");
                let count: i64 = row.get(0).expect("a number");
                let update = sql!("UPDATE counters SET count = ? WHERE id = 1");
                tx.query(update).bind(count + 1).execute().await.expect("updated");
                tx.commit().await.expect("committed");
            });
        }
        calls.join_all().await;
        assert_eq!(count(&db).await, i64::try_from(2 * CONNECTIONS_MAX).expect("a small number"));
    }

    async fn what_is_not_there_is_not_locked(database) {
        if database.kind == DatabaseKind::Sqlite {
            // Nothing has to be locked.
            return;
        }
        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("a place");
        let lock = sql!("SELECT id FROM counters WHERE id = ? FOR UPDATE");
        let locked = tx.query(lock).bind(2_i64).lock().await;
        assert!(matches!(locked, Err(DbError::Driver(sqlx::Error::RowNotFound))), "{locked:?}");
    }

    async fn an_update_of_a_row_tells_what_it_has_made_of_it(database) {
        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("a place");
        let update =
            sql!("UPDATE counters SET count = count + ? WHERE id = ? AND count < 5 RETURNING count");
        let select = sql!("SELECT count FROM counters WHERE id = ?");
        for (id, expected) in [(1, Some(3_i64)), (2, None), (1, Some(6)), (1, None)] {
            let updated = tx.query(update).bind(3_i64).bind(id).fetch_updated(select, id).await;
            let count = updated.expect("updated").map(|row| row.get("count").expect("a number"));
            assert_eq!(count, expected);
        }
        tx.commit().await.expect("committed");
        assert_eq!(count(&db).await, 6);
    }
}
