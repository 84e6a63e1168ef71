//! `/programs`: trainings that have a time, a place and seats.

use axum::Json;
use http::{HeaderName, HeaderValue, StatusCode};
use prost_types::FieldMask;
use proto::training::v1::{
    self as training, CancelProgramRequest, CreateProgramRequest, GetProgramRequest,
    ListProgramsRequest, UpdateProgramRequest,
};
use serde::Serialize;
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
    if_match::{IfMatch, entity_tag},
    openapi::{
        PROGRAMS,
        bodies::{CancelProgram, CreateProgram, UpdateProgram},
        refusals::{Conflict, Forbidden, PreconditionFailed},
    },
    paging::Paging,
    problem::{CHANGED, Problem, Reason, Wording},
    query::{FromQuery, Parameters, Query},
    resources::Program,
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get_one, update))
        .routes(routes!(cancel))
}

const WORDING: Wording = Wording {
    members: &[("request_id", idempotency::NAME), ("update_mask", "body")],
    ..Wording::PLAIN
};

/// Where the client sent `If-Match`.
const CONDITIONAL: Wording = Wording {
    reasons: &[Reason::says("ETAG_MISMATCH", CHANGED).status(StatusCode::PRECONDITION_FAILED)],
    ..WORDING
};

/// A program, and its `ETag`: that of what organisers set, so that a seat that is taken meanwhile
/// stops no change.
type Shown = ([(HeaderName, HeaderValue); 1], Json<Program>);

fn shown(program: Option<training::Program>) -> Result<Shown, Problem> {
    let program = given(program)?;
    Ok((entity_tag(&program.etag)?, Json(program.into())))
}

/// Which programs a client asks for; empty parameters count as absent.
#[derive(utoipa::IntoParams)]
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

impl FromQuery for Filter {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            sport: parameters.text("sport"),
            training_level: parameters.text("training_level"),
            open_only: parameters.flag("open_only"),
        }
    }
}

/// A boolean; or nothing, which counts as absent.
fn described_open_only() -> Object {
    let types = SchemaType::Array(vec![Type::Boolean, Type::String]);
    ObjectBuilder::new().schema_type(types).max_length(Some(0)).build()
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
async fn list(
    call: Call,
    Query((paging, filter)): Query<(Paging, Filter)>,
) -> Result<Json<Listed>, Problem> {
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
    responses(
        (
            status = 200,
            description = "The program.",
            body = Program,
            headers(
                (
                    "ETag" = String,
                    description = "For `If-Match`; it does not stand for the seats."
                ),
            ),
        ),
    )
)]
async fn get_one(call: Call, Id(program_id): Id) -> Result<Shown, Problem> {
    let request = call.request(GetProgramRequest { program_id });
    let answer = call.answer(call.programs().get_program(request), &WORDING).await?;
    shown(answer.program)
}

/// Announces a training; for coaches and administrators.
#[utoipa::path(
    post,
    path = "/programs",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(IdempotencyKey),
    request_body = CreateProgram,
    responses(
        (
            status = 201,
            description = "The program.",
            body = Program,
            headers(
                (
                    "ETag" = String,
                    description = "For `If-Match`; it does not stand for the seats."
                ),
            ),
        ),
        Forbidden,
    )
)]
async fn create(
    call: Call,
    IdempotencyKey(request_id): IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Shown), Problem> {
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
    Ok((StatusCode::CREATED, shown(answer.program)?))
}

/// Changes what the body has; for coaches and administrators. Seats that a larger `capacity` adds
/// go to who waits for one.
#[utoipa::path(
    patch,
    path = "/programs/{id}",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(Id, IfMatch),
    request_body = UpdateProgram,
    responses(
        (
            status = 200,
            description = "The program as it is now.",
            body = Program,
            headers(
                (
                    "ETag" = String,
                    description = "For `If-Match`; it does not stand for the seats."
                ),
            ),
        ),
        Forbidden,
        Conflict,
        PreconditionFailed,
    )
)]
async fn update(call: Call, Id(id): Id, if_match: IfMatch, body: Fields) -> Result<Shown, Problem> {
    let wording = wording(&if_match);
    let (mut program, paths) = body.read(wording, |body| changes(body, id))?;
    if let Some(etag) = if_match.choose(async || current_etag(&call, id).await).await? {
        program.etag = etag;
    }
    let update_mask = Some(FieldMask { paths });
    let request = call.request(UpdateProgramRequest { program: Some(program), update_mask });
    let answer = call.answer(call.programs().update_program(request), wording).await?;
    shown(answer.program)
}

/// In the body, what has changed meanwhile is a conflict; in the header, a condition that fails.
fn wording(if_match: &IfMatch) -> &'static Wording {
    if if_match.is_set() { &CONDITIONAL } else { &WORDING }
}

/// The etag that a program has now, which the service compares once more when it changes it; `None`
/// where there is no program, of which it tells only who may change one.
async fn current_etag(call: &Call, program_id: i64) -> Result<Option<String>, Problem> {
    let request = call.request(GetProgramRequest { program_id });
    match call.answer(call.programs().get_program(request), &WORDING).await {
        Ok(answer) => Ok(Some(given(answer.program)?.etag)),
        Err(problem) if problem.is_of_absence() => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// What is absent stays as it is; what is null goes, where it may. With the paths of what changes.
fn changes(body: &mut Members, id: i64) -> (training::Program, Vec<String>) {
    let etag = body.text("etag");
    let mut program = training::Program { id, etag, ..training::Program::default() };
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
    (program, paths)
}

/// Ends a program, for which nobody can register any more; for coaches and administrators.
#[utoipa::path(
    post,
    path = "/programs/{id}/cancel",
    tag = PROGRAMS,
    security(("bearer" = [])),
    params(Id, IfMatch),
    request_body = CancelProgram,
    responses(
        (
            status = 200,
            description = "The program as it is now.",
            body = Program,
            headers(
                (
                    "ETag" = String,
                    description = "For `If-Match`; it does not stand for the seats."
                ),
            ),
        ),
        Forbidden,
        Conflict,
        PreconditionFailed,
    )
)]
async fn cancel(
    call: Call,
    Id(program_id): Id,
    if_match: IfMatch,
    body: Fields,
) -> Result<Shown, Problem> {
    let wording = wording(&if_match);
    let member = body.read(wording, |body| body.text("etag"))?;
    let header = if_match.choose(async || current_etag(&call, program_id).await).await?;
    let etag = header.unwrap_or(member);
    let request = call.request(CancelProgramRequest { program_id, etag });
    let answer = call.answer(call.programs().cancel_program(request), wording).await?;
    shown(answer.program)
}
