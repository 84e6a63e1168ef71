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

    /// The next events after `cursor`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn after(&self, cursor: i64) -> Result<Vec<Event>, Error> {
        Ok(self.store.events_after(cursor, BATCH_MAX).await?)
    }
}
