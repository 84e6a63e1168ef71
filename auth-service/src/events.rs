//! Reading the event log, and forgetting what is old.

use auth_client::Caller;
use service_kit::page::Page;

use crate::{
    error::Error,
    model::{Event, EventFilter},
    permissions::{Action, check},
    store::Store,
};

/// Events that are read at once for a stream.
const BATCH_MAX: i64 = 500;

/// The rules of the event log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    store: Store,
}

impl Events {
    /// The rules over `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
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

    /// The next events after `cursor`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn after(&self, cursor: i64) -> Result<Vec<Event>, Error> {
        Ok(self.store.events_after(cursor, BATCH_MAX).await?)
    }
}
