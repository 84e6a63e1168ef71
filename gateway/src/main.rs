//! The gateway as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use gateway::{Config, Settings};
use service_kit::{
    Shutdown, StartError, process,
    settings::{AuthPeer, Common, TrainingPeer, bind},
    telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// HTTP/JSON in front of auth-service and training-service.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    gateway: Settings,
    #[command(flatten)]
    auth: AuthPeer,
    #[command(flatten)]
    training: TrainingPeer,
}

impl process::CommandLine for CommandLine {
    fn telemetry(&self) -> &telemetry::Settings {
        &self.common.telemetry
    }
}

async fn start(settings: CommandLine, shutdown: Shutdown) -> Result<(), StartError> {
    let auth = settings.auth.auth_url.channel();
    let training = settings.training.training_url.channel();
    let proxies = settings.common.client.trusted_proxies;
    let listener = bind("GATEWAY_ADDR", settings.gateway.gateway_addr).await?;
    let config = Config::new(auth, training).trusting(proxies).set(settings.gateway);
    gateway::serve(config, listener, shutdown).await
}

fn main() -> ExitCode {
    process::run("gateway", start)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_settings_of_all_parts_fit_together() {
        CommandLine::command().debug_assert();
    }
}
