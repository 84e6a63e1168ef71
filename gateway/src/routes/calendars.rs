//! Calendars to import or to subscribe to (RFC 5545): of one program, and of one's registrations.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY},
};
use proto::training::v1::{
    CreateCalendarKeyRequest, GetCalendarRequest, GetProgramCalendarRequest,
    RevokeCalendarKeyRequest,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::NoMembers,
    ids::Id,
    openapi::{PROGRAMS, REGISTRATIONS, bodies::Nothing, refusals::NotFound},
    origin::Origin,
    packed::is_known,
    problem::{Problem, Wording},
    query::{FromQuery, Parameters, Query},
    upstream::Call,
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(of_program))
        .routes(routes!(of_key))
        .routes(routes!(create_key, revoke_key))
}

const WORDING: Wording = Wording { members: &[("calendar_key", "key")], ..Wording::PLAIN };

/// One program as a calendar of one event, which says if it is cancelled; open to anyone.
#[utoipa::path(
    get,
    path = "/programs/{id}/calendar.ics",
    tag = PROGRAMS,
    params(Id),
    responses(
        (
            status = 200,
            description = "An iCalendar object (RFC 5545).",
            body = String,
            content_type = "text/calendar",
            headers(("ETag" = String)),
        ),
        (status = 304, description = "It is the one that `If-None-Match` names."),
    )
)]
async fn of_program(
    call: Call,
    Id(program_id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request = call.request(GetProgramCalendarRequest { program_id });
    let answer = call.answer(call.programs().get_program_calendar(request), &WORDING).await?;
    let response = calendar(answer.calendar, &answer.etag, &headers)?;
    // Anyone may keep it, and asks again whether it is still the same.
    Ok(([(CACHE_CONTROL, HeaderValue::from_static("no-cache"))], response).into_response())
}

/// `?key=`; empty where there is none.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Key {
    /// That of the calendar.
    #[param(min_length = 1)]
    key: String,
}

impl FromQuery for Key {
    fn read(parameters: &mut Parameters) -> Self {
        Self { key: parameters.text("key") }
    }
}

/// The programs that someone is registered for, for whoever has the key: what calendar programs
/// subscribe to. A program that is cancelled, or a place on its waitlist, says so.
#[utoipa::path(
    get,
    path = "/registrations/calendar.ics",
    tag = REGISTRATIONS,
    params(Key),
    responses(
        (
            status = 200,
            description = "An iCalendar object (RFC 5545).",
            body = String,
            content_type = "text/calendar",
            headers(("ETag" = String)),
        ),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        NotFound,
    )
)]
async fn of_key(
    call: Call,
    Query(Key { key }): Query<Key>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request = call.request(GetCalendarRequest { calendar_key: key });
    let answer = call.answer(call.registrations().get_calendar(request), &WORDING).await?;
    calendar(answer.calendar, &answer.etag, &headers)
}

/// The answer that is a calendar, or that the client has it already.
///
/// # Errors
/// 500 where the etag is none.
fn calendar(text: String, etag: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let strong = format!("\"{etag}\"");
    // Weak, as it is the same with and without compression (RFC 9110 section 8.8.1).
    let tag = HeaderValue::try_from(format!("W/{strong}")).map_err(|error| {
        tracing::error!(%error, "a service gave an etag that cannot be sent");
        Problem::internal()
    })?;
    let same = [(ETAG, tag), (VARY, HeaderValue::from_static("accept-encoding"))];
    if is_known(headers, strong.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, same).into_response());
    }
    let kind = HeaderValue::from_static("text/calendar; charset=utf-8");
    Ok((same, [(CONTENT_TYPE, kind)], text).into_response())
}

/// What opens the calendar of one's registrations.
#[derive(Serialize, ToSchema)]
#[schema(as = CalendarKey)]
struct Created {
    /// Whoever has it can read the calendar. It is told this once.
    #[schema(example = "sPTRmVn0WGIuLuUbtkJ4lBqk3vQOJrsLOhj8ahbDEZI")]
    key: String,
    /// What to subscribe to.
    #[schema(
        example = "https://club.example/registrations/calendar.ics?key=sPTRmVn0WGIuLuUbtkJ4lBqk3vQOJrsLOhj8ahbDEZI"
    )]
    url: String,
}

/// Makes the key of one's calendar. It replaces an older one, which opens nothing any more.
#[utoipa::path(
    post,
    path = "/registrations/calendar_key",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    request_body = Nothing,
    responses((status = 201, description = "The key.", body = Created))
)]
async fn create_key(
    call: Call,
    origin: Origin,
    _: NoMembers,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let origin = origin.known()?;
    let request = call.request(CreateCalendarKeyRequest {});
    let mut training = call.registrations();
    let key = call.answer(training.create_calendar_key(request), &WORDING).await?.calendar_key;
    // A key has nothing that has to be encoded.
    let url = format!("{origin}/registrations/calendar.ics?key={key}");
    Ok((StatusCode::CREATED, Json(Created { key, url })))
}

/// Revokes the key of one's calendar, if there is one.
#[utoipa::path(
    delete,
    path = "/registrations/calendar_key",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    request_body = Nothing,
    responses((status = 204, description = "There is none now."))
)]
async fn revoke_key(call: Call, _: NoMembers) -> Result<StatusCode, Problem> {
    let request = call.request(RevokeCalendarKeyRequest {});
    call.answer(call.registrations().revoke_calendar_key(request), &WORDING).await?;
    Ok(StatusCode::NO_CONTENT)
}
