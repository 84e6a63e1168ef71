//! `RefreshToken`: one compare-and-swap, and two tokens.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use proto::auth::v1::{RefreshTokenRequest, RefreshTokenResponse};

use super::IN_FLIGHT;
use crate::{
    ceilings::raw_commits::{RawCommits, Write},
    load::{Answer, Client, Wire, drive, grpc},
    measure::{About, Goal, Path, Sample},
    stand::{Hashing, Scene, Stand},
};

const METHOD: &str = "/auth.v1.AuthService/RefreshToken";

pub(super) struct Refresh {
    stand: Stand,
    ceiling: RawCommits,
    /// They go on with the tokens that they have.
    clients: Vec<Refreshing>,
}

impl Path for Refresh {
    const ABOUT: About = About {
        name: "refresh-token",
        load: "RefreshToken, 64 in flight, of as many sessions",
        ceiling: "an UPDATE of one row of 64, committed",
        goals: &[Goal::rate(0.8)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Cheap).await?;
        let people = stand.people(scene, IN_FLIGHT).await?;
        let refresh = grpc::Method::new(stand.auth, METHOD, None)?;
        let clients = people
            .into_iter()
            .map(|person| Refreshing { refresh: refresh.clone(), token: person.refresh_token })
            .collect();
        Ok(Self { stand, ceiling: RawCommits::new(scene.ground).await?, clients })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        self.ceiling.run(Write::Session, duration).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let clients = std::mem::take(&mut self.clients);
        let load = async {
            let (tally, clients) = drive(Wire::Grpc, self.stand.auth, clients, duration).await?;
            self.clients = clients;
            Ok(tally)
        };
        Sample::of(self.stand.processes(), load).await
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

/// Someone who always has the newest token of a session.
struct Refreshing {
    refresh: grpc::Method,
    token: String,
}

impl Client for Refreshing {
    fn next(&mut self) -> Option<Request<Bytes>> {
        Some(self.refresh.call(&RefreshTokenRequest { refresh_token: self.token.clone() }))
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        let answer: RefreshTokenResponse = grpc::message(answer)?;
        let tokens = answer.tokens.ok_or("no tokens")?;
        if tokens.access_token.is_empty() || tokens.refresh_token == self.token {
            return Err("no new tokens".to_owned());
        }
        self.token = tokens.refresh_token;
        Ok(())
    }
}
