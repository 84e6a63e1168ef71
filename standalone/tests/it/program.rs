//! `pavilion` as a process, in a folder of its own.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use auth_client::{Role, Roles};
use rustix::process::{Pid, Signal, kill_process};
use service_kit::{db::DatabaseUrl, sql, testing::connect};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};
use tonic::transport::{Channel, Endpoint};

use crate::http_client::Http;

/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at another process.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds what it looks for.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK_PAUSE).await;
        }
    });
    found.await.unwrap_or_else(|_elapsed| panic!("waited in vain: {what}"))
}

/// A connection to a gRPC service, made at the first call.
pub(crate) fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("a URL").connect_lazy()
}

/// The folder that one `pavilion` after another lives in.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `DATA_DIR`.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The program without the settings of whoever runs the tests: its data here, every port
    /// free, hashes cheap.
    fn program(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pavilion"));
        command
            .kill_on_drop(true)
            .current_dir(self.path())
            .env_clear()
            .env("DATA_DIR", self.data())
            .env("ARGON2_MEMORY_KIB", "8")
            .env("ARGON2_ITERATIONS", "1")
            .envs(["AUTH_ADDR", "TRAINING_ADDR", "GATEWAY_ADDR"].map(|name| (name, "127.0.0.1:0")))
            .envs(settings.iter().copied());
        command
    }

    /// Starts it with `settings`, and waits until it is ready.
    pub(crate) async fn start(&self, settings: &[(&str, &str)]) -> Pavilion {
        let log = File::options().create(true).append(true).open(self.log_path());
        let mut command = self.program(settings);
        command.stdout(Stdio::piped()).stderr(log.expect("a file"));
        let mut child = command.spawn().expect("it starts");
        let mut printed = BufReader::new(child.stdout.take().expect("its output")).lines();
        let addresses = timeout(PATIENCE, printed_addresses(&mut printed)).await;
        let [gateway, auth, training] = addresses
            .expect("its addresses in time")
            .unwrap_or_else(|| panic!("it ended: {}", self.log()));
        let pavilion = Pavilion { child, _printed: printed, gateway, auth, training };
        let http = pavilion.http();
        eventually("pavilion is ready", async || {
            http.try_get("/readyz").await.filter(|answer| answer.status == 200)
        })
        .await;
        pavilion
    }

    /// Starts it with settings that it refuses: its exit code, and what it printed on standard
    /// error.
    pub(crate) async fn refused(&self, settings: &[(&str, &str)]) -> (Option<i32>, String) {
        let output = timeout(PATIENCE, self.program(settings).output()).await;
        let output = output.unwrap_or_else(|_elapsed| panic!("it runs with {settings:?}"));
        let output = output.expect("it starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }

    /// Makes a user an administrator, as nobody can who is not one. Tokens from before end.
    pub(crate) async fn make_admin(&self, user_id: i64) {
        let database = connect(&DatabaseUrl::embedded(&self.data().join("auth.db"))).await;
        let roles = Roles::from_iter([Role::User, Role::Admin]).bits();
        let update = sql!("UPDATE users SET roles = ? WHERE id = ?");
        let made = database.write(update).bind(roles).bind(user_id).execute().await;
        assert_eq!(made.expect("updated"), 1);
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("stderr")
    }

    /// What was printed on standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).expect("text")
    }
}

/// What it prints first: where the gateway, auth-service and training-service listen.
async fn printed_addresses(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<[SocketAddr; 3]> {
    let mut found = [None; 3];
    loop {
        if let [Some(gateway), Some(auth), Some(training)] = found {
            return Some([gateway, auth, training]);
        }
        let line = lines.next_line().await.expect("text")?;
        let words: Vec<_> = line.split_whitespace().collect();
        match *words {
            ["REST", "gateway", url] => {
                let address = url.strip_prefix("http://").expect("a URL");
                found[0] = Some(address.parse().expect("an address"));
            }
            ["auth-service", address, "(gRPC)"] => {
                found[1] = Some(address.parse().expect("an address"));
            }
            ["training-service", address, "(gRPC)"] => {
                found[2] = Some(address.parse().expect("an address"));
            }
            _ => {}
        }
    }
}

/// A running `pavilion`, killed when it is dropped.
pub(crate) struct Pavilion {
    child: Child,
    // Open, so that it has somewhere to print to.
    _printed: Lines<BufReader<ChildStdout>>,
    pub(crate) gateway: SocketAddr,
    pub(crate) auth: SocketAddr,
    pub(crate) training: SocketAddr,
}

impl Pavilion {
    pub(crate) fn http(&self) -> Http {
        Http::to(self.gateway)
    }

    /// Tells it to end.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it still runs").try_into().expect("an id");
        kill_process(Pid::from_raw(id).expect("an id"), signal).expect("it is there");
    }

    /// Waits for its end, which must be a good one.
    pub(crate) async fn end(mut self) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("an end in time");
        assert_eq!(status.expect("a status").code(), Some(0));
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(self) {
        self.signal(Signal::TERM);
        self.end().await;
    }
}
