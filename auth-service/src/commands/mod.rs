//! What an operator does beside the service, on the same database and with the same settings.

mod keys;
mod table;
mod user;

use std::io::Write;

use clap::Subcommand;
use service_kit::{Shutdown, StartError};

use crate::Config;

pub use keys::KeysCommand;
pub use user::UserCommand;

/// What to do instead of serving.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// The keys that access tokens are signed with. Give it the settings of the service.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Accounts.
    #[command(subcommand)]
    User(UserCommand),
}

impl Command {
    /// Does it and prints what came of it; a shutdown ends it halfway, which leaves nothing half
    /// done in the database.
    ///
    /// # Errors
    /// In a line for a person.
    pub async fn run(self, config: &Config, shutdown: Shutdown) -> Result<(), StartError> {
        let text = tokio::select! {
            done = self.execute(config) => done?,
            () = shutdown.begun() => return Err(StartError::other("interrupted")),
        };
        let printed = std::io::stdout().write_all(text.as_bytes());
        printed.map_err(|error| StartError::other(format!("standard output: {error}")))
    }

    /// Does it and returns what is to be printed.
    ///
    /// # Errors
    /// In a line for a person.
    pub async fn execute(self, config: &Config) -> Result<String, StartError> {
        match self {
            Self::Keys(command) => command.execute(config).await,
            Self::User(command) => command.execute(config).await,
        }
    }
}
