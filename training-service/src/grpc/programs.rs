//! `training.v1.ProgramService`.

use std::mem;

use auth_client::{Caller, UserDirectory};
use prost::Message;
use proto::{
    auth::v1::UserContact,
    training::v1::{
        self as wire, CancelProgramRequest, CancelProgramResponse, CreateProgramRequest,
        CreateProgramResponse, GetProgramCalendarRequest, GetProgramCalendarResponse,
        GetProgramRequest, GetProgramResponse, ListParticipantsRequest, ListParticipantsResponse,
        ListProgramsRequest, ListProgramsResponse, Participant, RegistrationCounts,
        RegistrationStatus, SetAttendanceRequest, SetAttendanceResponse, UpdateProgramRequest,
        UpdateProgramResponse, program_service_server::ProgramService,
    },
};
use service_kit::{page::Page, rejection::Violation};
use tonic::{Request, Response, Status};

use super::times::{required_time, time, time_message};
use crate::{
    calendars::Calendars,
    error::Error,
    model::{
        self, Attendance, Calendar, Capacity, Description, Etag, Location, NewProgram,
        Participation, ProgramChanges, ProgramDetails, ProgramFilter, ProgramId, ProgramStatus,
        Registration, RegistrationId, Repeatable, Schedule, Sport, StatusCounts, TimeZone, Title,
        Training, TrainingLevel, UserId, valid,
    },
    programs::Programs,
};

/// Answers the calls.
#[derive(Debug)]
pub(crate) struct ProgramHandlers {
    programs: Programs,
    calendars: Calendars,
    users: UserDirectory,
}

impl ProgramHandlers {
    pub(crate) fn new(programs: Programs, calendars: Calendars, users: UserDirectory) -> Self {
        Self { programs, calendars, users }
    }

    /// The registrations, each with who it is.
    async fn named(&self, listed: Vec<Registration>) -> Result<Vec<Participant>, Error> {
        let ids: Vec<_> = listed.iter().map(|registration| registration.user_id.0).collect();
        let contacts = self.users.contacts(&ids).await.map_err(|status| {
            tracing::warn!(
                grpc.code = ?status.code(), grpc.message = status.message(),
                "cannot ask auth-service who the participants are"
            );
            Error::AuthUnavailable
        })?;
        let participant = |registration: Registration| {
            // Not taken out: a user who came back has more than one registration.
            let contact = contacts.get(&registration.user_id.0).cloned().unwrap_or_default();
            let UserContact { username, email, name, .. } = contact;
            let attendance = attendance_number(registration.attendance);
            let registration = Some(registration.into());
            Participant { registration, username, email, name, attendance }
        };
        Ok(listed.into_iter().map(participant).collect())
    }
}

#[tonic::async_trait]
impl ProgramService for ProgramHandlers {
    async fn create_program(
        &self,
        request: Request<CreateProgramRequest>,
    ) -> Result<Response<CreateProgramResponse>, Status> {
        let caller = Caller::of(&request)?;
        let new = parse_new(request.into_inner()).map_err(Error::Invalid)?;
        let program = Some(self.programs.create(&caller, &new).await?.into());
        Ok(Response::new(CreateProgramResponse { program }))
    }

    async fn get_program(
        &self,
        request: Request<GetProgramRequest>,
    ) -> Result<Response<GetProgramResponse>, Status> {
        let id = ProgramId::parse("program_id", request.get_ref().program_id).map_err(invalid)?;
        let program = Some(self.programs.get(id).await?.into());
        Ok(Response::new(GetProgramResponse { program }))
    }

    async fn get_program_calendar(
        &self,
        request: Request<GetProgramCalendarRequest>,
    ) -> Result<Response<GetProgramCalendarResponse>, Status> {
        let id = ProgramId::parse("program_id", request.get_ref().program_id).map_err(invalid)?;
        let Calendar { text, etag } = self.calendars.of_program(id).await?;
        Ok(Response::new(GetProgramCalendarResponse { calendar: text, etag }))
    }

    async fn list_programs(
        &self,
        request: Request<ListProgramsRequest>,
    ) -> Result<Response<ListProgramsResponse>, Status> {
        let (filter, page) = parse_listing(request.into_inner()).map_err(Error::Invalid)?;
        let (listed, next_page_token) = self.programs.list(&filter, page).await?;
        let programs = listed.into_iter().map(Into::into).collect();
        Ok(Response::new(ListProgramsResponse { programs, next_page_token }))
    }

    async fn update_program(
        &self,
        request: Request<UpdateProgramRequest>,
    ) -> Result<Response<UpdateProgramResponse>, Status> {
        let caller = Caller::of(&request)?;
        let UpdateProgramRequest { program, update_mask } = request.into_inner();
        let mut program = program.unwrap_or_default();
        let seen = Etag::given(mem::take(&mut program.etag));
        let paths = update_mask.unwrap_or_default().paths;
        let (id, changes) = parse_update(&program, &paths).map_err(Error::Invalid)?;
        let program = self.programs.update(&caller, id, &changes, seen.as_ref()).await?;
        Ok(Response::new(UpdateProgramResponse { program: Some(program.into()) }))
    }

    async fn cancel_program(
        &self,
        request: Request<CancelProgramRequest>,
    ) -> Result<Response<CancelProgramResponse>, Status> {
        let caller = Caller::of(&request)?;
        let CancelProgramRequest { program_id, etag } = request.into_inner();
        let id = ProgramId::parse("program_id", program_id).map_err(invalid)?;
        let seen = Etag::given(etag);
        let program = Some(self.programs.cancel(&caller, id, seen.as_ref()).await?.into());
        Ok(Response::new(CancelProgramResponse { program }))
    }

    async fn list_participants(
        &self,
        request: Request<ListParticipantsRequest>,
    ) -> Result<Response<ListParticipantsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (id, participation, page) =
            parse_participants(request.get_ref()).map_err(Error::Invalid)?;
        let (listed, next_page_token, counts) =
            self.programs.participants(&caller, id, participation, page).await?;
        let participants = self.named(listed).await?;
        let StatusCounts { confirmed, waitlisted, cancelled } = counts;
        let counts = Some(RegistrationCounts { confirmed, waitlisted, cancelled });
        Ok(Response::new(ListParticipantsResponse { participants, next_page_token, counts }))
    }

    async fn set_attendance(
        &self,
        request: Request<SetAttendanceRequest>,
    ) -> Result<Response<SetAttendanceResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (id, attendance) = parse_attendance(request.get_ref()).map_err(Error::Invalid)?;
        let registration = self.programs.set_attendance(&caller, id, attendance).await?;
        let attendance = attendance_number(registration.attendance);
        let registration = Some(registration.into());
        Ok(Response::new(SetAttendanceResponse { registration, attendance }))
    }
}

fn invalid(violation: Violation) -> Error {
    Error::Invalid(vec![violation])
}

fn parse_new(mut request: CreateProgramRequest) -> Result<NewProgram, Vec<Violation>> {
    let request_id = mem::take(&mut request.request_id);
    let repeatable = Repeatable::parse(request_id, request.encode_to_vec());
    let details = parse_details(request.program.unwrap_or_default());
    match (details, repeatable) {
        (Ok(details), Ok(repeatable)) => Ok(NewProgram { details, repeatable }),
        (details, repeatable) => {
            Err(details.err().into_iter().flatten().chain(repeatable.err()).collect())
        }
    }
}

fn parse_details(program: wire::Program) -> Result<ProgramDetails, Vec<Violation>> {
    let mut violations = Vec::new();
    let title = valid(Title::parse(program.title), &mut violations);
    let description = valid(Description::parse(program.description), &mut violations);
    let sport = valid(Sport::parse(program.sport), &mut violations);
    let level = valid(TrainingLevel::parse(program.training_level), &mut violations);
    let location = valid(Location::parse(program.location), &mut violations);
    let coach_id = valid(coach_id(program.coach_id), &mut violations);
    let starts_at = valid(required_time("starts_at", program.starts_at), &mut violations);
    let ends_at = valid(required_time("ends_at", program.ends_at), &mut violations);
    let opens_at = time("registration_opens_at", program.registration_opens_at);
    let opens_at = valid(opens_at, &mut violations);
    let closes_at = time("registration_closes_at", program.registration_closes_at);
    let closes_at = valid(closes_at, &mut violations);
    let time_zone = valid(TimeZone::parse(&program.time_zone), &mut violations);
    let capacity = valid(Capacity::parse(program.capacity), &mut violations);

    // Whether or not the others could be read.
    violations.extend(Schedule::conflicts(starts_at, ends_at, opens_at.flatten(), closes_at));
    let schedule = || {
        Some(Schedule {
            starts_at: starts_at?,
            ends_at: ends_at?,
            registration_opens_at: opens_at?,
            registration_closes_at: closes_at?,
        })
    };
    let all = || {
        Some(ProgramDetails {
            title: title?,
            description: description?,
            training: Training { sport: sport?, level: level? },
            location: location?,
            coach_id: coach_id?,
            schedule: schedule()?,
            time_zone: time_zone?,
            capacity: capacity?,
        })
    };
    all().filter(|_| violations.is_empty()).ok_or(violations)
}

fn parse_update(
    program: &wire::Program,
    paths: &[String],
) -> Result<(ProgramId, ProgramChanges), Vec<Violation>> {
    let mut violations = Vec::new();
    let id = valid(ProgramId::parse("id", program.id), &mut violations);
    if paths.is_empty() {
        violations.push(Violation::required("update_mask"));
    }
    let mut changes = ProgramChanges::default();
    for path in paths {
        if let Err(violation) = parse_change(program, path, &mut changes) {
            violations.push(violation);
        }
    }
    id.filter(|_| violations.is_empty()).map(|id| (id, changes)).ok_or(violations)
}

/// Takes over the field that `path` names.
fn parse_change(
    program: &wire::Program,
    path: &str,
    changes: &mut ProgramChanges,
) -> Result<(), Violation> {
    match path {
        "title" => changes.title = Some(Title::parse(program.title.clone())?),
        "description" => {
            changes.description = Some(Description::parse(program.description.clone())?);
        }
        "sport" => changes.sport = Some(Sport::parse(program.sport.clone())?),
        "training_level" => {
            changes.training_level = Some(TrainingLevel::parse(program.training_level.clone())?);
        }
        "location" => changes.location = Some(Location::parse(program.location.clone())?),
        "coach_id" => changes.coach_id = Some(coach_id(program.coach_id)?),
        "starts_at" => changes.starts_at = Some(required_time("starts_at", program.starts_at)?),
        "ends_at" => changes.ends_at = Some(required_time("ends_at", program.ends_at)?),
        "time_zone" => changes.time_zone = Some(TimeZone::parse(&program.time_zone)?),
        "registration_opens_at" => {
            let opens_at = time("registration_opens_at", program.registration_opens_at)?;
            changes.registration_opens_at = Some(opens_at);
        }
        "registration_closes_at" => {
            let closes_at = time("registration_closes_at", program.registration_closes_at)?;
            changes.registration_closes_at = Some(closes_at);
        }
        "capacity" => changes.capacity = Some(Capacity::parse(program.capacity)?),
        _ => {
            let description = "update_mask may name title, description, sport, training_level, \
                               location, coach_id, starts_at, ends_at, time_zone, \
                               registration_opens_at, registration_closes_at and capacity";
            return Err(Violation::new("update_mask", "UNKNOWN_PATH", description));
        }
    }
    Ok(())
}

/// 0 names nobody.
fn coach_id(id: i64) -> Result<Option<UserId>, Violation> {
    if id < 0 {
        return Err(Violation::new("coach_id", "OUT_OF_RANGE", "coach_id is negative"));
    }
    Ok((id > 0).then_some(UserId(id)))
}

fn parse_listing(request: ListProgramsRequest) -> Result<(ProgramFilter, Page), Vec<Violation>> {
    let ListProgramsRequest { page_size, page_token, sport, training_level, open_only } = request;
    let page = Page::parse(page_size, &page_token);
    let mut violations = page.as_ref().err().cloned().unwrap_or_default();
    let sport = (!sport.is_empty()).then(|| Sport::parse(sport)).transpose();
    let sport = valid(sport, &mut violations);
    let level =
        (!training_level.is_empty()).then(|| TrainingLevel::parse(training_level)).transpose();
    let level = valid(level, &mut violations);
    match (page, sport, level) {
        (Ok(page), Some(sport), Some(level)) => {
            Ok((ProgramFilter { sport, level, open_only }, page))
        }
        _ => Err(violations),
    }
}

fn parse_participants(
    request: &ListParticipantsRequest,
) -> Result<(ProgramId, Participation, Page), Vec<Violation>> {
    let mut violations = Vec::new();
    let id = valid(ProgramId::parse("program_id", request.program_id), &mut violations);
    let page = Page::parse(request.page_size, &request.page_token);
    violations.extend(page.as_ref().err().into_iter().flatten().cloned());
    let participation = match RegistrationStatus::try_from(request.status) {
        Ok(RegistrationStatus::Unspecified) => Ok(Participation::Live),
        Ok(RegistrationStatus::Confirmed) => Ok(Participation::Only(model::Status::Confirmed)),
        Ok(RegistrationStatus::Waitlisted) => Ok(Participation::Only(model::Status::Waitlisted)),
        Ok(RegistrationStatus::Cancelled) => Ok(Participation::Only(model::Status::Cancelled)),
        Err(_) => {
            let description = "status is not one of RegistrationStatus";
            Err(Violation::new("status", "INVALID_VALUE", description))
        }
    };
    match (id, valid(participation, &mut violations), page) {
        (Some(id), Some(participation), Ok(page)) => Ok((id, participation, page)),
        _ => Err(violations),
    }
}

fn parse_attendance(
    request: &SetAttendanceRequest,
) -> Result<(RegistrationId, Option<Attendance>), Vec<Violation>> {
    let mut violations = Vec::new();
    let id = valid(RegistrationId::parse(request.registration_id), &mut violations);
    let attendance = match wire::Attendance::try_from(request.attendance) {
        Ok(wire::Attendance::Unspecified) => Ok(None),
        Ok(wire::Attendance::Present) => Ok(Some(Attendance::Present)),
        Ok(wire::Attendance::Absent) => Ok(Some(Attendance::Absent)),
        Ok(wire::Attendance::Excused) => Ok(Some(Attendance::Excused)),
        Err(_) => {
            let description = "attendance is not one of Attendance";
            Err(Violation::new("attendance", "INVALID_VALUE", description))
        }
    };
    id.zip(valid(attendance, &mut violations)).ok_or(violations)
}

impl From<Attendance> for wire::Attendance {
    fn from(attendance: Attendance) -> Self {
        match attendance {
            Attendance::Present => Self::Present,
            Attendance::Absent => Self::Absent,
            Attendance::Excused => Self::Excused,
        }
    }
}

/// As a message holds it: 0 where nothing is noted.
fn attendance_number(attendance: Option<Attendance>) -> i32 {
    attendance.map_or(wire::Attendance::Unspecified, Into::into).into()
}

impl From<model::Program> for wire::Program {
    fn from(program: model::Program) -> Self {
        let etag = program.etag().into_string();
        let ProgramDetails {
            title,
            description,
            training: Training { sport, level },
            location,
            coach_id,
            schedule,
            time_zone,
            capacity,
        } = program.details;
        Self {
            id: program.id.0,
            title: title.as_str().to_owned(),
            description: description.as_str().to_owned(),
            sport: sport.as_str().to_owned(),
            training_level: level.as_str().to_owned(),
            location: location.as_str().to_owned(),
            coach_id: coach_id.map_or(0, |id| id.0),
            starts_at: Some(time_message(schedule.starts_at)),
            ends_at: Some(time_message(schedule.ends_at)),
            time_zone: time_zone.as_str().to_owned(),
            registration_opens_at: schedule.registration_opens_at.map(time_message),
            registration_closes_at: schedule.registration_closes_at.map(time_message),
            capacity: capacity.seats(),
            seats_taken: program.seats_taken,
            waitlist_length: program.waitlist_length,
            status: wire::ProgramStatus::from(program.status).into(),
            etag,
            created_at: Some(time_message(program.created_at)),
            updated_at: Some(time_message(program.updated_at)),
        }
    }
}

impl From<ProgramStatus> for wire::ProgramStatus {
    fn from(status: ProgramStatus) -> Self {
        match status {
            ProgramStatus::Active => Self::Active,
            ProgramStatus::Cancelled => Self::Cancelled,
        }
    }
}
