//! The flags and environment variables that processes share, and the parsers of their values.
//!
//! Every setting is a clap argument with an environment variable of the same
//! name, so that `--help` lists all of them and a bad value is refused at start.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::{Args, Command};
use http::Uri;
use tokio::net::TcpListener;

use crate::{Entropy, StartError, channel::RpcChannel, client, mail, secret, telemetry};

/// The default of every setting of `A`, whatever the environment says.
pub fn defaults<A: Args>() -> A {
    let command = A::augment_args(Command::new("defaults").no_binary_name(true));
    let command = command.mut_args(|arg| arg.env(None::<&str>));
    #[expect(clippy::expect_used, reason = "wrong only where the program itself is")]
    let defaults = command
        .try_get_matches_from([""; 0])
        .and_then(|matches| A::from_arg_matches(&matches))
        .expect("every setting has a default, or none is needed");
    defaults
}

/// What every process reads.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Common {
    /// Where embedded databases and keys live.
    #[arg(long, env = "DATA_DIR", value_name = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,

    /// What is logged, how and where.
    #[command(flatten)]
    pub telemetry: telemetry::Settings,

    /// Whose word on a client's address is believed.
    #[command(flatten)]
    pub client: client::Settings,
}

impl Common {
    /// The data folder, made (with mode 0700) where it does not exist.
    ///
    /// # Errors
    /// Names `DATA_DIR` where it cannot be made.
    pub fn create_data_dir(&self) -> Result<&Path, StartError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data_dir).map_err(
            |error| {
                let path = self.data_dir.display();
                StartError::setting("DATA_DIR", format!("cannot create {path}: {error}"))
            },
        )?;
        Ok(&self.data_dir)
    }
}

/// What every service that sends mail reads: mails that wait are sealed under the secret key.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Mailing {
    /// The secret key.
    #[command(flatten)]
    pub secret: secret::Settings,

    /// How mail is sent.
    #[command(flatten)]
    pub mail: mail::Settings,
}

/// What every service that keeps a log of events reads.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Retention {
    /// How long events are kept.
    #[arg(
        long,
        env = "EVENT_RETENTION",
        value_name = "EVENT_RETENTION",
        default_value = "365d",
        value_parser = duration
    )]
    pub event_retention: Duration,
}

/// Where auth-service is found.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct AuthPeer {
    /// Where auth-service is found; a comma-separated list balances over several.
    #[arg(
        long,
        env = "AUTH_URL",
        value_name = "AUTH_URL",
        default_value = "http://127.0.0.1:50051"
    )]
    pub auth_url: PeerUrls,
}

/// Where training-service is found.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct TrainingPeer {
    /// Where training-service is found; a comma-separated list balances over several.
    #[arg(
        long,
        env = "TRAINING_URL",
        value_name = "TRAINING_URL",
        default_value = "http://127.0.0.1:50052"
    )]
    pub training_url: PeerUrls,
}

/// What services show each other.
#[derive(Args, Clone, Default)]
#[group(skip)]
pub struct ServiceTokens {
    /// What a service shows auth-service for its streams; comma-separated: the first is shown, all
    /// are accepted.
    #[arg(long, env = "SERVICE_TOKEN", value_name = "SERVICE_TOKEN", hide_env_values = true)]
    service_token: Option<ServiceTokenList>,
}

/// At least one token.
#[derive(Clone)]
struct ServiceTokenList(Vec<String>);

/// Characters of a service token at least: anyone can try to guess it.
const SERVICE_TOKEN_CHARS_MIN: usize = 16;

impl FromStr for ServiceTokenList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tokens: Vec<_> = text.split(',').map(|token| token.trim().to_owned()).collect();
        let is_good = |token: &String| {
            token.len() >= SERVICE_TOKEN_CHARS_MIN && token.bytes().all(|b| b.is_ascii_graphic())
        };
        if tokens.iter().all(is_good) {
            return Ok(Self(tokens));
        }
        Err(format!("each token needs {SERVICE_TOKEN_CHARS_MIN} printable ASCII characters"))
    }
}

impl FromStr for ServiceTokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { service_token: Some(text.parse()?) })
    }
}

impl ServiceTokens {
    /// A single token, made up for the processes that share it.
    pub fn random(entropy: &Entropy) -> Self {
        let token = BASE64_URL_SAFE_NO_PAD.encode(entropy.bytes::<32>());
        Self { service_token: Some(ServiceTokenList(vec![token])) }
    }

    /// The same, or a random one where none is set.
    #[must_use]
    pub fn or_random(self, entropy: &Entropy) -> Self {
        if self.service_token.is_some() { self } else { Self::random(entropy) }
    }

    /// The token to show.
    pub fn shown(&self) -> Option<&str> {
        self.service_token.as_ref()?.0.first().map(String::as_str)
    }

    /// Whether `token` is one of them; the time tells nothing but their number and lengths.
    pub fn accept(&self, token: &str) -> bool {
        let tokens = self.service_token.iter().flat_map(|tokens| &tokens.0);
        tokens.fold(false, |accepted, one| {
            accepted | verify_slices_are_equal(one.as_bytes(), token.as_bytes()).is_ok()
        })
    }
}

impl std::fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceTokens")
    }
}

/// The addresses of the replicas of one service: at least one.
#[derive(Clone, Debug)]
pub struct PeerUrls(Vec<Uri>);

/// The most replicas that one list may name.
const PEERS_MAX: usize = 64;

impl PeerUrls {
    /// A channel that balances over the addresses.
    pub fn channel(&self) -> RpcChannel {
        RpcChannel::balanced(&self.0)
    }
}

impl FromStr for PeerUrls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let urls = text
            .split(',')
            .map(|url| {
                let uri: Uri = url.trim().parse().map_err(|error| format!("'{url}': {error}"))?;
                match (uri.scheme_str(), uri.host()) {
                    (Some("http" | "https"), Some(_)) => Ok(uri),
                    _ => Err(format!("'{url}' is not of the form http://host:port")),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if urls.len() > PEERS_MAX {
            return Err(format!("more than {PEERS_MAX} addresses"));
        }
        Ok(Self(urls))
    }
}

/// Parses a duration of at least one second, such as `15m`, `30d` or `1h 30m`.
///
/// # Errors
/// Says what a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error} (write 30s, 15m, 12h or 30d)"))?;
    if duration < Duration::from_secs(1) {
        return Err("shorter than one second".to_owned());
    }
    Ok(duration)
}

/// Listens on `address`.
///
/// # Errors
/// Names `variable` where the address is taken or not this machine's.
pub async fn bind(variable: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| {
        StartError::setting(variable, format!("cannot listen on {address}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_peers() {
        let peers: PeerUrls = "http://a:1, http://b:2".parse().expect("two addresses");
        assert_eq!(peers.0.len(), 2);
        for bad in ["", "localhost:50051", "ftp://a", "http://a,,http://b", "http://a b"] {
            assert!(bad.parse::<PeerUrls>().is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_durations_that_make_no_sense() {
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        for bad in ["", "15", "-1s", "0s", "10ms", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
