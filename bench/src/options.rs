//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use serde::{Deserialize, Serialize};

use crate::{ceilings::CeilingServer, paths};

/// Measures every hot path of Pavilion beside its ceiling, on throwaway data.
#[derive(Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What this program starts itself as.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves one of the ceilings until its standard input ends.
    #[command(hide = true, subcommand)]
    Ceiling(CeilingServer),
}

/// What is measured, on what, how often and for how long.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Only these paths; may be given more than once.
    #[arg(long, value_name = "PATH", value_parser = PossibleValuesParser::new(paths::names()))]
    pub(crate) only: Vec<String>,

    /// How often each path and its ceiling are measured, in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,

    /// How long each is measured in a round.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) seconds: Duration,

    /// How long each runs before the first round.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) warm_up: Duration,

    /// The kind of database.
    #[arg(long, value_enum, default_value_t = DatabaseKind::Sqlite)]
    pub(crate) database: DatabaseKind,

    /// A PostgreSQL server on which databases may be made.
    #[arg(
        long,
        env = "TEST_POSTGRES_URL",
        hide_env_values = true,
        required_if_eq("database", "postgres")
    )]
    pub(crate) postgres_url: Option<String>,

    /// A MySQL or MariaDB server on which databases may be made.
    #[arg(
        long,
        env = "TEST_MYSQL_URL",
        hide_env_values = true,
        required_if_eq("database", "mariadb")
    )]
    pub(crate) mysql_url: Option<String>,

    /// Only as one process, or only as three. Without it, what goes through the gateway is
    /// measured as both, and the rest as one.
    #[arg(long, value_enum)]
    pub(crate) deployment: Option<Deployment>,

    /// Measures again with so many users and registrations in the databases
    /// [default: 1000000 10000000].
    #[arg(long, value_names = ["USERS", "REGISTRATIONS"], num_args = 0..=2)]
    pub(crate) loaded: Option<Vec<u64>>,

    /// Where the results go, and the data while it is measured: a folder on the disk that counts
    /// [default: bench, beside the folder of this program].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// Measures the programs in this folder, as built before, and builds none.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) programs: Option<PathBuf>,

    /// Shows the ratios of an earlier run beside those of this one.
    #[arg(long, value_name = "JSON")]
    pub(crate) compare: Option<PathBuf>,

    /// The cargo that builds the programs.
    #[arg(long, env = "CARGO", default_value = "cargo", hide = true)]
    pub(crate) cargo: PathBuf,
}

/// How much is in the databases before anything is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    pub(crate) users: u64,
    pub(crate) registrations: u64,
}

impl Options {
    /// What `--loaded` asks for.
    pub(crate) fn volume(&self) -> Option<Volume> {
        let given = self.loaded.as_ref()?;
        let users = given.first().copied().unwrap_or(1_000_000);
        let registrations = given.get(1).copied().unwrap_or(users.saturating_mul(10));
        Some(Volume { users, registrations })
    }
}

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatabaseKind {
    /// Embedded.
    Sqlite,
    /// On the server at TEST_POSTGRES_URL, as `scripts/databases run` starts one.
    Postgres,
    /// On the server at TEST_MYSQL_URL, likewise.
    Mariadb,
}

/// How the parts are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Deployment {
    /// All in one process: `pavilion`.
    Standalone,
    /// Each in its own.
    Processes,
}

/// The longest that one round may take.
const SECONDS_MAX: f64 = 3600.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if seconds > 0.0 && seconds <= SECONDS_MAX {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(format!("not above 0 and at most {SECONDS_MAX} seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        let arguments = ["bench"].iter().chain(arguments);
        CommandLine::try_parse_from(arguments).expect("a good command line").options
    }

    #[test]
    fn loads_a_million_users_with_ten_registrations_each_unless_told_otherwise() {
        let volume = |arguments| options(arguments).volume().map(|it| (it.users, it.registrations));
        assert_eq!(volume(&[]), None);
        assert_eq!(volume(&["--loaded"]), Some((1_000_000, 10_000_000)));
        assert_eq!(volume(&["--loaded", "20"]), Some((20, 200)));
        assert_eq!(volume(&["--loaded", "20", "5"]), Some((20, 5)));
    }

    #[test]
    fn refuses_rounds_without_an_end() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["0", "-1", "inf", "NaN", "3601", "", "5s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
