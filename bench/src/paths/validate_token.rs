//! `ValidateToken`: what a service asks that does not verify tokens by itself.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use proto::auth::v1::{ValidateTokenRequest, ValidateTokenResponse};

use super::IN_FLIGHT;
use crate::{
    ceilings::Ceiling,
    load::{Answer, Client, Tally, Wire, drive, grpc},
    measure::{About, Goal, Path, Sample},
    people::Person,
    stand::{Hashing, Scene, Stand},
};

const PEOPLE: usize = 50;
const SESSIONS: usize = 4;
const METHOD: &str = "/auth.v1.AuthService/ValidateToken";

pub(super) struct ValidateToken {
    stand: Stand,
    ceiling: Ceiling,
    people: Vec<Person>,
}

impl Path for ValidateToken {
    const ABOUT: About = About {
        name: "validate-token",
        load: "ValidateToken, 64 in flight, 200 tokens of 50 users",
        ceiling: "tonic answering a constant, no layers",
        goals: &[Goal::rate(0.85)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Cheap).await?;
        let people = sessions(&stand, scene).await?;
        let ceiling = Ceiling::rpc(&scene.programs.own, scene.ground.folder()).await?;
        Ok(Self { stand, ceiling, people })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        // It does not know whose tokens they are.
        let validators = validators(self.ceiling.address, &self.people, |_| None)?;
        let load = load(self.ceiling.address, validators, duration);
        Sample::of(self.ceiling.processes(), load).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let validators = validators(self.stand.auth, &self.people, |person| Some(person.user_id))?;
        let load = load(self.stand.auth, validators, duration);
        Sample::of(self.stand.processes(), load).await
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

/// People with several sessions, and so several tokens, each.
pub(super) async fn sessions(stand: &Stand, scene: &Scene<'_>) -> Result<Vec<Person>> {
    let people = stand.people(scene, PEOPLE).await?;
    let mut sessions = people.clone();
    for _ in 1..SESSIONS {
        for person in &people {
            sessions.push(stand.sign_in_again(person).await?);
        }
    }
    Ok(sessions)
}

/// Lets them ask at `address`.
pub(super) async fn load(
    address: SocketAddr,
    validators: Vec<Validator>,
    duration: Duration,
) -> Result<Tally> {
    Ok(drive(Wire::Grpc, address, validators, duration).await?.0)
}

/// Asks about one token after the other.
pub(super) struct Validator {
    /// With whose it is, where the answer has to say so.
    requests: Arc<[(Request<Bytes>, Option<i64>)]>,
    at: usize,
}

/// As many as are in flight, of whom no two ask about the same token at the same time.
pub(super) fn validators(
    address: SocketAddr,
    people: &[Person],
    user_id: impl Fn(&Person) -> Option<i64>,
) -> Result<Vec<Validator>> {
    let method = grpc::Method::new(address, METHOD, None)?;
    let requests = people.iter().map(|person| {
        let message = ValidateTokenRequest { access_token: person.access_token.clone() };
        (method.call(&message), user_id(person))
    });
    let requests: Arc<[_]> = requests.collect();
    let first = |number| number * requests.len() / IN_FLIGHT;
    Ok((0..IN_FLIGHT).map(|it| Validator { requests: requests.clone(), at: first(it) }).collect())
}

impl Client for Validator {
    fn next(&mut self) -> Option<Request<Bytes>> {
        self.at = (self.at + 1) % self.requests.len();
        Some(self.requests[self.at].0.clone())
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        let token: ValidateTokenResponse = grpc::message(answer)?;
        let is_theirs = self.requests[self.at].1.is_none_or(|user_id| token.user_id == user_id);
        if token.active && is_theirs {
            return Ok(());
        }
        Err(format!("a good token is taken for {token:?}"))
    }
}
