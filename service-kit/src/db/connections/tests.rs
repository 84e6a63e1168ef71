//! What becomes of connections that end in the middle of things.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    db::{Db, Migrations, Statement, server::CONNECTIONS_MAX},
    on_each_database, sql,
    testing::{DatabaseKind, TestDatabase},
};

const MIGRATIONS: Migrations = &[];
const ONE: Statement = sql!("SELECT 1 + ?");

/// Reads so often that each connection that is free is used.
async fn read(db: &Db) {
    for _ in 0..CONNECTIONS_MAX {
        db.read(ONE).bind(1_i64).fetch_one().await.expect("a connection that lives");
    }
}

/// What ends the connection that runs it.
fn suicide(database: &TestDatabase) -> Option<Statement> {
    match database.kind {
        DatabaseKind::Sqlite => None,
        DatabaseKind::Postgres => Some(sql!("SELECT pg_terminate_backend(pg_backend_pid())")),
        DatabaseKind::MySql => Some(sql!("KILL CONNECTION_ID()")),
    }
}

on_each_database! {
    async fn a_connection_that_the_server_ends_is_not_lent_again(database) {
        let db = database.open(MIGRATIONS).await;
        let Some(suicide) = suicide(&database) else { return };
        for _ in 0..3 {
            read(&db).await;
            db.read(suicide).execute().await.expect_err("it does not live to tell");
            read(&db).await;
            let mut tx = db.begin().await.expect("begun");
            tx.query(suicide).execute().await.expect_err("it does not live to tell");
            drop(tx);
        }
        read(&db).await;
    }

    async fn a_statement_that_is_abandoned_costs_no_other_its_answer(database) {
        let db = database.open(MIGRATIONS).await;
        for _ in 0..3 * CONNECTIONS_MAX {
            let mut reading = Box::pin(db.read(ONE).bind(1_i64).fetch_one());
            let _ = futures_util::poll!(&mut reading);
            drop(reading);
            let row = db.read(ONE).bind(41_i64).fetch_one().await.expect("answered");
            assert_eq!(row.get::<i64, _>(0).expect("a number"), 42);
        }
    }

    async fn closing_waits_for_what_is_still_running(database) {
        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("begun");
        tx.query(ONE).bind(1_i64).execute().await.expect("run");
        read(&db).await;
        let closing = tokio::spawn({
            let db = db.clone();
            async move { db.close().await }
        });
        while db.read(ONE).bind(1_i64).execute().await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!db.answers().await);
        tx.commit().await.expect("committed");
        closing.await.expect("closed");
        assert!(db.read(ONE).bind(1_i64).execute().await.is_err());
        if let Some(file) = database.database_url().file() {
            // The last to close moves everything into the file.
            let mut log = file.as_os_str().to_owned();
            log.push("-wal");
            assert!(!std::path::Path::new(&log).exists());
        }
    }
}
