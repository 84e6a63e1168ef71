//! The SQL, each statement once for all three databases; one file for each family of tables.

mod events;
mod imports;
mod password_schemes;
mod sessions;
mod signing_keys;
mod users;

#[cfg(test)]
mod conformance;

use service_kit::db::{Db, Migrations};

pub use imports::{ExistingAccount, IMPORT_ROWS_MAX, ImportedRow};
pub use sessions::{EndedSessions, EndingSessions};
pub use signing_keys::SigningKeyRow;
pub use users::NewUserRow;

/// The schema, oldest migration first.
pub const MIGRATIONS: Migrations = service_kit::migrations!("auth":
    1 "0001_accounts",
    2 "0002_events",
    3 "0003_password_schemes",
);

/// The tables of auth-service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
}

impl Store {
    /// The tables in `db`, which was opened with [`MIGRATIONS`].
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}
