//! What the service is made with: the settings, judged, with the keys, the clock and the chance.

use std::{fs::File, io::BufReader, path::PathBuf, sync::Arc, time::Duration};

use auth_client::{Algorithm, TokenRules};
use service_kit::{
    Clock, Entropy, StartError,
    client::TrustedProxies,
    db::DatabaseUrl,
    mail,
    secret::SecretKey,
    settings::{Common, Mailing, Retention, ServiceTokens, defaults},
};

use crate::{
    Settings, lockout,
    lockout::Lockout,
    model::{Blocklist, PasswordPolicy},
    password_reset, passwords,
    signing_keys::{KeyKeeper, KeyPolicy},
    store::Store,
    users::Users,
};

/// Everything that [`serve`] needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where accounts are kept.
    pub database: DatabaseUrl,
    /// Seals signing keys and makes refresh tokens.
    pub secret_key: SecretKey,
    /// What tokens say of themselves.
    pub token_rules: TokenRules,
    /// How long an access token is good.
    pub access_token_ttl: Duration,
    /// What new access tokens are signed with.
    pub token_algorithm: Algorithm,
    /// How long a key signs before the next one takes over. NIST SP 800-57 part 1 (section 5.3.6)
    /// allows one to three years; the default of 90 days bounds what a key that leaked unseen is
    /// worth, and keeps rotation a thing that is known to work.
    pub signing_key_rotation: Duration,
    /// How long a session lives without being refreshed.
    pub refresh_token_ttl: Duration,
    /// How long a session lives, refreshed or not.
    pub session_ttl_max: Duration,
    /// How long the refresh token before the current one still gives the current one.
    pub refresh_grace: Duration,
    /// How long events are kept.
    pub event_retention: Duration,
    /// What services show for the streams.
    pub service_tokens: ServiceTokens,
    /// Whose word on a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Characters of a new password at least.
    pub password_chars_min: usize,
    /// A file of refused passwords.
    pub password_blocklist: Option<PathBuf>,
    /// The cost of a password's hash.
    pub passwords: passwords::Settings,
    /// When failed sign-ins have consequences.
    pub lockout: lockout::Settings,
    /// How a forgotten password is replaced.
    pub password_reset: password_reset::Settings,
    /// How mail is sent.
    pub mail: mail::Settings,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
}

impl Config {
    /// What the settings say, with the machine's clock and randomness.
    ///
    /// # Errors
    /// Names the setting that is out of bounds, or whose file or folder cannot be used.
    pub fn new(
        settings: Settings,
        token_rules: TokenRules,
        service_tokens: ServiceTokens,
        mailing: Mailing,
        retention: Retention,
        common: &Common,
    ) -> Result<Self, StartError> {
        if settings.signing_key_rotation < settings.access_token_ttl {
            let message = "shorter than ACCESS_TOKEN_TTL: keys would pile up";
            return Err(StartError::setting("SIGNING_KEY_ROTATION", message));
        }
        if settings.refresh_token_ttl < settings.access_token_ttl {
            let message = "shorter than ACCESS_TOKEN_TTL: tokens would outlive their session";
            return Err(StartError::setting("REFRESH_TOKEN_TTL", message));
        }
        settings.passwords.check()?;
        let data_dir = common.create_data_dir()?;
        let secret_key = SecretKey::load(&mailing.secret, data_dir, &Entropy::system())?;
        let database = settings.auth_database_url.clone();
        let database = database.unwrap_or_else(|| DatabaseUrl::embedded(&data_dir.join("auth.db")));
        Ok(Self {
            token_rules,
            service_tokens,
            trusted_proxies: common.client.trusted_proxies.clone(),
            mail: mailing.mail,
            event_retention: retention.event_retention,
            ..Self::of(settings, database, secret_key)
        })
    }

    /// The default of every setting, over `database` and under `secret_key`, without a service
    /// token or trusted proxies.
    pub fn with_defaults(database: DatabaseUrl, secret_key: SecretKey) -> Self {
        Self::of(defaults(), database, secret_key)
    }

    fn of(settings: Settings, database: DatabaseUrl, secret_key: SecretKey) -> Self {
        Self {
            database,
            secret_key,
            token_rules: defaults(),
            access_token_ttl: settings.access_token_ttl,
            token_algorithm: settings.token_algorithm,
            signing_key_rotation: settings.signing_key_rotation,
            refresh_token_ttl: settings.refresh_token_ttl,
            session_ttl_max: settings.session_ttl_max,
            refresh_grace: settings.refresh_grace,
            event_retention: defaults::<Retention>().event_retention,
            service_tokens: ServiceTokens::default(),
            trusted_proxies: TrustedProxies::default(),
            password_chars_min: settings.password_min_length.into(),
            password_blocklist: settings.password_blocklist,
            passwords: settings.passwords,
            lockout: settings.lockout,
            password_reset: settings.password_reset,
            mail: defaults(),
            clock: Clock::system(),
            entropy: Entropy::system(),
        }
    }

    /// The rules of managing the accounts in `store`.
    pub(crate) fn users(&self, store: Store) -> Users {
        let (lockout, clock) = (self.lockout(store.clone()), self.clock.clone());
        Users { store, lockout, clock, access_token_ttl: self.access_token_ttl }
    }

    /// The rules of the lockout over `store`.
    pub(crate) fn lockout(&self, store: Store) -> Lockout {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Lockout::new(&self.lockout, store, &self.secret_key, clock, entropy)
    }

    /// What new passwords must be like.
    pub(crate) async fn password_policy(&self) -> Result<PasswordPolicy, StartError> {
        let blocklist = load_blocklist(self.password_blocklist.clone()).await?;
        Ok(PasswordPolicy { chars_min: self.password_chars_min, blocklist })
    }

    /// What changes the signing keys in `store`.
    pub(crate) fn key_keeper(&self, store: Store) -> KeyKeeper {
        KeyKeeper {
            store,
            secret: self.secret_key.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            policy: KeyPolicy {
                algorithm: self.token_algorithm,
                rotation: self.signing_key_rotation,
                token_ttl: self.access_token_ttl,
            },
        }
    }
}

/// Reads the file of refused passwords, if there is one: millions of lines take a second or two.
async fn load_blocklist(path: Option<PathBuf>) -> Result<Arc<Blocklist>, StartError> {
    let Some(path) = path else { return Ok(Arc::default()) };
    let shown = path.display().to_string();
    let read = move || Blocklist::read(BufReader::with_capacity(1 << 20, File::open(path)?));
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|error| StartError::other(error.to_string()))?;
    let blocklist = read
        .map_err(|error| StartError::setting("PASSWORD_BLOCKLIST", format!("{shown}: {error}")))?;
    tracing::info!(passwords.refused = blocklist.len(), "the list of refused passwords is read");
    Ok(Arc::new(blocklist))
}
