//! The process of training-service.

use std::process::ExitCode;

use auth_client::TokenRules;
use clap::Parser;
use service_kit::{
    process,
    settings::{self, AuthPeer, Common, Mailing, Retention, ServiceTokens},
    telemetry,
};
use training_service::{Config, Settings, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Signs users up for cricket training, over gRPC.
#[derive(Parser)]
#[command(name = "training-service", version)]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    auth: AuthPeer,
    #[command(flatten)]
    token_rules: TokenRules,
    #[command(flatten)]
    service_tokens: ServiceTokens,
    #[command(flatten)]
    mailing: Mailing,
    #[command(flatten)]
    retention: Retention,
    #[command(flatten)]
    training: Settings,
}

impl process::CommandLine for CommandLine {
    fn telemetry(&self) -> &telemetry::Settings {
        &self.common.telemetry
    }
}

fn main() -> ExitCode {
    process::run("training-service", async |command_line: CommandLine, shutdown| {
        let CommandLine { common, auth, token_rules, service_tokens, mailing, retention, training } =
            command_line;
        let listener = settings::bind("TRAINING_ADDR", training.training_addr).await?;
        let auth = auth.auth_url.channel();
        let config =
            Config::new(training, token_rules, service_tokens, mailing, retention, auth, &common)?;
        Box::pin(serve(config, listener, shutdown)).await
    })
}
