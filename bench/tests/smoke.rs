//! The program as a whole: every path is measured, in rounds too short to say anything, and every
//! answer is a good one.

#![expect(clippy::expect_used, reason = "a test that lacks a part fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::LazyLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use service_kit::on_each_database;
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(5);
/// Between two looks at another process.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Where the product's programs are, as they are now. After a test of the whole workspace there
/// is nothing to build: these are its features too.
fn programs() -> &'static Path {
    static PROGRAMS: LazyLock<&Path> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_bench")).parent().expect("a folder");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
        let mut command = std::process::Command::new(env!("CARGO"));
        command.args(["build", "--locked", "--workspace", "--bins", "--tests", "--manifest-path"]);
        command.arg(manifest).arg("--target-dir").arg(folder.parent().expect("a folder"));
        let built = command.args((!cfg!(debug_assertions)).then_some("--release")).status();
        assert!(built.expect("cargo starts").success(), "the programs do not compile");
        folder
    });
    &PROGRAMS
}

/// `bench`, with rounds as short as can be and its results in `out`.
fn bench(out: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["--rounds", "1", "--warm-up", "0.05"]).args(arguments);
    command.args(["--programs".as_ref(), programs().as_os_str()]);
    command.args(["--out".as_ref(), out.path().as_os_str()]);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// What it prints and what it writes, if all is as it should be.
async fn measured(arguments: &[&str]) -> (String, Value) {
    let out = tempfile::tempdir().expect("a folder");
    let output = timeout(PATIENCE, bench(&out, arguments).args(["--seconds", "0.1"]).output())
        .await
        .expect("an end in time");
    let output = output.expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report = fs::read(out.path().join("report.json")).expect("a report");
    let chart = fs::read_to_string(out.path().join("chart.svg")).expect("a chart");
    assert!(chart.starts_with("<svg") && chart.ends_with("</svg>\n"), "{chart}");
    assert_eq!(fs::read_dir(out.path()).expect("a folder").count(), 2, "the data is gone");
    let report = serde_json::from_slice(&report).expect("JSON");
    (String::from_utf8(output.stdout).expect("text"), report)
}

/// Both sides of each line have good answers and no others; what they are called.
fn paths(report: &Value) -> Vec<String> {
    let lines = report["lines"].as_array().expect("lines");
    for line in lines {
        assert!(line["verdicts"][0]["value"].as_f64().is_some_and(|value| value > 0.0), "{line}");
        for side in ["measured", "held_against"] {
            let side = &line[side];
            let is_good = side["answers"].as_u64() > Some(0) && side["errors"] == 0;
            assert!(is_good || side.is_null() && line["ceiling"] == "", "{line}");
        }
    }
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let loaded = |line: &Value| if line["loaded"] == true { " loaded" } else { "" };
    let name = |line: &Value| {
        format!("{} {}{}", word(&line["path"]), word(&line["deployment"]), loaded(line))
    };
    lines.iter().map(name).collect()
}

#[tokio::test]
async fn every_path_and_every_ceiling_gives_good_answers() {
    let (table, report) = measured(&[]).await;
    let expected = [
        "validate-token standalone",
        "verify-repeated standalone",
        "verify-first-sight standalone",
        "get-registrations standalone",
        "get-registrations processes",
        "post-registrations standalone",
        "post-registrations processes",
        "refresh-token standalone",
        "popular-program standalone",
        "start standalone",
        "idle-memory standalone",
        "connections-memory standalone",
        "login standalone",
        "register standalone",
        "validate-token-in-storm standalone",
    ];
    assert_eq!(paths(&report), expected);
    for name in expected.map(|name| name.split(' ').next().expect("a word")) {
        assert!(table.contains(name), "{name} is not in the table: {table}");
    }
}

on_each_database! {
    async fn what_commits_is_measured_on_empty_and_on_loaded_databases(database) {
        let kind = match database.kind {
            DatabaseKind::Sqlite => "sqlite",
            DatabaseKind::Postgres => "postgres",
            DatabaseKind::MySql => "mariadb",
        };
        let only = ["--only", "post-registrations", "--only", "refresh-token", "--only", "popular-program"];
        let how = ["--database", kind, "--deployment", "processes", "--loaded", "1000", "2000"];
        let (table, report) = measured(&[&only[..], &how[..]].concat()).await;
        let empty = ["post-registrations", "refresh-token", "popular-program"];
        let empty = empty.map(|path| format!("{path} processes"));
        let loaded = empty.clone().map(|path| format!("{path} loaded"));
        assert_eq!(paths(&report), [empty, loaded].concat());
        assert_eq!(table.matches("of empty").count(), 6, "three results and goals: {table}");
    }
}

#[tokio::test]
async fn a_folder_without_the_programs_is_refused() {
    let out = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["--programs".as_ref(), out.path().as_os_str()]);
    let output = timeout(PATIENCE, command.output()).await.expect("an end in time");
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(errors.contains("pavilion is missing"), "{errors}");
}

/// Processes that are at home in `folder`.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let homes = all.filter_map(|process| fs::read_link(process.path().join("cwd")).ok());
    homes.filter(|home| home.starts_with(folder)).collect()
}

#[tokio::test]
async fn what_is_interrupted_ends_all_that_it_has_started() {
    let out = tempfile::tempdir().expect("a folder");
    let arguments = ["--only", "validate-token", "--seconds", "3600"];
    let mut bench = bench(&out, &arguments).stderr(Stdio::piped()).spawn().expect("it starts");
    let at_work = async {
        while processes_in(out.path()).len() < 2 {
            sleep(LOOK_PAUSE).await;
        }
    };
    timeout(PATIENCE, at_work).await.expect("the product and a ceiling");
    let id = bench.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).expect("an id");
    kill_process(id, Signal::TERM).expect("it is there");
    let status = timeout(PATIENCE, bench.wait()).await.expect("an end in time");
    assert_eq!(status.expect("a status").code(), Some(1));
    let all_ended = async {
        while !processes_in(out.path()).is_empty() {
            sleep(LOOK_PAUSE).await;
        }
    };
    timeout(PATIENCE, all_ended).await.expect("they end");
    assert_eq!(fs::read_dir(out.path()).expect("a folder").count(), 0, "the data is gone");
}
