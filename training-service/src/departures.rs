//! What becomes of what those have here whose accounts are deleted or disabled.

#[cfg(test)]
mod tests;

use service_kit::{
    Clock,
    db::{Constraint, Db, DbError},
    transaction,
};

use crate::{
    error::Error,
    model::UserId,
    registrations::{end, tell_of},
    store::{auth_events, calendar_keys, departed_users, registrations},
};

/// Registrations that are read at once.
const BATCH_MAX: i64 = 100;
/// Users that are read at once.
const USERS_MAX: i64 = 1000;

/// Gives back the seats of those who are gone. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Departures {
    db: Db,
    clock: Clock,
}

impl Departures {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// The number of the last event of auth-service that was dealt with; 0 for none.
    pub(crate) async fn cursor(&self) -> Result<i64, Error> {
        Ok(auth_events::cursor(&self.db).await?)
    }

    /// Deals with the deletion of some users and the disabling of others, and notes that all is
    /// done up to the event `sequence`. What is interrupted is done again, by this replica or
    /// another one. Those who are deleted make no further registrations, even where a token
    /// outlives the account for a moment.
    pub(crate) async fn deal_with(
        &self,
        deleted: &[UserId],
        disabled: &[UserId],
        sequence: i64,
    ) -> Result<(), Error> {
        for user_id in disabled {
            calendar_keys::delete(&self.db, *user_id).await?;
        }
        for user_id in deleted {
            self.note(*user_id).await?;
        }
        self.end_all(deleted).await?;
        Ok(auth_events::advance(&self.db, sequence).await?)
    }

    /// Notes that no event was dealt with, unless the cursor is no longer at `sequence`.
    pub(crate) async fn begin_anew(&self, sequence: i64) -> Result<(), Error> {
        Ok(auth_events::reset(&self.db, sequence).await?)
    }

    /// Users with ids above `after` who have registrations that have not ended, or a calendar:
    /// some, by id.
    pub(crate) async fn registered_after(&self, after: UserId) -> Result<Vec<UserId>, Error> {
        Ok(registrations::users_after(&self.db, after, USERS_MAX).await?)
    }

    /// Ends all registrations of `users`, and takes the keys of their calendars away. It is not
    /// noted that they are gone: where no event says so, auth-service may have been restored from
    /// a backup, and give the same ids to others.
    pub(crate) async fn end_all(&self, users: &[UserId]) -> Result<(), Error> {
        for user_id in users {
            calendar_keys::delete(&self.db, *user_id).await?;
            self.end_all_of(*user_id).await?;
        }
        Ok(())
    }

    /// Ends all registrations of a user, each with what follows from it in one transaction.
    async fn end_all_of(&self, user_id: UserId) -> Result<(), Error> {
        loop {
            let live = registrations::live_of(&self.db, user_id, BATCH_MAX).await?;
            if live.is_empty() {
                return Ok(());
            }
            for registration in live {
                let now = self.clock.now();
                let promoted =
                    transaction!(self.db, |tx| { end(tx, &registration, None, now).await })?;
                tell_of(&promoted);
            }
        }
    }

    /// Notes that a user is gone, unless that is noted already.
    async fn note(&self, user_id: UserId) -> Result<(), DbError> {
        let now = self.clock.now();
        match transaction!(self.db, |tx| { departed_users::insert(tx, user_id, now).await }) {
            Err(error) if error.violated() == Some(Constraint::Unique) => Ok(()),
            noted => noted,
        }
    }
}
