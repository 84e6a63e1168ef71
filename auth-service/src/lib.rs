//! auth-service: accounts, sessions and tokens.
//!
//! | Module | Holds | May name |
//! |---|---|---|
//! | `grpc` | the RPCs: translate in, call one rule, translate out | proto, model, rules, error |
//! | `accounts`, `sessions`, `users`, `lockout`, `password_reset`, `password_schemes`, `signing_keys`, `events`, `permissions` | the rules | model, store, passwords, tokens |
//! | `import` | accounts that move in from another program | model, store, passwords |
//! | `feed`, `housekeeping` | what runs beside the RPCs: following the log, deleting what has expired | store |
//! | `commands` | what an operator does beside the service: `auth-service keys ...` | rules, store |
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
mod sessions;
mod signing_keys;
mod store;
mod tokens;
mod users;

use std::{fs::File, io::BufReader, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use auth_client::{Algorithm, TokenRules};
use clap::Args;
use proto::auth::v1::{
    auth_service_server::AuthServiceServer, event_service_server::EventServiceServer,
    user_service_server::UserServiceServer,
};
use service_kit::{
    Clock, Entropy, Shutdown, StartError,
    client::TrustedProxies,
    db::{DatabaseUrl, Db},
    mail::{self, MailQueue, Mailer},
    secret::{self, SecretKey},
    server::{Listener, MESSAGE_BYTES_MAX, Services},
    settings::{Common, ServiceTokens, duration},
};
use tokio::task::JoinSet;

use accounts::Accounts;
use error::DOMAIN;
use events::Events;
use feed::Feed;
use grpc::{AuthApi, EventApi, UserApi, Watchers};
use housekeeping::keep_tidy;
use lockout::Lockout;
use model::{Blocklist, PasswordPolicy};
use password_reset::PasswordResets;
use password_schemes::PasswordSchemes;
use passwords::Passwords;
use sessions::{Lifetimes, Sessions};
use signing_keys::{KeyKeeper, KeyPolicy, SigningKeys};
use store::{MIGRATIONS, Store};
use tokens::TokenIssuer;
use users::Users;

pub use commands::{Command, KeysCommand};
pub use import::{ImportFormat, ImportOptions, ImportSummary, import};
pub use lockout::Settings as LockoutSettings;
pub use password_reset::Settings as PasswordResetSettings;
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

    /// What new access tokens are signed with: EdDSA, ES256 or RS256.
    #[arg(long, env = "TOKEN_ALGORITHM", value_name = "TOKEN_ALGORITHM", default_value = "EdDSA")]
    pub token_algorithm: Algorithm,

    /// How long a key signs before the next one takes over, at least 1h and ACCESS_TOKEN_TTL.
    #[arg(
        long,
        env = "SIGNING_KEY_ROTATION",
        value_name = "SIGNING_KEY_ROTATION",
        default_value = "90d",
        value_parser = signing_keys::rotation_age
    )]
    pub signing_key_rotation: Duration,

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

    /// How long events are kept.
    #[arg(
        long,
        env = "EVENT_RETENTION",
        value_name = "EVENT_RETENTION",
        default_value = "365d",
        value_parser = duration
    )]
    pub event_retention: Duration,

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

    /// When failed sign-ins have consequences.
    #[command(flatten)]
    pub lockout: LockoutSettings,
    /// How a forgotten password is replaced.
    #[command(flatten)]
    pub password_reset: PasswordResetSettings,

    /// How mail is sent.
    #[command(flatten)]
    pub mail: mail::Settings,
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
    pub passwords: PasswordSettings,
    /// When failed sign-ins have consequences.
    pub lockout: LockoutSettings,
    /// How a forgotten password is replaced.
    pub password_reset: PasswordResetSettings,
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
    /// Names the setting whose file or folder cannot be used.
    pub fn new(
        settings: Settings,
        token_rules: TokenRules,
        service_tokens: ServiceTokens,
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
        let data_dir = common.create_data_dir()?;
        let entropy = Entropy::system();
        Ok(Self {
            secret_key: SecretKey::load(&settings.secret, data_dir, &entropy)?,
            database: settings
                .auth_database_url
                .unwrap_or_else(|| DatabaseUrl::embedded(&data_dir.join("auth.db"))),
            token_rules,
            access_token_ttl: settings.access_token_ttl,
            token_algorithm: settings.token_algorithm,
            signing_key_rotation: settings.signing_key_rotation,
            refresh_token_ttl: settings.refresh_token_ttl,
            session_ttl_max: settings.session_ttl_max,
            refresh_grace: settings.refresh_grace,
            event_retention: settings.event_retention,
            service_tokens,
            trusted_proxies: common.client.trusted_proxies.clone(),
            password_chars_min: settings.password_min_length.into(),
            password_blocklist: settings.password_blocklist,
            passwords: settings.passwords,
            lockout: settings.lockout,
            password_reset: settings.password_reset,
            mail: settings.mail,
            clock: Clock::system(),
            entropy,
        })
    }

    /// The rules of managing the accounts in `store`.
    fn users(&self, store: Store) -> Users {
        let (lockout, clock) = (self.lockout(store.clone()), self.clock.clone());
        Users { store, lockout, clock, access_token_ttl: self.access_token_ttl }
    }

    /// The rules of the lockout over `store`.
    fn lockout(&self, store: Store) -> Lockout {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Lockout::new(&self.lockout, store, &self.secret_key, clock, entropy)
    }

    /// What new passwords must be like.
    async fn password_policy(&self) -> Result<PasswordPolicy, StartError> {
        let blocklist = load_blocklist(self.password_blocklist.clone()).await?;
        Ok(PasswordPolicy { chars_min: self.password_chars_min, blocklist })
    }

    /// What changes the signing keys in `store`.
    fn key_keeper(&self, store: Store) -> KeyKeeper {
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
    let mailer = Mailer::new(&config.mail)?;
    let password_policy = config.password_policy().await?;
    let opening = Box::pin(Db::open("AUTH_DATABASE_URL", &config.database, MIGRATIONS));
    let Some(db) = shutdown.unless_begun(opening).await.transpose()? else { return Ok(()) };
    let store = Store::new(db.clone());
    let keys = SigningKeys::start(config.key_keeper(store.clone()), config.token_rules.clone());
    let keys = Arc::new(keys.await?);
    let passwords = Passwords::start(&config.passwords, entropy)?;
    let mut schemes = PasswordSchemes::new(store.clone(), passwords.clone());
    // Before the first sign-in: from then on every refusal takes its time.
    schemes.refresh().await.map_err(|error| StartError::other(error.to_string()))?;
    let issuer = TokenIssuer::new(
        config.token_rules.clone(),
        config.access_token_ttl,
        &config.secret_key,
        clock.clone(),
        entropy.clone(),
    );
    let mails =
        MailQueue::new(db.clone(), config.secret_key.clone(), clock.clone(), entropy.clone());
    let password_resets = PasswordResets::new(
        store.clone(),
        passwords.clone(),
        mails.clone(),
        config.password_reset,
        &config.secret_key,
        clock.clone(),
        entropy.clone(),
    );
    let lockout = config.lockout(store.clone());
    let feed = Feed::open(store.clone(), clock.clone()).await;
    let feed = feed.map_err(|error| StartError::setting("AUTH_DATABASE_URL", error.to_string()))?;
    let feed = Arc::new(feed);
    let watchers = Watchers::new(shutdown.clone());
    let sessions = Sessions {
        store: store.clone(),
        passwords: passwords.clone(),
        lockout: lockout.clone(),
        keys: keys.clone(),
        issuer: Arc::new(issuer),
        lifetimes: Lifetimes {
            idle: config.refresh_token_ttl,
            absolute: config.session_ttl_max,
            refresh_grace: config.refresh_grace,
        },
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let auth = AuthApi {
        accounts: Accounts::new(store.clone(), passwords, lockout.addresses.clone(), clock.clone()),
        sessions: sessions.clone(),
        keys: keys.clone(),
        password_policy,
        password_resets: password_resets.clone(),
        feed: feed.clone(),
        service_tokens: config.service_tokens.clone(),
        watchers: watchers.clone(),
    };
    let users = UserApi {
        users: config.users(store.clone()),
        sessions: sessions.clone(),
        service_tokens: config.service_tokens.clone(),
    };
    let events = EventApi {
        events: Events::new(store.clone()),
        sessions,
        feed: feed.clone(),
        service_tokens: config.service_tokens.clone(),
        watchers,
    };

    let mut workers = JoinSet::new();
    workers.spawn(mails.run(mailer, shutdown.clone()));
    workers.spawn(password_resets.run(shutdown.clone()));
    workers.spawn(lockout.keep_swept(shutdown.clone()));
    let mut background = JoinSet::new();
    background.spawn(schemes.watch());
    background.spawn(async move { feed.follow().await });
    background.spawn(async move { match keys.keep().await {} });
    background.spawn(keep_tidy(store, clock.clone(), config.event_retention));
    let serving = Services::new(DOMAIN, proto::FILE_DESCRIPTOR_SET)
        .trusting(config.trusted_proxies)
        .with(AuthServiceServer::new(auth).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .with(UserServiceServer::new(users).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .with(EventServiceServer::new(events).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .serve(db.clone(), listener, shutdown);
    let served = tokio::select! {
        served = Box::pin(serving) => served,
        // None of them ends by itself: without it, what the service promises no longer holds.
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
