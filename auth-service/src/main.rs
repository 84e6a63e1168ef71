//! `auth-service`: serves `auth.v1`.

use std::process::ExitCode;

use auth_client::TokenRules;
use auth_service::{Command, Config, Settings, serve};
use clap::Parser;
use service_kit::{
    process::{CommandLine, run},
    settings::{Common, Mailing, Retention, ServiceTokens, bind},
    telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Accounts, sessions and tokens over gRPC; serves unless a command is given.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    token_rules: TokenRules,
    #[command(flatten)]
    service_tokens: ServiceTokens,
    #[command(flatten)]
    mailing: Mailing,
    #[command(flatten)]
    retention: Retention,
    #[command(flatten)]
    common: Common,
}

impl CommandLine for Cli {
    fn telemetry(&self) -> &telemetry::Settings {
        &self.common.telemetry
    }
}

fn main() -> ExitCode {
    run("auth-service", async |cli: Cli, shutdown| {
        let Cli { command, settings, token_rules, service_tokens, mailing, retention, common } =
            cli;
        let address = settings.auth_addr;
        let config =
            Config::new(settings, token_rules, service_tokens, mailing, retention, &common)?;
        if let Some(command) = command {
            return command.run(&config, shutdown).await;
        }
        let listener = bind("AUTH_ADDR", address).await?;
        Box::pin(serve(config, listener, shutdown)).await
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_settings_of_all_parts_fit_together() {
        Cli::command().debug_assert();
    }
}
