//! What the paths are held against.
//!
//! The servers run as processes of their own, as the product does: this program started once
//! more. What needs no server runs in this process.

mod gateway;
pub(crate) mod raw_commits;
pub(crate) mod raw_hashes;
mod rpc;

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use clap::Subcommand;
use http::Uri;
use tokio::{io::AsyncReadExt, net::TcpListener, process::Command};

use crate::process::Process;

/// A server that does the least that can be done.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum CeilingServer {
    /// tonic, without layers, answering constants.
    Rpc,
    /// axum, answering a constant after one call of `rpc`.
    Gateway {
        /// Where `rpc` is; without it the call stays in the process.
        #[arg(long)]
        rpc: Option<Uri>,
    },
}

impl CeilingServer {
    /// Serves on a free port, and prints which, until standard input ends.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub(crate) async fn serve(self) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let address = listener.local_addr()?;
        #[expect(clippy::print_stdout, reason = "whoever started it wants to know")]
        {
            println!("{LISTENING}{address}");
        }
        let serving = async {
            match self {
                Self::Rpc => rpc::serve(listener).await,
                Self::Gateway { rpc } => gateway::serve(listener, rpc).await,
            }
        };
        tokio::select! {
            served = serving => served,
            ended = end_of_input() => ended,
        }
    }
}

const LISTENING: &str = "listening on ";

/// Whoever started it is gone, or no longer needs it.
async fn end_of_input() -> Result<()> {
    let mut ignored = Vec::new();
    tokio::io::stdin().read_to_end(&mut ignored).await?;
    Ok(())
}

/// One of the servers, running.
#[derive(Debug)]
pub(crate) struct Ceiling {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    processes: Vec<Process>,
}

impl Ceiling {
    /// The constant answers of a gRPC service.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) async fn rpc(program: &Path, folder: &Path) -> Result<Self> {
        Self::start(program, folder, "ceiling-rpc", &["rpc"]).await
    }

    /// The constant answers of a gateway that makes one call for each: over the network or,
    /// where `in_process`, without.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) async fn gateway(program: &Path, folder: &Path, in_process: bool) -> Result<Self> {
        if in_process {
            return Self::start(program, folder, "ceiling-gateway", &["gateway"]).await;
        }
        let rpc = Self::rpc(program, folder).await?;
        let url = format!("http://{}", rpc.address);
        let arguments = ["gateway", "--rpc", &url];
        let mut gateway = Self::start(program, folder, "ceiling-gateway", &arguments).await?;
        gateway.processes.extend(rpc.processes);
        Ok(gateway)
    }

    async fn start(program: &Path, folder: &Path, name: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("ceiling").args(arguments).current_dir(folder).env_clear();
        let mut process = Process::start(name, command, folder)?;
        let address =
            process.printed(|log| log.strip_prefix(LISTENING)?.strip_suffix("\n")?.parse().ok());
        Ok(Self { address: address.await?, processes: vec![process] })
    }

    /// Its processes, for what they use.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }
}
