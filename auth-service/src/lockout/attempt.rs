//! An attempt to sign in, from before its password is hashed until its outcome is counted.

use std::{pin::Pin, sync::Arc};

use service_kit::{Timestamp, db::DbError};
use tokio::runtime::Handle;
use tracing::Instrument;

use super::{DEVICES_MAX, Lockout, count::Admission, turns::Place};
use crate::{
    error::Error,
    model::{AddressAction, ClientInfo, Count, EventType, NewEvent, Subject},
    store::Change,
};

/// An attempt that was let in. Say how it ended; one that is dropped has failed: whoever goes away
/// before the answer could guess for free otherwise.
#[must_use = "an attempt that is dropped counts as a failure"]
#[derive(Debug)]
pub struct Attempt(Option<Open>);

impl Attempt {
    /// The password was right: the failures before it are forgotten.
    ///
    /// # Errors
    /// Where it was locked meanwhile: whoever it was must not be signed in.
    pub async fn succeeded(mut self) -> Result<(), Error> {
        let Some(open) = self.0.take() else { return Ok(()) };
        to_its_end(Box::pin(open.succeed())).await
    }

    /// The password was wrong. Returns what to answer.
    pub async fn failed(mut self) -> Error {
        let Some(open) = self.0.take() else { return Error::InvalidCredentials };
        match to_its_end(Box::pin(async { Ok(open.fail().await) })).await {
            Ok(answer) | Err(answer) => answer,
        }
    }

    /// No password was judged, or it gives no access: as if it had never been tried.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn abandoned(mut self) -> Result<(), Error> {
        let Some(open) = self.0.take() else { return Ok(()) };
        to_its_end(Box::pin(open.abandon())).await
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        // Without a runtime the process is ending: as one whose process died, it counts as failed.
        if let Ok(runtime) = Handle::try_current() {
            let counted = async {
                let error = open.fail().await;
                tracing::debug!(%error, "a sign-in was given up by its caller");
            };
            runtime.spawn(counted.in_current_span());
        }
    }
}

/// Runs `work` to its end even if the caller goes away meanwhile. (In a box: the transactions of
/// three drivers would be a part of every sign-in otherwise.)
pub(super) async fn to_its_end<T: Send + 'static>(
    work: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>,
) -> Result<T, Error> {
    let worked = tokio::spawn(work.in_current_span()).await;
    worked.map_err(|error| Error::Internal(format!("counting a sign-in: {error}")))?
}

/// An attempt whose outcome is not counted yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) lockout: Lockout,
    pub(super) subject: Subject,
    pub(super) client: ClientInfo,
    pub(super) place: Arc<Place>,
}

impl Open {
    /// Asks to be let in; `None` where there is no room for a further device.
    pub(super) async fn admit(self) -> Result<Option<(Admission, Option<Attempt>)>, Error> {
        let now = self.lockout.clock.now();
        let rules = self.lockout.rules;
        let admission = self
            .change(now, |before| {
                let (count, admission) = before.admit(now, &rules);
                let events = self.lock_event(before, count, now).into_iter().collect();
                Change { count, events, outcome: admission }
            })
            .await?;
        Ok(admission.map(|admission| {
            let is_granted = admission == Admission::Granted;
            (admission, is_granted.then(|| Attempt(Some(self))))
        }))
    }

    async fn succeed(self) -> Result<(), Error> {
        // Looked at again: of guesses that came at once, those beyond the limit learn nothing.
        if !self.is_device()
            && let Err(throttled) =
                self.lockout.addresses.admit(AddressAction::SignIn, &self.client).await
        {
            self.abandon().await?;
            return Err(throttled);
        }
        let now = self.lockout.clock.now();
        let rules = self.lockout.rules;
        let locked = self
            .change(now, |before| {
                let count = before.succeeded(now, &rules);
                let events = self.lock_event(before, count, now).into_iter().collect();
                Change { count, events, outcome: count.locked_for(now) }
            })
            .await?;
        self.place.has_ended();
        locked.flatten().map_or(Ok(()), |remaining| Err(Error::AccountLocked(remaining)))
    }

    /// Returns what to answer.
    async fn fail(self) -> Error {
        let now = self.lockout.clock.now();
        let rules = self.lockout.rules;
        let counted = self
            .change(now, |before| {
                let count = before.failed(now, &rules);
                let failed = self.event(EventType::LoginFailed, "");
                let locked = self.lock_event(before, count, now);
                let events = [failed].into_iter().chain(locked).collect();
                Change { count, events, outcome: () }
            })
            .await;
        self.place.has_ended();
        if let Err(error) = counted {
            return error.into();
        }
        if self.is_device() {
            return Error::InvalidCredentials;
        }
        let (addresses, answer) = (&self.lockout.addresses, Error::InvalidCredentials);
        addresses.failed(AddressAction::SignIn, &self.client, answer).await
    }

    async fn abandon(self) -> Result<(), Error> {
        let now = self.lockout.clock.now();
        let rules = self.lockout.rules;
        let landed = self
            .change(now, |before| {
                let count = before.abandoned(now, &rules);
                let events = self.lock_event(before, count, now).into_iter().collect();
                Change { count, events, outcome: () }
            })
            .await;
        self.place.has_ended();
        landed?;
        Ok(())
    }

    async fn change<T: Send>(
        &self,
        now: Timestamp,
        change: impl Fn(Count) -> Change<T> + Send + Sync,
    ) -> Result<Option<T>, DbError> {
        self.lockout.store.change_count(&self.subject, now, DEVICES_MAX, change).await
    }

    fn is_device(&self) -> bool {
        matches!(self.subject, Subject::Device { .. })
    }

    fn lock_event(&self, before: Count, after: Count, now: Timestamp) -> Option<NewEvent> {
        let is_new = before.locked_for(now).is_none();
        let seconds = after.locked_for(now).filter(|_| is_new)?.as_secs();
        let who = if self.is_device() { "one device, " } else { "" };
        Some(self.event(EventType::AccountLocked, &format!("{who}for {seconds} s")))
    }

    fn event(&self, event_type: EventType, detail: &str) -> NewEvent {
        NewEvent {
            client_address: self.client.address.clone(),
            detail: detail.to_owned(),
            ..NewEvent::new(event_type, self.subject.user_id())
        }
    }
}
