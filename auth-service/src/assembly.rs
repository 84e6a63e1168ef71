//! The rules and the APIs over them, put together over one database.

use std::sync::Arc;

use proto::auth::v1::{
    auth_service_server::AuthServiceServer, event_service_server::EventServiceServer,
    user_service_server::UserServiceServer,
};
use service_kit::{
    Shutdown, StartError,
    db::Db,
    mail::{MailQueue, Mailer},
    server::{MESSAGE_BYTES_MAX, Services},
};
use tokio::task::JoinSet;

use crate::{
    Config,
    accounts::Accounts,
    error::DOMAIN,
    events::Events,
    feed::Feed,
    grpc::{AuthApi, EventApi, UserApi, Watchers},
    housekeeping::keep_tidy,
    lockout::Lockout,
    model::PasswordPolicy,
    password_reset::{self, PasswordResets},
    password_schemes::PasswordSchemes,
    passwords::Passwords,
    session_cache::SessionCache,
    sessions::{Lifetimes, Sessions},
    signing_keys::SigningKeys,
    store::Store,
    tokens::TokenIssuer,
};

/// The rules, and what runs beside them.
pub struct Assembly {
    store: Store,
    password_policy: PasswordPolicy,
    passwords: Passwords,
    schemes: PasswordSchemes,
    keys: Arc<SigningKeys>,
    lockout: Lockout,
    mails: MailQueue,
    password_resets: PasswordResets,
    sessions: Sessions,
    feed: Arc<Feed>,
}

impl Assembly {
    /// Puts the rules together over `db`, which is up to date.
    ///
    /// # Errors
    /// Names the setting that is to blame.
    pub async fn new(
        config: &Config,
        password_policy: PasswordPolicy,
        db: &Db,
    ) -> Result<Self, StartError> {
        let Config { secret_key, clock, entropy, token_rules, .. } = config;
        let store = Store::new(db.clone());
        let keys = SigningKeys::start(config.key_keeper(store.clone()), token_rules.clone());
        let keys = Arc::new(keys.await?);
        let passwords = Passwords::start(&config.passwords, entropy)?;
        let mut schemes = PasswordSchemes::new(store.clone(), passwords.clone());
        // Before the first sign-in: from then on every refusal takes its time.
        schemes.refresh().await.map_err(|error| StartError::other(error.to_string()))?;
        let mails = MailQueue::new(db.clone(), secret_key.clone(), clock.clone(), entropy.clone());
        let lockout = config.lockout(store.clone());
        let password_resets = PasswordResets {
            store: store.clone(),
            passwords: passwords.clone(),
            lockout: lockout.clone(),
            mails: mails.clone(),
            settings: config.password_reset,
            keys: Arc::new(password_reset::Keys::new(secret_key)),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let feed = Feed::open(store.clone(), clock.clone()).await;
        let feed =
            feed.map_err(|error| StartError::setting("AUTH_DATABASE_URL", error.to_string()))?;
        let feed = Arc::new(feed);
        let sessions = Sessions {
            store: store.clone(),
            cache: SessionCache::new(store.clone(), feed.clone()),
            passwords: passwords.clone(),
            lockout: lockout.clone(),
            keys: keys.clone(),
            issuer: Arc::new(TokenIssuer::new(
                token_rules.clone(),
                config.access_token_ttl,
                secret_key,
                clock.clone(),
                entropy.clone(),
            )),
            lifetimes: Lifetimes {
                idle: config.refresh_token_ttl,
                absolute: config.session_ttl_max,
                refresh_grace: config.refresh_grace,
            },
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        Ok(Self {
            store,
            password_policy,
            passwords,
            schemes,
            keys,
            lockout,
            mails,
            password_resets,
            sessions,
            feed,
        })
    }

    /// The three services of `auth.v1`.
    pub fn services(&self, config: &Config, shutdown: &Shutdown) -> Services {
        let watchers = Watchers::new(shutdown.clone());
        let auth = AuthApi {
            accounts: Accounts::new(
                self.store.clone(),
                self.passwords.clone(),
                self.lockout.clone(),
                &config.secret_key,
                config.clock.clone(),
            ),
            sessions: self.sessions.clone(),
            keys: self.keys.clone(),
            password_policy: self.password_policy.clone(),
            password_resets: self.password_resets.clone(),
            feed: self.feed.clone(),
            service_tokens: config.service_tokens.clone(),
            watchers: watchers.clone(),
        };
        let users = UserApi {
            users: config.users(self.store.clone()),
            sessions: self.sessions.clone(),
            password_policy: self.password_policy.clone(),
            service_tokens: config.service_tokens.clone(),
        };
        let events = EventApi {
            events: Events::new(self.store.clone(), self.feed.clone()),
            sessions: self.sessions.clone(),
            feed: self.feed.clone(),
            service_tokens: config.service_tokens.clone(),
            watchers,
        };
        Services::new(DOMAIN, proto::FILE_DESCRIPTOR_SET)
            .trusting(config.trusted_proxies.clone())
            .with(AuthServiceServer::new(auth).max_decoding_message_size(MESSAGE_BYTES_MAX))
            .with(UserServiceServer::new(users).max_decoding_message_size(MESSAGE_BYTES_MAX))
            .with(EventServiceServer::new(events).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Starts what hears of `shutdown` and ends in time.
    pub fn workers(&self, mailer: Mailer, shutdown: &Shutdown) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        workers.spawn(self.mails.clone().run(mailer, shutdown.clone()));
        workers.spawn(self.password_resets.clone().run(shutdown.clone()));
        workers.spawn(self.lockout.clone().keep_swept(shutdown.clone()));
        workers
    }

    /// Starts what runs for as long as the service does: none of it ends by itself, and without it
    /// what the service promises no longer holds.
    pub fn background(self, config: &Config) -> JoinSet<()> {
        let Self { store, schemes, keys, feed, .. } = self;
        let mut background = JoinSet::new();
        background.spawn(schemes.watch(feed.moved_in()));
        background.spawn(async move { feed.follow().await });
        background.spawn(async move { match keys.keep().await {} });
        background.spawn(keep_tidy(store, config.clock.clone(), config.event_retention));
        background
    }
}
