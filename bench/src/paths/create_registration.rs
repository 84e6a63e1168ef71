//! `POST /registrations` through the gateway: one row, and the event that tells of it.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::Deserialize;

use super::IN_FLIGHT;
use crate::{
    ceilings::raw_commits::{RawCommits, Write},
    load::{Answer, Client, Wire, drive, http1::request},
    measure::{About, Goal, Path, Sample},
    people::Person,
    stand::{Hashing, Scene, Stand},
};

const BODY: &str = r#"{"sport":"cricket","training_level":"intermediate"}"#;

pub(super) struct CreateRegistration {
    stand: Stand,
    ceiling: RawCommits,
    people: Vec<Person>,
}

impl Path for CreateRegistration {
    const ABOUT: About = About {
        name: "post-registrations",
        load: "POST /registrations, 64 in flight, of as many users",
        ceiling: "an INSERT of one row, committed",
        goals: &[Goal::rate(0.8)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Cheap).await?;
        let people = stand.people(scene, IN_FLIGHT).await?;
        Ok(Self { stand, ceiling: RawCommits::new(scene.ground).await?, people })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        self.ceiling.run(Write::Registration, duration).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let gateway = self.stand.gateway;
        let clients = self.people.iter().map(|person| Writing::new(gateway, person));
        let clients = clients.collect::<Result<_>>()?;
        let load = async { Ok(drive(Wire::Http1, gateway, clients, duration).await?.0) };
        Sample::of(self.stand.processes(), load).await
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

/// Someone who keeps registering.
struct Writing {
    request: Request<Bytes>,
    user_id: i64,
    last_id: i64,
}

impl Writing {
    fn new(gateway: SocketAddr, person: &Person) -> Result<Self> {
        let token = Some(person.access_token.as_str());
        let request = request(gateway, Method::POST, "/registrations", BODY, token)?;
        Ok(Self { request, user_id: person.user_id, last_id: 0 })
    }
}

/// What counts of the answer.
#[derive(Deserialize)]
struct Created {
    registration: Registration,
}

#[derive(Deserialize)]
struct Registration {
    id: i64,
    user_id: i64,
}

impl Client for Writing {
    fn next(&mut self) -> Option<Request<Bytes>> {
        Some(self.request.clone())
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        if answer.status != StatusCode::CREATED {
            return Err(format!("HTTP status {}", answer.status));
        }
        let created: Created =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let Registration { id, user_id } = created.registration;
        if user_id != self.user_id || id <= self.last_id {
            return Err(format!("registration {id} of user {user_id} is not a new one"));
        }
        self.last_id = id;
        Ok(())
    }
}
