//! What `auth-service` can do beside serving.

mod import;

use clap::Subcommand;
use service_kit::{Shutdown, StartError};

use crate::{Config, ImportOptions};

/// A command; without one, `auth-service` serves.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Moves in: takes over accounts and password hashes of another program
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
