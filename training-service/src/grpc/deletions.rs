//! Learns from the events of auth-service whose accounts are deleted.

use auth_client::{EventHandler, UserDirectory};
use proto::auth::v1::{Event, EventType};
use tonic::{Status, async_trait};

use crate::{departures::Departures, model::UserId};

/// Passes deletions on to the rules.
pub(crate) struct Deletions {
    departures: Departures,
    users: UserDirectory,
}

impl Deletions {
    pub(crate) fn new(departures: Departures, users: UserDirectory) -> Self {
        Self { departures, users }
    }
}

#[async_trait]
impl EventHandler for Deletions {
    async fn cursor(&self) -> Result<i64, Status> {
        Ok(self.departures.cursor().await?)
    }

    async fn handle(&self, events: &[Event], sequence: i64) -> Result<(), Status> {
        let deleted: Vec<_> = events
            .iter()
            .filter(|event| event.r#type() == EventType::UserDeleted)
            .map(|event| UserId(event.user_id))
            .collect();
        Ok(self.departures.deal_with(&deleted, sequence).await?)
    }

    async fn reconcile(&self) -> Result<(), Status> {
        let mut after = UserId(0);
        loop {
            let registered = self.departures.registered_after(after).await?;
            let Some(last) = registered.last() else { return Ok(()) };
            after = *last;
            let ids: Vec<_> = registered.iter().map(|user| user.0).collect();
            let known = self.users.contacts(&ids).await?;
            let gone = registered.into_iter().filter(|user| !known.contains_key(&user.0));
            self.departures.end_all(&gone.collect::<Vec<_>>()).await?;
        }
    }

    async fn begin_anew(&self, sequence: i64) -> Result<(), Status> {
        Ok(self.departures.begin_anew(sequence).await?)
    }
}
