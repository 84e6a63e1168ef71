//! `auth-service`: serves `auth.v1`.

use std::process::ExitCode;

use auth_client::TokenRules;
use auth_service::{Command, Config, Settings, serve};
use clap::Parser;
use service_kit::{
    process::{CommandLine, run},
    settings::{Common, bind},
    telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Accounts, sessions and tokens over gRPC.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    token_rules: TokenRules,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

impl CommandLine for Cli {
    fn telemetry(&self) -> &telemetry::Settings {
        &self.common.telemetry
    }
}

fn main() -> ExitCode {
    run("auth-service", async |cli: Cli, shutdown| {
        if let Some(command) = cli.command {
            let config = Config::new(cli.settings, cli.token_rules, &cli.common)?;
            return command.run(config, shutdown).await;
        }
        let listener = bind("AUTH_ADDR", cli.settings.auth_addr).await?;
        let config = Config::new(cli.settings, cli.token_rules, &cli.common)?;
        serve(config, listener, shutdown).await
    })
}
