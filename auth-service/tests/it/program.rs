//! `auth-service` as a process: the service, and the commands of an operator beside it.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use service_kit::{
    Shutdown,
    testing::{ManualClock, TestDatabase},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tonic::transport::Channel;

use crate::service::{SERVICE_TOKEN, Service};

/// Longer than anything here takes: a program that has not ended by then is stuck.
const PATIENCE: Duration = Duration::from_mins(1);
/// In base64, 32 bytes.
pub const SECRET_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// The program with its settings.
pub struct Program {
    settings: Vec<(&'static str, String)>,
    folder: PathBuf,
}

/// What a command has printed, and how it ended.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Program {
    /// On a test's database, with cheap hashes.
    pub fn on(database: &TestDatabase) -> Self {
        let folder = database.folder().to_owned();
        let settings = vec![
            ("DATA_DIR", folder.join("data").display().to_string()),
            ("AUTH_DATABASE_URL", database.url.clone()),
            ("AUTH_ADDR", "127.0.0.1:0".to_owned()),
            ("SECRET_KEY", SECRET_KEY.to_owned()),
            ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
            ("ARGON2_MEMORY_KIB", "8".to_owned()),
            ("ARGON2_ITERATIONS", "1".to_owned()),
        ];
        Self { settings, folder }
    }

    /// With one more setting.
    #[must_use]
    pub fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((variable, value.into()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
        // Without the settings of whoever runs the tests.
        command
            .env_clear()
            .current_dir(&self.folder)
            .envs(self.settings.iter().map(|(variable, value)| (variable, value)))
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end, with `input` on its standard input.
    pub async fn run(&self, arguments: &[&str], input: &[u8]) -> Told {
        let mut command = self.command();
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let ended = async {
            // Fails where the command ends without reading on, as it may.
            let _ = stdin.write_all(input).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = timeout(PATIENCE, ended).await.expect("an end in time").expect("its output");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (code, out, err) = (output.status.code(), text(output.stdout), text(output.stderr));
        Told { code, out, err }
    }

    /// Serves until the [`Service`] is told to shut down. The log comes along.
    pub async fn serve(&self) -> (Service, Arc<Mutex<String>>) {
        let mut child = self.command().stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let listening = async {
            loop {
                let line = lines.next_line().await.expect("text").expect("it runs");
                add(&log, &line);
                if let Some((_, address)) = line.split_once("address=") {
                    break address.split_whitespace().next().expect("an address").to_owned();
                }
            }
        };
        let url = format!("http://{}", timeout(PATIENCE, listening).await.expect("it listens"));
        let channel = Channel::from_shared(url.clone()).expect("a URL").connect_lazy();
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(follow(child, lines, log.clone(), shutdown.clone()));
        let clock = ManualClock::default();
        (Service { url, channel, clock, shutdown, serving }, log)
    }
}

fn add(log: &Mutex<String>, line: &str) {
    let mut log = log.lock().expect("no panic");
    log.push_str(line);
    log.push('\n');
}

/// Collects the log until the end, which comes at the shutdown.
async fn follow(
    mut child: Child,
    mut lines: tokio::io::Lines<BufReader<ChildStderr>>,
    log: Arc<Mutex<String>>,
    shutdown: Shutdown,
) -> Result<(), service_kit::StartError> {
    let pid = Pid::from_raw(child.id().expect("it runs").try_into().expect("an id"));
    let mut is_told = false;
    loop {
        tokio::select! {
            line = lines.next_line() => match line.expect("text") {
                Some(line) => add(&log, &line),
                None => break,
            },
            () = shutdown.begun(), if !is_told => {
                is_told = true;
                kill_process(pid.expect("an id"), Signal::TERM).expect("it is there");
            }
        }
    }
    let status = child.wait().await.expect("a status");
    assert_eq!(status.code(), Some(0), "a clean end");
    Ok(())
}
