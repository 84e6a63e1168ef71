//! `/registrations`: one's own places in training.

use axum::{Json, Router, response::Response, routing::get};
use http::StatusCode;
use proto::training::v1::{
    CreateRegistrationRequest, GetRegistrationRequest, ListRegistrationsRequest,
};
use serde::Serialize;

use crate::{
    Gateway,
    fields::{Fields, Members},
    idempotency::{self, IdempotencyKey},
    ids::Id,
    paging::Paging,
    problem::{Problem, Wording},
    resources::Registration,
    upstream::{Call, given},
};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/registrations", get(list).post(create))
        .route("/registrations/{id}", get(get_one))
}

const CREATE: Wording = Wording {
    missing: Some("Missing sport or training_level"),
    members: &[("request_id", idempotency::NAME)],
    ..Wording::PLAIN
};

#[derive(Serialize)]
struct Created {
    message: &'static str,
    registration: Registration,
}

async fn create(
    call: Call,
    IdempotencyKey(request_id): IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let request = body.read(&CREATE, |body| {
        let program_id = body.integer("program_id");
        // With a program they are taken from it.
        let text = if program_id == 0 { Members::expected } else { Members::text };
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

async fn list(call: Call, paging: Paging) -> Result<Response, Problem> {
    let call = &call;
    let fetch = |page_size, page_token| async move {
        let request = ListRegistrationsRequest { page_size, page_token, user_id: 0 };
        let mut training = call.registrations();
        let rpc = training.list_registrations(call.request(request));
        let page = call.answer(rpc, &Wording::PLAIN).await?;
        let registrations = page.registrations.into_iter().map(Registration::from).collect();
        Ok((registrations, page.next_page_token))
    };
    paging.answer("/registrations", fetch).await
}

async fn get_one(call: Call, Id(registration_id): Id) -> Result<Json<Registration>, Problem> {
    let mut training = call.registrations();
    let rpc = training.get_registration(call.request(GetRegistrationRequest { registration_id }));
    let answer = call.answer(rpc, &Wording::PLAIN).await?;
    Ok(Json(given(answer.registration)?.into()))
}
