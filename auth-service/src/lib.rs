//! auth-service: accounts, sessions and tokens.
//!
//! | Module | Holds | May name |
//! |---|---|---|
//! | `grpc` | the RPCs: translate in, call one rule, translate out | proto, model, rules, error |
//! | `accounts`, `sessions`, `users`, `lockout`, `password_reset`, `password_schemes`, `signing_keys`, `events`, `permissions`, `repeats` | the rules | model, store, passwords, tokens |
//! | `import` | accounts that move in from another program | model, store, passwords |
//! | `feed`, `housekeeping` | what runs beside the RPCs: following the log, deleting what has expired | store |
//! | `commands` | what an operator does beside the service: `auth-service keys ...` | rules, store |
//! | `passwords` | the hashing pool | model |
//! | `tokens` | access and refresh tokens | model |
//! | `model` | what all of it speaks of, parsed at the edge | nothing else here |
//! | `store` | the SQL | model, `service_kit::db` |
//! | `settings`, `config`, `assembly` | what it is told, what it is made with, and how it is put together | all |
//! | `error` | one enum, and the only place where it becomes a `Status` | all |
//!
//! [`serve`] is the one door: for `main`, for `pavilion` and for the tests.

mod accounts;
mod assembly;
mod commands;
mod config;
mod error;
mod events;
mod feed;
mod grpc;
mod housekeeping;
mod import;
mod lockout;
mod model;
mod password_reset;
mod password_schemes;
mod passwords;
mod permissions;
mod repeats;
mod session_cache;
mod sessions;
mod settings;
mod signing_keys;
mod store;
mod tokens;
mod users;

use service_kit::{Shutdown, StartError, db::Db, mail::Mailer, server::Listener};

use assembly::Assembly;
use store::MIGRATIONS;

pub use commands::{Command, KeysCommand};
pub use config::Config;
pub use import::{ImportFormat, ImportOptions, ImportSummary, import};
pub use lockout::Settings as LockoutSettings;
pub use password_reset::Settings as PasswordResetSettings;
pub use passwords::Settings as PasswordSettings;
pub use settings::Settings;

/// Serves `auth.v1` on `listener` until `shutdown`, and then ends within ten seconds.
///
/// # Errors
/// Where the service cannot start: names the setting that is to blame.
pub async fn serve(
    config: Config,
    listener: impl Into<Listener>,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let mailer = Mailer::new(&config.mail)?;
    let password_policy = config.password_policy().await?;
    let opening = Box::pin(Db::open("AUTH_DATABASE_URL", &config.database, MIGRATIONS));
    let Some(db) = shutdown.unless_begun(opening).await.transpose()? else { return Ok(()) };
    let assembly = Assembly::new(&config, password_policy, &db).await?;
    let mut workers = assembly.workers(mailer, &shutdown);
    let serving = assembly.services(&config, &shutdown).serve(db.clone(), listener, shutdown);
    let mut background = assembly.background(&config);
    let served = tokio::select! {
        served = Box::pin(serving) => served,
        _ = background.join_next() => Err(StartError::other("a task in the background has failed")),
    };
    if served.is_ok() {
        // They have heard of the shutdown, too, and end in time.
        while let Some(ended) = workers.join_next().await {
            ended
                .map_err(|error| StartError::other(format!("a task in the background: {error}")))?;
        }
    }
    background.shutdown().await;
    db.close().await;
    served
}
