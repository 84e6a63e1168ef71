//! The rules of programs: who may announce, change and cancel them, and what follows from it.

use auth_client::Caller;
use service_kit::{
    Clock, Timestamp,
    db::{Constraint, Db, DbError, Tx},
    page::Page,
    transaction,
};

use crate::{
    error::Error,
    model::{
        Attendance, Etag, EventType, NewEvent, NewProgram, Participation, Program, ProgramChanges,
        ProgramFilter, ProgramId, ProgramStatus, Registration, RegistrationId, Status,
        StatusCounts, UserId,
    },
    permissions::{Action, check},
    registrations::{promote, tell_of},
    repeats,
    store::{events, notices, programs, registrations, requests::FOR_PROGRAMS, seats},
};

/// Announces, finds, changes and cancels programs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    db: Db,
    clock: Clock,
}

impl Programs {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Announces a program; with a `request_id` that came before, returns what was made then.
    pub(crate) async fn create(&self, caller: &Caller, new: &NewProgram) -> Result<Program, Error> {
        check(caller, Action::CreateProgram, None)?;
        let user_id = UserId(caller.user_id);
        match self.create_once(user_id, new).await {
            // A call at the same time was first; what it made can now be found.
            Err(error) if error.violated() == Some(Constraint::Unique) => {
                self.create_once(user_id, new).await?
            }
            created => created?,
        }
    }

    /// Announces, unless the same call already did.
    ///
    /// # Errors
    /// The outer one is the database's and undoes everything: a violated unique key where another
    /// call with the same `request_id` came in between.
    async fn create_once(
        &self,
        user_id: UserId,
        NewProgram { details, repeatable }: &NewProgram,
    ) -> Result<Result<Program, Error>, DbError> {
        let now = self.clock.now();
        let repeatable = repeatable.as_ref();
        transaction!(self.db, |tx| {
            match repeats::find(tx, &FOR_PROGRAMS, user_id, repeatable, now).await? {
                Ok(None) => {}
                Ok(Some(id)) => return stored(tx, ProgramId(id)).await.map(Ok),
                Err(error) => return Ok(Err(error)),
            }
            let id = programs::insert(tx, details, now).await?;
            repeats::note(tx, &FOR_PROGRAMS, user_id, repeatable, id.0, now).await?;
            append_event(tx, EventType::ProgramCreated, id, user_id, now).await?;
            stored(tx, id).await.map(Ok)
        })
    }

    /// A program, for anyone.
    pub(crate) async fn get(&self, id: ProgramId) -> Result<Program, Error> {
        programs::find(&self.db, id).await?.ok_or(Error::ProgramNotFound)
    }

    /// A page of programs, for anyone, and the token for the next one.
    pub(crate) async fn list(
        &self,
        filter: &ProgramFilter,
        page: Page,
    ) -> Result<(Vec<Program>, String), Error> {
        let mut listed = programs::list(&self.db, filter, page, self.clock.now()).await?;
        let next_page_token = page.cut(&mut listed, |program| program.id.0);
        Ok((listed, next_page_token))
    }

    /// Changes a program; with `seen`, only if that is still its etag. Seats that are new go to
    /// the head of the queue, unless the program is over.
    pub(crate) async fn update(
        &self,
        caller: &Caller,
        id: ProgramId,
        changes: &ProgramChanges,
        seen: Option<&Etag>,
    ) -> Result<Program, Error> {
        check(caller, Action::UpdateProgram, None)?;
        let actor_id = UserId(caller.user_id);
        let now = self.clock.now();
        let (program, promoted) = transaction!(self.db, |tx| {
            let old = match lock_seen(tx, id, seen).await? {
                Ok(old) if old.status == ProgramStatus::Cancelled => {
                    return Ok(Err(Error::ProgramCancelled));
                }
                Ok(old) => old,
                Err(error) => return Ok(Err(error)),
            };
            let details = match old.changed(changes.clone()) {
                Ok(details) => details,
                Err(violations) => return Ok(Err(Error::Invalid(violations))),
            };
            programs::set(tx, id, &details, now).await?;
            append_event(tx, EventType::ProgramUpdated, id, actor_id, now).await?;
            let changed = stored(tx, id).await?;
            let promoted = promote(tx, &changed, Some(actor_id), now).await?;
            Ok(Ok((stored(tx, id).await?, promoted)))
        })??;
        tell_of(&promoted);
        Ok(program)
    }

    /// Cancels a program, and notes who has to be told; with `seen`, only if that is still its
    /// etag. One that is cancelled already is returned as it is.
    pub(crate) async fn cancel(
        &self,
        caller: &Caller,
        id: ProgramId,
        seen: Option<&Etag>,
    ) -> Result<Program, Error> {
        check(caller, Action::CancelProgram, None)?;
        let now = self.clock.now();
        transaction!(self.db, |tx| {
            match lock_seen(tx, id, seen).await? {
                Ok(old) if old.status == ProgramStatus::Cancelled => return Ok(Ok(old)),
                Ok(_) => {}
                Err(error) => return Ok(Err(error)),
            }
            programs::cancel(tx, id, now).await?;
            notices::add_cancellation(tx, id).await?;
            let actor_id = UserId(caller.user_id);
            append_event(tx, EventType::ProgramCancelled, id, actor_id, now).await?;
            stored(tx, id).await.map(Ok)
        })?
    }

    /// A page of the registrations for a program, the token for the next one, and how many there
    /// are of each status.
    pub(crate) async fn participants(
        &self,
        caller: &Caller,
        id: ProgramId,
        participation: Participation,
        page: Page,
    ) -> Result<(Vec<Registration>, String, StatusCounts), Error> {
        check(caller, Action::ListParticipants, None)?;
        self.get(id).await?;
        let mut listed = registrations::list_of_program(&self.db, id, participation, page).await?;
        let next_page_token = page.cut(&mut listed, |registration| registration.id.0);
        let counts = registrations::counts(&self.db, id).await?;
        Ok((listed, next_page_token, counts))
    }

    /// Notes whether a participant came; `None` takes the note back. What is noted already is not
    /// noted again.
    pub(crate) async fn set_attendance(
        &self,
        caller: &Caller,
        id: RegistrationId,
        attendance: Option<Attendance>,
    ) -> Result<Registration, Error> {
        check(caller, Action::SetAttendance, None)?;
        let found = registrations::find(&self.db, id).await?;
        let program_id = found.ok_or(Error::RegistrationNotFound)?.program_id;
        let program_id = program_id.ok_or(Error::NoSeat)?;
        let now = self.clock.now();
        transaction!(self.db, |tx| {
            seats::lock(tx, program_id).await?;
            if stored(tx, program_id).await?.status == ProgramStatus::Cancelled {
                return Ok(Err(Error::ProgramCancelled));
            }
            let Some(mut registration) = registrations::find_in(tx, id).await? else {
                return Ok(Err(Error::RegistrationNotFound));
            };
            if registration.status != Status::Confirmed {
                return Ok(Err(Error::NoSeat));
            }
            if registration.attendance != attendance {
                registrations::set_attendance(tx, id, attendance).await?;
                registration.attendance = attendance;
                let event = NewEvent {
                    event_type: EventType::AttendanceSet,
                    program_id: Some(program_id),
                    registration: Some((id, registration.user_id)),
                    actor_id: Some(UserId(caller.user_id)),
                };
                events::append(tx, now, event).await?;
            }
            Ok(Ok(registration))
        })?
    }
}

/// Locks a program and reads it.
///
/// # Errors
/// The inner one where there is none, or it is not what was `seen`; a program that is cancelled
/// is not compared, since it can no longer change.
async fn lock_seen(
    tx: &mut Tx,
    id: ProgramId,
    seen: Option<&Etag>,
) -> Result<Result<Program, Error>, DbError> {
    seats::lock(tx, id).await?;
    let Some(program) = programs::find_in(tx, id).await? else {
        return Ok(Err(Error::ProgramNotFound));
    };
    let is_current = seen.is_none_or(|seen| *seen == program.etag());
    let is_final = program.status == ProgramStatus::Cancelled;
    Ok(if is_current || is_final { Ok(program) } else { Err(Error::EtagMismatch) })
}

/// The program that the transaction has made or found.
async fn stored(tx: &mut Tx, id: ProgramId) -> Result<Program, DbError> {
    let found = programs::find_in(tx, id).await?;
    found.ok_or(DbError::Corrupt("a request that made no program"))
}

async fn append_event(
    tx: &mut Tx,
    event_type: EventType,
    id: ProgramId,
    actor_id: UserId,
    now: Timestamp,
) -> Result<(), DbError> {
    let event =
        NewEvent { event_type, program_id: Some(id), registration: None, actor_id: Some(actor_id) };
    events::append(tx, now, event).await
}
