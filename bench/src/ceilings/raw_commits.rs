//! What the database commits where nothing but one row is written: one statement that is a
//! transaction of its own, from as many tasks at once as the paths have requests in flight.
//!
//! The tasks share as many bare connections as the product has, set as the product's are, with
//! neither a pool nor `service_kit::db` between. Each commits by itself: that the product lets
//! writers on SQLite that wait share a commit is what it may gain.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use sqlx::{
    ConnectOptions, Executor, MySqlConnection, PgConnection, SqliteConnection,
    mysql::MySqlConnectOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::{sync::Mutex, task::JoinSet, time::Instant};

use crate::{
    ground::Ground, load::Tally, measure::Sample, options::DatabaseKind, paths::IN_FLIGHT,
    process::own_usage,
};

/// Connections to a server, as many as the product takes. On SQLite one writes.
const SERVER_CONNECTIONS: usize = 16;
/// How long the product waits for another process's write to a SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
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
    /// Each lent to one of its tasks at a time.
    connections: Vec<Arc<Mutex<RawConnection>>>,
    next: Arc<AtomicI64>,
}

#[derive(Debug)]
enum RawConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

const TABLES: [&str; 8] = [
    "CREATE TABLE raw_registrations (id INTEGER PRIMARY KEY, user_id BIGINT NOT NULL, \
     sport VARCHAR(100) NOT NULL, training_level VARCHAR(100) NOT NULL, \
     registered_at BIGINT NOT NULL, status VARCHAR(16) NOT NULL, program_id BIGINT, \
     waitlist_ticket BIGINT)",
    "CREATE INDEX raw_by_user ON raw_registrations (user_id, id)",
    "CREATE INDEX raw_by_program ON raw_registrations (program_id, id)",
    "CREATE UNIQUE INDEX raw_waiting ON raw_registrations (program_id, waitlist_ticket)",
    "CREATE UNIQUE INDEX raw_live ON raw_registrations (program_id, user_id)",
    "CREATE TABLE raw_sessions (id INTEGER PRIMARY KEY, user_id BIGINT NOT NULL, \
     used_at BIGINT NOT NULL)",
    "CREATE INDEX raw_sessions_by_user ON raw_sessions (user_id)",
    "CREATE INDEX raw_sessions_by_use ON raw_sessions (used_at)",
];

/// What is committed, in the words of one database.
struct Statements {
    /// Of an id, a user's id and a time.
    registration: &'static str,
    /// Of an id and a user's id.
    session: &'static str,
    /// Of a time and an id.
    use_session: &'static str,
}

macro_rules! statements {
    ($first:literal, $second:literal, $third:literal) => {
        Statements {
            registration: concat!(
                "INSERT INTO raw_registrations (id, user_id, sport, training_level, \
                 registered_at, status, program_id, waitlist_ticket) VALUES (",
                $first,
                ", ",
                $second,
                ", 'cricket', 'intermediate', ",
                $third,
                ", 'confirmed', NULL, NULL)"
            ),
            session: concat!(
                "INSERT INTO raw_sessions (id, user_id, used_at) VALUES (",
                $first,
                ", ",
                $second,
                ", 0)"
            ),
            use_session: concat!(
                "UPDATE raw_sessions SET used_at = ",
                $first,
                " WHERE id = ",
                $second
            ),
        }
    };
}

const STATEMENTS: Statements = statements!("?", "?", "?");
const POSTGRES_STATEMENTS: Statements = statements!("$1", "$2", "$3");

impl RawCommits {
    /// One on the same server, or the same disk.
    ///
    /// # Errors
    /// Where the server does not do what is asked.
    pub(crate) async fn new(ground: &Ground) -> Result<Self> {
        let (kind, url) = (ground.kind(), ground.new_database("raw").await?);
        let mut first = RawConnection::open(kind, &url).await?;
        for table in TABLES {
            first.run(table).await.context("a table for raw commits")?;
        }
        let insert = first.statements().session;
        for id in 0..SESSIONS {
            first.write(insert, &[id, id]).await.context("a row for raw commits")?;
        }
        let mut connections = vec![Arc::new(Mutex::new(first))];
        if kind != DatabaseKind::Sqlite {
            while connections.len() < SERVER_CONNECTIONS {
                let connection = RawConnection::open(kind, &url).await?;
                connections.push(Arc::new(Mutex::new(connection)));
            }
        }
        Ok(Self { connections, next: Arc::default() })
    }

    /// Commits for `duration`.
    ///
    /// # Errors
    /// Where a task panics; what the database refuses is counted.
    pub(crate) async fn run(&self, write: Write, duration: Duration) -> Result<Sample> {
        let before = own_usage();
        let end = Instant::now() + duration;
        let mut tasks = JoinSet::new();
        for connection in self.connections.iter().cycle().take(IN_FLIGHT) {
            tasks.spawn(work(connection.clone(), self.next.clone(), write, end));
        }
        let mut tally = Tally::default();
        while let Some(worked) = tasks.join_next().await {
            tally.merge(&worked?);
        }
        Ok(Sample::of_our_own(tally, before))
    }
}

async fn work(
    connection: Arc<Mutex<RawConnection>>,
    next: Arc<AtomicI64>,
    write: Write,
    end: Instant,
) -> Tally {
    let mut tally = Tally::begin();
    while Instant::now() < end {
        // The columns of the product's tables that hold a number are 8 bytes wide, an `INTEGER`
        // key on PostgreSQL 4: more than are ever committed here.
        let number = next.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let committed = connection.lock().await.commit(write, number).await;
        match committed {
            Ok(1) => tally.answered(asked.elapsed()),
            Ok(rows) => tally.failed(format!("{rows} rows were written")),
            Err(error) => tally.failed(error.to_string()),
        }
    }
    tally.end();
    tally
}

impl RawConnection {
    async fn open(kind: DatabaseKind, url: &str) -> Result<Self> {
        Ok(match kind {
            DatabaseKind::Sqlite => {
                let options = SqliteConnectOptions::from_str(url)?
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY_TIMEOUT)
                    .disable_statement_logging();
                Self::Sqlite(options.connect().await?)
            }
            DatabaseKind::Postgres => {
                let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
                Self::Postgres(options.connect().await?)
            }
            DatabaseKind::Mariadb => {
                let options = MySqlConnectOptions::from_str(url)?.charset("utf8mb4");
                let connection = options.disable_statement_logging().connect().await?;
                let mut connection = Self::MySql(connection);
                connection.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection
            }
        })
    }

    fn statements(&self) -> &'static Statements {
        match self {
            Self::Postgres(_) => &POSTGRES_STATEMENTS,
            Self::Sqlite(_) | Self::MySql(_) => &STATEMENTS,
        }
    }

    async fn commit(&mut self, write: Write, number: i64) -> Result<u64, sqlx::Error> {
        let Statements { registration, use_session, .. } = self.statements();
        match write {
            Write::Registration => {
                self.write(registration, &[number, number % SESSIONS, number]).await
            }
            Write::Session => self.write(use_session, &[number, number % SESSIONS]).await,
            Write::OneRow => self.write(use_session, &[number, 0]).await,
        }
    }

    /// Runs what has no values.
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
            Self::MySql(connection) => connection.execute(sql).await.map(drop),
        }
    }

    /// Runs a prepared statement; how many rows it has written.
    async fn write(&mut self, sql: &'static str, values: &[i64]) -> Result<u64, sqlx::Error> {
        macro_rules! write {
            ($connection:expr) => {{
                #[expect(
                    clippy::disallowed_methods,
                    reason = "what service_kit::db does is held against this"
                )]
                let query = sqlx::query(sql);
                let query = values.iter().fold(query, |query, value| query.bind(*value));
                query.execute($connection).await?.rows_affected()
            }};
        }
        Ok(match self {
            Self::Sqlite(connection) => write!(connection),
            Self::Postgres(connection) => write!(connection),
            Self::MySql(connection) => write!(connection),
        })
    }
}
