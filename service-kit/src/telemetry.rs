//! Logs: text or JSON lines on standard error and, if asked for, in daily files.

use std::{io, path::PathBuf};

use clap::{Args, ValueEnum};
use tracing_appender::{
    non_blocking::WorkerGuard,
    rolling::{RollingFileAppender, Rotation},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::StartError;

/// How many daily files are kept.
const LOG_FILES_KEPT: usize = 10;

/// What is logged, how and where.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// The form of a log line.
    #[arg(long, env = "LOG_FORMAT", value_name = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// A folder for daily log files, the last ten of which are kept.
    #[arg(long, env = "LOG_DIR", value_name = "LOG_DIR")]
    pub log_dir: Option<PathBuf>,

    /// What is logged, for example `info,auth_service=debug`.
    #[arg(
        long,
        env = "RUST_LOG",
        value_name = "RUST_LOG",
        default_value = "info",
        value_parser = directives
    )]
    pub rust_log: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn directives(text: &str) -> Result<String, String> {
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Keeps the writers of the log alive; what is still buffered is written when it is dropped.
#[must_use = "what is buffered is lost once this is gone"]
pub struct LogGuard {
    _writers: Vec<WorkerGuard>,
}

/// Starts logging for the process `name`. Writing happens on threads of its own: a slow terminal
/// or disk holds up no request; lines are dropped, and counted, when 128,000 wait.
///
/// # Errors
/// Names `LOG_DIR` where it cannot be written, `RUST_LOG` where it does not parse.
pub fn start(name: &str, settings: &Settings) -> Result<LogGuard, StartError> {
    let (stderr, stderr_guard) = tracing_appender::non_blocking(io::stderr());
    let mut guards = vec![stderr_guard];
    let mut layers = vec![layer(settings.log_format, stderr)];

    if let Some(folder) = &settings.log_dir {
        let failed = |error: &dyn std::error::Error| {
            let message = format!("cannot write to {}: {error}", folder.display());
            StartError::setting("LOG_DIR", message)
        };
        // The appender would make it too, but only after complaining on standard error.
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        let files = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(name)
            .filename_suffix("log")
            .max_log_files(LOG_FILES_KEPT)
            .build(folder)
            .map_err(|error| failed(&error))?;
        let (file, file_guard) = tracing_appender::non_blocking(files);
        guards.push(file_guard);
        layers.push(layer(settings.log_format, file));
    }

    let filter = EnvFilter::builder()
        .parse(&settings.rust_log)
        .map_err(|error| StartError::setting("RUST_LOG", error.to_string()))?;
    // One for all layers, not one around each: what nobody wants to know costs next to nothing then.
    tracing_subscriber::registry()
        .with(layers)
        .with(filter)
        .try_init()
        .map_err(|error| StartError::other(format!("logging cannot start: {error}")))?;
    Ok(LogGuard { _writers: guards })
}

fn layer<W>(format: LogFormat, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    }
}
