//! A `main` that reads settings, starts telemetry, and ends with one clear line.

use std::{future::Future, io::Write, process::ExitCode};

use clap::{
    Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{Shutdown, telemetry};

/// Why a process could not start, or had to end: one line for a person.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting has a value that cannot be used.
    #[error("{variable}: {message}")]
    Setting {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl StartError {
    /// The value of `variable` cannot be used.
    pub fn setting(variable: &'static str, message: impl Into<String>) -> Self {
        Self::Setting { variable, message: message.into() }
    }

    /// Anything that no single setting is to blame for.
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }
}

/// A command line with the settings of the log in it.
pub trait CommandLine: Parser {
    /// The settings of the log.
    fn telemetry(&self) -> &telemetry::Settings;
}

/// Reads `.env` and the command line, starts logging and runs `start` until it ends, or until
/// SIGTERM or Ctrl-C ends it. The exit code is 0 unless it fails; then one line says why.
pub fn run<C, F>(name: &'static str, start: impl FnOnce(C, Shutdown) -> F) -> ExitCode
where
    C: CommandLine,
    F: Future<Output = Result<(), StartError>>,
{
    // Databases, keys and logs are nobody else's business.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let command_line = match read_settings::<C>() {
        Ok(command_line) => command_line,
        Err(exit) => return exit,
    };
    let result = telemetry::start(name, command_line.telemetry()).and_then(|log_guard| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| StartError::other(format!("the runtime cannot start: {error}")))?;
        let result = runtime.block_on(async {
            let shutdown = Shutdown::on_signal()
                .map_err(|error| StartError::other(format!("signals: {error}")))?;
            start(command_line, shutdown).await
        });
        // What still runs was given its time to finish; nothing else is worth waiting for.
        runtime.shutdown_background();
        drop(log_guard);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn read_settings<C: Parser>() -> Result<C, ExitCode> {
    match dotenvy::dotenv() {
        // Its text would repeat the line, and with it a secret.
        Err(dotenvy::Error::LineParse(_, at)) => {
            return Err(fail(&format!(".env: a line cannot be read (at character {at} of it)")));
        }
        Err(error) if !error.not_found() => return Err(fail(&format!(".env: {error}"))),
        _ => {}
    }
    C::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print();
            if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // To standard error: nothing was done. If that is closed, nobody is left to tell.
            let _ = error.print();
            ExitCode::FAILURE
        }
        _ => fail(&one_line(&error, &C::command())),
    })
}

/// Clap's errors name the flag and run over several lines; ours name the variable on one.
fn one_line(error: &clap::Error, command: &Command) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let variable = text(ContextKind::InvalidArg)
        .and_then(|argument| argument.split_once('<'))
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(variable, _)| variable);
    let value = text(ContextKind::InvalidValue);
    if let (Some(variable), Some(value)) = (variable, value) {
        let reason = match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(values)) => format!("one of {}", values.join(", ")),
            _ => std::error::Error::source(error).map(ToString::to_string).unwrap_or_default(),
        };
        // Such as a URL with a password in it.
        let is_secret = command.get_arguments().any(|argument| {
            argument.is_hide_env_values_set() && argument.get_env().is_some_and(|e| e == variable)
        });
        let value = if is_secret { "the value" } else { &format!("'{value}'") };
        return format!("{variable}: {value} is not valid: {reason}");
    }
    let rendered = error.to_string();
    let first = rendered.split("\n\n").next().unwrap_or_default();
    first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fail(message: &str) -> ExitCode {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use clap::CommandFactory;

    use super::*;

    #[derive(Parser, Debug)]
    struct Flags {
        #[arg(long, env = "EXAMPLE_ADDR", value_name = "EXAMPLE_ADDR")]
        example_addr: SocketAddr,
        #[arg(long, value_name = "LOG_FORMAT", default_value = "text")]
        log_format: telemetry::LogFormat,
        #[arg(long, env = "EXAMPLE_URL", value_name = "EXAMPLE_URL", hide_env_values = true)]
        example_url: Option<crate::db::DatabaseUrl>,
    }

    fn error_of(arguments: &[&str]) -> String {
        let arguments = ["example"].iter().chain(arguments);
        let error = Flags::try_parse_from(arguments).expect_err("a bad command line");
        one_line(&error, &Flags::command())
    }

    #[test]
    fn a_bad_value_is_one_line_that_names_the_variable() {
        assert_eq!(
            error_of(&["--example-addr", "nowhere"]),
            "EXAMPLE_ADDR: 'nowhere' is not valid: invalid socket address syntax"
        );
        assert_eq!(
            error_of(&["--example-addr", "127.0.0.1:1", "--log-format", "xml"]),
            "LOG_FORMAT: 'xml' is not valid: one of text, json"
        );
    }

    #[test]
    fn a_value_that_may_hold_a_password_is_not_repeated() {
        assert_eq!(
            error_of(&["--example-addr", "127.0.0.1:1", "--example-url", "postgress://u:secret@h"]),
            "EXAMPLE_URL: the value is not valid: not a sqlite://, postgres:// or mysql:// URL"
        );
    }

    #[test]
    fn an_unknown_flag_is_one_line() {
        let line = error_of(&["--exmaple-addr", "127.0.0.1:1"]);
        assert!(line.starts_with("unexpected argument '--exmaple-addr'"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
