//! `/programs`: trainings that have a time, a place and seats.

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{LINK, VARY},
    request::Parts,
};
use prost_types::FieldMask;
use proto::training::v1::{
    self as training, CancelProgramRequest, CreateProgramRequest, GetProgramRequest,
    ListParticipantsRequest, ListProgramsRequest, UpdateProgramRequest,
};
use serde::Serialize;
use service_kit::rejection::Violation;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, SchemaType, Type},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::{Fields, Members},
    idempotency::{self, IdempotencyKey},
    ids::Id,
    openapi::{
        PROGRAMS,
        bodies::{CancelProgram, CreateProgram, UpdateProgram},
        refusals::{Conflict, Forbidden},
    },
    paging::{Paging, link_to_next},
    problem::{Problem, Wording},
    resources::{Participant, Program},
    spreadsheet,
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get_one, update))
        .routes(routes!(cancel))
        .routes(routes!(participants))
}

const WORDING: Wording = Wording {
    members: &[("request_id", idempotency::NAME), ("update_mask", "body")],
    ..Wording::PLAIN
};

/// Which programs a client asks for; empty parameters count as absent.
#[derive(Debug, Default, PartialEq, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of exactly this sport.
    #[param(required = false)]
    sport: String,
    /// Only those of exactly this level.
    #[param(required = false)]
    training_level: String,
    /// `true`: only those that one may register for now.
    #[param(required = false, schema_with = described_open_only)]
    open_only: bool,
}

impl Filter {
    fn parse(query: &str) -> Result<Self, Violation> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("sport", _) => filter.sport = value.into_owned(),
                ("training_level", _) => filter.training_level = value.into_owned(),
                ("open_only", "true") => filter.open_only = true,
                ("open_only", "false" | "") => filter.open_only = false,
                ("open_only", _) => {
                    let description = "open_only must be true or false";
                    return Err(Violation::new("open_only", "INVALID_TYPE", description));
                }
                _ => {}
            }
        }
        Ok(filter)
    }
}

/// A boolean; or nothing, which counts as absent.
fn described_open_only() -> Object {
    let types = SchemaType::Array(vec![Type::Boolean, Type::String]);
    ObjectBuilder::new().schema_type(types).max_length(Some(0)).build()
}

impl FromRequestParts<Gateway> for Filter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
            .map_err(|violation| WORDING.bad_input(vec![violation]))
    }
}

/// One page of programs.
#[derive(Serialize, ToSchema)]
#[schema(as = ProgramPage)]
struct Listed {
    programs: Vec<Program>,
    /// The `page_token` of the next page; empty on the last one.
    next_page_token: String,
}

/// A page of programs, by id; open to anyone.
#[utoipa::path(
    get,
    path = "/programs",
    tag = PROGRAMS,
    params(Paging, Filter),
    responses((status = 200, description = "The programs.", body = Listed))
)]
async fn list(call: Call, paging: Paging, filter: Filter) -> Result<Json<Listed>, Problem> {
    let Filter { sport, training_level, open_only } = filter;
    let request = ListProgramsRequest {
        page_size: paging.page_size.unwrap_or(0),
        page_token: paging.page_token,
        sport,
        training_level,
        open_only,
    };
    let answer =
        call.answer(call.programs().list_programs(call.request(request)), &WORDING).await?;
    let programs = answer.programs.into_iter().map(Program::from).collect();
    Ok(Json(Listed { programs, next_page_token: answer.next_page_token }))
}

/// One program; open to anyone.
#[utoipa::path(
    get,
    path = "/programs/{id}",
    tag = PROGRAMS,
    params(Id),
    responses((status = 200, description = "The program.", body = Program))
)]
async fn get_one(call: Call, Id(program_id): Id) -> Result<Json<Program>, Problem> {
    let request = call.request(GetProgramRequest { program_id });
    let answer = call.answer(call.programs().get_program(request), &WORDING).await?;
    Ok(Json(given(answer.program)?.into()))
}

/// Announces a training; for coaches and administrators.
#[utoipa::path(
    post,
    path = "/programs",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(IdempotencyKey),
    request_body = CreateProgram,
    responses((status = 201, description = "The program.", body = Program), Forbidden)
)]
async fn create(
    call: Call,
    IdempotencyKey(request_id): IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Json<Program>), Problem> {
    let request = body.read(&WORDING, |body| CreateProgramRequest {
        program: Some(training::Program {
            title: body.expected("title"),
            description: body.text("description"),
            sport: body.expected("sport"),
            training_level: body.expected("training_level"),
            location: body.text("location"),
            coach_id: body.integer("coach_id"),
            starts_at: body.expected_time("starts_at"),
            ends_at: body.expected_time("ends_at"),
            time_zone: body.text("time_zone"),
            registration_opens_at: body.time("registration_opens_at"),
            registration_closes_at: body.time("registration_closes_at"),
            capacity: body.integer("capacity"),
            ..training::Program::default()
        }),
        request_id,
    })?;
    let request = call.request(request);
    let answer = call.answer(call.programs().create_program(request), &WORDING).await?;
    Ok((StatusCode::CREATED, Json(given(answer.program)?.into())))
}

/// Changes what the body has; for coaches and administrators. Seats that a larger `capacity` adds
/// go to who waits for one.
#[utoipa::path(
    patch,
    path = "/programs/{id}",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(Id),
    request_body = UpdateProgram,
    responses(
        (status = 200, description = "The program as it is now.", body = Program),
        Forbidden,
        Conflict,
    )
)]
async fn update(call: Call, Id(id): Id, body: Fields) -> Result<Json<Program>, Problem> {
    let request = call.request(body.read(&WORDING, |body| changes(body, id))?);
    let answer = call.answer(call.programs().update_program(request), &WORDING).await?;
    Ok(Json(given(answer.program)?.into()))
}

/// What is absent stays as it is; what is null goes, where it may.
fn changes(body: &mut Members, id: i64) -> UpdateProgramRequest {
    let mut program =
        training::Program { id, etag: body.text("etag"), ..training::Program::default() };
    let mut paths = Vec::new();
    for (name, field) in [
        ("title", &mut program.title),
        ("description", &mut program.description),
        ("sport", &mut program.sport),
        ("training_level", &mut program.training_level),
        ("location", &mut program.location),
        ("time_zone", &mut program.time_zone),
    ] {
        if body.has(name) {
            *field = body.text(name);
            paths.push(name.to_owned());
        }
    }
    for (name, field) in [("coach_id", &mut program.coach_id), ("capacity", &mut program.capacity)]
    {
        if body.has(name) {
            *field = body.integer(name);
            paths.push(name.to_owned());
        }
    }
    for (name, field) in [
        ("starts_at", &mut program.starts_at),
        ("ends_at", &mut program.ends_at),
        ("registration_opens_at", &mut program.registration_opens_at),
        ("registration_closes_at", &mut program.registration_closes_at),
    ] {
        if body.has(name) {
            *field = body.time(name);
            paths.push(name.to_owned());
        }
    }
    UpdateProgramRequest { program: Some(program), update_mask: Some(FieldMask { paths }) }
}

/// Ends a program, for which nobody can register any more; for coaches and administrators.
#[utoipa::path(
    post,
    path = "/programs/{id}/cancel",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(Id),
    request_body = CancelProgram,
    responses(
        (status = 200, description = "The program as it is now.", body = Program),
        Forbidden,
        Conflict,
    )
)]
async fn cancel(call: Call, Id(program_id): Id, body: Fields) -> Result<Json<Program>, Problem> {
    let etag = body.read(&WORDING, |body| body.text("etag"))?;
    let request = call.request(CancelProgramRequest { program_id, etag });
    let answer = call.answer(call.programs().cancel_program(request), &WORDING).await?;
    Ok(Json(given(answer.program)?.into()))
}

/// One page of participants.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantPage)]
struct Roster {
    participants: Vec<Participant>,
    /// The `page_token` of the next page; empty on the last one.
    next_page_token: String,
}

/// A page of who has a seat or waits for one, in the order of registration; for coaches and
/// administrators.
#[utoipa::path(
    get,
    path = "/programs/{id}/participants",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(Id, Paging),
    responses(
        (
            status = 200,
            description = "The participants; as CSV, no cell can start a formula.",
            content((Roster = "application/json"), (String = "text/csv")),
            headers(
                (
                    "Link" = Option<String>,
                    description = "Of CSV: the next page (`rel=next`, RFC 8288)."
                ),
            ),
        ),
        Forbidden,
    )
)]
async fn participants(
    call: Call,
    Id(program_id): Id,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page_size = paging.page_size;
    let request = call.request(ListParticipantsRequest {
        program_id,
        page_size: paging.page_size.unwrap_or(0),
        page_token: paging.page_token,
        ..ListParticipantsRequest::default()
    });
    let answer = call.answer(call.programs().list_participants(request), &WORDING).await?;
    let participants = answer.participants.into_iter().map(Participant::new);
    let participants = participants.collect::<Result<Vec<_>, _>>()?;
    let next_page_token = answer.next_page_token;
    let vary = [(VARY, HeaderValue::from_static("accept"))];
    if !spreadsheet::is_wanted(&headers) {
        let roster = Json(Roster { participants, next_page_token });
        return Ok((vary, roster).into_response());
    }
    let table = spreadsheet::csv(&participants)?;
    if next_page_token.is_empty() {
        return Ok((vary, table).into_response());
    }
    let path = format!("/programs/{program_id}/participants");
    let link = [(LINK, link_to_next(&path, page_size, &next_page_token))];
    Ok((vary, link, table).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_what_the_query_has() {
        let expected = Filter {
            sport: "ice hockey".to_owned(),
            training_level: "beginner".to_owned(),
            open_only: true,
        };
        let query = "sport=ice+hockey&training_level=beginner&open_only=true&x=1";
        assert_eq!(Filter::parse(query), Ok(expected));
        assert_eq!(Filter::parse("sport=&open_only="), Ok(Filter::default()));
        for bad in ["1", "TRUE", "yes"] {
            let violation = Filter::parse(&format!("open_only={bad}")).expect_err(bad);
            assert_eq!((&*violation.field, &*violation.reason), ("open_only", "INVALID_TYPE"));
        }
    }
}
