//! What the database commits where nothing but one row is written: one statement that is a
//! transaction of its own, from as many tasks at once as the paths have requests in flight.
//!
//! On a server it goes through the product's `Db`, which hands a statement to sqlx's pool. On SQLite
//! the product lets writers that wait share a commit, and a commit each is what that is held
//! against: here sqlx's pool has one connection, set as the product's writer is.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use service_kit::{db::Db, sql, testing::connect};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{task::JoinSet, time::Instant};

use crate::{ground::Ground, load::Tally, measure::Sample, paths::IN_FLIGHT, process::own_usage};

/// Rows that are there to be changed, as sessions are.
const SESSIONS: i64 = 64;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    /// A new row with the indices of `registrations`.
    Registration,
    /// The time in one of many rows, indexed as in `sessions`.
    Session,
    /// A number in always the same row.
    OneRow,
}

/// A database beside the product's.
#[derive(Debug)]
pub(crate) struct RawCommits {
    committer: Committer,
    next: Arc<AtomicI64>,
}

#[derive(Clone, Debug)]
enum Committer {
    Sqlite(SqlitePool),
    Server(Db),
}

const INSERT: &str = "INSERT INTO raw_registrations (id, user_id, sport, training_level, \
                      registered_at, status, program_id, waitlist_ticket) \
                      VALUES (?, ?, 'cricket', 'intermediate', ?, 'confirmed', NULL, NULL)";
const UPDATE: &str = "UPDATE raw_sessions SET used_at = ? WHERE id = ?";

impl RawCommits {
    /// One on the same server, or the same disk.
    ///
    /// # Errors
    /// Where the server does not do what is asked.
    pub(crate) async fn new(ground: &Ground) -> Result<Self> {
        let url = ground.new_database("raw").await?;
        let db = connect(&url).await;
        for table in [
            sql!(
                "CREATE TABLE raw_registrations (id INTEGER PRIMARY KEY, user_id BIGINT NOT NULL, \
                 sport VARCHAR(100) NOT NULL, training_level VARCHAR(100) NOT NULL, \
                 registered_at BIGINT NOT NULL, status VARCHAR(16) NOT NULL, program_id BIGINT, \
                 waitlist_ticket BIGINT)"
            ),
            sql!("CREATE INDEX raw_by_user ON raw_registrations (user_id, id)"),
            sql!("CREATE INDEX raw_by_program ON raw_registrations (program_id, id)"),
            sql!(
                "CREATE UNIQUE INDEX raw_waiting ON raw_registrations (program_id, waitlist_ticket)"
            ),
            sql!("CREATE UNIQUE INDEX raw_live ON raw_registrations (program_id, user_id)"),
            sql!(
                "CREATE TABLE raw_sessions (id INTEGER PRIMARY KEY, user_id BIGINT NOT NULL, \
                 used_at BIGINT NOT NULL)"
            ),
            sql!("CREATE INDEX raw_sessions_by_user ON raw_sessions (user_id)"),
            sql!("CREATE INDEX raw_sessions_by_use ON raw_sessions (used_at)"),
        ] {
            db.write(table).execute().await.context("a table for raw commits")?;
        }
        for id in 0..SESSIONS {
            let insert = sql!("INSERT INTO raw_sessions (id, user_id, used_at) VALUES (?, ?, 0)");
            db.write(insert).bind(id).bind(id).execute().await?;
        }
        let committer = match url.file() {
            Some(file) => {
                db.close().await;
                Committer::Sqlite(one_connection(file).await?)
            }
            None => Committer::Server(db),
        };
        Ok(Self { committer, next: Arc::default() })
    }

    /// Commits for `duration`.
    ///
    /// # Errors
    /// Where a task panics; what the database refuses is counted.
    pub(crate) async fn run(&self, write: Write, duration: Duration) -> Result<Sample> {
        let before = own_usage();
        let end = Instant::now() + duration;
        let mut tasks = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            tasks.spawn(work(self.committer.clone(), self.next.clone(), write, end));
        }
        let mut tally = Tally::default();
        while let Some(worked) = tasks.join_next().await {
            tally.merge(&worked?);
        }
        Ok(Sample::of_our_own(tally, before))
    }
}

async fn work(committer: Committer, next: Arc<AtomicI64>, write: Write, end: Instant) -> Tally {
    let mut tally = Tally::begin();
    while Instant::now() < end {
        // The columns of the product's tables that hold a number are 8 bytes wide, an `INTEGER`
        // key on PostgreSQL 4: more than are ever committed here.
        let number = next.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        match committer.commit(write, number).await {
            Ok(1) => tally.answered(asked.elapsed()),
            Ok(rows) => tally.failed(format!("{rows} rows were written")),
            Err(error) => tally.failed(error.to_string()),
        }
    }
    tally.end();
    tally
}

async fn one_connection(file: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    // No ping before each use.
    let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
    pool.connect_with(options).await.context("a connection for raw commits")
}

impl Committer {
    async fn commit(&self, write: Write, number: i64) -> Result<u64> {
        let row = match write {
            Write::Registration => None,
            Write::Session => Some(number % SESSIONS),
            Write::OneRow => Some(0),
        };
        Ok(match (self, row) {
            (Self::Sqlite(pool), None) => {
                let insert = sqlite(INSERT).bind(number).bind(number % SESSIONS).bind(number);
                insert.execute(pool).await?.rows_affected()
            }
            (Self::Sqlite(pool), Some(row)) => {
                sqlite(UPDATE).bind(number).bind(row).execute(pool).await?.rows_affected()
            }
            (Self::Server(db), None) => {
                let insert = db.write(sql!(INSERT)).bind(number).bind(number % SESSIONS);
                insert.bind(number).execute().await?
            }
            (Self::Server(db), Some(row)) => {
                db.write(sql!(UPDATE)).bind(number).bind(row).execute().await?
            }
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "what service_kit::db does is held against this")]
fn sqlite(
    sql: &'static str,
) -> sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    sqlx::query(sql)
}
