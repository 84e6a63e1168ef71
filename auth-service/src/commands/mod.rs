//! What `auth-service` can do beside serving.

mod import;

use clap::Subcommand;
use service_kit::{Shutdown, StartError};

use crate::{Config, ImportOptions};

/// A command; without one, `auth-service` serves.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Takes over accounts and password hashes of another program
    ///
    /// Columns (of CSV) or members (of JSON Lines): username, email or both; password_hash, as
    /// Werkzeug, Django (PBKDF2), bcrypt libraries or PHC strings of argon2 and scrypt have it;
    /// name; roles (user, coach, admin); disabled; created_at. Every bad row is reported before
    /// anything is written. Run it again to complete an import that was interrupted.
    Import(ImportOptions),
}

impl Command {
    /// Does it, with the database of `config`, while the service runs or not.
    ///
    /// # Errors
    /// One line that says why it could not be done.
    pub async fn run(self, config: Config, shutdown: Shutdown) -> Result<(), StartError> {
        match self {
            Self::Import(options) => import::run(&options, &config, &shutdown).await,
        }
    }
}
