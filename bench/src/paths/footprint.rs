//! How long the product takes to start, and how much memory it takes.
//!
//! With cheap hashes, which all accounts have by then: where the settings are others than those of
//! an account's hash, the product hashes as it starts, and what it hashes with at the default cost
//! stays resident for a while after a sign-in. Neither is asked for here.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use tokio::time::sleep;

use std::time::Duration;

use super::{Entry, ROWS};
use crate::{
    load::http1::{self, request},
    measure::{Goal, median},
    report::{Bound, Figure, Line, Round, Verdict},
    stand::{Hashing, Scene, Stand},
};

/// How many connections are held open, each having been used.
const CONNECTIONS: usize = 1000;
/// From getting ready until it counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(1);

pub(super) const START: Entry = Entry {
    name: "start",
    differs_by_deployment: false,
    has_database: true,
    measure: |scene| Box::pin(start(scene)),
};

pub(super) const MEMORY: Entry = Entry {
    name: "memory",
    differs_by_deployment: false,
    has_database: true,
    measure: |scene| Box::pin(memory(scene)),
};

/// Of a product whose databases are there, as after an update or a crash.
async fn start(scene: Scene<'_>) -> Result<Vec<Line>> {
    // The first one makes them.
    scene.start(Hashing::Cheap).await?.stop().await?;
    let mut milliseconds = Vec::new();
    for _ in 0..scene.options.rounds {
        let stand = scene.start(Hashing::Cheap).await?;
        milliseconds.push(stand.started_in.as_secs_f64() * 1e3);
        stand.stop().await?;
    }
    let goal = Goal { figure: Figure::Milliseconds, bound: Bound::AtMost(150.0) };
    Ok(vec![line(&scene, "start", "from the start to /readyz, data at hand", goal, milliseconds)])
}

async fn memory(scene: Scene<'_>) -> Result<Vec<Line>> {
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..scene.options.rounds {
        let stand = scene.start(Hashing::Cheap).await?;
        sleep(IDLE_AFTER).await;
        idle.push(megabytes(&stand));
        let people = stand.people(&scene, 1).await?;
        stand.give_registrations(&people, ROWS).await?;
        let connections = connect(&stand, &people[0].access_token).await?;
        busy.push(megabytes(&stand));
        drop(connections);
        stand.stop().await?;
    }
    let at_most = |bound| Goal { figure: Figure::Megabytes, bound: Bound::AtMost(bound) };
    let connected = "resident with 1,000 used connections to the gateway";
    Ok(vec![
        line(&scene, "idle-memory", "resident a second after the start", at_most(35.0), idle),
        line(&scene, "connections-memory", connected, at_most(120.0), busy),
    ])
}

/// Opens connections to the gateway, and makes a request over each.
async fn connect(stand: &Stand, token: &str) -> Result<Vec<http1::Line>> {
    let mut lines = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut line = http1::Line::to(stand.gateway).await?;
        let asked = request(stand.gateway, Method::GET, "/registrations", "", Some(token))?;
        let answer = line.ask(asked).await.ok().context("a connection was lost")?;
        ensure!(answer.status == StatusCode::OK, "GET /registrations: {}", answer.status);
        lines.push(line);
    }
    Ok(lines)
}

fn megabytes(stand: &Stand) -> f64 {
    let bytes: u64 = stand.processes().iter().map(|process| process.usage().memory).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = bytes as f64;
    bytes / 1e6
}

fn line(scene: &Scene<'_>, path: &str, load: &str, goal: Goal, values: Vec<f64>) -> Line {
    let rounds = values.iter().map(|value| Round::Alone { value: *value }).collect();
    let value = median(values);
    Line {
        path: path.to_owned(),
        load: load.to_owned(),
        ceiling: String::new(),
        deployment: scene.deployment,
        loaded: scene.ground.load.is_some(),
        verdicts: vec![Verdict { figure: goal.figure, value, goal: Some(goal.bound) }],
        measured: None,
        held_against: None,
        rounds,
        failures: Vec::new(),
    }
}
