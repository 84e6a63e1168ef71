//! The program itself: its settings, its first line, its end.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use proto::training::v1::{
    ListRegistrationsRequest, registration_service_client::RegistrationServiceClient,
};
use service_kit::rejection::Rejection;
use tempfile::TempDir;
use tonic::Code;

use crate::service::{channel, reason};

/// The program in a folder of its own, without the settings of whoever runs the tests.
fn program(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_training-service"));
    command.env_clear().current_dir(folder.path());
    command
}

/// Ends the program where a test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where the program has ended already.
        let _ = self.0.kill();
    }
}

#[tokio::test]
async fn runs_on_its_defaults_until_sigterm() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = program(&folder);
    command.env("TRAINING_ADDR", "127.0.0.1:0").stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("it starts"));
    let log = BufReader::new(running.0.stderr.take().expect("its log"));
    let address: SocketAddr = log
        .lines()
        .map(|line| line.expect("text"))
        .find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned()))
        .expect("a line that names the address")
        .parse()
        .expect("an address");

    let mut client = RegistrationServiceClient::new(channel(address));
    let refused = client.list_registrations(ListRegistrationsRequest::default()).await;
    let rejection = Rejection::from(&refused.expect_err("no token"));
    assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_MISSING"));
    assert!(folder.path().join("data/training.db").exists());

    let killed = Command::new("kill").arg(running.0.id().to_string()).status().expect("kill");
    assert!(killed.success());
    let ended = tokio::task::spawn_blocking(move || running.0.wait().expect("it ends"));
    assert_eq!(ended.await.expect("no panic").code(), Some(0));
}

#[test]
fn help_lists_every_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = "postgres://pavilion:hunter2@127.0.0.1/training";
    let output = program(&folder)
        .arg("--help")
        .env("TRAINING_DATABASE_URL", secret)
        .output()
        .expect("it starts");
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).expect("text");
    for variable in [
        "TRAINING_ADDR",
        "TRAINING_DATABASE_URL",
        "SECRET_KEY",
        "SMTP_URL",
        "EVENT_RETENTION",
        "AUTH_URL",
        "DATA_DIR",
        "TOKEN_ISSUER",
        "TOKEN_AUDIENCE",
        "LOG_FORMAT",
        "LOG_DIR",
        "RUST_LOG",
    ] {
        assert!(help.contains(&format!("[env: {variable}")), "{variable} is missing:\n{help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}

#[test]
fn a_bad_setting_ends_it_with_one_line_that_names_the_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").expect("a file");
    let in_the_way = in_the_way.to_str().expect("text");
    for (variable, value) in [
        ("TRAINING_ADDR", "nowhere"),
        ("TRAINING_ADDR", "192.0.2.1:1"),
        ("TRAINING_DATABASE_URL", "oracle://127.0.0.1/training"),
        ("AUTH_URL", "127.0.0.1:50051"),
        ("DATA_DIR", in_the_way),
        ("RUST_LOG", "training=loud"),
    ] {
        let output = program(&folder)
            .env("TRAINING_ADDR", "127.0.0.1:0")
            .env(variable, value)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{variable}={value}");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(told.starts_with(&format!("error: {variable}: ")), "{variable}={value}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
