//! The SQL, each statement once for all three databases; one file for each family of tables.

mod address_failures;
mod events;
mod imports;
mod lockouts;
mod managing;
mod password_resets;
mod password_schemes;
mod register_requests;
mod sessions;
mod signing_keys;
mod throttles;
mod users;

#[cfg(test)]
mod conformance;

use service_kit::db::{Db, Migrations};

pub use imports::{ExistingAccount, IMPORT_ROWS_MAX, ImportedRow};
pub use lockouts::Change;
pub use managing::{Actor, PasswordChange, UserChange};
pub use password_resets::{
    Answered, Guess, NewGuess, NewResetCode, PasswordReset, ResetCode, ResetRequest, Salt, Tag,
};
pub use password_schemes::PasswordSchemeRow;
pub use register_requests::{EarlierRegistration, RegisterRequestTags};
pub use sessions::{EndedSessions, EndingSessions};
pub use signing_keys::{KeyChanges, SigningKeyRow};
pub use throttles::Throttle;
pub use users::{Maker, NewUserRow};

/// The schema, oldest migration first.
pub const MIGRATIONS: Migrations = service_kit::migrations!("auth":
    1 "0001_accounts",
    2 "0002_events",
    3 "0003_password_schemes",
    4 "0004_mail_and_password_resets",
    5 "0005_signing_key_states",
    6 "0006_lockouts",
    7 "0007_lockouts_by_identifier",
    8 "0008_password_changes",
    9 "0009_guesses_by_asker",
    10 "0010_register_requests",
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

    /// See [`Db::listen`].
    pub async fn listen(&self) {
        self.db.listen().await;
    }

    /// See [`Db::notifying_commits`]: those that wrote events.
    pub fn commits(&self) -> u64 {
        self.db.notifying_commits()
    }

    /// Waits until events were written, or may have been: see [`Db::notified`].
    pub async fn notified(&self) {
        self.db.notified().await;
    }
}
