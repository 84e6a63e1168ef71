//! `ValidateToken` while sign-ins keep all hashing threads busy: the rest of the service has to
//! live on.

use std::time::Duration;

use anyhow::Result;

use super::{
    login,
    validate_token::{load, sessions, validators},
};
use crate::{
    load::{Wire, drive},
    measure::{About, Goal, Path, Sample},
    people::Person,
    stand::{Hashing, Scene, Stand},
};

pub(super) struct Storm {
    stand: Stand,
    people: Vec<Person>,
    signing_in: Vec<Person>,
}

impl Path for Storm {
    const ABOUT: About = About {
        name: "validate-token-in-storm",
        load: "ValidateToken, 64 in flight, while 64 others sign in",
        ceiling: "itself, while nobody signs in",
        goals: &[Goal::p99(3.0), Goal::rate(0.5)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Real).await?;
        let people = sessions(&stand, scene).await?;
        let signing_in = login::people(&stand, scene).await?;
        Ok(Self { stand, people, signing_in })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        let validators = validators(self.stand.auth, &self.people, |person| Some(person.user_id))?;
        let load = load(self.stand.auth, validators, duration);
        Sample::of(self.stand.processes(), load).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let auth = self.stand.auth;
        let validators = validators(auth, &self.people, |person| Some(person.user_id))?;
        let storm = drive(Wire::Grpc, auth, login::clients(auth, &self.signing_in)?, duration);
        let both = async {
            let (mut quiet, (storm, _)) =
                tokio::try_join!(load(auth, validators, duration), storm)?;
            // Their errors count; their rate and their patience are another path's business.
            quiet.errors += storm.errors;
            quiet.first_error = quiet.first_error.or(storm.first_error);
            Ok(quiet)
        };
        let sample = Sample::of(self.stand.processes(), both).await?;
        // Most of it was for the sign-ins.
        Ok(sample.without_cpu())
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}
