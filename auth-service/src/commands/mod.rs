//! What an operator does beside the service, on the same database and with the same settings.

mod import;
mod keys;
mod table;
mod user;

use std::io::Write;

use clap::Subcommand;
use service_kit::{Shutdown, StartError};

use crate::{Config, ImportOptions};

pub use keys::KeysCommand;
pub use user::UserCommand;

/// What to do instead of serving. Give it the settings of the service.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// The keys that access tokens are signed with. Give it the settings of the service.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Takes over accounts and password hashes of another program
    ///
    /// Columns (of CSV) or members (of JSON Lines): username, email or both; password_hash, as
    /// Werkzeug, Django (PBKDF2), bcrypt libraries or PHC strings of argon2 and scrypt have it;
    /// name; roles (user, coach, admin); disabled; created_at. Every bad row is reported before
    /// anything is written. Run it again to complete an import that was interrupted.
    Import(ImportOptions),
}

impl Command {
    /// Does it and prints what came of it; a shutdown ends it halfway, which leaves nothing half
    /// done in the database.
    ///
    /// # Errors
    /// In a line for a person.
    pub async fn run(self, config: &Config, shutdown: Shutdown) -> Result<(), StartError> {
        let done = match self {
            // It ends by itself at a shutdown, between two batches, and prints as it goes.
            Self::Import(options) => return import::run(&options, config, &shutdown).await,
            Self::Keys(command) => shutdown.unless_begun(Box::pin(command.execute(config))).await,
            Self::User(command) => shutdown.unless_begun(Box::pin(command.execute(config))).await,
        };
        let text = done.unwrap_or_else(|| Err(StartError::other("interrupted")))?;
        let printed = std::io::stdout().write_all(text.as_bytes());
        printed.map_err(|error| StartError::other(format!("standard output: {error}")))
    }
}
