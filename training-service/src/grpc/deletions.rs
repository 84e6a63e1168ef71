//! Learns from the events of auth-service whose accounts are deleted or disabled.

use auth_client::{EventHandler, UserDirectory};
use proto::auth::v1::{Event, EventType};
use tonic::{Status, async_trait};

use crate::{departures::Departures, model::UserId};

/// Passes them on to the rules.
pub(crate) struct Deletions {
    departures: Departures,
    users: UserDirectory,
}

impl Deletions {
    pub(crate) fn new(departures: Departures, users: UserDirectory) -> Self {
        Self { departures, users }
    }

    /// The next of those who are registered, by id, and who of them has no account.
    async fn page_after(&self, after: UserId) -> Result<Option<Page>, Status> {
        let registered = self.departures.registered_after(after).await?;
        let Some(last) = registered.last().copied() else { return Ok(None) };
        let ids: Vec<_> = registered.iter().map(|user| user.0).collect();
        let known = self.users.contacts(&ids).await?;
        let gone = registered.into_iter().filter(|user| !known.contains_key(&user.0)).collect();
        Ok(Some(Page { last, gone, is_anyone_known: !known.is_empty() }))
    }

    /// Fails where people are registered and auth-service knows none of them: then it is more
    /// likely another one, or has lost its accounts, than that all of them were deleted. If they
    /// were, one registration by someone who has an account shows it, for it takes a token of that
    /// auth-service.
    async fn require_acquaintance(&self) -> Result<(), Status> {
        let mut after = UserId(0);
        while let Some(page) = self.page_after(after).await? {
            if page.is_anyone_known {
                return Ok(());
            }
            after = page.last;
        }
        if after == UserId(0) {
            return Ok(());
        }
        let message = "auth-service knows none of those who are registered";
        tracing::error!(
            "{message}: is AUTH_URL the right one? No registration is ended for that, and no \
             deletion dealt with, until one of them is known. If the address is right and all \
             were deleted, have someone who has an account register for any training"
        );
        Err(Status::failed_precondition(message))
    }
}

/// Some of those who are registered.
struct Page {
    last: UserId,
    /// Who has no account.
    gone: Vec<UserId>,
    is_anyone_known: bool,
}

#[async_trait]
impl EventHandler for Deletions {
    async fn cursor(&self) -> Result<i64, Status> {
        Ok(self.departures.cursor().await?)
    }

    async fn handle(&self, events: &[Event], sequence: i64) -> Result<(), Status> {
        let told = |event_type| -> Vec<_> {
            let told = events.iter().filter(|event| event.r#type() == event_type);
            told.map(|event| UserId(event.user_id)).collect()
        };
        let (deleted, disabled) = (told(EventType::UserDeleted), told(EventType::UserDisabled));
        Ok(self.departures.deal_with(&deleted, &disabled, sequence).await?)
    }

    async fn reconcile(&self) -> Result<(), Status> {
        self.require_acquaintance().await?;
        let mut after = UserId(0);
        while let Some(page) = self.page_after(after).await? {
            self.departures.end_all(&page.gone).await?;
            after = page.last;
        }
        Ok(())
    }

    async fn begin_anew(&self, sequence: i64) -> Result<(), Status> {
        Ok(self.departures.begin_anew(sequence).await?)
    }
}
