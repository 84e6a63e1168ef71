//! `pavilion`: auth-service, training-service and the gateway in one process on embedded SQLite.
//!
//! All three listen on their ports, but among themselves they call inside the process: the same
//! generated clients, layers and handlers, without the network between.

use std::{io::Write, net::SocketAddr, process::ExitCode};

use auth_client::TokenRules;
use clap::Parser;
use service_kit::{
    Entropy, Shutdown, StartError,
    channel::RpcChannel,
    process::{CommandLine, run},
    server::Listener,
    settings::{Common, Mailing, Retention, ServiceTokens, bind},
    telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// All of Pavilion in one process: accounts and training over gRPC and REST.
#[derive(Parser)]
#[command(name = "pavilion", version)]
struct Cli {
    #[command(flatten)]
    auth: auth_service::Settings,
    #[command(flatten)]
    training: training_service::Settings,
    #[command(flatten)]
    gateway: gateway::Settings,
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
    run("pavilion", serve)
}

async fn serve(cli: Cli, shutdown: Shutdown) -> Result<(), StartError> {
    let (auth_in_process, auth) = RpcChannel::in_process();
    let (training_in_process, training) = RpcChannel::in_process();
    let (auth_addr, training_addr) = (cli.auth.auth_addr, cli.training.training_addr);
    let gateway_addr = cli.gateway.gateway_addr;

    // All settings are judged before anything listens.
    let (rules, mailing, retention) = (cli.token_rules, cli.mailing, cli.retention);
    let tokens = cli.service_tokens.or_random(&Entropy::system());
    let auth_config = auth_service::Config::new(
        cli.auth,
        rules.clone(),
        tokens.clone(),
        mailing.clone(),
        retention,
        &cli.common,
    )?;
    let training_config = training_service::Config::new(
        cli.training,
        rules,
        tokens,
        mailing,
        retention,
        auth.clone(),
        &cli.common,
    )?;
    let gateway_config = gateway::Config::new(auth, training)
        .trusting(cli.common.client.trusted_proxies)
        .set(cli.gateway);

    let auth_tcp = bind("AUTH_ADDR", auth_addr).await?;
    let training_tcp = bind("TRAINING_ADDR", training_addr).await?;
    let gateway_tcp = bind("GATEWAY_ADDR", gateway_addr).await?;
    let bound = [&gateway_tcp, &auth_tcp, &training_tcp].map(tokio::net::TcpListener::local_addr);
    let auth_listener = Listener::with_in_process(auth_tcp, auth_in_process);
    let training_listener = Listener::with_in_process(training_tcp, training_in_process);
    if let [Ok(gateway), Ok(auth), Ok(training)] = bound {
        welcome(gateway, auth, training);
    }
    let auth = auth_service::serve(auth_config, auth_listener, shutdown.clone());
    let training = training_service::serve(training_config, training_listener, shutdown.clone());
    let gateway = gateway::serve(gateway_config, gateway_tcp, shutdown.clone());
    let (auth, training, gateway) = tokio::join!(
        then_all(auth, &shutdown),
        then_all(training, &shutdown),
        then_all(gateway, &shutdown),
    );
    auth.and(training).and(gateway)
}

/// Whichever part ends first brings the others down, in good order.
async fn then_all(
    part: impl Future<Output = Result<(), StartError>>,
    shutdown: &Shutdown,
) -> Result<(), StartError> {
    let ended = part.await;
    shutdown.begin();
    ended
}

/// What to try next, for a person at a terminal.
fn welcome(gateway: SocketAddr, auth: SocketAddr, training: SocketAddr) {
    let text = format!(
        r#"Pavilion is starting.
  REST gateway      http://{gateway}
  auth-service      {auth} (gRPC)
  training-service  {training} (gRPC)

Try, in another terminal:
  curl http://{gateway}/auth/register_user -H 'content-type: application/json' \
    -d '{{"username":"newuser","email":"user@example.com","password":"securepassword123"}}'
  curl http://{gateway}/auth/login -H 'content-type: application/json' \
    -d '{{"email":"user@example.com","password":"securepassword123"}}'
  grpcurl -plaintext {auth} list
"#
    );
    // Nobody may be listening on standard output; the services run all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
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
