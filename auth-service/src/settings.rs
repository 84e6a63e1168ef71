//! The flags and environment variables of auth-service.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use auth_client::Algorithm;
use clap::Args;
use service_kit::{db::DatabaseUrl, settings::duration};

use crate::{lockout, password_reset, passwords, signing_keys::rotation_age};

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
        value_parser = rotation_age
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
    pub passwords: passwords::Settings,

    /// When failed sign-ins have consequences.
    #[command(flatten)]
    pub lockout: lockout::Settings,

    /// How a forgotten password is replaced.
    #[command(flatten)]
    pub password_reset: password_reset::Settings,
}
