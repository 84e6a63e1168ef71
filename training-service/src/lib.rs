//! training-service: which trainings there are, and who registered for them.
//!
//! | Module | Holds |
//! |---|---|
//! | `grpc` | the handlers of `training.v1`: translate in, call one rule, translate out |
//! | `programs`, `registrations` | the rules: what there is to register for, and who gets a seat |
//! | `departures` | what becomes of the registrations of deleted users |
//! | `repeats` | how often a call counts |
//! | `permissions` | who may do what |
//! | `model` | the values that rules speak of, each valid by its type |
//! | `store` | the SQL |
//! | `error` | what can go wrong, and what a client is told of it |
//!
//! [`serve`] is the one door. A request enters through the layer of `auth_client`, which finds out
//! who calls; then each module in the order above is entered once. A user is an id here and
//! nothing more: accounts are auth-service's.

mod departures;
mod error;
mod grpc;
mod model;
mod permissions;
mod programs;
mod registrations;
mod repeats;
mod store;

use std::net::SocketAddr;

use auth_client::{AuthLayer, TokenRules, UserDirectory, Verifier, follow_events};
use clap::Args;
use proto::training::v1::{
    program_service_server::ProgramServiceServer,
    registration_service_server::RegistrationServiceServer,
};
use service_kit::{
    Clock, Shutdown, StartError,
    channel::RpcChannel,
    client::TrustedProxies,
    db::{DatabaseUrl, Db},
    server::{Listener, MESSAGE_BYTES_MAX, Services},
    settings::{Common, ServiceTokens},
};
use tokio::task::JoinSet;
use tower::Layer;

use crate::{
    departures::Departures,
    error::DOMAIN,
    grpc::{Deletions, ProgramHandlers, PublicMethods, RegistrationHandlers},
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
    /// The time.
    pub clock: Clock,
}

impl Config {
    /// The configuration of a process. Makes the data folder where the database is embedded.
    ///
    /// # Errors
    /// Names `DATA_DIR` where the folder cannot be made.
    pub fn new(
        settings: Settings,
        token_rules: TokenRules,
        service_tokens: ServiceTokens,
        auth: RpcChannel,
        common: &Common,
    ) -> Result<Self, StartError> {
        let database = match settings.training_database_url {
            Some(url) => url,
            None => DatabaseUrl::embedded(&common.create_data_dir()?.join("training.db")),
        };
        let trusted_proxies = common.client.trusted_proxies.clone();
        let clock = Clock::system();
        Ok(Self { database, auth, token_rules, service_tokens, trusted_proxies, clock })
    }
}

/// Serves `training.v1` on `listener`, with health and reflection, until `shutdown`; requests in
/// flight are finished first.
///
/// # Errors
/// Names `TRAINING_DATABASE_URL` where the database does not answer in 30 s or cannot be migrated.
pub async fn serve(
    config: Config,
    listener: impl Into<Listener>,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let opening = Box::pin(Db::open(DATABASE_VARIABLE, &config.database, store::MIGRATIONS));
    let Some(db) = shutdown.unless_begun(opening).await.transpose()? else { return Ok(()) };
    let verifier = Verifier::new(
        config.auth.clone(),
        config.token_rules,
        &config.service_tokens,
        config.clock.clone(),
    );
    let registrations = Registrations::new(db.clone(), config.clock.clone());
    let programs = Programs::new(db.clone(), config.clock.clone());

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
    background.spawn(repeats::keep_few(db.clone(), config.clock));

    let registrations = RegistrationServiceServer::new(RegistrationHandlers::new(registrations))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let programs = ProgramServiceServer::new(ProgramHandlers::new(programs, users))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let auth = AuthLayer::new(verifier, DOMAIN);
    let served = Services::new(DOMAIN, proto::FILE_DESCRIPTOR_SET)
        .trusting(config.trusted_proxies)
        .with(auth.layer(registrations))
        .with(PublicMethods::new(programs.clone(), auth.layer(programs)))
        .serve(db.clone(), listener, shutdown)
        .await;

    background.shutdown().await;
    db.close().await;
    served
}
