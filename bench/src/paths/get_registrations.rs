//! `GET /registrations` through the gateway: what clients ask most.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::Value;

use super::{IN_FLIGHT, ROWS};
use crate::{
    ceilings::Ceiling,
    load::{
        Answer, Client, Tally, Wire, drive,
        http1::{ask_once, request},
    },
    measure::{About, Goal, Path, Sample},
    options::Deployment,
    people::Person,
    stand::{Hashing, Scene, Stand},
};

const PEOPLE: usize = 50;

pub(super) struct GetRegistrations {
    stand: Stand,
    ceiling: Ceiling,
    asked: Asked,
    ceiling_asked: Asked,
}

/// Requests, each with the answer that it must have.
type Asked = Arc<[(Request<Bytes>, Bytes)]>;

impl Path for GetRegistrations {
    const ABOUT: About = About {
        name: "get-registrations",
        load: "GET /registrations, ten rows, 64 in flight, 50 users",
        ceiling: "axum calling tonic, both answering constants",
        goals: &[Goal::rate(0.75)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Cheap).await?;
        let people = stand.people(scene, PEOPLE).await?;
        stand.give_registrations(&people, ROWS).await?;
        let in_process = scene.deployment == Deployment::Standalone;
        let (program, folder) = (&scene.programs.own, scene.ground.folder());
        let ceiling = Ceiling::gateway(program, folder, in_process).await?;
        let asked = asked(stand.gateway, &people).await?;
        let ceiling_asked = self::asked(ceiling.address, &people).await?;
        Ok(Self { stand, ceiling, asked, ceiling_asked })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        let load = load(self.ceiling.address, &self.ceiling_asked, duration);
        Sample::of(self.ceiling.processes(), load).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let load = load(self.stand.gateway, &self.asked, duration);
        Sample::of(self.stand.processes(), load).await
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

/// Asks for the registrations of each once, to know what the answer is.
async fn asked(address: SocketAddr, people: &[Person]) -> Result<Asked> {
    let mut asked = Vec::with_capacity(people.len());
    for person in people {
        let token = Some(person.access_token.as_str());
        let request = request(address, Method::GET, "/registrations", "", token)?;
        let answer = ask_once(address, request.clone()).await?;
        ensure!(answer.status == StatusCode::OK, "GET /registrations: {}", answer.status);
        let rows: Vec<Value> = serde_json::from_slice(&answer.body)?;
        ensure!(rows.len() == ROWS, "GET /registrations: {} rows", rows.len());
        asked.push((request, answer.body));
    }
    Ok(asked.into())
}

async fn load(address: SocketAddr, asked: &Asked, duration: Duration) -> Result<Tally> {
    let first = |number| number * asked.len() / IN_FLIGHT;
    let clients = (0..IN_FLIGHT).map(|it| Reading { asked: asked.clone(), at: first(it) });
    Ok(drive(Wire::Http1, address, clients.collect(), duration).await?.0)
}

/// Asks for the registrations of one after the other.
struct Reading {
    asked: Asked,
    at: usize,
}

impl Client for Reading {
    fn next(&mut self) -> Option<Request<Bytes>> {
        self.at = (self.at + 1) % self.asked.len();
        Some(self.asked[self.at].0.clone())
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        let Answer { status, body } = answer;
        if *status == StatusCode::OK && *body == self.asked[self.at].1 {
            return Ok(());
        }
        Err(format!("HTTP status {status}, {} bytes, not what it was before", body.len()))
    }
}
