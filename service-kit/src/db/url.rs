//! Where a database is.

use std::{fmt, path::Path, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions,
    mysql::MySqlConnectOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// How long a writer waits for another process's write to a SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of a database: `sqlite://`, `postgres://`, `mysql://` or `mariadb://`. Its `Debug`
/// shows no password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(super) Options);

#[derive(Clone)]
pub(super) enum Options {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

impl DatabaseUrl {
    /// The embedded database in the file `path`.
    pub fn embedded(path: &Path) -> Self {
        Self(Options::Sqlite(sqlite(SqliteConnectOptions::new().filename(path))))
    }

    /// The file of an embedded database.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Options::Sqlite(options) => Some(options.get_filename()),
            Options::Postgres(_) | Options::MySql(_) => None,
        }
    }
}

fn sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An answer is given only after its commit is on the disk.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        // The driver's message may quote the URL, and with it the password.
        let malformed = |scheme| move |_: sqlx::Error| format!("not a valid {scheme}:// URL");
        let options = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Options::Sqlite(sqlite(
                SqliteConnectOptions::from_str(url).map_err(malformed("sqlite"))?,
            )),
            Some(scheme @ ("postgres" | "postgresql")) => {
                let options = PgConnectOptions::from_str(url);
                let options = options.map_err(|_| format!("not a valid {scheme}:// URL"))?;
                Options::Postgres(options.disable_statement_logging())
            }
            Some(scheme @ ("mysql" | "mariadb")) => {
                let options = MySqlConnectOptions::from_str(url);
                let options = options.map_err(|_| format!("not a valid {scheme}:// URL"))?;
                Options::MySql(options.charset("utf8mb4").disable_statement_logging())
            }
            _ => return Err("not a sqlite://, postgres:// or mysql:// URL".to_owned()),
        };
        Ok(Self(options))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Options::Sqlite(options) => {
                write!(f, "sqlite://{}", options.get_filename().display())
            }
            Options::Postgres(options) => {
                let database = options.get_database().unwrap_or_default();
                write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())
            }
            Options::MySql(options) => {
                let database = options.get_database().unwrap_or_default();
                write!(f, "mysql://{}:{}/{database}", options.get_host(), options.get_port())
            }
        }
    }
}
