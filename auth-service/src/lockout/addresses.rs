//! A throttle by client address: guessing one password for each of many accounts never locks any
//! of them.

use std::time::Duration;

use service_kit::Clock;

use crate::{
    error::Error,
    model::{AddressAction, ClientInfo},
    store::Store,
};

/// How long failures count, from the first of them on.
const WINDOW: Duration = Duration::from_mins(10);

/// The throttle. Cheap to clone.
///
/// An attempt is looked at when it comes and when its outcome is known, and is counted only if it
/// failed: a class that signs in at once from one address takes nothing from one another, and of
/// guesses that come at once no more than the limit learn anything. (What they cost is limited by
/// the hashing queue.)
#[derive(Clone, Debug)]
pub struct Addresses {
    store: Store,
    failures_max: i64,
    clock: Clock,
}

impl Addresses {
    /// A throttle after `failures_max` failures in ten minutes; 0: none.
    pub fn new(store: Store, failures_max: u32, clock: Clock) -> Self {
        Self { store, failures_max: failures_max.into(), clock }
    }

    /// Lets a client in.
    ///
    /// # Errors
    /// [`Error::TooManyFailures`].
    pub async fn admit(&self, action: AddressAction, client: &ClientInfo) -> Result<(), Error> {
        let Some(address) = self.counted(client) else { return Ok(()) };
        let now = self.clock.now();
        let counted = self.store.address_failures(action, &address, now).await?;
        if counted.failures >= self.failures_max {
            return Err(Error::TooManyFailures(counted.window_ends_at.since(now)));
        }
        Ok(())
    }

    /// Counts an attempt that failed with `error`, and says what to answer: beyond the limit, not
    /// even that it failed.
    pub async fn failed(&self, action: AddressAction, client: &ClientInfo, error: Error) -> Error {
        let Some(address) = self.counted(client) else { return error };
        let now = self.clock.now();
        let ends_at = now + WINDOW;
        match self.store.count_address_failure(action, &address, now, ends_at).await {
            Ok(counted) if counted.failures > self.failures_max => {
                Error::TooManyFailures(counted.window_ends_at.since(now))
            }
            Ok(counted) => {
                if counted.failures == self.failures_max {
                    let action = action.as_str();
                    tracing::warn!(client.address = address, action, "an address is throttled");
                }
                error
            }
            Err(error) => error.into(),
        }
    }

    /// The address under which a client is counted; `None` where it is not.
    fn counted(&self, client: &ClientInfo) -> Option<String> {
        (self.failures_max > 0).then(|| client.network()).flatten().map(|one| one.to_string())
    }
}
