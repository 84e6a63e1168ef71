//! `/registrations`: one's own places in training.

use axum::{Json, response::Response};
use http::StatusCode;
use proto::training::v1::{
    CancelRegistrationRequest, CreateRegistrationRequest, GetRegistrationRequest,
    ListRegistrationsRequest,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::{Fields, Members, NoMembers},
    idempotency::{self, IdempotencyKey},
    ids::Id,
    openapi::{
        REGISTRATIONS,
        bodies::{CreateRegistration, Nothing},
        refusals::{Conflict, NotFound},
    },
    paging::Paging,
    problem::{Problem, Wording},
    query::Query,
    resources::Registration,
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get_one, cancel))
}

const CREATE: Wording = Wording {
    missing: Some("Missing sport or training_level"),
    members: &[("request_id", idempotency::NAME)],
    ..Wording::PLAIN
};

#[derive(Serialize, ToSchema)]
#[schema(as = NewRegistration)]
struct Created {
    #[schema(example = "Registration successful")]
    message: &'static str,
    registration: Registration,
}

/// Registers for training: in a program, or outside of any.
#[utoipa::path(
    post,
    path = "/registrations",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(IdempotencyKey),
    request_body = CreateRegistration,
    responses(
        (status = 201, description = "The registration.", body = Created),
        NotFound,
        Conflict,
    )
)]
async fn create(
    call: Call,
    IdempotencyKey(request_id): IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let request = body.read(&CREATE, |body| {
        let program_id = body.integer("program_id");
        // With a program they are taken from it, even with one that is badly named.
        let is_free = program_id == 0 && !body.is_wrong("program_id");
        let text = if is_free { Members::expected } else { Members::text };
        CreateRegistrationRequest {
            sport: text(body, "sport"),
            training_level: text(body, "training_level"),
            program_id,
            request_id,
        }
    })?;
    let mut training = call.registrations();
    let rpc = training.create_registration(call.request(request));
    let answer = call.answer(rpc, &CREATE).await?;
    let registration = given(answer.registration)?.into();
    Ok((StatusCode::CREATED, Json(Created { message: "Registration successful", registration })))
}

/// One's own registrations, oldest first: a page, or without `page_size` and `page_token` the first 10,000.
#[utoipa::path(
    get,
    path = "/registrations",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(Paging),
    responses(
        (
            status = 200,
            description = "The registrations.",
            body = [Registration],
            headers(
                ("Link" = Option<String>, description = "The next page (`rel=next`, RFC 8288)."),
            ),
        ),
    )
)]
async fn list(call: Call, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let call = &call;
    let fetch = |page_size, page_token| async move {
        let request = ListRegistrationsRequest { page_size, page_token, user_id: 0 };
        let mut training = call.registrations();
        let rpc = training.list_registrations(call.request(request));
        let page = call.answer(rpc, &Wording::PLAIN).await?;
        let registrations = page.registrations.into_iter().map(Registration::from).collect();
        Ok((registrations, page.next_page_token))
    };
    paging.answer("/registrations", &[], fetch).await
}

/// One of one's own registrations.
#[utoipa::path(
    get,
    path = "/registrations/{id}",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(Id),
    responses((status = 200, description = "The registration.", body = Registration))
)]
async fn get_one(call: Call, Id(registration_id): Id) -> Result<Json<Registration>, Problem> {
    let mut training = call.registrations();
    let rpc = training.get_registration(call.request(GetRegistrationRequest { registration_id }));
    let answer = call.answer(rpc, &Wording::PLAIN).await?;
    Ok(Json(given(answer.registration)?.into()))
}

/// Ends a registration: one's own, or for coaches and administrators any. Its seat goes to who
/// waits for one.
#[utoipa::path(
    delete,
    path = "/registrations/{id}",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(Id),
    request_body = Nothing,
    responses((status = 200, description = "The registration as it is now.", body = Registration))
)]
async fn cancel(
    call: Call,
    Id(registration_id): Id,
    _: NoMembers,
) -> Result<Json<Registration>, Problem> {
    let mut training = call.registrations();
    let request = call.request(CancelRegistrationRequest { registration_id });
    let answer = call.answer(training.cancel_registration(request), &Wording::PLAIN).await?;
    Ok(Json(given(answer.registration)?.into()))
}
