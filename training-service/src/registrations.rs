//! The rules of registrations: who may make, see and end them, and who gets a seat.

use auth_client::Caller;
use service_kit::{
    Clock, Timestamp,
    db::{Constraint, Db, DbError, Tx},
    transaction,
};

use crate::{
    error::Error,
    model::{
        EventType, Listing, NewEvent, NewRegistration, Program, ProgramId, ProgramStatus,
        Registration, RegistrationId, Status, UserId, Wish,
    },
    permissions::{Action, check},
    repeats,
    store::{
        events, programs, registrations,
        requests::FOR_REGISTRATIONS,
        seats::{self, Place, Promoted},
        user_locks,
    },
};

/// Makes, finds and ends registrations. Cheap to clone.
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
        new: &NewRegistration,
    ) -> Result<Registration, Error> {
        match self.create_once(UserId(caller.user_id), new).await {
            Err(DbError::Undone) => Err(Error::AccountDeleted),
            // The user's calls come one after the other, so it is not the `request_id` of another.
            Err(error)
                if error.violated() == Some(Constraint::Unique)
                    && matches!(new.wish, Wish::Program(_)) =>
            {
                Err(Error::AlreadyRegistered)
            }
            created => created?,
        }
    }

    /// Registers, unless the same call already did.
    ///
    /// # Errors
    /// The outer one is the database's and undoes everything: a violated unique key where the user
    /// is registered for the program already, [`DbError::Undone`] where the user's account was
    /// deleted.
    async fn create_once(
        &self,
        user_id: UserId,
        new: &NewRegistration,
    ) -> Result<Result<Registration, Error>, DbError> {
        let now = self.clock.now();
        let repeatable = new.repeatable.as_ref();
        transaction!(self.db, |tx| {
            user_locks::lock(tx, user_id).await?;
            match repeats::find(tx, &FOR_REGISTRATIONS, user_id, repeatable, now).await? {
                Ok(None) => {}
                Ok(Some(id)) => return stored(tx, RegistrationId(id)).await.map(Ok),
                Err(error) => return Ok(Err(error)),
            }
            let (training, program) = match &new.wish {
                Wish::Training(training) => (training.clone(), None),
                Wish::Program(id) => match seats::take(tx, *id, now).await? {
                    Some((training, place)) => (training, Some((*id, place))),
                    None => return Ok(Err(why_closed(tx, *id).await?)),
                },
            };
            let made = registrations::insert(tx, user_id, training, program, now).await?;
            repeats::note(tx, &FOR_REGISTRATIONS, user_id, repeatable, made.id.0, now).await?;
            let event_type = match program {
                Some((_, Place::Waiting { .. })) => EventType::Waitlisted,
                Some((_, Place::Seat)) | None => EventType::Registered,
            };
            if !events::append_registration(tx, event_type, made.id).await? {
                return Err(DbError::Undone);
            }
            Ok(Ok(made))
        })
    }

    /// One's own; anyone's for coaches and admins. To others it is as if it did not exist.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        id: RegistrationId,
    ) -> Result<Registration, Error> {
        self.find_for(caller, Action::ReadRegistration, id).await
    }

    async fn find_for(
        &self,
        caller: &Caller,
        action: Action,
        id: RegistrationId,
    ) -> Result<Registration, Error> {
        registrations::find(&self.db, id)
            .await?
            .filter(|found| check(caller, action, Some(found.user_id)).is_ok())
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
        check(caller, Action::ListRegistrations, Some(user_id))?;
        let mut listed = registrations::list(&self.db, user_id, page).await?;
        let next_page_token = page.cut(&mut listed, |registration| registration.id.0);
        Ok((listed, next_page_token))
    }

    /// Ends one's own registration; anyone's for coaches and admins. A seat goes to the head of
    /// the queue. One that has ended already is returned as it is.
    pub(crate) async fn cancel(
        &self,
        caller: &Caller,
        id: RegistrationId,
    ) -> Result<Registration, Error> {
        let found = self.find_for(caller, Action::CancelRegistration, id).await?;
        let actor_id = Some(UserId(caller.user_id));
        let now = self.clock.now();
        let (cancelled, promoted) = transaction!(self.db, |tx| {
            let promoted = end(tx, &found, actor_id, now).await?;
            Ok((stored(tx, id).await?, promoted))
        })?;
        tell_of(&promoted);
        Ok(cancelled)
    }
}

/// The registration that the transaction has made or found.
async fn stored(tx: &mut Tx, id: RegistrationId) -> Result<Registration, DbError> {
    let found = registrations::find_in(tx, id).await?;
    found.ok_or(DbError::Corrupt("a request that made no registration"))
}

/// Why nobody can register for the program.
async fn why_closed(tx: &mut Tx, id: ProgramId) -> Result<Error, DbError> {
    Ok(match programs::find_in(tx, id).await?.map(|program| program.status) {
        None => Error::ProgramNotFound,
        Some(ProgramStatus::Cancelled) => Error::ProgramCancelled,
        Some(ProgramStatus::Active) => Error::RegistrationClosed,
    })
}

/// Ends a registration in the name of `actor_id`, or of the machine, and promotes whoever is next.
/// No event and no promotion where it has ended already.
pub(crate) async fn end(
    tx: &mut Tx,
    registration: &Registration,
    actor_id: Option<UserId>,
    now: Timestamp,
) -> Result<Vec<Promoted>, DbError> {
    let Registration { id, user_id, program_id, .. } = *registration;
    if let Some(program_id) = program_id {
        seats::lock(tx, program_id).await?;
    }
    let mut was = None;
    for status in [Status::Confirmed, Status::Waitlisted] {
        if registrations::end(tx, id, status).await? {
            was = Some(status);
            break;
        }
    }
    let Some(was) = was else { return Ok(Vec::new()) };
    if let Some(program_id) = program_id {
        seats::give_back(tx, program_id, was, now).await?;
    }
    let event = NewEvent {
        event_type: EventType::RegistrationCancelled,
        program_id,
        registration: Some((id, user_id)),
        actor_id,
    };
    events::append(tx, now, event).await?;
    let Some(program_id) = program_id else { return Ok(Vec::new()) };
    match programs::find_in(tx, program_id).await? {
        Some(program) => promote(tx, &program, actor_id, now).await,
        None => Ok(Vec::new()),
    }
}

/// Gives the free seats of a program as [`seats::promote`] does, until it ends: one that has begun
/// can still be joined, but nobody is to be told of a seat in what is over.
pub(crate) async fn promote(
    tx: &mut Tx,
    program: &Program,
    actor_id: Option<UserId>,
    now: Timestamp,
) -> Result<Vec<Promoted>, DbError> {
    if !program.has_use_for_seats(now) {
        return Ok(Vec::new());
    }
    seats::promote(tx, program, actor_id, now).await
}

/// Logs who has a seat now.
pub(crate) fn tell_of(promoted: &[Promoted]) {
    for Promoted { registration_id, user_id } in promoted {
        tracing::debug!(registration.id = registration_id.0, user.id = user_id.0, "has a seat now");
    }
}
