//! `auth-service keys ...`, through the library and as a program beside the running service.

use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    process::{Child, Command as Process, Output, Stdio},
    time::Duration,
};

use auth_service::{Config, KeysCommand};
use service_kit::{on_each_database, secret::SecretKey, testing::ManualClock};
use tempfile::TempDir;

use crate::{
    service::{Service, config},
    signing_keys::{LOOK, PATIENCE, in_state},
};

on_each_database! {
async fn an_operator_sees_and_changes_the_keys(database) {
    let clock = ManualClock::default();
    let settings = config(&database, &clock);
    let run = async |command: KeysCommand| command.execute(&settings).await;
    let early = run(KeysCommand::Rotate { now: true }).await.expect_err("before the first start");
    assert!(early.to_string().starts_with("there are no signing keys yet"), "{early}");
    let service = Service::start_with(settings.clone(), clock.clone()).await;
    service.register("ann", "").await.expect("it is up");

    let table = run(KeysCommand::List).await.expect("a table");
    let lines: Vec<_> = table.lines().collect();
    let head: Vec<_> = lines[0].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(head, ["KID", "ALGORITHM", "STATE", "CREATED", "ACTIVE SINCE", "RETIRED"]);
    assert_eq!(lines.len(), 3);
    let active = lines.iter().find(|line| line.contains(" active ")).expect("an active key");
    assert_eq!(active.matches("2026-01-01T00:00:00Z").count(), 2, "{table}");

    let early = run(KeysCommand::Rotate { now: false }).await.expect_err("too early");
    assert!(early.to_string().contains("for another 900 s"), "{early}");
    let (first, second) = (in_state(&settings, "active").await, in_state(&settings, "next").await);
    let told = run(KeysCommand::Rotate { now: true }).await.expect("rotated");
    assert_eq!(told, format!("{second} (EdDSA) signs from now on\n"));
    assert_eq!(in_state(&settings, "retired").await, first);
    let unknown = run(KeysCommand::Revoke { kid: "-nobody".to_owned() }).await;
    assert!(unknown.expect_err("unknown").to_string().starts_with("no such key"));

    let secret_key = SecretKey::from_bytes([8; 32]);
    let misfit = Config { secret_key, ..settings.clone() };
    for command in [KeysCommand::Rotate { now: true }, KeysCommand::Revoke { kid: first }] {
        let error = command.execute(&misfit).await.expect_err("refused");
        assert!(error.to_string().starts_with("SECRET_KEY: "), "{error}");
    }
}}

/// The program in a folder of its own, without the settings of whoever runs the tests.
fn program(folder: &TempDir) -> Process {
    let mut program = Process::new(env!("CARGO_BIN_EXE_auth-service"));
    program.env_clear().current_dir(folder).env("AUTH_ADDR", "127.0.0.1:0");
    program
}

/// Ends the program where a test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where the program has ended already.
        let _ = self.0.kill();
    }
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_commands_work_beside_the_running_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| program(&folder).args(arguments).output().expect("it starts");
    let before = run(&["keys", "rotate"]);
    assert_eq!(before.status.code(), Some(1));
    assert!(told(&before).1.ends_with("the first start of the service makes them\n"));

    let service = program(&folder).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut service = Running(service);
    let mut waited = Duration::ZERO;
    let table = loop {
        let (table, _) = told(&run(&["keys", "list"]));
        if table.lines().count() == 3 {
            break table;
        }
        assert!(waited < PATIENCE, "no keys within {PATIENCE:?}");
        std::thread::sleep(LOOK);
        waited += LOOK;
    };
    let active = table.lines().find(|line| line.contains(" active ")).expect("an active key");
    let kid = active.split_whitespace().next().expect("a kid");
    let rotated = run(&["keys", "rotate", "--now"]);
    assert!(rotated.status.success(), "{:?}", told(&rotated));
    let revoked = run(&["keys", "revoke", kid]);
    assert!(told(&revoked).0.starts_with(&format!("{kid} is no longer trusted\n")));
    let (table, _) = told(&run(&["keys", "list"]));
    assert!(!table.contains(kid) && table.lines().count() == 3, "{table}");
    assert!(!run(&["keys", "revoke", kid]).status.success(), "gone");

    let pid = rustix::process::Pid::from_child(&service.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let mut log = String::new();
    service.0.stderr.take().expect("its log").read_to_string(&mut log).expect("text");
    assert_eq!(service.0.wait().expect("it ends").code(), Some(0), "{log}");
    assert!(log.contains("made signing keys") && !log.contains("ERROR"), "{log}");
    let mode =
        std::fs::metadata(folder.path().join("data/secret.key")).expect("a key").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_setting_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for (variables, expected) in [
        (&[("TOKEN_ALGORITHM", "HS256")][..], "error: TOKEN_ALGORITHM: 'HS256' is not valid"),
        (&[("SIGNING_KEY_ROTATION", "59m")], "error: SIGNING_KEY_ROTATION: '59m' is not valid"),
        (
            &[("SIGNING_KEY_ROTATION", "1h"), ("ACCESS_TOKEN_TTL", "2h")],
            "error: SIGNING_KEY_ROTATION: shorter than ACCESS_TOKEN_TTL",
        ),
        (
            &[("REFRESH_TOKEN_TTL", "14m")],
            "error: REFRESH_TOKEN_TTL: shorter than ACCESS_TOKEN_TTL",
        ),
        (
            &[("REFRESH_TOKEN_TTL", "1h"), ("ACCESS_TOKEN_TTL", "61m")],
            "error: REFRESH_TOKEN_TTL: shorter than ACCESS_TOKEN_TTL",
        ),
    ] {
        let output = program(&folder).envs(variables.iter().copied()).output().expect("it starts");
        let (_, error) = told(&output);
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        assert_eq!(output.status.code(), Some(1));
    }
}
