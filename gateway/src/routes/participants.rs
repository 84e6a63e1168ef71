//! Who is registered for a program, and whether they came.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue,
    header::{LINK, VARY},
};
use proto::training::v1::{
    Attendance, ListParticipantsRequest, RegistrationCounts, RegistrationStatus,
    SetAttendanceRequest,
};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::Fields,
    ids::Id,
    openapi::{
        PROGRAMS, REGISTRATIONS,
        bodies::SetAttendance,
        refusals::{Conflict, Forbidden},
    },
    paging::Paging,
    problem::{Problem, Wording},
    query::{FromQuery, Parameters, Query},
    resources::{
        ATTENDANCES, Participant, REGISTRATION_STATUSES, Registration, attendance_word, status_word,
    },
    spreadsheet,
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(participants)).routes(routes!(set_attendance))
}

/// Which participants a client asks for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Standing {
    /// Only those whose registration stands so; else those that have a seat or wait for one.
    #[param(schema_with = described_status)]
    status: Option<RegistrationStatus>,
}

fn described_status() -> Object {
    let words = REGISTRATION_STATUSES.iter().map(|(word, _)| *word).chain([""]);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

impl FromQuery for Standing {
    fn read(parameters: &mut Parameters) -> Self {
        Self { status: parameters.word("status", &REGISTRATION_STATUSES) }
    }
}

/// One page of participants.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantPage)]
struct Roster {
    participants: Vec<Participant>,
    counts: Counts,
    /// The `page_token` of the next page; empty on the last one.
    next_page_token: String,
}

/// How many registrations for the program have each status, whichever were asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = RegistrationCounts)]
struct Counts {
    confirmed: i64,
    waitlisted: i64,
    cancelled: i64,
}

impl From<RegistrationCounts> for Counts {
    fn from(counts: RegistrationCounts) -> Self {
        let RegistrationCounts { confirmed, waitlisted, cancelled } = counts;
        Self { confirmed, waitlisted, cancelled }
    }
}

/// A page of who is registered, in the order of registration; for coaches and administrators. As
/// CSV, all of them (up to 10000) where no page is asked for.
#[utoipa::path(
    get,
    path = "/programs/{id}/participants",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(Id, Paging, Standing),
    responses(
        (
            status = 200,
            description = "The participants; as CSV, no cell can start a formula.",
            content((Roster = "application/json"), (String = "text/csv")),
            headers(
                (
                    "Link" = Option<String>,
                    description = "Of CSV: what follows, if anything does (`rel=next`, RFC 8288)."
                ),
            ),
        ),
        Forbidden,
    )
)]
async fn participants(
    call: Call,
    Id(program_id): Id,
    Query((paging, Standing { status })): Query<(Paging, Standing)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let vary = [(VARY, HeaderValue::from_static("accept"))];
    let fetch = |page_size, page_token| page(&call, program_id, status, page_size, page_token);
    if !spreadsheet::is_wanted(&headers) {
        let Paging { page_size, page_token } = paging;
        let roster = fetch(page_size.unwrap_or(0), page_token).await?;
        return Ok((vary, Json(roster)).into_response());
    }
    let path = format!("/programs/{program_id}/participants");
    let filter = [("status", status.map_or("", status_word))];
    let rows = async |page_size, page_token| {
        let roster = fetch(page_size, page_token).await?;
        Ok((roster.participants, roster.next_page_token))
    };
    let (participants, link) = paging.rows(&path, &filter, rows).await?;
    let link = link.map(|link| [(LINK, link)]);
    Ok((vary, link, spreadsheet::csv(&participants)?).into_response())
}

/// Asks for one page; the size 0 is the service's default.
async fn page(
    call: &Call,
    program_id: i64,
    status: Option<RegistrationStatus>,
    page_size: i32,
    page_token: String,
) -> Result<Roster, Problem> {
    let status = status.unwrap_or_default().into();
    let request = ListParticipantsRequest { program_id, page_size, page_token, status };
    let request = call.request(request);
    let answer = call.answer(call.programs().list_participants(request), &Wording::PLAIN).await?;
    let participants = answer.participants.into_iter().map(Participant::new);
    Ok(Roster {
        participants: participants.collect::<Result<_, _>>()?,
        counts: given(answer.counts)?.into(),
        next_page_token: answer.next_page_token,
    })
}

/// A registration, and whether its participant came.
#[derive(Serialize, ToSchema)]
#[schema(as = RegistrationAttendance)]
struct Attended {
    registration: Registration,
    /// `present`, `absent`, `excused`; null where nobody has noted it
    #[schema(required, example = "present")]
    attendance: Option<&'static str>,
}

/// Notes whether a participant came, or takes the note back; for coaches and administrators. It may
/// be noted before the program begins, for who is excused.
#[utoipa::path(
    put,
    path = "/registrations/{id}/attendance",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(Id),
    request_body = SetAttendance,
    responses(
        (status = 200, description = "What is noted now.", body = Attended),
        Forbidden,
        Conflict,
    )
)]
async fn set_attendance(
    call: Call,
    Id(registration_id): Id,
    body: Fields,
) -> Result<Json<Attended>, Problem> {
    let attendance =
        body.read(&Wording::PLAIN, |body| body.word_or_null("attendance", &ATTENDANCES))?;
    let attendance = attendance.unwrap_or(Attendance::Unspecified).into();
    let request = call.request(SetAttendanceRequest { registration_id, attendance });
    let answer = call.answer(call.programs().set_attendance(request), &Wording::PLAIN).await?;
    let attendance = attendance_word(answer.attendance());
    Ok(Json(Attended { registration: given(answer.registration)?.into(), attendance }))
}
