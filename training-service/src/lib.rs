//! training-service: which trainings there are, and who registered for them.
//!
//! | Module | Holds |
//! |---|---|
//! | `grpc` | the handlers of `training.v1`: translate in, call one rule, translate out |
//! | `programs`, `registrations` | the rules: what there is to register for, and who gets a seat |
//! | `calendars` | which programs are in whose calendar, and the keys that open it |
//! | `departures` | what becomes of the registrations and calendars of deleted users |
//! | `notices` | who is told by mail what has become of a registration |
//! | `repeats` | how often a call counts |
//! | `housekeeping` | what is deleted when it is old |
//! | `secret_key` | whether the key fits the database |
//! | `permissions` | who may do what |
//! | `icalendar` | calendars as text (RFC 5545) |
//! | `model` | the values that rules speak of, each valid by its type |
//! | `store` | the SQL |
//! | `error` | what can go wrong, and what a client is told of it |
//!
//! [`serve`] is the one door. A request enters through the layer of `auth_client`, which finds out
//! who calls; then each module in the order above is entered once. A user is an id here and
//! nothing more: accounts are auth-service's.

mod calendars;
mod departures;
mod error;
mod grpc;
mod housekeeping;
mod icalendar;
mod model;
mod notices;
mod permissions;
mod programs;
mod registrations;
mod repeats;
mod secret_key;
mod store;

use std::{net::SocketAddr, time::Duration};

use auth_client::{AuthLayer, TokenRules, UserDirectory, Verifier, follow_events};
use clap::Args;
use proto::training::v1::{
    program_service_server::ProgramServiceServer,
    registration_service_server::RegistrationServiceServer,
};
use service_kit::{
    Clock, Entropy, Shutdown, StartError,
    channel::RpcChannel,
    client::TrustedProxies,
    db::{DatabaseUrl, Db},
    mail::{self, MailQueue, Mailer},
    secret::SecretKey,
    server::{Listener, MESSAGE_BYTES_MAX, Services},
    settings::{Common, Mailing, Retention, ServiceTokens},
};
use tokio::task::JoinSet;
use tower::Layer;

use crate::{
    calendars::Calendars,
    departures::Departures,
    error::DOMAIN,
    grpc::{Deletions, ProgramHandlers, PublicMethods, RegistrationHandlers, keep_mailing},
    housekeeping::keep_tidy,
    notices::Notices,
    programs::Programs,
    registrations::Registrations,
};

const DATABASE_VARIABLE: &str = "TRAINING_DATABASE_URL";

/// The flags and environment variables of training-service alone.
#[derive(Args, Clone, Debug)]
// A group would be named "Settings", as those of the other services in one command line.
#[group(skip)]
pub struct Settings {
    /// Where training-service listens; port 0 picks one and the log says which.
    #[arg(
        long,
        env = "TRAINING_ADDR",
        value_name = "TRAINING_ADDR",
        default_value = "127.0.0.1:50052"
    )]
    pub training_addr: SocketAddr,

    /// The database of training-service: a sqlite://, postgres:// or mysql:// URL. Default:
    /// training.db in DATA_DIR
    #[arg(
        long,
        env = DATABASE_VARIABLE,
        value_name = DATABASE_VARIABLE,
        hide_env_values = true
    )]
    pub training_database_url: Option<DatabaseUrl>,
}

/// What [`serve`] needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database; brought to the current schema at start.
    pub database: DatabaseUrl,
    /// The way to auth-service, for its public keys and events.
    pub auth: RpcChannel,
    /// Which access tokens are accepted.
    pub token_rules: TokenRules,
    /// What is shown to auth-service for its streams.
    pub service_tokens: ServiceTokens,
    /// Whose word on a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Seals the mails that wait.
    pub secret_key: SecretKey,
    /// How mail is sent.
    pub mail: mail::Settings,
    /// How long events are kept.
    pub event_retention: Duration,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
}

impl Config {
    /// The configuration of a process. Makes the data folder.
    ///
    /// # Errors
    /// Names `DATA_DIR` where the folder cannot be made, `SECRET_KEY` or `SECRET_KEY_FILE` where the
    /// key cannot be used.
    pub fn new(
        settings: Settings,
        token_rules: TokenRules,
        service_tokens: ServiceTokens,
        mailing: Mailing,
        retention: Retention,
        auth: RpcChannel,
        common: &Common,
    ) -> Result<Self, StartError> {
        let data_dir = common.create_data_dir()?;
        let embedded = || DatabaseUrl::embedded(&data_dir.join("training.db"));
        let entropy = Entropy::system();
        Ok(Self {
            database: settings.training_database_url.unwrap_or_else(embedded),
            auth,
            token_rules,
            service_tokens,
            trusted_proxies: common.client.trusted_proxies.clone(),
            secret_key: SecretKey::load(&mailing.secret, data_dir, &entropy)?,
            mail: mailing.mail,
            event_retention: retention.event_retention,
            clock: Clock::system(),
            entropy,
        })
    }
}

/// Serves `training.v1` on `listener`, with health and reflection, until `shutdown`; requests in
/// flight are finished first.
///
/// # Errors
/// Names `TRAINING_DATABASE_URL` where the database does not answer in 30 s or cannot be migrated,
/// `SECRET_KEY` where it does not fit the database, and `SMTP_URL` where it cannot be used.
pub async fn serve(
    config: Config,
    listener: impl Into<Listener>,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let mailer = Mailer::new(&config.mail)?;
    let opening = Box::pin(Db::open(DATABASE_VARIABLE, &config.database, store::MIGRATIONS));
    let Some(db) = shutdown.unless_begun(opening).await.transpose()? else { return Ok(()) };
    secret_key::require_fit(&db, &config.secret_key).await?;
    let calendars = Calendars::new(
        db.clone(),
        config.clock.clone(),
        config.entropy.clone(),
        &config.token_rules.issuer,
    );
    let verifier = Verifier::new(
        config.auth.clone(),
        config.token_rules,
        &config.service_tokens,
        config.clock.clone(),
    );
    let registrations = Registrations::new(db.clone(), config.clock.clone());
    let programs = Programs::new(db.clone(), config.clock.clone());

    let mails = MailQueue::new(db.clone(), config.secret_key, config.clock.clone(), config.entropy);
    let mut deliveries = JoinSet::new();
    deliveries.spawn(mails.clone().run(mailer, shutdown.clone()));
    let notices = Notices::new(db.clone(), config.clock.clone(), mails);
    let mut background = JoinSet::new();
    background.spawn({
        let verifier = verifier.clone();
        async move { verifier.run().await }
    });
    let departures = Departures::new(db.clone(), config.clock.clone());
    let users = UserDirectory::new(config.auth.clone(), &config.service_tokens);
    background.spawn({
        let deletions = Deletions::new(departures, users.clone());
        async move { follow_events(config.auth, &config.service_tokens, deletions).await }
    });
    background.spawn(keep_mailing(notices, users.clone()));
    background.spawn(keep_tidy(db.clone(), config.clock, config.event_retention));

    let registrations = RegistrationHandlers::new(registrations, calendars.clone());
    let registrations =
        RegistrationServiceServer::new(registrations).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let programs = ProgramServiceServer::new(ProgramHandlers::new(programs, calendars, users))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let auth = AuthLayer::new(verifier, DOMAIN);
    let served = Services::new(DOMAIN, proto::FILE_DESCRIPTOR_SET)
        .trusting(config.trusted_proxies)
        .with(PublicMethods::new(registrations.clone(), auth.layer(registrations)))
        .with(PublicMethods::new(programs.clone(), auth.layer(programs)))
        .serve(db.clone(), listener, shutdown)
        .await;

    background.shutdown().await;
    if served.is_ok() {
        // They have heard of the shutdown, too, and end in time.
        while let Some(ended) = deliveries.join_next().await {
            ended.map_err(|error| StartError::other(format!("the delivery of mail: {error}")))?;
        }
    }
    db.close().await;
    served
}
