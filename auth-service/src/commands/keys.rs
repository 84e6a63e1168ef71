//! `auth-service keys list|rotate|revoke`.

use clap::Subcommand;
use service_kit::{StartError, db::Db};

use super::table::{row, time};
use crate::{
    Config,
    model::KeyState,
    signing_keys::{KeyKeeper, Refused, failed},
    store::{MIGRATIONS, SigningKeyRow, Store},
};

const WIDTHS: [usize; 6] = [16, 9, 7, 20, 20, 0];

/// What to do with the keys.
#[derive(Subcommand, Clone, Debug)]
pub enum KeysCommand {
    /// Lists them, oldest first. Private parts are never shown.
    List,
    /// Lets the next key sign from now on. What was signed before stays good until it expires.
    Rotate {
        /// Do not wait until every verifier knows the next key, and sign with TOKEN_ALGORITHM.
        #[arg(long)]
        now: bool,
    },
    /// Ends the trust in a key and in all that it has signed; the next one takes its place.
    Revoke {
        /// The key's id.
        // One in 64 begins with a hyphen.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
    },
}

impl KeysCommand {
    /// Does it and returns what is to be printed.
    ///
    /// # Errors
    /// Names `SECRET_KEY` where it does not fit the database, or says why keys stay as they are.
    pub async fn execute(self, config: &Config) -> Result<String, StartError> {
        let db = Db::open("AUTH_DATABASE_URL", &config.database, MIGRATIONS).await?;
        let keeper = config.key_keeper(Store::new(db.clone()));
        let done = match self {
            Self::List => list(&keeper).await,
            Self::Rotate { now } => rotate(&keeper, now).await,
            Self::Revoke { kid } => revoke(&keeper, &kid).await,
        };
        db.close().await;
        done
    }
}

async fn list(keeper: &KeyKeeper) -> Result<String, StartError> {
    let mut table =
        row(["KID", "ALGORITHM", "STATE", "CREATED", "ACTIVE SINCE", "RETIRED"], WIDTHS);
    for key in keeper.list().await.map_err(failed)? {
        table += &row(
            [
                &key.kid,
                key.algorithm.as_str(),
                key.state.as_str(),
                &time(Some(key.created_at))?,
                &time(key.active_since)?,
                &time(key.retired_at)?,
            ],
            WIDTHS,
        );
    }
    Ok(table)
}

async fn rotate(keeper: &KeyKeeper, at_once: bool) -> Result<String, StartError> {
    keeper.require_fit().await?;
    let mut text = String::new();
    match keeper.rotate(at_once).await.map_err(failed)? {
        Ok(_) => {}
        Err(Refused::Raced) => text += "another process has just rotated the keys\n",
        Err(refused) => return Err(StartError::other(refused.to_string())),
    }
    text += &active(keeper).await?;
    Ok(text)
}

async fn revoke(keeper: &KeyKeeper, kid: &str) -> Result<String, StartError> {
    keeper.require_fit().await?;
    let revoked = keeper.revoke(kid).await.map_err(failed)?;
    revoked.map_err(|refused| StartError::other(refused.to_string()))?;
    Ok(format!("{kid} is no longer trusted\n{}", active(keeper).await?))
}

/// Which key signs.
async fn active(keeper: &KeyKeeper) -> Result<String, StartError> {
    let keys = keeper.list().await.map_err(failed)?;
    let is_active = |key: &&SigningKeyRow| key.state == KeyState::Active;
    Ok(keys.iter().find(is_active).map_or_else(String::new, |key| {
        format!("{} ({}) signs from now on\n", key.kid, key.algorithm.as_str())
    }))
}
