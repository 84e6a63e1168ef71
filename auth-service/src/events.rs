//! Reading the event log, and forgetting what is old.

use std::sync::Arc;

use auth_client::Caller;
use service_kit::page::Page;

use crate::{
    error::Error,
    feed::Feed,
    model::{Event, EventFilter},
    permissions::{Action, check},
    store::Store,
};

/// Events that are read at once for a stream.
const BATCH_MAX: u32 = 500;

/// The rules of the event log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    store: Store,
    feed: Arc<Feed>,
}

impl Events {
    /// The rules over `store`, which `feed` follows.
    pub fn new(store: Store, feed: Arc<Feed>) -> Self {
        Self { store, feed }
    }

    /// A page of events, and the token for the next one.
    ///
    /// # Errors
    /// [`Error::RoleRequired`].
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &EventFilter,
        page: Page,
    ) -> Result<(Vec<Event>, String), Error> {
        check(caller, Action::ListEvents, None)?;
        let mut events = self.store.events(filter, page).await?;
        let next = page.cut(&mut events, |event| event.sequence);
        Ok((events, next))
    }

    /// Whether all that came after `cursor` can still be told. 0 is the beginning, wherever that
    /// is by now.
    ///
    /// # Errors
    /// [`Error::EventsExpired`] where it cannot, or where `cursor` is of another log than this.
    pub async fn require_kept_after(&self, cursor: i64) -> Result<(), Error> {
        if cursor == 0 {
            return Ok(());
        }
        // The end first: what comes in between is after `cursor` all the same.
        let last = self.store.last_sequence().await?;
        let is_kept = cursor == last || self.store.has_event(cursor.saturating_add(1)).await?;
        if is_kept { Ok(()) } else { Err(Error::EventsExpired) }
    }

    /// The next events after `cursor`: those that are at hand without a look at the database.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn after(&self, cursor: i64) -> Result<Vec<Event>, Error> {
        // The oldest event that is kept is for the database to tell: what is at hand may be older.
        if cursor > 0
            && let Some(events) = self.feed.events_after(cursor, BATCH_MAX as usize)
        {
            return Ok(events);
        }
        Ok(self.store.events_after(cursor, BATCH_MAX.into()).await?)
    }
}
