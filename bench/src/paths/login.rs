//! `Login`: a password's hash, and little else.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use proto::auth::v1::LoginResponse;

use super::IN_FLIGHT;
use crate::{
    ceilings::raw_hashes,
    load::{Answer, Client, Wire, drive, grpc},
    measure::{About, Goal, Path, Sample},
    people::{Person, login_of},
    stand::{Hashing, Scene, Stand},
};

const METHOD: &str = "/auth.v1.AuthService/Login";

pub(super) struct Login {
    stand: Stand,
    people: Vec<Person>,
}

impl Path for Login {
    const ABOUT: About = About {
        name: "login",
        load: "Login, 64 in flight, of as many users",
        ceiling: "argon2id alone, a thread for each core",
        goals: &[Goal::rate(0.95)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Real).await?;
        let people = people(&stand, scene).await?;
        Ok(Self { stand, people })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        raw_hashes::run(duration).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let load = async {
            let clients = clients(self.stand.auth, &self.people)?;
            Ok(drive(Wire::Grpc, self.stand.auth, clients, duration).await?.0)
        };
        Sample::of(self.stand.processes(), load).await
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

/// One for each request in flight: those of one identifier would wait for each other. Whoever was
/// loaded with a cheap hash has, having signed in, a real one.
pub(super) async fn people(stand: &Stand, scene: &Scene<'_>) -> Result<Vec<Person>> {
    stand.people(scene, IN_FLIGHT).await
}

/// Each of `people`, signing in again and again.
pub(super) fn clients(address: SocketAddr, people: &[Person]) -> Result<Vec<SigningIn>> {
    let login = grpc::Method::new(address, METHOD, None)?;
    let client = |person: &Person| SigningIn { login: login.clone(), name: person.name.clone() };
    Ok(people.iter().map(client).collect())
}

/// Someone who keeps signing in.
pub(super) struct SigningIn {
    login: grpc::Method,
    name: String,
}

impl Client for SigningIn {
    fn next(&mut self) -> Option<Request<Bytes>> {
        Some(self.login.call(&login_of(&self.name)))
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        let answer: LoginResponse = grpc::message(answer)?;
        let has_tokens = answer.tokens.is_some_and(|tokens| !tokens.access_token.is_empty());
        if has_tokens && answer.user.is_some_and(|user| user.username == self.name) {
            return Ok(());
        }
        Err(format!("not what {} signs in for", self.name))
    }
}
