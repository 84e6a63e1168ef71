//! auth-service: accounts, sessions and tokens.
//!
//! | Module | Holds | May name |
//! |---|---|---|
//! | `grpc` | the RPCs: translate in, call one rule, translate out | proto, model, rules, error |
//! | `accounts`, `password_schemes`, `sessions`, `signing_keys` | the rules | model, store, passwords, tokens |
//! | `import` | accounts that move in from another program | model, store, passwords |
//! | `commands` | what the command line offers beside serving | the rules, import |
//! | `passwords` | the hashing pool | model |
//! | `tokens` | access and refresh tokens | model |
//! | `model` | what all of it speaks of, parsed at the edge | nothing else here |
//! | `store` | the SQL | model, `service_kit::db` |
//! | `error` | one enum, and the only place where it becomes a `Status` | all |
//!
//! [`serve`] is the one door: for `main`, for `pavilion` and for the tests.

mod accounts;
mod commands;
mod error;
mod grpc;
mod import;
mod model;
mod password_schemes;
mod passwords;
mod sessions;
mod signing_keys;
mod store;
mod tokens;

use std::{fs::File, io::BufReader, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use auth_client::TokenRules;
use clap::Args;
use proto::auth::v1::auth_service_server::AuthServiceServer;
use service_kit::{
    Clock, Entropy, Shutdown, StartError,
    client::TrustedProxies,
    db::{DatabaseUrl, Db},
    secret::{self, SecretKey},
    server::{Listener, MESSAGE_BYTES_MAX, Services},
    settings::{Common, duration},
};

use accounts::Accounts;
use error::DOMAIN;
use grpc::AuthApi;
use model::{Blocklist, PasswordPolicy};
use password_schemes::PasswordSchemes;
use passwords::Passwords;
use sessions::{Lifetimes, Sessions};
use signing_keys::SigningKeys;
use store::{MIGRATIONS, Store};
use tokens::TokenIssuer;

pub use commands::Command;
pub use import::{ImportFormat, ImportOptions, ImportSummary, import};
pub use passwords::Settings as PasswordSettings;

/// The settings that only auth-service reads.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Where auth-service listens; port 0 picks one.
    #[arg(long, env = "AUTH_ADDR", value_name = "AUTH_ADDR", default_value = "127.0.0.1:50051")]
    pub auth_addr: SocketAddr,

    /// Where accounts are kept. Default: the embedded database auth.db in DATA_DIR
    #[arg(
        long,
        env = "AUTH_DATABASE_URL",
        value_name = "AUTH_DATABASE_URL",
        hide_env_values = true
    )]
    pub auth_database_url: Option<DatabaseUrl>,

    /// The secret key.
    #[command(flatten)]
    pub secret: secret::Settings,

    /// How long an access token is good.
    #[arg(
        long,
        env = "ACCESS_TOKEN_TTL",
        value_name = "ACCESS_TOKEN_TTL",
        default_value = "15m",
        value_parser = duration
    )]
    pub access_token_ttl: Duration,

    /// How long a session lives without being refreshed.
    #[arg(
        long,
        env = "REFRESH_TOKEN_TTL",
        value_name = "REFRESH_TOKEN_TTL",
        default_value = "30d",
        value_parser = duration
    )]
    pub refresh_token_ttl: Duration,

    /// How long a session lives, refreshed or not.
    #[arg(
        long,
        env = "SESSION_TTL_MAX",
        value_name = "SESSION_TTL_MAX",
        default_value = "365d",
        value_parser = duration
    )]
    pub session_ttl_max: Duration,

    /// How long the refresh token before the current one still gives the current one.
    #[arg(
        long,
        env = "REFRESH_GRACE",
        value_name = "REFRESH_GRACE",
        default_value = "30s",
        value_parser = duration
    )]
    pub refresh_grace: Duration,

    /// Characters of a new password at least.
    #[arg(
        long,
        env = "PASSWORD_MIN_LENGTH",
        value_name = "PASSWORD_MIN_LENGTH",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub password_min_length: u16,

    /// A file of refused passwords, one a line
    #[arg(long, env = "PASSWORD_BLOCKLIST", value_name = "PASSWORD_BLOCKLIST")]
    pub password_blocklist: Option<PathBuf>,

    /// The cost of a password's hash.
    #[command(flatten)]
    pub passwords: PasswordSettings,
}

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
    /// How long a session lives without being refreshed.
    pub refresh_token_ttl: Duration,
    /// How long a session lives, refreshed or not.
    pub session_ttl_max: Duration,
    /// How long the refresh token before the current one still gives the current one.
    pub refresh_grace: Duration,
    /// Whose word on a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Characters of a new password at least.
    pub password_chars_min: usize,
    /// A file of refused passwords.
    pub password_blocklist: Option<PathBuf>,
    /// The cost of a password's hash.
    pub passwords: PasswordSettings,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
}

impl Config {
    /// What the settings say, with the machine's clock and randomness.
    ///
    /// # Errors
    /// Names the setting whose file or folder cannot be used.
    pub fn new(
        settings: Settings,
        token_rules: TokenRules,
        common: &Common,
    ) -> Result<Self, StartError> {
        let data_dir = common.create_data_dir()?;
        let entropy = Entropy::system();
        Ok(Self {
            secret_key: SecretKey::load(&settings.secret, data_dir, &entropy)?,
            database: settings
                .auth_database_url
                .unwrap_or_else(|| DatabaseUrl::embedded(&data_dir.join("auth.db"))),
            token_rules,
            access_token_ttl: settings.access_token_ttl,
            refresh_token_ttl: settings.refresh_token_ttl,
            session_ttl_max: settings.session_ttl_max,
            refresh_grace: settings.refresh_grace,
            trusted_proxies: common.client.trusted_proxies.clone(),
            password_chars_min: settings.password_min_length.into(),
            password_blocklist: settings.password_blocklist,
            passwords: settings.passwords,
            clock: Clock::system(),
            entropy,
        })
    }
}

/// Serves `auth.v1` on `listener` until `shutdown`, and then ends within ten seconds.
///
/// # Errors
/// Where the service cannot start: names the setting that is to blame.
pub async fn serve(
    config: Config,
    listener: impl Into<Listener>,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let Config { clock, entropy, .. } = &config;
    let blocklist = load_blocklist(config.password_blocklist.clone()).await?;
    let db = Db::open("AUTH_DATABASE_URL", &config.database, MIGRATIONS).await?;
    let store = Store::new(db.clone());
    let keys = SigningKeys::load_or_create(&store, &config.secret_key, clock, entropy).await?;
    let keys = Arc::new(keys);
    let passwords = Passwords::start(&config.passwords, entropy)?;
    let mut schemes = PasswordSchemes::new(store.clone(), passwords.clone());
    // Before the first sign-in: from then on every refusal takes its time.
    schemes.refresh().await.map_err(|error| StartError::other(error.to_string()))?;
    let watching = tokio::spawn(schemes.watch());
    let issuer = TokenIssuer::new(
        config.token_rules.clone(),
        config.access_token_ttl,
        &config.secret_key,
        clock.clone(),
        entropy.clone(),
    );
    let api = AuthApi {
        accounts: Accounts::new(store.clone(), passwords.clone(), clock.clone()),
        sessions: Sessions {
            store,
            passwords,
            keys: keys.clone(),
            issuer: Arc::new(issuer),
            rules: config.token_rules.clone(),
            lifetimes: Lifetimes {
                idle: config.refresh_token_ttl,
                absolute: config.session_ttl_max,
                refresh_grace: config.refresh_grace,
            },
            clock: clock.clone(),
            entropy: entropy.clone(),
        },
        keys,
        password_policy: PasswordPolicy { chars_min: config.password_chars_min, blocklist },
    };
    let served = Services::new(DOMAIN, proto::FILE_DESCRIPTOR_SET)
        .trusting(config.trusted_proxies)
        .with(AuthServiceServer::new(api).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .serve(db.clone(), listener, shutdown)
        .await;
    watching.abort();
    db.close().await;
    served
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
