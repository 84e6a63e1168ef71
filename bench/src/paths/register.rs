//! `Register`: a password's hash, and a row.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use proto::auth::v1::RegisterResponse;

use super::IN_FLIGHT;
use crate::{
    ceilings::raw_hashes,
    load::{Answer, Client, Wire, drive, grpc},
    measure::{About, Goal, Path, Sample},
    people::registration_of,
    stand::{Hashing, Scene, Stand},
};

const METHOD: &str = "/auth.v1.AuthService/Register";

pub(super) struct Register {
    stand: Stand,
    /// With which all names begin.
    family: String,
    born: Arc<AtomicU64>,
}

impl Path for Register {
    const ABOUT: About = About {
        name: "register",
        load: "Register, 64 in flight",
        ceiling: "argon2id alone, a thread for each core",
        goals: &[Goal::rate(0.95)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Real).await?;
        Ok(Self { stand, family: scene.ground.new_name("family"), born: Arc::default() })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        raw_hashes::run(duration).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let address = self.stand.auth;
        let register = grpc::Method::new(address, METHOD, None)?;
        let client = || Registering {
            register: register.clone(),
            family: self.family.clone(),
            born: self.born.clone(),
            name: String::new(),
        };
        let clients = (0..IN_FLIGHT).map(|_| client()).collect();
        let load = async { Ok(drive(Wire::Grpc, address, clients, duration).await?.0) };
        Sample::of(self.stand.processes(), load).await
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

/// Makes one account after the other.
struct Registering {
    register: grpc::Method,
    family: String,
    born: Arc<AtomicU64>,
    name: String,
}

impl Client for Registering {
    fn next(&mut self) -> Option<Request<Bytes>> {
        self.name = format!("{}-{}", self.family, self.born.fetch_add(1, Ordering::Relaxed));
        Some(self.register.call(&registration_of(&self.name)))
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        let answer: RegisterResponse = grpc::message(answer)?;
        if answer.user.is_some_and(|user| user.username == self.name) {
            return Ok(());
        }
        Err(format!("not the account of {}", self.name))
    }
}
