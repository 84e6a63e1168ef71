//! What can go wrong with a database, by what one can do about it.

use sqlx::{error::ErrorKind, mysql::MySqlDatabaseError, postgres::PgDatabaseError};

/// An error of the database or of the way there. Its text is for the log, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// From the driver.
    #[error("database: {0}")]
    Driver(#[from] sqlx::Error),
    /// The commit that a transaction shared with others failed, or the work of one of them did in
    /// a way that undid all.
    #[error("database: a commit shared with other transactions failed")]
    SharedCommit,
    /// The transaction gave itself up: all that it did is undone.
    #[error("database: the transaction has undone itself")]
    Undone,
    /// A stored value that this program would never have written.
    #[error("database: {0} holds a value that cannot be read")]
    Corrupt(&'static str),
}

/// A kind of constraint that a statement can violate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Unique or primary key.
    Unique,
    /// Foreign key.
    ForeignKey,
}

impl DbError {
    /// The kind of constraint that was violated. (Its name is known on PostgreSQL alone: ask
    /// the database again which value is taken.)
    pub fn violated(&self) -> Option<Constraint> {
        match self {
            Self::Driver(sqlx::Error::Database(error)) => match error.kind() {
                ErrorKind::UniqueViolation => Some(Constraint::Unique),
                ErrorKind::ForeignKeyViolation => Some(Constraint::ForeignKey),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the same transaction may well succeed if it is run again: a deadlock, a
    /// serialization failure, a lock that was not had in time.
    pub fn is_retryable(&self) -> bool {
        let Self::Driver(sqlx::Error::Database(error)) = self else {
            return matches!(self, Self::SharedCommit);
        };
        // PostgreSQL and MySQL: SQLSTATE class 40; 55P03 lock not available. SQLite: the primary
        // codes 5 (busy) and 6 (locked) in the low byte of the extended one. MySQL's lock wait
        // time-out is HY000, told apart by its number alone.
        let code = error.code().unwrap_or_default();
        if let Some(error) = error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
            return sqlx::error::DatabaseError::code(error)
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| matches!(code & 0xff, 5 | 6));
        }
        if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
            return matches!(error.number(), 1205 | 1213);
        }
        code.starts_with("40") || code == "55P03"
    }

    /// Whether the database could not be reached or had no connection free: try again later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Driver(error) => is_unavailable(error),
            Self::SharedCommit => true,
            Self::Corrupt(_) | Self::Undone => false,
        }
    }
}

/// As [`DbError::is_unavailable`].
pub(super) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Class 57: an operator's intervention, such as a server that is shutting down;
        // 53: out of resources, such as connections; 08: the connection is gone.
        sqlx::Error::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                // Too many connections; shutting down; the user has too many; the statement and
                // the connection were killed; it was idle for too long.
                return matches!(error.number(), 1040 | 1053 | 1203 | 1317 | 1927 | 4031);
            }
            let code = error.code().unwrap_or_default();
            error.try_downcast_ref::<PgDatabaseError>().is_some()
                && ["57", "53", "08"].iter().any(|class| code.starts_with(class))
        }
        _ => false,
    }
}
