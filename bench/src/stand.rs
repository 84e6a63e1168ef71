//! The product, running on a ground.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use http::{Method, StatusCode};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    ground::Ground,
    load::http1::{ask_once, request},
    options::{Deployment, Options},
    people::PASSWORD,
    process::{LOOK_PAUSE, Process, START_TIME_MAX},
    programs::Programs,
};

/// The cost of a hash where hashing is not what is measured.
const CHEAP: [(&str, &str); 2] = [("ARGON2_MEMORY_KIB", "8"), ("ARGON2_ITERATIONS", "1")];

/// What a path is measured on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) ground: &'a Ground,
    pub(crate) deployment: Deployment,
    pub(crate) options: &'a Options,
}

/// What a password's hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// What it costs by default.
    Real,
    /// Next to nothing.
    Cheap,
}

/// The product, ready. Its processes end when it is dropped.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) gateway: SocketAddr,
    pub(crate) auth: SocketAddr,
    pub(crate) training: SocketAddr,
    /// From the start of the first process until `/readyz` said yes.
    pub(crate) started_in: Duration,
    processes: Vec<Process>,
}

impl Scene<'_> {
    /// Starts the product and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not get there: with the end of its log.
    pub(crate) async fn start(&self, hashing: Hashing) -> Result<Stand> {
        let began = Instant::now();
        let (processes, [auth, training, gateway]) = match self.deployment {
            Deployment::Standalone => self.start_standalone(hashing).await?,
            Deployment::Processes => self.start_processes(hashing).await?,
        };
        let mut stand = Stand { gateway, auth, training, started_in: Duration::ZERO, processes };
        stand.become_ready().await?;
        stand.started_in = began.elapsed();
        Ok(stand)
    }

    /// A program with the settings that all of them read, and none from outside.
    fn command(&self, name: &str, hashing: Hashing) -> Command {
        let ground = self.ground;
        let mut command = Command::new(self.programs.path(name));
        command
            .env_clear()
            // Where no `.env` is.
            .current_dir(ground.folder())
            .env("DATA_DIR", ground.folder())
            .env("SERVICE_TOKEN", &ground.service_token)
            .env("AUTH_DATABASE_URL", &ground.auth_database)
            .env("TRAINING_DATABASE_URL", &ground.training_database)
            // The gateway, which speaks for its clients.
            .env("TRUSTED_PROXIES", "127.0.0.1")
            .envs(["AUTH_ADDR", "TRAINING_ADDR", "GATEWAY_ADDR"].map(|it| (it, "127.0.0.1:0")));
        if hashing == Hashing::Cheap {
            command.envs(CHEAP);
        }
        command
    }

    async fn start_standalone(&self, hashing: Hashing) -> Result<(Vec<Process>, [SocketAddr; 3])> {
        let command = self.command("pavilion", hashing);
        let mut process = Process::start("pavilion", command, self.ground.folder())?;
        let addresses = process.printed(|log| {
            Some([
                listening(log, "auth.v1")?,
                listening(log, "training.v1")?,
                listening(log, "gateway")?,
            ])
        });
        let addresses = addresses.await?;
        Ok((vec![process], addresses))
    }

    async fn start_processes(&self, hashing: Hashing) -> Result<(Vec<Process>, [SocketAddr; 3])> {
        let folder: &Path = self.ground.folder();
        let start = async |name, service, urls: &[(&str, String)]| {
            let mut command = self.command(name, hashing);
            command.envs(urls.iter().map(|(name, url)| (name, url)));
            let mut process = Process::start(name, command, folder)?;
            let address = process.printed(|log| listening(log, service)).await?;
            anyhow::Ok((process, address))
        };
        let url = |address: SocketAddr| format!("http://{address}");
        let (auth, auth_at) = start("auth-service", "auth.v1", &[]).await?;
        let mut urls = vec![("AUTH_URL", url(auth_at))];
        let (training, training_at) = start("training-service", "training.v1", &urls).await?;
        urls.push(("TRAINING_URL", url(training_at)));
        let (gateway, gateway_at) = start("gateway", "gateway", &urls).await?;
        Ok((vec![auth, training, gateway], [auth_at, training_at, gateway_at]))
    }

    /// Makes a coach called `name`, as an operator does.
    ///
    /// # Errors
    /// Where the command fails.
    pub(crate) async fn make_coach(&self, name: &str) -> Result<()> {
        let folder = self.ground.folder();
        let mut command = self.command("auth-service", Hashing::Cheap);
        command.args(["user", "create", "--role", "coach", "--password-stdin"]);
        command.args(["--username", name]);
        let mut process = Process::start("auth-service-user", command, folder)?;
        let mut input = process.input().context("its input")?;
        input.write_all(PASSWORD.as_bytes()).await?;
        drop(input);
        process.succeeded().await
    }
}

/// Where a service says in the log that it listens.
fn listening(log: &str, service: &str) -> Option<SocketAddr> {
    let named = format!("service=\"{service}\"");
    let line = log.lines().find(|line| line.contains("listening") && line.contains(&named))?;
    line.split_once("address=")?.1.split_whitespace().next()?.parse().ok()
}

impl Stand {
    async fn become_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            let asked = request(self.gateway, Method::GET, "/readyz", "", None)?;
            let answer = ask_once(self.gateway, asked).await;
            match answer {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
                Ok(answer) if Instant::now() >= deadline => {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(anyhow::anyhow!(text).context("the product does not get ready"));
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(_) | Err(_) => {}
            }
            for process in &mut self.processes {
                process.check()?;
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Its processes, for what they use.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Ends it as an operator does.
    ///
    /// # Errors
    /// Where a process does not end in good order.
    pub(crate) async fn stop(self) -> Result<()> {
        // The gateway first, which needs the others.
        for process in self.processes.into_iter().rev() {
            process.stop().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_in_the_log_where_each_part_listens() {
        let log = "2026-01-01T00:00:00Z  INFO service_kit::server: listening \
                   service=\"auth.v1\" address=127.0.0.1:4001\n\
                   2026-01-01T00:00:00Z  INFO gateway: listening service=\"gateway\" \
                   address=127.0.0.1:4002\n";
        assert_eq!(listening(log, "auth.v1"), Some(([127, 0, 0, 1], 4001).into()));
        assert_eq!(listening(log, "gateway"), Some(([127, 0, 0, 1], 4002).into()));
        assert_eq!(listening(log, "training.v1"), None);
    }
}
