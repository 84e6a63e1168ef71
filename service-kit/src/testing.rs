//! Real parts for tests: a throwaway database of each kind, and a clock that a test moves.

pub mod plans;
pub mod smtp;

use std::{
    env,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sqlx::Connection;
use tempfile::TempDir;

use crate::{
    Clock, Entropy, Timestamp,
    db::{DatabaseUrl, Db, Migrations},
};

/// The kinds of databases that the store's tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// In a file of its own.
    Sqlite,
    /// In a schema of its own on the server at `TEST_POSTGRES_URL`.
    Postgres,
    /// In a database of its own on the server at `TEST_MYSQL_URL`.
    MySql,
}

/// An empty database that no other test sees.
#[derive(Debug)]
pub struct TestDatabase {
    /// Which it is.
    pub kind: DatabaseKind,
    /// Where it is.
    pub url: String,
    // Removes the folder of an embedded database; the servers are thrown away as a whole.
    folder: TempDir,
}

impl TestDatabase {
    /// Makes one.
    ///
    /// # Panics
    /// Where the server is not there: a database is never skipped in silence.
    pub async fn create(kind: DatabaseKind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = format!("test_{:016x}", u64::from_be_bytes(Entropy::system().bytes()));
        let url = match kind {
            DatabaseKind::Sqlite => {
                format!("sqlite://{}", folder.path().join("test.db").display())
            }
            DatabaseKind::Postgres => {
                let server = server_url("TEST_POSTGRES_URL");
                let mut connection =
                    sqlx::PgConnection::connect(&server).await.expect("PostgreSQL answers");
                let sql = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
                sqlx::raw_sql(sql).execute(&mut connection).await.expect("a schema is made");
                format!("{server}?options=-c%20search_path%3D{name}")
            }
            DatabaseKind::MySql => {
                let server = server_url("TEST_MYSQL_URL");
                let mut connection =
                    sqlx::MySqlConnection::connect(&server).await.expect("MariaDB answers");
                let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
                sqlx::raw_sql(sql).execute(&mut connection).await.expect("a database is made");
                format!("{server}/{name}")
            }
        };
        Self { kind, url, folder }
    }

    /// Its address, as settings hold it.
    ///
    /// # Panics
    /// Where the server's URL is not one.
    pub fn database_url(&self) -> DatabaseUrl {
        self.url.parse().expect("a database URL")
    }

    /// Connects and migrates.
    ///
    /// # Panics
    /// Where the database is not there.
    pub async fn open(&self, migrations: Migrations) -> Db {
        Db::open("TEST_DATABASE", &self.database_url(), migrations).await.expect("a database")
    }

    /// Connects to it as a service has left it.
    ///
    /// # Panics
    /// Where the database is not there.
    pub async fn connect(&self) -> Db {
        connect(&self.database_url()).await
    }

    /// A folder that goes with the database.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// Connects to a database as a service has left it.
///
/// # Panics
/// Where the database is not there.
pub async fn connect(url: &DatabaseUrl) -> Db {
    Db::connect(url).await.expect("a database")
}

fn server_url(variable: &str) -> String {
    let url: Option<String> = setting(variable);
    let url = url.unwrap_or_else(|| panic!("{variable} is not set: run scripts/test"));
    url.trim_end_matches('/').to_owned()
}

/// What an environment variable says that is a setting of the tests; `None` where it is not set.
///
/// # Panics
/// Where it says something else.
pub fn setting<T: FromStr>(variable: &str) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the product")]
    let value = env::var(variable).ok()?;
    let parsed = value.parse().ok();
    Some(parsed.unwrap_or_else(|| panic!("{variable} cannot be {value}")))
}

/// Runs each test on each kind of database, as `name::sqlite`, `name::postgres` and `name::mysql`.
/// The latter two are ignored by a plain `cargo test` and run by `scripts/test`.
#[macro_export]
macro_rules! on_each_database {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;
            use $crate::testing::{DatabaseKind, TestDatabase};

            async fn test($database: TestDatabase) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                test(TestDatabase::create(DatabaseKind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run scripts/test"]
            async fn postgres() {
                test(TestDatabase::create(DatabaseKind::Postgres).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run scripts/test"]
            async fn mysql() {
                test(TestDatabase::create(DatabaseKind::MySql).await).await;
            }
        }
    )+};
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl Default for ManualClock {
    /// Stands at the beginning of 2026.
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(Timestamp::from_seconds(1_767_225_600).micros())))
    }
}

impl ManualClock {
    /// The clock to hand to what is tested.
    pub fn clock(&self) -> Clock {
        let micros = self.0.clone();
        Clock::from_fn(move || Timestamp::from_micros(micros.load(Ordering::SeqCst)))
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a span that a test would use");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}
