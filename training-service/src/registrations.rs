//! The rules of registrations: who may make, see and list them, and how often a call counts.

use std::time::Duration;

use auth_client::{Caller, Role};
use aws_lc_rs::digest;
use service_kit::{
    Clock, Timestamp,
    db::{Constraint, Db, DbError},
    transaction,
};
use tokio::time::sleep;

use crate::{
    error::Error,
    model::{Listing, NewRegistration, Registration, RegistrationId, RequestId, UserId, Wish},
    store::{registrations, requests},
};

/// For how long a `request_id` stands for the registration that it made.
const REQUEST_ID_LIFETIME: Duration = Duration::from_hours(24);
/// The pause between two times of deleting request ids that no longer count.
const SWEEP_PAUSE: Duration = Duration::from_hours(1);

/// Makes and finds registrations. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Registrations {
    db: Db,
    clock: Clock,
}

impl Registrations {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Registers the caller; with a `request_id` that came before, returns what was made then.
    pub(crate) async fn create(
        &self,
        caller: &Caller,
        new: NewRegistration,
    ) -> Result<Registration, Error> {
        let NewRegistration { wish, request_id } = new;
        let user_id = UserId(caller.user_id);
        let now = self.clock.now();
        let Some(request_id) = request_id else {
            let Wish::Training(training) = wish else { return Err(Error::ProgramNotFound) };
            return Ok(registrations::insert(&self.db, user_id, training, now).await?);
        };
        match self.create_once(user_id, &request_id, &wish, now).await {
            // A call at the same time was first; what it made can now be found.
            Err(error) if error.violated() == Some(Constraint::Unique) => {
                self.create_once(user_id, &request_id, &wish, now).await?
            }
            created => created?,
        }
    }

    /// Registers, unless `request_id` already did.
    ///
    /// # Errors
    /// The outer one is the database's and undoes everything: a violated unique key where another
    /// call with the same `request_id` came in between.
    async fn create_once(
        &self,
        user_id: UserId,
        request_id: &RequestId,
        wish: &Wish,
        now: Timestamp,
    ) -> Result<Result<Registration, Error>, DbError> {
        let fingerprint = fingerprint(wish);
        let expired = now - REQUEST_ID_LIFETIME;
        transaction!(self.db, |tx| {
            if let Some(earlier) = requests::find(tx, user_id, request_id).await? {
                if earlier.created_at > expired {
                    let is_same = earlier.fingerprint == fingerprint;
                    let answer = is_same.then_some(earlier.registration);
                    return Ok(answer.ok_or(Error::RequestIdReused));
                }
                requests::delete_until(tx, user_id, request_id, expired).await?;
            }
            let Wish::Training(training) = wish else { return Ok(Err(Error::ProgramNotFound)) };
            let made = registrations::insert_in(tx, user_id, training.clone(), now).await?;
            requests::insert(tx, request_id, &fingerprint, &made).await?;
            Ok(Ok(made))
        })
    }

    /// One's own; anyone's for coaches and admins. To others it is as if it did not exist.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        id: RegistrationId,
    ) -> Result<Registration, Error> {
        registrations::find(&self.db, id)
            .await?
            .filter(|registration| may_see(caller, registration.user_id))
            .ok_or(Error::RegistrationNotFound)
    }

    /// A page of one's own; of anyone's for coaches and admins. With the token for the next page,
    /// empty where none follows.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        Listing { user_id, page }: Listing,
    ) -> Result<(Vec<Registration>, String), Error> {
        let user_id = user_id.unwrap_or(UserId(caller.user_id));
        if !may_see(caller, user_id) {
            return Err(Error::RoleRequired);
        }
        let mut listed = registrations::list(&self.db, user_id, page).await?;
        let next_page_token = page.cut(&mut listed, |registration| registration.id.0);
        Ok((listed, next_page_token))
    }

    /// Deletes the request ids that no longer count, now and every hour. Run it for as long as
    /// registrations are made.
    pub(crate) async fn keep_request_ids_few(&self) {
        loop {
            let expired = self.clock.now() - REQUEST_ID_LIFETIME;
            match requests::delete_all_until(&self.db, expired).await {
                Ok(deleted) => tracing::debug!(deleted, "deleted expired request ids"),
                Err(error) => tracing::warn!(%error, "cannot delete expired request ids"),
            }
            sleep(SWEEP_PAUSE).await;
        }
    }
}

fn may_see(caller: &Caller, user_id: UserId) -> bool {
    user_id == UserId(caller.user_id) || caller.has_any(&[Role::Coach, Role::Admin])
}

/// The same for the same wish, and for no other.
fn fingerprint(wish: &Wish) -> Vec<u8> {
    // No part has a control character, so the line breaks keep ("ab", "c") and ("a", "bc") apart.
    let body = match wish {
        Wish::Program(program_id) => format!("program\n{}", program_id.0),
        Wish::Training(training) => {
            format!("training\n{}\n{}", training.sport.as_str(), training.level.as_str())
        }
    };
    digest::digest(&digest::SHA256, body.as_bytes()).as_ref().to_vec()
}
