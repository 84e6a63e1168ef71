//! `WatchRevocations`: what ends access tokens before they expire.

use std::{sync::Arc, time::Duration};

use proto::auth::v1 as pb;
use service_kit::Clock;
use tonic::async_trait;

use super::{
    role_message, time_message,
    watching::{Pulse, Source},
};
use crate::{
    error::Error,
    feed::{Feed, Revocation, RevocationTarget},
    signing_keys::SigningKeys,
};

/// Revocations in one message.
const BATCH_MAX: usize = 1000;
/// How often a message is sent even if there is nothing to tell.
const HEARTBEAT_PAUSE: Duration = Duration::from_millis(200);

/// The revocations after a cursor, and signs of life.
pub struct RevocationSource {
    feed: Arc<Feed>,
    keys: Arc<SigningKeys>,
    clock: Clock,
    cursor: i64,
    is_first: bool,
    pulse: Pulse,
}

impl RevocationSource {
    /// Begins after `cursor`.
    pub fn new(feed: Arc<Feed>, keys: Arc<SigningKeys>, clock: Clock, cursor: i64) -> Self {
        let pulse = Pulse::new(&feed, HEARTBEAT_PAUSE);
        Self { feed, keys, clock, cursor, is_first: true, pulse }
    }
}

#[async_trait]
impl Source for RevocationSource {
    type Message = pb::WatchRevocationsResponse;

    async fn next(&mut self) -> Result<Self::Message, Error> {
        let mut is_due = std::mem::take(&mut self.is_first);
        loop {
            self.pulse.begin_look();
            let batch = self.feed.revocations_after(self.cursor, BATCH_MAX);
            // A sign of life says that nothing was held back: without a look at the log, silence.
            if !batch.revocations.is_empty() || (is_due && self.feed.is_fresh()) {
                self.cursor = batch.sequence;
                return Ok(pb::WatchRevocationsResponse {
                    revocations: batch.revocations.into_iter().map(Into::into).collect(),
                    sequence: batch.sequence,
                    server_time: Some(time_message(self.clock.now())),
                    up_to_date: batch.is_last && self.feed.is_fresh(),
                    keys_version: self.keys.ring().version(),
                });
            }
            is_due |= self.pulse.wait().await?;
        }
    }
}

impl From<Revocation> for pb::Revocation {
    fn from(revocation: Revocation) -> Self {
        let target = match revocation.target {
            RevocationTarget::Session(id) => pb::revocation::Target::SessionId(id),
            RevocationTarget::UserRoles(user_id, roles) => {
                pb::revocation::Target::UserRoles(pb::UserRoles {
                    user_id: user_id.0,
                    roles: roles.iter().map(|role| role_message(role).into()).collect(),
                })
            }
        };
        Self { target: Some(target), expires_at: Some(time_message(revocation.expires_at)) }
    }
}
